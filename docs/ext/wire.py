"""Bytes on the wire as text: handshakes, the key, frames in hexadecimal. All of them are made by the library here."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha1

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    HandshakeRequest,
    Opcode,
    PerMessageDeflate,
    RejectConnection,
    Request,
    Settings,
    TextMessage,
)
from wsproto_lite.frames import Frame
from wsproto_lite.handshake import accept_key
from wsproto_lite.handshake_shared import _GUID

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
"""The key of the example in RFC 6455 section 1.3."""

HOST = "server.example.com"


def _constant(size: int) -> bytes:
    """Give the nonce that KEY is, and the masking keys of RFC 6455 section 5.7."""
    return b64decode(KEY) if size == 16 else bytes.fromhex("37fa213d") * (size // 4)


SETTINGS = Settings(extensions=(PerMessageDeflate(),), random_bytes=_constant)


def minimum_request() -> tuple[str, str]:
    return "http", HandshakeRequest(KEY, host=HOST).to_bytes().decode()


def minimum_response() -> tuple[str, str]:
    return "http", HandshakeRequest(KEY, host=HOST).make_response().to_bytes().decode()


def full_request() -> tuple[str, str]:
    request = Request("/chat", HOST, ["chat"], [("User-Agent", "example")], "https://example.com")
    return "http", Connection(CLIENT, SETTINGS).send(request).decode()


def full_response() -> tuple[str, str]:
    request = Request("/chat", HOST, ["chat"], [("User-Agent", "example")], "https://example.com")
    server = Connection(SERVER, SETTINGS)
    server.receive_data(Connection(CLIENT, SETTINGS).send(request))
    return "http", server.send(AcceptConnection("chat")).decode()


def refusal() -> tuple[str, str]:
    """A server's own answer to an old version of the protocol."""
    server = Connection(SERVER, SETTINGS)
    request = HandshakeRequest(KEY, b"8", host=HOST).to_bytes()
    events = server.receive_data(request)
    assert isinstance(events[0], RejectConnection)
    return "http", server.data_to_send().decode()


def key_conversion() -> tuple[str, str]:
    digest = sha1(KEY + _GUID, usedforsecurity=False).digest()
    assert b64encode(digest) == accept_key(KEY)
    rows = (
        ("Sec-WebSocket-Key", KEY.decode()),
        ("and the GUID of RFC 6455", _GUID.decode()),
        ("joined", (KEY + _GUID).decode()),
        ("SHA-1 of that", digest.hex()),
        ("base64: Sec-WebSocket-Accept", accept_key(KEY).decode()),
    )
    width = max(len(name) for name, _ in rows)
    return "text", "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def masking() -> tuple[str, str]:
    key, payload = bytes.fromhex("37fa213d"), b"Hello"
    masked = Frame(payload, mask=key).masked_payload()
    rows = (
        ("payload", payload),
        ("key, repeated", (key * 2)[: len(payload)]),
        ("XOR of both", masked),
    )
    lines = [f"{name:14}  {data.hex(' ')}" for name, data in rows]
    lines[0] += f'   "{payload.decode()}"'
    return "text", "\n".join(lines)


def compressed() -> tuple[str, str]:
    """The same text twice on one connection, as in RFC 7692 section 7.2.3.2."""
    server = _compressing_server()
    rows = [(f"message {number}", server.send(TextMessage("Hello"))) for number in (1, 2)]
    return "text", "\n".join(f"{name}  {data.hex(' ')}" for name, data in rows)


def _compressing_server() -> Connection:
    server = Connection(SERVER, SETTINGS)
    server.receive_data(Connection(CLIENT, SETTINGS).send(Request("/", HOST)))
    server.send(AcceptConnection())
    return server


def talk() -> tuple[str, str]:
    """A whole connection after the handshake, in both directions."""
    client = Connection.established(CLIENT, Settings(random_bytes=_constant))
    server = Connection.established(SERVER)
    lines = []

    def show(sender: str, data: bytes, what: str) -> None:
        lines.append(f"{sender:6}  {data.hex(' '):44}  {what}")

    data = client.send(TextMessage("Hello"))
    show("client", data, 'text "Hello"')
    for event in server.receive_data(data):
        assert isinstance(event, TextMessage)
        show("server", server.send(event), f'text "{event.data}"')
    data = client.send(CloseConnection(1000))
    show("client", data, "Close 1000")
    server.receive_data(data)
    show("server", server.data_to_send(), "Close 1000, the answer")
    return "text", "\n".join(lines)


def opcodes() -> tuple[str, str]:
    return "text", "\n".join(f"{opcode:#x}  {opcode.name.lower()}" for opcode in Opcode)


TEXTS: dict[str, Callable[[], tuple[str, str]]] = {
    "minimum-request": minimum_request,
    "minimum-response": minimum_response,
    "full-request": full_request,
    "full-response": full_response,
    "refusal": refusal,
    "key": key_conversion,
    "masking": masking,
    "compressed": compressed,
    "talk": talk,
    "opcodes": opcodes,
}
