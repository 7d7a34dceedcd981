"""compat.wsdatautil, the handshake: WsDataUtil 1.1's names and values, and none of its faults."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from wsproto_lite.compat.wsdatautil import HandshakeRequest, HeaderObj, InvalidArgument, InvalidData

RFC_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
RFC_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_request() -> None:
    request = HandshakeRequest(RFC_KEY, websocket_protocols=b"chat", resource=b"/room")
    assert request.to_streamdata() == (
        b"GET /room HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: " + RFC_KEY + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )


def test_response() -> None:
    """The example of section 1.3; the subprotocol is the response's, and the request stays as it was."""
    request = HandshakeRequest(RFC_KEY)
    response = request.make_response(websocket_protocols=b"chat")
    assert response.to_streamdata() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: "
        + RFC_ACCEPT
        + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )
    assert b"Sec-WebSocket-Protocol" not in request
    assert b"Sec-WebSocket-Protocol" not in request.make_response()


def test_each_request_has_a_key_of_its_own() -> None:
    """Section 4.1: the nonce is 16 random bytes, for each connection."""
    keys = {HandshakeRequest()[b"Sec-WebSocket-Key"] for _ in range(100)}
    assert len(keys) == 100
    assert {len(b64decode(key)) for key in keys} == {16}


def test_a_request_there_and_back() -> None:
    request = HandshakeRequest(RFC_KEY, websocket_protocols=b"a, b", http_version=b"1.0")
    request[b"Host"] = b"example.com:80"
    again = HandshakeRequest.from_streamdata(request.to_streamdata())
    assert (again, again.l1) == (request, request.l1)
    assert isinstance(again, HandshakeRequest)
    assert again.make_response()[b"Sec-WebSocket-Accept"] == RFC_ACCEPT


def test_a_request_as_it_comes() -> None:
    """Any case, any spacing, colons in values, and what follows the head is not part of it."""
    request = HandshakeRequest.from_streamdata(
        b"\r\nGET / HTTP/1.1\r\nHost:a:1\r\nsec-websocket-key: \t"
        + RFC_KEY
        + b" \r\nX: a: b\r\nY:\r\n\r\n\x81\x85frame"
    )
    assert request.l1 == b"GET / HTTP/1.1"
    assert list(request.items()) == [(b"Host", b"a:1"), (b"sec-websocket-key", RFC_KEY), (b"X", b"a: b"), (b"Y", b"")]
    assert request.make_response()[b"Sec-WebSocket-Accept"] == RFC_ACCEPT


def test_what_did_not_come_is_not_there() -> None:
    """A plain request doesn't become an upgrade by being read."""
    request = HandshakeRequest.from_streamdata(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert request == {b"Host": b"a"}
    with pytest.raises(InvalidData, match=r"^request has 0 Sec-WebSocket-Key fields; it has one$"):
        request.make_response()


def test_two_keys_are_not_answered() -> None:
    request = HandshakeRequest(RFC_KEY)
    request[b"sec-websocket-key"] = b64encode(bytes(16))
    with pytest.raises(InvalidData, match=r"^request has 2 Sec-WebSocket-Key fields; it has one$"):
        request.make_response()


LINES = [b"no colon", b": no name", b"name : space", b" folded: line", b"n\x00me: x", b"n\xe4me: x"]


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_lines_that_are_no_fields(line: bytes) -> None:
    with pytest.raises(InvalidData, match=r"is no header field$"):
        HeaderObj.from_streamdata(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\nX: y\r\n\r\n")


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"\r\n"], ids=repr)
def test_nothing_can_be_injected(bad: bytes) -> None:
    """No value, name or first line adds a field or ends the head."""
    for name, value in ((b"X", b"a" + bad + b"Y: b"), (b"X" + bad, b"a")):
        head = HeaderObj(b"GET / HTTP/1.1")
        head[name] = value
        with pytest.raises(InvalidArgument, match=r"is no header field$"):
            head.to_streamdata()
    with pytest.raises(InvalidArgument, match=r"has a line break or NUL$"):
        HeaderObj(b"GET / HTTP/1.1" + bad).to_streamdata()
    with pytest.raises(InvalidArgument, match=r"^resource .* has a space or control character$"):
        HandshakeRequest(resource=b"/" + bad)


def test_heads_are_bytes() -> None:
    with pytest.raises(InvalidArgument, match=r"^data is of type str; it is bytes$"):
        HeaderObj.from_streamdata("GET / HTTP/1.1")  # type: ignore[arg-type]  # the point
    assert HeaderObj.from_streamdata(b"GET / HTTP/1.1").to_streamdata() == b"GET / HTTP/1.1\r\n\r\n"
