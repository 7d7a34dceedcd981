"""The server's side of the handshake over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220)."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import CONNECT, SETTINGS, connect, status, without

from wsproto_lite.events import AcceptConnection, Request
from wsproto_lite.handshake import accept, check_request


@pytest.mark.parametrize("http", ["2", "3"])
def test_with_pseudo_header_fields(http: Any) -> None:
    assert connect((b"x-a", b"b"), http=http) == Request(
        "/chat", "server.example.com", (), [*CONNECT, (b"x-a", b"b")], None, (), [(b"x-a", b"b")]
    )


def test_without_pseudo_header_fields() -> None:
    headers = [(b"sec-websocket-version", b"13"), (b"host", b"a")]
    request = check_request("CONNECT", "/chat", headers, SETTINGS, http="2")
    assert request == Request("/chat", "a", (), headers, extra_headers=[])
    request = check_request("CONNECT", "/chat", headers[:1], SETTINGS, http="2")
    assert request == Request("/chat", "", (), headers[:1], extra_headers=[])


def test_answer_without_pseudo_header_fields() -> None:
    """A request without a key is no upgrade."""
    request = check_request("CONNECT", "/chat", [(b"sec-websocket-version", b"13")], SETTINGS, http="2")
    assert isinstance(request, Request)
    assert accept(request, AcceptConnection(), SETTINGS) == (200, [], None, ())


@pytest.mark.parametrize("method", ["GET", "POST", "connect"])
def test_other_methods(method: str) -> None:
    answer = check_request(method, "/", CONNECT, SETTINGS, http="2")
    assert status(answer) == 405
    assert answer.headers == [(b"allow", b"CONNECT")]


@pytest.mark.parametrize(
    "name", [b"Connection", b"Upgrade", b"Keep-Alive", b"Proxy-Connection", b"Transfer-Encoding"], ids=bytes.decode
)
def test_fields_of_http_1(name: bytes) -> None:
    """RFC 9113 section 8.2.2: malformed."""
    answer = connect((name, b"Upgrade"))
    assert status(answer) == 400
    assert answer.headers == []


def test_key_is_not_looked_at() -> None:
    """RFC 8441 section 5: the key is superseded by :protocol."""
    request = connect((b"sec-websocket-key", b"?"))
    assert isinstance(request, Request)
    assert accept(request, AcceptConnection(), SETTINGS) == (200, [], None, ())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b":protocol", b"WebSocket")], 101),
        ([(b":protocol", b"connect-udp")], 501),
        ([(b":protocol", b"websocket"), (b":protocol", b"websocket")], 400),
        ([(b":authority", b"a"), (b":authority", b"a")], 400),
        ([(b":authority", b"")], 400),
        ([(b":authority", b"u@a")], 400),
        ([(b":status", b"200")], 400),
        ([(b"host", b"SERVER.example.com")], 101),
        ([(b"host", b"other.example.com")], 400),
        ([(b"content-length", b"5")], 400),
    ],
    ids=repr,
)
def test_pseudo_header_fields(headers: list[tuple[bytes, bytes]], expected: int) -> None:
    assert status(connect(*headers)) == expected


def test_plain_connect() -> None:
    """A request for a tunnel has no :protocol."""
    answer = check_request("CONNECT", "/", without(b":protocol", CONNECT), SETTINGS, http="2")
    assert status(answer) == 400


def test_origin() -> None:
    request = connect((b"origin", b"https://example.com"))
    assert isinstance(request, Request)
    assert request.origin == "https://example.com"


@pytest.mark.parametrize("http", ["2", "3"])
def test_refusal_of_a_large_head(http: Any) -> None:
    """RFC 9113 section 8.2.2 leaves no room for Connection."""
    answer = connect((b"x-a", b"b" * SETTINGS.max_header_size), http=http)
    assert (status(answer), answer.headers) == (431, [])


@pytest.mark.parametrize("http", ["2", "3"])
def test_version(http: Any) -> None:
    """RFC 9113 section 8.2.2 leaves no room for Upgrade."""
    answer = connect((b"sec-websocket-version", b"8"), http=http)
    assert status(answer) == 426
    assert answer.headers == [(b"sec-websocket-version", b"13")]
