"""RFC 6455 sections 3, 4.1, 9.1 and 11.3 from the client's end, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

import base64
import re
from typing import Any

import h11
import pytest
from helpers import RESPONSE, UPGRADE, rfc_nonce

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    LocalProtocolError,
    PerMessageDeflate,
    Ping,
    Pong,
    RejectConnection,
    Request,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.adapters._options import make_destination
from wsproto_lite.adapters._shared import parse_uri
from wsproto_lite.adapters.asyncio import connect
from wsproto_lite.handshake import Handshake, check_response

ASKED = Settings(random_bytes=rfc_nonce)
"""With the nonce to which RESPONSE is the answer."""


def written(request: Request | None = None, **settings: Any) -> tuple[bytes, dict[bytes, list[bytes]]]:
    """Give the request line that a client writes, and its fields by name in lower case."""
    output = Connection(CLIENT, Settings(**settings)).send(request or Request("/Chat?x=1", "example.com:8000"))
    line, *fields = output[:-4].split(b"\r\n")
    headers: dict[bytes, list[bytes]] = {}
    for field in fields:
        name, _, value = field.partition(b": ")
        headers.setdefault(name.lower(), []).append(value)
    return line, headers


def asked_by_connect(uri: str, origin: str | None = None) -> dict[bytes, list[bytes]]:
    """Give the fields of the request that `connect` sends for a URI."""
    return written(make_destination(uri, (), (), origin, None).request)[1]


def answered(response: bytes, request: Request | None = None, settings: Settings = ASKED) -> tuple[Connection, object]:
    """Give a client that was answered so, and the one event that came of it."""
    client = Connection(CLIENT, settings)
    client.send(request or Request("/chat", "example.com", ["chat"]))
    (event,) = client.receive_data(response)
    return client, event


def assert_failed(
    response: bytes, words: str, request: Request | None = None, settings: Settings = ASKED, *, code: int = 1002
) -> None:
    """_Fail the WebSocket Connection_ without a word: it was never established. The error alone has a code."""
    client, event = answered(response, request, settings)
    assert isinstance(event, CloseConnection)
    assert event.error is not None
    assert (event.code, event.error.code, words in str(event.error)) == (1006, code, True)
    assert (client.state, client.data_to_send(), client.should_close) == (State.CLOSED, b"", True)


def with_line(line: bytes) -> bytes:
    return RESPONSE[:-2] + line + b"\r\n\r\n"


# ---- what it asks ----


@pytest.mark.parametrize("target", ["/a#b", "/#", "/a?b#c"])
def test_3_no_fragment(target: str) -> None:
    """Section 3: fragment identifiers MUST NOT be used."""
    with pytest.raises(LocalProtocolError, match="target"):
        written(Request(target, "example.com"))
    with pytest.raises(LocalProtocolError, match="fragment"):
        connect("ws://example.com" + target)


@pytest.mark.parametrize("target", ["/a{}b", "/{}", "/a?b{}c"])
def test_3_escaped_number_sign(target: str) -> None:
    """Section 3: "#" MUST be escaped as %23, which is passed on as it is; unescaped it begins a fragment."""
    uri = "ws://example.com" + target
    assert parse_uri(uri.format("%23")).target == target.format("%23")
    with pytest.raises(LocalProtocolError, match="fragment"):
        parse_uri(uri.format("#"))


@pytest.mark.parametrize("target", ["/ex\u00e4mple", "/?ex\u00e4mple", "/\u20ac"])
def test_11_1_1_target_is_ascii(target: str) -> None:
    """Sections 11.1.1 and 11.1.2: other characters MUST be percent-encoded, which is left to the caller."""
    with pytest.raises(LocalProtocolError, match=r"target .* is not ASCII"):
        written(Request(target, "example.com"))
    assert written(Request("/ex%C3%A4mple", "example.com"))[0] == b"GET /ex%C3%A4mple HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "host"),
    [
        *[(target, "example.com") for target in ("chat", "", "/a b", "/a\r\nX:y", "/\x7f", "/caf\u00e9")],
        *[("/chat", host) for host in ("u@example.com", "", "a b", "a/b", "example.com:x", "a:1:2", "caf\u00e9")],
    ],
)
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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"headers": [("X", "a\r\nb: c")]}, "control character", id="line break in a value"),
        pytest.param({"headers": [("X", "a\0b")]}, "control character", id="NUL in a value"),
        pytest.param({"headers": [("X\r\nb", "c")]}, "not a token", id="line break in a name"),
        pytest.param({"headers": [("X ", "a")]}, "not a token", id="space in a name"),
        pytest.param({"headers": [("Content-Length", "5")]}, "set by the handshake", id="a body"),
        pytest.param({"headers": [("Host", "b.example")]}, "set by the handshake", id="a second host"),
        pytest.param({"origin": "https://a.example\r\nb: c"}, "is not an origin", id="line break in the origin"),
    ],
)
def test_4_1_request_stays_valid_http(given: dict[str, Any], words: str) -> None:
    """Section 4.1, item 1: the handshake MUST be a valid HTTP request, so what could break it is refused."""
    client = Connection(CLIENT)
    with pytest.raises(LocalProtocolError, match=words):
        client.send(Request("/chat", "example.com", **given))
    assert client.data_to_send() == b""


def test_4_1_get_over_http_1_1() -> None:
    """Section 4.1, item 2: the method MUST be GET, the version MUST be at least 1.1."""
    line, _ = written()
    assert (line.split(b" ")[0], line.split(b" ")[-1]) == (b"GET", b"HTTP/1.1")


def test_4_1_request_uri() -> None:
    """Section 4.1, item 3: the Request-URI MUST match the resource name."""
    line, _ = written()
    assert line.split(b" ")[1] == b"/Chat?x=1"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ws://example.com/", b"example.com"),
        ("ws://example.com:80/", b"example.com"),
        ("ws://example.com:443/", b"example.com:443"),
        ("ws://example.com:8000/", b"example.com:8000"),
        ("wss://example.com/", b"example.com"),
        ("wss://example.com:443/", b"example.com"),
        ("wss://example.com:80/", b"example.com:80"),
        ("ws://[::1]:8000/", b"[::1]:8000"),
    ],
)
def test_4_1_host(uri: str, expected: bytes) -> None:
    """Section 4.1, item 4: the request MUST contain Host, with the port where it isn't the default one."""
    assert asked_by_connect(uri)[b"host"] == [expected]
    assert written()[1][b"host"] == [b"example.com:8000"]


def test_4_1_upgrade() -> None:
    """Section 4.1, item 5: the request MUST contain Upgrade, and that MUST include "websocket"."""
    assert written()[1][b"upgrade"] == [b"websocket"]


def test_4_1_connection() -> None:
    """Section 4.1, item 6: the request MUST contain Connection, and that MUST include "Upgrade"."""
    assert written()[1][b"connection"] == [b"Upgrade"]


def test_4_1_key_is_a_nonce() -> None:
    """Section 4.1, item 7: Sec-WebSocket-Key MUST be there, and MUST be 16 random bytes in base64."""
    (key,) = written(random_bytes=lambda size: b"\xfb\xff" * (size // 2))[1][b"sec-websocket-key"]
    assert base64.b64decode(key, validate=True) == b"\xfb\xff" * 8
    for wrong in (lambda size: bytes(size - 1), lambda size: bytes(size + 1)):
        with pytest.raises(LocalProtocolError, match=r"random_bytes\(16\) returned 1[57] bytes"):
            written(random_bytes=wrong)


def test_4_1_key_of_each_connection() -> None:
    """Section 4.1, item 7: the nonce MUST be selected randomly for each connection."""
    settings = Settings()
    requests = {Connection(CLIENT, settings).send(Request("/", "example.com")) for _ in range(100)}
    assert len(requests) == 100
    keys = {re.findall(rb"(?<=Sec-WebSocket-Key: ).*(?=\r\n)", request)[0] for request in requests}
    assert len(keys) == 100


def test_4_1_origin() -> None:
    """Section 4.1, item 8: Origin MUST be sent for a browser; where we are given one we send it, else none."""
    assert written(Request("/", "example.com", origin="https://a.example"))[1][b"origin"] == [b"https://a.example"]
    assert b"origin" not in written()[1]
    assert asked_by_connect("ws://example.com/", "https://a.example")[b"origin"] == [b"https://a.example"]
    assert b"origin" not in asked_by_connect("ws://example.com/")


def test_4_1_version() -> None:
    """Section 4.1, item 9: Sec-WebSocket-Version MUST be there, and MUST be 13."""
    assert written()[1][b"sec-websocket-version"] == [b"13"]


@pytest.mark.parametrize(
    "name", ["", *[f"a{separator}b" for separator in '()<>@,;:\\"/[]?={} \t'], "a\x1fb", "caf\u00e9", "\x7f"]
)
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


@pytest.mark.parametrize(
    "event",
    [TextMessage("early"), BytesMessage(b"early"), Ping(), Pong(), CloseConnection(1000), Request("/", "example.com")],
    ids=lambda event: type(event).__name__,
)
def test_4_1_nothing_before_the_response(event: Event) -> None:
    """Section 4.1: the client MUST wait for the response before it sends any further data."""
    client = Connection(CLIENT)
    client.send(Request("/", "example.com"))
    with pytest.raises(LocalProtocolError, match=r"handshake is not over|request is sent already"):
        client.send(event)
    client.queue_ping(b"early")
    assert client.data_to_send() == b""


# ---- what it takes for an answer ----


@pytest.mark.parametrize("status", [200, 302, 401])
def test_4_1_other_status(status: int) -> None:
    """Section 4.1: the client MUST validate the response; with a status other than 101 HTTP procedures apply."""
    fields = b"Location: /b\r\nContent-Length: 5\r\nUpgrade: "
    response = RESPONSE.replace(b"101 Switching Protocols", b"%d No" % status).replace(b"Upgrade: ", fields, 1)
    client, event = answered(b"HTTP/1.1 103 Early Hints\r\n\r\n" + response + b"sorry")
    assert isinstance(event, RejectConnection)
    assert (event.status_code, event.body, event.error) == (status, b"sorry", None)
    assert (b"location", b"/b") in event.headers
    assert (client.state, client.data_to_send()) == (State.CLOSED, b"")


@pytest.mark.parametrize(
    "line",
    [b"", b"Upgrade: h2c\r\n", b"Upgrade: websockets\r\n", b"Upgrade: websocket, h2c\r\n"],
    ids=["none", "h2c", "prefix", "one of two"],
)
def test_4_1_response_upgrade(line: bytes) -> None:
    """Section 4.1, item 2: without Upgrade, or with another value, the client MUST fail. Case counts not."""
    assert_failed(RESPONSE.replace(b"Upgrade: websocket\r\n", line), "upgrade header")
    assert isinstance(answered(RESPONSE.replace(b"websocket\r\n", b"WebSocket\r\n"))[1], AcceptConnection)


@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n", b"Connection: notupgrade\r\n"])
def test_4_1_response_connection(line: bytes) -> None:
    """Section 4.1, item 3: without the token "Upgrade" in Connection the client MUST fail. Case counts not."""
    assert_failed(RESPONSE.replace(b"Connection: Upgrade\r\n", line), "connection header")
    others = RESPONSE.replace(b"Connection: Upgrade\r\n", b"Connection: keep-alive, uPGRADE\r\n")
    assert isinstance(answered(others)[1], AcceptConnection)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b"S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", id="first letter"),
        pytest.param(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOw=", id="last letter"),
        pytest.param(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo", id="no padding"),
        pytest.param(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, AAAA", id="two"),
        pytest.param(b"dGhlIHNhbXBsZSBub25jZQ==", id="key"),
    ],
)
def test_4_1_response_accept(value: bytes | None) -> None:
    """Section 4.1, item 4: without the hash of the key the client MUST fail; white space around it counts not."""
    accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    line = b"" if value is None else b"Sec-WebSocket-Accept: %b\r\n" % value
    assert_failed(RESPONSE.replace(accept, line), "sec-websocket-accept is")
    assert isinstance(answered(RESPONSE)[1], AcceptConnection)
    fields = [*client_headers(RESPONSE)[:2], ("sec-websocket-accept", "\t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ")]
    answer = check_response(101, fields, Request("/", "example.com"), ASKED, key="dGhlIHNhbXBsZSBub25jZQ==")
    assert isinstance(answer, Handshake)


def test_4_1_response_extension() -> None:
    """Section 4.1, item 5: an extension that was not requested: the client MUST fail."""
    response = with_line(b"Sec-WebSocket-Extensions: x-other")
    offering = Settings(random_bytes=rfc_nonce, extensions=(PerMessageDeflate(),))
    assert_failed(response, "'x-other', which was not offered", settings=offering, code=1010)
    assert_failed(response, "'x-other', which was not offered", code=1010)
    both = with_line(b"Sec-WebSocket-Extensions: permessage-deflate, x-other")
    assert_failed(both, "'x-other', which was not offered", settings=offering, code=1010)


@pytest.mark.parametrize("name", [b"mqtt", b"Chat", b"chat, mqtt", b""])
def test_4_1_response_subprotocol(name: bytes) -> None:
    """Section 4.1, item 6: a subprotocol that was not requested: the client MUST fail."""
    assert_failed(with_line(b"Sec-WebSocket-Protocol: " + name), "was not offered")
    assert_failed(with_line(b"Sec-WebSocket-Protocol: " + name), "was not offered", Request("/chat", "example.com"))


@pytest.mark.parametrize(
    ("response", "words"),
    [
        pytest.param(RESPONSE.replace(b"HTTP/1.1", b"HTTP/1.0"), "response is HTTP/1.0", id="HTTP/1.0"),
        pytest.param(b"SSH-2.0-x\r\n", "response begins with", id="no HTTP"),
        pytest.param(RESPONSE.replace(b"Upgrade:", b"Upgrade :"), "response is not HTTP", id="malformed"),
    ],
)
def test_4_1_response_conforms(response: bytes, words: str) -> None:
    """Section 4.1: if the response does not conform to the requirements, the client MUST fail."""
    assert_failed(response, words)


def test_9_1_malformed_extensions() -> None:
    """Section 9.1: the recipient of a malformed field MUST immediately fail."""
    assert_failed(with_line(b"Sec-WebSocket-Extensions: a;"), "malformed", code=1010)


def test_9_1_unused_unless_accepted() -> None:
    """Section 9.1: a client MUST NOT use an extension unless the server indicates that it wishes to."""
    settings = Settings(random_bytes=rfc_nonce, extensions=(PerMessageDeflate(),))
    client, _ = answered(RESPONSE, settings=settings)
    for connection in (client, Connection.established(CLIENT, settings)):
        assert connection.extensions == ()
        assert connection.send(TextMessage("x" * 300))[0] == 0x81


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
    twice = with_line(field + b"\r\nSec-WebSocket-Extensions: ")
    assert_failed(twice, "the limit is 1", settings=offering, code=1010)


def test_11_3_5_one_version() -> None:
    """Section 11.3.5: Sec-WebSocket-Version MUST NOT appear twice in a request, so a caller can't add one."""
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        written(Request("/", "example.com", headers=[("Sec-WebSocket-Version", "13")]))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", id="another"),
        pytest.param(b"Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n", id="capitals"),
    ],
)
def test_1_3_no_acceptance_without_the_hash(line: bytes) -> None:
    """Section 1.3: without the hash of the nonce it must not be taken for an acceptance, whatever else is right."""
    server = Connection(SERVER)
    server.receive_data(UPGRADE)
    right = server.send(AcceptConnection())
    assert isinstance(answered(right)[1], AcceptConnection)
    assert_failed(right.replace(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", line), "accept is")
