"""RFC 6455 sections 4.2 to 4.4, 9 and 10.2 from the server's end, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

import re
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
    RemoteProtocolError,
    Request,
    Settings,
    State,
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
    assert server.state is State.OPEN
    fields: dict[bytes, list[bytes]] = {b"": [output.split(b"\r\n")[0]]}
    for line in output[:-4].split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        fields.setdefault(name.lower(), []).append(value)
    return fields


# ---- the request ----


@pytest.mark.parametrize(
    "data",
    [head(without=b"Sec-WebSocket-Key"), head(b"no field"), b"\x16\x03\x01\x00\xc8"],
    ids=["no key", "no HTTP", "no text"],
)
@pytest.mark.parametrize("rest", [b"", head()], ids=["alone", "another behind"])
def test_4_2_1_stops_and_refuses(data: bytes, rest: bytes) -> None:
    """Section 4.2.1: a server MUST stop processing what is no handshake and return an error; nothing more is read."""
    server = Connection(SERVER)
    (event,) = server.receive_data(data + rest)
    assert isinstance(event, RejectConnection)
    assert isinstance(event.error, RemoteProtocolError)
    assert server.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.receive_data(head()) == []
    assert server.should_shutdown


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_4_2_1_get(method: str) -> None:
    """Section 4.2.1, item 1: a GET request. The refusal says so (RFC 9110 section 15.5.6)."""
    refusal = check_request(method, "/chat", UPGRADE, Settings())
    assert_refused(refusal, 405, "is not GET")
    assert isinstance(refusal, RejectConnection)
    assert (b"allow", b"GET") in refusal.headers


@pytest.mark.parametrize("version", ["0.9", "1.0", "2.0"])
def test_4_2_1_http_1_1(version: str) -> None:
    """Section 4.2.1, item 1: HTTP/1.1 or higher, and what is higher has no such head."""
    (refusal,) = Connection(SERVER).receive_data(head(request_line=b"GET /chat HTTP/" + version.encode()))
    assert_refused(refusal, 505, f"HTTP/{version}")
    assert_refused(check_request("GET", "/chat", UPGRADE, Settings(), http=version), 505, f"HTTP/{version}")


@pytest.mark.parametrize("target", ["chat", "/a b", "/a#b", "", "*", "/caf\u00e9", "ftp://example.com/chat"])
def test_4_2_1_resource_name(target: str) -> None:
    """Section 4.2.1, item 1: a Request-URI that is a resource name, or an absolute URI with one."""
    assert_refused(check_request("GET", target, UPGRADE, Settings()), 400, "target")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://example.com/chat", ("/chat", "example.com")),
        ("https://example.com:8000?x=1", ("/?x=1", "example.com:8000")),
        ("ws://example.com", ("/", "example.com")),
        ("WSS://example.com/chat", ("/chat", "example.com")),
    ],
)
def test_4_2_1_absolute_uri(uri: str, expected: tuple[str, str]) -> None:
    """Section 4.2.1, item 1: an absolute URI that contains the resource name; its host overrides the field."""
    request = check_request("GET", uri, UPGRADE, Settings())
    assert isinstance(request, Request)
    assert (request.target, request.host) == expected
    assert_refused(check_request("GET", uri.replace("//", "//u@"), UPGRADE, Settings()), 400, "host")


@pytest.mark.parametrize("value", [b"", b"a b", b"u@example.com"])
def test_4_2_1_host(value: bytes) -> None:
    """Section 4.2.1, item 2: a Host field with the server's authority."""
    assert_refused(judged(leave_out=b"Host"), 400, "no host")
    assert_refused(judged((b"Host", value)), 400, "host")


@pytest.mark.parametrize("value", [b"", b"h2c", b"websockets"], ids=["empty", "other", "prefix"])
def test_4_2_1_upgrade(value: bytes) -> None:
    """Section 4.2.1, item 3: an Upgrade field with "websocket", without case."""
    assert_refused(judged((b"Upgrade", value)), 400, "no upgrade header")
    assert_refused(judged(leave_out=b"Upgrade"), 400, "no upgrade header")
    assert isinstance(judged((b"Upgrade", b"WebSocket")), Request)
    assert isinstance(judged((b"Upgrade", b"h2c, WebSocket")), Request)


@pytest.mark.parametrize("value", [b"", b"close", b"notupgrade", b"upgrades"], ids=["empty", "other", "end", "prefix"])
def test_4_2_1_connection(value: bytes) -> None:
    """Section 4.2.1, item 4: a Connection field with "Upgrade", without case."""
    assert_refused(judged((b"Connection", value)), 400, "no connection header")
    assert_refused(judged(leave_out=b"Connection"), 400, "no connection header")
    assert isinstance(judged((b"Connection", b"uPGRADE")), Request)
    assert isinstance(judged((b"Connection", b"keep-alive, uPGRADE")), Request)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"AAAA", id="short"),
        pytest.param(KEY[:-4], id="15 bytes"),
        pytest.param(KEY[:-2] + b"A=", id="17 bytes"),
        pytest.param(KEY[:-2] + b"AA", id="18 bytes"),
        pytest.param(KEY[:-1], id="cut"),
        pytest.param(KEY[:-2], id="no padding"),
        pytest.param(KEY + b"=", id="one pad more"),
        pytest.param(KEY[:-3] + b"R==", id="bits that stand for nothing"),
        pytest.param(b"-_" + KEY[2:], id="alphabet of URLs"),
        pytest.param(b"!!" + KEY[2:], id="no base64"),
    ],
)
def test_4_2_1_key(value: bytes) -> None:
    """Section 4.2.1, item 5: a Sec-WebSocket-Key field with 16 bytes in base64."""
    assert_refused(judged((b"Sec-WebSocket-Key", value)), 400, "is not 16 bytes")
    assert_refused(judged(leave_out=b"Sec-WebSocket-Key"), 400, "no sec-websocket-key")


def test_4_2_1_version() -> None:
    """Section 4.2.1, item 6: a Sec-WebSocket-Version field."""
    assert_refused(judged(leave_out=b"Sec-WebSocket-Version"), 400, "no sec-websocket-version")


def test_4_2_1_no_origin() -> None:
    """Section 4.2.1, item 7: without Origin it SHOULD NOT be interpreted as coming from a browser."""
    request = judged()
    assert isinstance(request, Request)
    assert request.origin is None
    assert_refused(judged(allowed_origins=["https://a.example"]), 403, "no origin")
    assert_refused(judged(allowed_origins=[re.compile(".*")]), 403, "no origin")
    assert_refused(judged(allowed_origins=[]), 403, "no origin")
    assert isinstance(judged(allowed_origins=["https://a.example", None]), Request)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param([b""], "is empty", id="empty"),
        pytest.param([b"a b"], "not a token", id="space"),
        pytest.param([b"a, b/c"], "not a token", id="separator"),
        pytest.param([b"a, b, a"], "twice", id="twice"),
        pytest.param([b"a", b"a"], "twice", id="twice in two fields"),
    ],
)
def test_4_2_1_subprotocols(values: list[bytes], words: str) -> None:
    """Section 4.2.1, item 8: what section 4.1 asks of Sec-WebSocket-Protocol. Case counts."""
    assert_refused(judged(*[(b"Sec-WebSocket-Protocol", value) for value in values]), 400, words)
    request = judged((b"Sec-WebSocket-Protocol", b"a, A"))
    assert isinstance(request, Request)
    assert request.subprotocols == ("a", "A")


def test_11_3_1_one_key() -> None:
    """Section 11.3.1: Sec-WebSocket-Key MUST NOT appear more than once in a request."""
    assert_refused(judged((b"Sec-WebSocket-Key", KEY), (b"Sec-WebSocket-Key", KEY)), 400, "the limit is 1")


def test_11_3_5_one_version() -> None:
    """Section 11.3.5: Sec-WebSocket-Version MUST NOT appear more than once in a request."""
    versions = (b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Version", b"13")
    assert_refused(judged(*versions), 400, "the limit is 1")


# ---- the answer ----


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"https://a.example.evil", b"https://evil-a.example", b"https://A.example"]
)
@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param([None, "https://b.example", "https://a.example"], id="text"),
        pytest.param([re.compile("https://[ab][.]example"), re.compile("a[.]example")], id="patterns"),
    ],
)
def test_10_2_origin(allowed: list[Any], origin: bytes) -> None:
    """Sections 4.2.2 and 10.2: an origin that is not accepted MUST get an HTTP error, and SHOULD get 403."""
    assert_refused(judged((b"Origin", origin), allowed_origins=allowed), 403, "is not allowed")
    assert_refused(judged((b"Origin", origin), allowed_origins=[]), 403, "is not allowed")
    both = (b"Origin", b"https://a.example"), (b"Origin", origin)
    assert_refused(judged(*both, allowed_origins=allowed), 400, "the limit is 1")
    assert isinstance(judged((b"Origin", b"https://a.example"), allowed_origins=allowed), Request)


@pytest.mark.parametrize("version", [b"8", b"1", b"12", b"14", b"130", b"013", b"13, 8", b"x", b""])
def test_4_2_2_other_version(version: bytes) -> None:
    """Sections 4.2.2 and 4.4: another version MUST be refused, and the answer MUST list the versions we speak."""
    refusal = judged((b"Sec-WebSocket-Version", version))
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
    for lines in ([b"Sec-WebSocket-Protocol: a, b"], []):
        for other in ("c", "B", "a, b", ""):
            with pytest.raises(LocalProtocolError, match="was not offered"):
                accepted(*lines, event=AcceptConnection(other))


def test_4_2_2_no_subprotocol() -> None:
    """Section 4.2.2: a server that agrees to none MUST NOT send Sec-WebSocket-Protocol."""
    assert b"sec-websocket-protocol" not in accepted(b"Sec-WebSocket-Protocol: a, b")
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        accepted(event=AcceptConnection(headers=[("Sec-WebSocket-Protocol", "a")]))


def test_4_2_2_extensions_of_the_client() -> None:
    """Section 4.2.2: the extensions MUST be chosen from those of the client."""
    fields = accepted(b"Sec-WebSocket-Extensions: reversal; times=8, x-other", extensions=(Reversal(),))
    assert fields[b"sec-websocket-extensions"] == [b"reversal; times=4"]
    for offer in ([b"Sec-WebSocket-Extensions: x-other; times=8, x-other"], []):
        for extension in (Reversal(), PerMessageDeflate()):
            assert b"sec-websocket-extensions" not in accepted(*offer, extensions=(extension,))


def test_11_3_2_extensions_once_in_a_response() -> None:
    """Section 11.3.2: Sec-WebSocket-Extensions MUST NOT appear more than once in a response."""
    ours = (Reversal(), PerMessageDeflate(server_max_window_bits=15))
    fields = accepted(b"Sec-WebSocket-Extensions: permessage-deflate, reversal; times=8", extensions=ours)
    assert fields[b"sec-websocket-extensions"] == [b"reversal; times=4, permessage-deflate"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Sec-WebSocket-Extensions", id="extensions"),
        pytest.param("Sec-WebSocket-Accept", id="accept"),
        pytest.param("Sec-WebSocket-Protocol", id="protocol"),
    ],
)
def test_11_3_once_in_a_response(name: str) -> None:
    """Sections 11.3.2 to 11.3.4: these MUST NOT appear more than once in a response, so a caller can't add one."""
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        accepted(event=AcceptConnection(headers=[(name, "a")]))


def test_4_2_2_extensions_not_listed() -> None:
    """Sections 4.2.2 and 9: an extension that the client did not list MUST NOT be listed."""
    ours = (PerMessageDeflate(), Reversal())
    fields = accepted(b"Sec-WebSocket-Extensions: x-other, reversal; times=8", extensions=ours)
    assert fields[b"sec-websocket-extensions"] == [b"reversal; times=4"]
    others = b"Sec-WebSocket-Extensions: Reversal; times=8, reversals; times=8, permessage-bzip2"
    assert b"sec-websocket-extensions" not in accepted(others, extensions=ours)
    assert b"sec-websocket-extensions" not in accepted(extensions=ours)
    with pytest.raises(LocalProtocolError, match="set by the handshake"):
        accepted(event=AcceptConnection(headers=[("Sec-WebSocket-Extensions", "reversal")]))


def test_4_2_2_answer_is_valid_http() -> None:
    """Section 4.2.2, item 5: the reply MUST be a valid HTTP response. h11 is the judge."""
    server = Connection(SERVER)
    server.receive_data(head())
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a"), ("Upgrade", "websocket")]))
    answer = server.send(AcceptConnection(headers=[("Set-Cookie", "a=b")]))
    assert answer.split(b"\r\n") == [*answer.splitlines(), b""]  # h11 would take a bare LF, too
    reader.receive_data(answer)
    event = reader.next_event()
    assert isinstance(event, h11.InformationalResponse)
    assert (event.status_code, (b"set-cookie", b"a=b") in list(event.headers)) == (101, True)
    for name, value in (("a b", "c"), ("a:", "b"), ("a", "b\r\nc: d"), ("a", "b\0")):
        with pytest.raises(LocalProtocolError, match=r"is not a token|has a control character"):
            accepted(event=AcceptConnection(headers=[(name, value)]))


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


@pytest.mark.parametrize(
    "value",
    [b'a; b="c d"', b'a; b=""', b'a; b="c,d"', b'a; b="c\\ d"', b'a; b="c\\"d"', b'a; b="c\\\\d"'],
    ids=["space", "empty", "comma", "escaped space", "escaped quote", "escaped backslash"],
)
def test_4_3_quoted_value_is_a_token(value: bytes) -> None:
    """Sections 4.3 and 9.1: what is in a quoted string MUST be a token after unescaping."""
    assert_refused(judged((b"Sec-WebSocket-Extensions", value)), 400, "malformed")
    request = judged((b"Sec-WebSocket-Extensions", b'a; b="c\\d"'))
    assert isinstance(request, Request)
    assert request.extensions == (("a", (("b", "cd"),)),)


@pytest.mark.parametrize(
    "values",
    [[b"a;"], [b"a b"], [b""], [b"a; b="], [b"a; =c"], [b'a; b="c d"'], [b"a" * 1000 + b";"], [b"a", b"b;"]],
    ids=["no name", "two names", "empty", "no value", "no parameter", "value", "long", "two fields"],
)
def test_9_1_malformed_extensions(values: list[bytes]) -> None:
    """Section 9.1: the recipient of a malformed field MUST immediately fail: here, refuse."""
    fields = [(b"Sec-WebSocket-Extensions", value) for value in values]
    assert_refused(judged(*fields), 400, "sec-websocket-extensions")


@pytest.mark.parametrize("byte", [0x80, 0xC3, 0xFF])
def test_8_1_opening_handshake(byte: int) -> None:
    """Section 8.1: what is no UTF-8 MUST fail during the opening handshake, too, where it would become text."""
    for name in (b"Host", b"Origin", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions"):
        assert_refused(judged((name, b"a%c" % byte)), 400, "")
    assert_refused(check_request(b"GET", b"/a%c" % byte, UPGRADE, Settings()), 400, "target")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(head(GOOD_ORIGIN, b"Content-Length: 5"), 400, id="body"),
        pytest.param(head(GOOD_ORIGIN, b"Transfer-Encoding: chunked"), 400, id="body in chunks"),
        pytest.param(head(GOOD_ORIGIN, b"Sec-WebSocket-Extensions: ;"), 400, id="extensions"),
        pytest.param(head(GOOD_ORIGIN, b"Sec-WebSocket-Protocol: a, a"), 400, id="subprotocols"),
        pytest.param(head(GOOD_ORIGIN, request_line=b"GET /#a HTTP/1.1"), 400, id="target"),
        pytest.param(head(GOOD_ORIGIN, without=b"Host"), 400, id="no host"),
        pytest.param(head(GOOD_ORIGIN, without=b"Upgrade"), 400, id="no upgrade"),
        pytest.param(head(GOOD_ORIGIN, without=b"Connection"), 400, id="no connection"),
        pytest.param(head(GOOD_ORIGIN, without=b"Sec-WebSocket-Version"), 400, id="no version"),
        pytest.param(head(GOOD_ORIGIN, without=b"Sec-WebSocket-Key"), 400, id="no key"),
        pytest.param(head(GOOD_ORIGIN, b"Sec-WebSocket-Key: a", without=b"Sec-WebSocket-Key"), 400, id="key"),
        pytest.param(head(GOOD_ORIGIN, b"Sec-WebSocket-Version: 13"), 400, id="two versions"),
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
