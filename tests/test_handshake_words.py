"""What a refusal of a server says, and why: the value that is wrong, and what it has to be."""

from __future__ import annotations

from typing import Any, Callable

import handshake_samples
import pytest
from handshake_samples import CONNECT, SETTINGS, UPGRADE, without

from wsproto_lite.handshake import check_request
from wsproto_lite.settings import Settings

Ask = Callable[[], Any]


def plain(method: str, headers: list[tuple[bytes, bytes]], http: Any = "1.1") -> Ask:
    return lambda: check_request(method, "/chat", headers, SETTINGS, http=http)


def upgrade(*headers: tuple[bytes, bytes]) -> Ask:
    return lambda: handshake_samples.upgrade(*headers)


def connect(*headers: tuple[bytes, bytes]) -> Ask:
    return lambda: handshake_samples.connect(*headers)


WORDS: dict[str, tuple[Ask, str]] = {
    "version of HTTP": (plain("GET", UPGRADE, "1.0"), "request is HTTP/1.0; it has to be HTTP/1.1, 2 or 3"),
    "many headers": (plain("GET", UPGRADE * 30), "request has 150 headers; the limit is 128"),
    "method": (plain("POST", UPGRADE), "method 'POST' is not GET"),
    "upgrade": (upgrade((b"upgrade", b"h2c")), "no upgrade header names websocket"),
    "connection": (upgrade((b"connection", b"close")), "no connection header names upgrade"),
    "no host": (plain("GET", without(b"host")), "request has no host header"),
    "two hosts": (upgrade((b"host", b"a"), (b"host", b"a")), "request has 2 host headers; the limit is 1"),
    "transfer coding": (
        upgrade((b"transfer-encoding", b"chunked")),
        "request has a transfer-encoding header; a handshake has no body",
    ),
    "body": (
        upgrade((b"content-length", b"5")),
        "request has a content-length of '5'; a handshake has no body",
    ),
    "no version": (
        plain("GET", without(b"sec-websocket-version")),
        "request has no sec-websocket-version header",
    ),
    "version": (upgrade((b"sec-websocket-version", b"8")), "version is '8'; it has to be 13"),
    "no key": (plain("GET", without(b"sec-websocket-key")), "request has no sec-websocket-key header"),
    "key": (upgrade((b"sec-websocket-key", b"short")), "sec-websocket-key 'short' is not 16 bytes in base64"),
    "host": (upgrade((b"host", b"a b")), "host 'a b' is not a name or address, with a port or without"),
    "subprotocols": (
        upgrade((b"sec-websocket-protocol", b"a, a")),
        "sec-websocket-protocol is empty or names a subprotocol twice",
    ),
    "origin": (upgrade((b"origin", b"")), "origin '' is not an origin in visible ASCII"),
    "no origin": (
        lambda: handshake_samples.upgrade(settings=Settings(allowed_origins=["https://example.com"])),
        "request has no origin header",
    ),
    "method of HTTP/2": (plain("GET", CONNECT, "2"), "method 'GET' is not CONNECT"),
    "field of HTTP/1.1": (
        connect((b"upgrade", b"websocket")),
        "request has upgrade headers, which belong to HTTP/1.1",
    ),
    "pseudo-header field": (connect((b":status", b"200")), "pseudo-header field ':status' is unknown"),
    "no protocol": (plain("CONNECT", without(b":protocol", CONNECT), "2"), "request has no :protocol"),
    "protocol": (connect((b":protocol", b"connect-udp")), ":protocol is 'connect-udp'; it has to be websocket"),
    "authority": (
        connect((b"host", b"other.example.com")),
        ":authority is 'server.example.com', but the host header is 'other.example.com'",
    ),
}


@pytest.mark.parametrize(("ask", "words"), WORDS.values(), ids=WORDS)
def test_words(ask: Ask, words: str) -> None:
    assert str(ask().error) == words


def test_words_of_a_large_head() -> None:
    """The target and all names and values count, as they stand on the wire."""
    answer = handshake_samples.upgrade((b"x-a", b"b" * SETTINGS.max_header_size))
    words = str(answer.error)
    size = int(words.split()[4])
    assert words == f"target and headers are {size} bytes; the limit is 16384"
    assert size > SETTINGS.max_header_size


@pytest.mark.parametrize("byte", [b"\x0b", b"\x0c"])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"sec-websocket-version", b"13", 426),
        (b"sec-websocket-key", handshake_samples.KEY, 400),
        (b"host", b"a", 400),
    ],
    ids=["version", "key", "host"],
)
def test_only_space_and_tab_surround_a_value(name: bytes, value: bytes, expected: int, byte: bytes) -> None:
    """RFC 9110 section 5.6.3: optional white space is those two."""
    assert handshake_samples.status(handshake_samples.upgrade((name, b"\t " + value + b" \t"))) == 101
    assert handshake_samples.status(handshake_samples.upgrade((name, value + byte))) == expected
