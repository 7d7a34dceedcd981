"""RFC 6455 sections 4.2 to 4.4, 9 and 10.2 from the server's end, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from handshake_samples import KEY, UPGRADE, Reversal, head

from wsproto_lite import (
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    LocalProtocolError,
    PerMessageDeflate,
    RejectConnection,
    Request,
    Settings,
)
from wsproto_lite.handshake import check_request

ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer to KEY, as section 1.3 has it."""

GOOD_ORIGIN = b"Origin: https://a.example"


def judged(*changes: tuple[bytes, bytes], leave_out: bytes = b"", **settings: Any) -> Request | RejectConnection:
    """Judge the smallest upgrade, with some fields added or in the place of its own, and one left out."""
    names = {leave_out.lower(), *(name.lower() for name, _ in changes)}
    fields = [field for field in UPGRADE if field[0].lower() not in names]
    return check_request("GET", "/chat", [*fields, *changes], Settings(**settings))


def assert_refused(judgement: object, status: int, words: str) -> None:
    assert isinstance(judgement, RejectConnection)
    assert (judgement.status_code, words in str(judgement.error)) == (status, True)


def accepted(*lines: bytes, event: AcceptConnection | None = None, **settings: Any) -> dict[bytes, list[bytes]]:
    """Give the fields of the answer to an upgrade with some further lines, by name in lower case."""
    server = Connection(SERVER, Settings(**settings))
    (request,) = server.receive_data(head(*lines))
    assert isinstance(request, Request)
    output = server.send(event or AcceptConnection())
    fields: dict[bytes, list[bytes]] = {b"": [output.split(b"\r\n")[0]]}
    for line in output[:-4].split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        fields.setdefault(name.lower(), []).append(value)
    return fields


# ---- the request ----


def test_4_2_1_stops_and_refuses() -> None:
    """Section 4.2.1: a server MUST stop processing what is no handshake and return an error; nothing more is read."""
    server = Connection(SERVER)
    events = server.receive_data(head(without=b"Sec-WebSocket-Key") + head())
    assert [type(event) for event in events] == [RejectConnection]
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.receive_data(head()) == []
    assert server.should_shutdown


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_4_2_1_get(method: str) -> None:
    """Section 4.2.1, item 1: a GET request."""
    assert_refused(check_request(method, "/chat", UPGRADE, Settings()), 405, "is not GET")


def test_4_2_1_http_1_1() -> None:
    """Section 4.2.1, item 1: HTTP/1.1 or higher."""
    (refusal,) = Connection(SERVER).receive_data(head(request_line=b"GET /chat HTTP/1.0"))
    assert_refused(refusal, 505, "HTTP/1.0")


@pytest.mark.parametrize("target", ["chat", "/a b", "/a#b", ""])
def test_4_2_1_resource_name(target: str) -> None:
    """Section 4.2.1, item 1: a Request-URI that is a resource name, or an absolute URI with one."""
    assert_refused(check_request("GET", target, UPGRADE, Settings()), 400, "target")
    absolute = check_request("GET", "http://example.com/chat", UPGRADE, Settings())
    assert isinstance(absolute, Request)
    assert (absolute.target, absolute.host) == ("/chat", "example.com")


def test_4_2_1_host() -> None:
    """Section 4.2.1, item 2: a Host field."""
    assert_refused(judged(leave_out=b"Host"), 400, "no host")


@pytest.mark.parametrize("value", [b"", b"h2c", b"websockets"], ids=["none", "other", "prefix"])
def test_4_2_1_upgrade(value: bytes) -> None:
    """Section 4.2.1, item 3: an Upgrade field with "websocket", without case."""
    assert_refused(judged((b"Upgrade", value)), 400, "no upgrade header")
    assert isinstance(judged((b"Upgrade", b"h2c, WebSocket")), Request)


@pytest.mark.parametrize("value", [b"", b"close", b"notupgrade"], ids=["none", "other", "part"])
def test_4_2_1_connection(value: bytes) -> None:
    """Section 4.2.1, item 4: a Connection field with "Upgrade", without case."""
    assert_refused(judged((b"Connection", value)), 400, "no connection header")
    assert isinstance(judged((b"Connection", b"keep-alive, uPGRADE")), Request)


@pytest.mark.parametrize("value", [b"", b"AAAA", KEY[:-1], KEY[:-3] + b"A="], ids=["none", "short", "cut", "17 bytes"])
def test_4_2_1_key(value: bytes) -> None:
    """Section 4.2.1, item 5: a Sec-WebSocket-Key field with 16 bytes in base64."""
    assert_refused(judged((b"Sec-WebSocket-Key", value)), 400, "is not 16 bytes")


def test_4_2_1_version() -> None:
    """Section 4.2.1, item 6: a Sec-WebSocket-Version field."""
    assert_refused(judged(leave_out=b"Sec-WebSocket-Version"), 400, "no sec-websocket-version")


def test_4_2_1_no_origin() -> None:
    """Section 4.2.1, item 7: without Origin it SHOULD NOT be interpreted as coming from a browser."""
    request = judged()
    assert isinstance(request, Request)
    assert request.origin is None
    assert_refused(judged(allowed_origins=["https://a.example"]), 403, "no origin")
    assert isinstance(judged(allowed_origins=["https://a.example", None]), Request)


@pytest.mark.parametrize("value", [b"", b"a b", b"a, a"], ids=["empty", "no token", "twice"])
def test_4_2_1_subprotocols(value: bytes) -> None:
    """Section 4.2.1, item 8: what section 4.1 asks of Sec-WebSocket-Protocol."""
    assert_refused(judged((b"Sec-WebSocket-Protocol", value)), 400, "subprotocol" if value == b"a b" else "protocol is")


def test_11_3_1_one_key() -> None:
    """Section 11.3.1: Sec-WebSocket-Key MUST NOT appear more than once in a request."""
    assert_refused(judged((b"Sec-WebSocket-Key", KEY), (b"Sec-WebSocket-Key", KEY)), 400, "the limit is 1")


def test_11_3_5_one_version() -> None:
    """Section 11.3.5: Sec-WebSocket-Version MUST NOT appear more than once in a request."""
    versions = (b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Version", b"13")
    assert_refused(judged(*versions), 400, "the limit is 1")


# ---- the answer ----


@pytest.mark.parametrize("origin", [b"https://evil.example", b"https://a.example.evil"])
def test_10_2_origin(origin: bytes) -> None:
    """Sections 4.2.2 and 10.2: an origin that is not accepted MUST get an HTTP error, and SHOULD get 403."""
    assert_refused(judged((b"Origin", origin), allowed_origins=["https://a.example"]), 403, "is not allowed")
    assert isinstance(judged((b"Origin", b"https://a.example"), allowed_origins=["https://a.example"]), Request)


def test_4_2_2_other_version() -> None:
    """Sections 4.2.2 and 4.4: another version MUST be refused, and the answer MUST list the versions we speak."""
    refusal = judged((b"Sec-WebSocket-Version", b"8"))
    assert_refused(refusal, 426, "has to be 13")
    assert isinstance(refusal, RejectConnection)
    assert (b"sec-websocket-version", b"13") in refusal.headers


def test_4_2_2_resource_that_is_not_there() -> None:
    """Section 4.2.2: for a service that isn't available the server MUST send an HTTP error and abort."""
    server = Connection(SERVER)
    server.receive_data(head())
    assert server.send(RejectConnection(404)).startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert server.should_shutdown
    with pytest.raises(LocalProtocolError):
        server.send(AcceptConnection())


def test_4_2_2_subprotocol_of_the_client() -> None:
    """Section 4.2.2: the subprotocol MUST be one of the client's."""
    assert accepted(b"Sec-WebSocket-Protocol: a, b", event=AcceptConnection("b"))[b"sec-websocket-protocol"] == [b"b"]
    with pytest.raises(LocalProtocolError, match="was not offered"):
        accepted(b"Sec-WebSocket-Protocol: a, b", event=AcceptConnection("c"))


def test_4_2_2_no_subprotocol() -> None:
    """Section 4.2.2: a server that agrees to none MUST NOT send Sec-WebSocket-Protocol."""
    assert b"sec-websocket-protocol" not in accepted(b"Sec-WebSocket-Protocol: a, b")


def test_4_2_2_extensions_of_the_client() -> None:
    """Section 4.2.2: the extensions MUST be chosen from those of the client."""
    fields = accepted(b"Sec-WebSocket-Extensions: reversal; times=8, x-other", extensions=(Reversal(),))
    assert fields[b"sec-websocket-extensions"] == [b"reversal; times=4"]


def test_4_2_2_extensions_not_listed() -> None:
    """Sections 4.2.2 and 9: an extension that the client did not list MUST NOT be listed."""
    ours = (PerMessageDeflate(), Reversal())
    fields = accepted(b"Sec-WebSocket-Extensions: x-other, reversal; times=8", extensions=ours)
    assert fields[b"sec-websocket-extensions"] == [b"reversal; times=4"]
    assert b"sec-websocket-extensions" not in accepted(extensions=ours)


def test_4_2_2_answer_is_valid_http() -> None:
    """Section 4.2.2, item 5: the reply MUST be a valid HTTP response. h11 is the judge."""
    server = Connection(SERVER)
    server.receive_data(head())
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a"), ("Upgrade", "websocket")]))
    reader.receive_data(server.send(AcceptConnection(headers=[("Set-Cookie", "a=b")])))
    event = reader.next_event()
    assert isinstance(event, h11.InformationalResponse)
    assert (event.status_code, (b"set-cookie", b"a=b") in list(event.headers)) == (101, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(b"", b"HTTP/1.1 101 Switching Protocols", id="status"),
        pytest.param(b"upgrade", b"websocket", id="upgrade"),
        pytest.param(b"connection", b"Upgrade", id="connection"),
        pytest.param(b"sec-websocket-accept", ACCEPT, id="accept"),
    ],
)
def test_4_2_2_answer(name: bytes, value: bytes) -> None:
    """Section 4.2.2, items 5.1 to 5.4: 101, Upgrade, Connection, and the hash of the key."""
    assert accepted()[name] == [value]


@pytest.mark.parametrize("value", [b'a; b="c d"', b'a; b=""', b'a; b="c,d"'], ids=["space", "empty", "comma"])
def test_4_3_quoted_value_is_a_token(value: bytes) -> None:
    """Sections 4.3 and 9.1: what is in a quoted string MUST be a token after unescaping."""
    assert_refused(judged((b"Sec-WebSocket-Extensions", value)), 400, "malformed")
    request = judged((b"Sec-WebSocket-Extensions", b'a; b="c\\d"'))
    assert isinstance(request, Request)
    assert request.extensions == (("a", (("b", "cd"),)),)


@pytest.mark.parametrize("value", [b"a;", b"a b", b"", b"a; b=", b"a; =c"])
def test_9_1_malformed_extensions(value: bytes) -> None:
    """Section 9.1: the recipient of a malformed field MUST immediately fail: here, refuse."""
    assert_refused(judged((b"Sec-WebSocket-Extensions", value)), 400, "sec-websocket-extensions")


@pytest.mark.parametrize("byte", [0x80, 0xC3, 0xFF])
def test_8_1_opening_handshake(byte: int) -> None:
    """Section 8.1: what is no UTF-8 MUST fail during the opening handshake, too, where it would become text."""
    for name in (b"Host", b"Origin", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions"):
        assert_refused(judged((name, b"a%c" % byte)), 400, "")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(head(GOOD_ORIGIN, b"Content-Length: 5"), 400, id="body"),
        pytest.param(head(GOOD_ORIGIN, b"Sec-WebSocket-Extensions: ;"), 400, id="extensions"),
        pytest.param(head(GOOD_ORIGIN, without=b"Sec-WebSocket-Key"), 400, id="no key"),
        pytest.param(b"\x16\x03\x01\x00\xc8", 400, id="no HTTP"),
        pytest.param(head(b"Origin: https://evil.example"), 403, id="origin"),
        pytest.param(head(GOOD_ORIGIN, request_line=b"POST /chat HTTP/1.1"), 405, id="method"),
        pytest.param(
            head(GOOD_ORIGIN, b"Sec-WebSocket-Version: 8", without=b"Sec-WebSocket-Version"), 426, id="version"
        ),
        pytest.param(head(GOOD_ORIGIN, b"X: " + b"y" * 20_000), 431, id="size"),
        pytest.param(head(GOOD_ORIGIN, *[b"X: y"] * 200), 431, id="count"),
        pytest.param(head(GOOD_ORIGIN, request_line=b"GET /chat HTTP/1.0"), 505, id="HTTP version"),
    ],
)
def test_10_7_error_during_the_handshake(data: bytes, status: int) -> None:
    """Section 10.7: for invalid data in the handshake the server SHOULD return an appropriate HTTP status."""
    server = Connection(SERVER, Settings(allowed_origins=["https://a.example"]))
    (event,) = server.receive_data(data)
    assert isinstance(event, RejectConnection)
    assert event.status_code == status
    assert server.data_to_send().startswith(b"HTTP/1.1 %d " % status)


def test_7_2_2_abort() -> None:
    """Section 7.2.2: to abort during the handshake the server MUST simply close the connection: no Close frame."""
    server = Connection(SERVER)
    server.receive_data(b"\x88\x80\0\0\0\0")
    assert (server.should_shutdown, server.data_to_send()[-4:]) == (True, b"\r\n\r\n")
    waiting = Connection(SERVER)
    waiting.receive_data(head())
    (event,) = waiting.receive_eof()
    assert (waiting.should_shutdown, waiting.should_close, waiting.data_to_send()) == (True, True, b"")
    assert isinstance(event, CloseConnection)
