"""Connections that have opened with a given offer or answer of permessage-deflate, for the tests of single rules."""

from __future__ import annotations

from typing import Any

from handshake_samples import head
from helpers import RESPONSE, RSV1, frame, frames_from, rfc_nonce
from slow_codec import FIN, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    Extension,
    PerMessageDeflate,
    Request,
    Role,
    Settings,
)

NAME = "permessage-deflate"
HELLO = bytes.fromhex("f248cdc9c90700")
"""Section 7.2.3.1."""

HELLO_AGAIN = bytes.fromhex("f200110000")
"""Section 7.2.3.2: refers to the "Hello" before it."""


def offered(*more: Extension, **config: Any) -> str:
    """Give the field that a client writes."""
    settings = Settings(extensions=(PerMessageDeflate(**config), *more))
    request = Connection(CLIENT, settings).send(Request("/", "localhost"))
    (line,) = [line for line in request.decode().split("\r\n") if line.startswith("Sec-WebSocket-Extensions: ")]
    return line.partition(": ")[2]


def server_for(offer: str, *more: Extension, **config: Any) -> tuple[Connection, str | None]:
    """Give a server that has opened after this offer, and the field with which it answered."""
    server = Connection(SERVER, Settings(extensions=(PerMessageDeflate(**config), *more)))
    server.receive_data(head(b"Sec-WebSocket-Extensions: " + offer.encode()))
    lines = server.send(AcceptConnection()).decode().split("\r\n")
    answers = [line.partition(": ")[2] for line in lines if line.startswith("Sec-WebSocket-Extensions: ")]
    return server, answers[0] if answers else None


def client_for(answer: str, *more: Extension, **config: Any) -> tuple[Connection, object]:
    """Give a client that was answered with this field, and the event that came of it."""
    settings = Settings(extensions=(PerMessageDeflate(**config), *more), random_bytes=rfc_nonce)
    client = Connection(CLIENT, settings)
    client.send(Request("/", "localhost"))
    line = f"Sec-WebSocket-Extensions: {answer}\r\n\r\n".encode() if answer else b"\r\n"
    (event,) = client.receive_data(RESPONSE[:-2] + line)
    return client, event


def assert_client_fails(answer: str, words: str, *more: Extension, **config: Any) -> None:
    client, event = client_for(answer, *more, **config)
    assert isinstance(event, CloseConnection)
    assert event.error is not None
    assert (event.code, event.error.code, words in str(event.error)) == (1006, 1010, True)
    assert (client.should_close, client.data_to_send()) == (True, b"")


def opened(role: Role, params: str = "", **config: Any) -> Connection:
    """Give a connection of `role` on which `params` are agreed."""
    if role is CLIENT:
        client, event = client_for(NAME + params, **config)
        assert isinstance(event, AcceptConnection)
        return client
    server, answer = server_for(NAME + params, **config)
    assert answer == NAME + params
    return server


FULL_WINDOWS = {"server_max_window_bits": 15, "client_max_window_bits": 15}
"""With which a server adds nothing to what was offered."""


def opened_fully(role: Role, params: str = "") -> Connection:
    return opened(role, params, **(FULL_WINDOWS if role is SERVER else {}))


def sent(connection: Connection, *events: Any, compress: bool | None = None) -> list[tuple[int, bytes]]:
    return frames_from(connection.role, b"".join([connection.send(event, compress=compress) for event in events]))


def marked(role: Role, data: bytes, opcode: int = TEXT) -> bytes:
    """Give a whole compressed message as the peer of a connection of `role` sends it."""
    return frame(role, FIN | RSV1 | opcode, data)
