"""RFC 6455 sections 3, 4.1, 9.1 and 11.3 from the client's end, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

import base64
from typing import Any

import h11
import pytest
from helpers import RESPONSE, UPGRADE, rfc_nonce

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    LocalProtocolError,
    PerMessageDeflate,
    RejectConnection,
    Request,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.adapters._shared import parse_uri
from wsproto_lite.handshake import Handshake, check_response

ASKED = Settings(random_bytes=rfc_nonce)
"""With the nonce to which RESPONSE is the answer."""


def written(request: Request | None = None, **settings: Any) -> tuple[bytes, dict[bytes, list[bytes]]]:
    """Give the request line that a client writes, and its fields by name in lower case."""
    output = Connection(CLIENT, Settings(**settings)).send(request or Request("/chat?x=1", "example.com:8000"))
    line, *fields = output[:-4].split(b"\r\n")
    headers: dict[bytes, list[bytes]] = {}
    for field in fields:
        name, _, value = field.partition(b": ")
        headers.setdefault(name.lower(), []).append(value)
    return line, headers


def answered(response: bytes, request: Request | None = None, settings: Settings = ASKED) -> tuple[Connection, object]:
    """Give a client that was answered so, and the one event that came of it."""
    client = Connection(CLIENT, settings)
    client.send(request or Request("/chat", "example.com", ["chat"]))
    (event,) = client.receive_data(response)
    return client, event


def assert_failed(response: bytes, words: str, request: Request | None = None, settings: Settings = ASKED) -> None:
    """_Fail the WebSocket Connection_ without a word: it was never established."""
    client, event = answered(response, request, settings)
    assert isinstance(event, CloseConnection)
    assert (event.code, words in str(event.error)) == (1006, True)
    assert (client.state, client.data_to_send(), client.should_close) == (State.CLOSED, b"", True)


def with_line(line: bytes) -> bytes:
    return RESPONSE[:-2] + line + b"\r\n\r\n"


# ---- what it asks ----


@pytest.mark.parametrize("target", ["/a#b", "/#"])
def test_3_no_fragment(target: str) -> None:
    """Section 3: fragment identifiers MUST NOT be used."""
    with pytest.raises(LocalProtocolError, match="target"):
        written(Request(target, "example.com"))


def test_3_escaped_number_sign() -> None:
    """Section 3: "#" MUST be escaped as %23, which is passed on as it is; unescaped it begins a fragment."""
    assert parse_uri("ws://example.com/a%23b").target == "/a%23b"
    with pytest.raises(LocalProtocolError, match="fragment"):
        parse_uri("ws://example.com/a#b")


@pytest.mark.parametrize(("target", "host"), [("chat", "example.com"), ("/chat", "u@example.com"), ("/chat", "")])
def test_4_1_components_are_valid(target: str, host: str) -> None:
    """Section 4.1, step 1: if a component of the URI is invalid, the client MUST fail; nothing is sent."""
    client = Connection(CLIENT)
    with pytest.raises(LocalProtocolError, match=r"target|host"):
        client.send(Request(target, host))
    assert client.data_to_send() == b""


def test_4_1_opening_handshake_is_sent() -> None:
    """Section 4.1: once there is a connection the client MUST send an opening handshake, and is open by the answer."""
    client = Connection(CLIENT, ASKED)
    assert client.send(Request("/chat", "example.com")).startswith(b"GET /chat HTTP/1.1\r\n")
    assert client.receive_data(RESPONSE) == [AcceptConnection(None, client_headers(RESPONSE))]
    assert client.state is State.OPEN


def client_headers(response: bytes) -> list[tuple[bytes, bytes]]:
    pairs = [line.partition(b": ") for line in response[:-4].split(b"\r\n")[1:]]
    return [(name.lower(), value) for name, _, value in pairs]


def test_4_1_request_is_valid_http() -> None:
    """Section 4.1, item 1: the handshake MUST be a valid HTTP request. h11 is the judge."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(Connection(CLIENT).send(Request("/chat", "example.com", ["chat"], [("Cookie", "a=b")])))
    event = reader.next_event()
    assert isinstance(event, h11.Request)
    assert (b"cookie", b"a=b") in list(event.headers)
    assert isinstance(reader.next_event(), h11.EndOfMessage)


def test_4_1_get_over_http_1_1() -> None:
    """Section 4.1, item 2: the method MUST be GET, the version MUST be at least 1.1."""
    line, _ = written()
    assert (line.split(b" ")[0], line.split(b" ")[-1]) == (b"GET", b"HTTP/1.1")


def test_4_1_request_uri() -> None:
    """Section 4.1, item 3: the Request-URI MUST match the resource name."""
    line, _ = written()
    assert line.split(b" ")[1] == b"/chat?x=1"


def test_4_1_host() -> None:
    """Section 4.1, item 4: the request MUST contain Host, with the port where it isn't the default one."""
    assert written()[1][b"host"] == [b"example.com:8000"]
    assert parse_uri("ws://example.com:8000/").authority == "example.com:8000"
    assert parse_uri("ws://example.com:80/").authority == "example.com"


def test_4_1_upgrade() -> None:
    """Section 4.1, item 5: the request MUST contain Upgrade, and that MUST include "websocket"."""
    assert written()[1][b"upgrade"] == [b"websocket"]


def test_4_1_connection() -> None:
    """Section 4.1, item 6: the request MUST contain Connection, and that MUST include "Upgrade"."""
    assert written()[1][b"connection"] == [b"Upgrade"]


def test_4_1_key_is_a_nonce() -> None:
    """Section 4.1, item 7: Sec-WebSocket-Key MUST be there, and MUST be 16 random bytes in base64."""
    (key,) = written(random_bytes=rfc_nonce)[1][b"sec-websocket-key"]
    assert base64.b64decode(key, validate=True) == rfc_nonce(16)


def test_4_1_key_of_each_connection() -> None:
    """Section 4.1, item 7: the nonce MUST be selected randomly for each connection."""
    keys = {written()[1][b"sec-websocket-key"][0] for _ in range(100)}
    assert len(keys) == 100


def test_4_1_origin() -> None:
    """Section 4.1, item 8: Origin MUST be sent for a browser; where we are given one we send it, else none."""
    assert written(Request("/", "example.com", origin="https://a.example"))[1][b"origin"] == [b"https://a.example"]
    assert b"origin" not in written()[1]


def test_4_1_version() -> None:
    """Section 4.1, item 9: Sec-WebSocket-Version MUST be there, and MUST be 13."""
    assert written()[1][b"sec-websocket-version"] == [b"13"]


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a/b", "caf\u00e9", "\x7f"])
def test_4_1_subprotocols_are_tokens(name: str) -> None:
    """Section 4.1, item 10: elements MUST be non-empty, of U+0021 to U+007E without separators."""
    assert written(Request("/", "example.com", ["chat", "a.b"]))[1][b"sec-websocket-protocol"] == [b"chat, a.b"]
    with pytest.raises(LocalProtocolError, match="subprotocol"):
        written(Request("/", "example.com", ["chat", name]))


def test_4_1_subprotocols_are_unique() -> None:
    """Section 4.1, item 10: elements MUST all be unique."""
    with pytest.raises(LocalProtocolError, match="each may be named once"):
        written(Request("/", "example.com", ["chat", "mqtt", "chat"]))
    assert written(Request("/", "example.com", ["chat", "Chat"]))[1][b"sec-websocket-protocol"] == [b"chat, Chat"]


def test_4_1_nothing_before_the_response() -> None:
    """Section 4.1: the client MUST wait for the response before it sends any further data."""
    client = Connection(CLIENT)
    client.send(Request("/", "example.com"))
    with pytest.raises(LocalProtocolError, match="handshake is not over"):
        client.send(TextMessage("early"))
    assert client.data_to_send() == b""


# ---- what it takes for an answer ----


def test_4_1_other_status() -> None:
    """Section 4.1: the client MUST validate the response; with a status other than 101 HTTP procedures apply."""
    fields = b"WWW-Authenticate: Basic\r\nContent-Length: 0\r\nUpgrade: "
    response = RESPONSE.replace(b"101 Switching Protocols", b"401 No").replace(b"Upgrade: ", fields, 1)
    client, event = answered(response)
    assert isinstance(event, RejectConnection)
    assert (event.status_code, event.error) == (401, None)
    assert (b"www-authenticate", b"Basic") in event.headers
    assert client.state is State.CLOSED


@pytest.mark.parametrize("line", [b"", b"Upgrade: h2c\r\n", b"Upgrade: websockets\r\n"], ids=["none", "h2c", "prefix"])
def test_4_1_response_upgrade(line: bytes) -> None:
    """Section 4.1, item 2: without Upgrade, or with another value, the client MUST fail."""
    assert_failed(RESPONSE.replace(b"Upgrade: websocket\r\n", line), "upgrade header")


@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n", b"Connection: notupgrade\r\n"])
def test_4_1_response_connection(line: bytes) -> None:
    """Section 4.1, item 3: without the token "Upgrade" in Connection the client MUST fail."""
    assert_failed(RESPONSE.replace(b"Connection: Upgrade\r\n", line), "connection header")


@pytest.mark.parametrize(
    "line", [b"", b"Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"], ids=["none", "wrong"]
)
def test_4_1_response_accept(line: bytes) -> None:
    """Section 4.1, item 4: without the hash of the key the client MUST fail; white space around it counts not."""
    accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    assert_failed(RESPONSE.replace(accept, line), "sec-websocket-accept is")
    fields = [*client_headers(RESPONSE)[:2], ("sec-websocket-accept", "\t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ")]
    answer = check_response(101, fields, Request("/", "example.com"), ASKED, key="dGhlIHNhbXBsZSBub25jZQ==")
    assert isinstance(answer, Handshake)


def test_4_1_response_extension() -> None:
    """Section 4.1, item 5: an extension that was not requested: the client MUST fail."""
    response = with_line(b"Sec-WebSocket-Extensions: x-other")
    offering = Settings(random_bytes=rfc_nonce, extensions=(PerMessageDeflate(),))
    assert_failed(response, "which was not offered", settings=offering)
    assert_failed(response, "which was not offered")


@pytest.mark.parametrize("name", [b"mqtt", b"Chat", b"chat, mqtt"])
def test_4_1_response_subprotocol(name: bytes) -> None:
    """Section 4.1, item 6: a subprotocol that was not requested: the client MUST fail."""
    assert_failed(with_line(b"Sec-WebSocket-Protocol: " + name), "was not offered")


@pytest.mark.parametrize(
    "response",
    [RESPONSE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"SSH-2.0-x\r\n", RESPONSE.replace(b"Upgrade:", b"Upgrade :")],
    ids=["HTTP/1.0", "no HTTP", "malformed"],
)
def test_4_1_response_conforms(response: bytes) -> None:
    """Section 4.1: if the response does not conform to the requirements, the client MUST fail."""
    assert_failed(response, "response")


def test_9_1_malformed_extensions() -> None:
    """Section 9.1: the recipient of a malformed field MUST immediately fail."""
    assert_failed(with_line(b"Sec-WebSocket-Extensions: a;"), "malformed")


def test_9_1_unused_unless_accepted() -> None:
    """Section 9.1: a client MUST NOT use an extension unless the server indicates that it wishes to."""
    client, _ = answered(RESPONSE, settings=Settings(random_bytes=rfc_nonce, extensions=(PerMessageDeflate(),)))
    assert client.extensions == ()
    assert client.send(TextMessage("x" * 300))[0] == 0x81


def test_11_3_1_one_key() -> None:
    """Section 11.3.1: Sec-WebSocket-Key MUST NOT appear twice in a request, so a caller can't add one."""
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        written(Request("/", "example.com", headers=[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]))


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), (b"Sec-WebSocket-Protocol", b"chat")],
    ids=["accept", "protocol"],
)
def test_11_3_once_in_a_response(name: bytes, value: bytes) -> None:
    """Sections 11.3.3 and 11.3.4: these MUST NOT appear more than once in a response."""
    line = b"%b: %b\r\n" % (name, value)
    response = RESPONSE.replace(line, b"")[:-2]
    assert isinstance(answered(response + line + b"\r\n")[1], AcceptConnection)
    assert_failed(response + line + line + b"\r\n", "the limit is 1")


def test_11_3_2_extensions_once_in_a_response() -> None:
    """Section 11.3.2: Sec-WebSocket-Extensions MUST NOT appear more than once in a response."""
    offering = Settings(random_bytes=rfc_nonce, extensions=(PerMessageDeflate(),))
    field = b"Sec-WebSocket-Extensions: permessage-deflate"
    _, event = answered(with_line(field), settings=offering)
    assert isinstance(event, AcceptConnection)
    assert_failed(with_line(field + b"\r\nSec-WebSocket-Extensions: "), "the limit is 1", settings=offering)


def test_11_3_5_one_version() -> None:
    """Section 11.3.5: Sec-WebSocket-Version MUST NOT appear twice in a request, so a caller can't add one."""
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        written(Request("/", "example.com", headers=[("Sec-WebSocket-Version", "13")]))


def test_1_3_no_acceptance_without_the_hash() -> None:
    """Section 1.3: without the hash of the nonce it must not be taken for an acceptance, whatever else is right."""
    server = Connection(SERVER)
    server.receive_data(UPGRADE)
    other_key = server.send(AcceptConnection()).replace(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", b"A" * 27 + b"=")
    client, event = answered(other_key)
    assert isinstance(event, CloseConnection)
    assert client.state is State.CLOSED
