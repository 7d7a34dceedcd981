"""What a server asks of each field of a request: host, target, subprotocols, extensions, origin, body."""

from __future__ import annotations

import re
from typing import Any

import pytest
from handshake_samples import status, upgrade

from wsproto_lite.events import Request
from wsproto_lite.settings import Settings


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ((b"Content-Length", b"0"), 101),
        ((b"Content-Length", b"5"), 400),
        ((b"Content-Length", b"00"), 400),
        ((b"Content-Length", b"-0"), 400),
        ((b"Content-Length", b""), 400),
        ((b"Transfer-Encoding", b"chunked"), 400),
        ((b"Transfer-Encoding", b"identity"), 400),
        ((b"Transfer-Encoding", b""), 400),
    ],
    ids=repr,
)
def test_body_on_an_upgrade(header: tuple[bytes, bytes], expected: int) -> None:
    """A proxy would take for a body what we would take for frames. A length of 0 is no body."""
    assert status(upgrade(header)) == expected


@pytest.mark.parametrize(
    "host",
    [
        "a",
        "a.example:8080",
        "a:",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:80",
        "[fe80::1%25eth0]",
        "%2Fsocket",
        "_x~!$&'()*+,;=",
    ],
)
def test_host_is_good(host: str) -> None:
    """RFC 3986 section 3.2."""
    answer = upgrade((b"host", host.encode()))
    assert isinstance(answer, Request)
    assert answer.host == host


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a/b",
        b"a?b",
        b"a#b",
        b"u@a",
        b"a:b",
        b"a:1:2",
        b"[::1",
        b"::1]",
        b"[]",
        b"a\\b",
        b"\xe9",
        b"a\x01",
        b"a,b:c",
    ],
    ids=repr,
)
def test_host_is_malformed(host: bytes) -> None:
    """RFC 9112 section 3.2: 400 for an invalid Host."""
    assert status(upgrade((b"host", host))) == 400


@pytest.mark.parametrize(
    ("target", "resource", "host"),
    [
        (b"/", "/", "server.example.com"),
        (b"/a/b?c=d&e", "/a/b?c=d&e", "server.example.com"),
        (b"//a", "//a", "server.example.com"),
        (b'/{|}"<>\\^`', '/{|}"<>\\^`', "server.example.com"),
        (b"http://other:81/x?y", "/x?y", "other:81"),
        (b"HTTPS://other", "/", "other"),
        (b"ws://other?y", "/?y", "other"),
        (b"wss://[::1]/", "/", "[::1]"),
    ],
    ids=repr,
)
def test_target_is_good(target: bytes, resource: str, host: str) -> None:
    """RFC 9112 section 3.2.2: an absolute target overrides Host."""
    answer = upgrade(target=target)
    assert isinstance(answer, Request)
    assert (answer.target, answer.host) == (resource, host)


@pytest.mark.parametrize(
    "target",
    [
        b"", b"*", b"chat", b"a:80", b"/a b", b"/a#b", b"/\x7f", b"/\x00", b"/\n", b"/\xe9", b"http://", b"http:///x",
        b"http://u@a/", b"http://a/#b", b"http://a/\n", b"ftp://a/", b"xhttp://a/",
    ],
    ids=repr,
)  # fmt: skip
def test_target_is_malformed(target: bytes) -> None:
    """RFC 9112 section 3.2; RFC 6455 section 3: no fragment."""
    assert status(upgrade(target=target)) == 400


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"chat"], ("chat",)),
        ([b"chat, superchat"], ("chat", "superchat")),
        ([b"chat", b"superchat , Chat"], ("chat", "superchat", "Chat")),
        ([b",chat,,"], ("chat",)),
        ([b""], 400),
        ([b","], 400),
        ([b"chat, chat"], 400),
        ([b"chat", b"chat"], 400),
        ([b"super chat"], 400),
        ([b"chat/1"], 400),
        ([b'"chat"'], 400),
        ([b"caf\xe9"], 400),
    ],
    ids=repr,
)
def test_subprotocols(values: list[bytes], expected: Any) -> None:
    """RFC 6455 sections 4.1, item 10 (tokens, all unique), and 11.3.4 (may come in several headers)."""
    answer = upgrade(*[(b"sec-websocket-protocol", value) for value in values])
    assert (answer.subprotocols if isinstance(answer, Request) else status(answer)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"foo", b"bar; x"], (("foo", ()), ("bar", (("x", None),)))),
        ([b"foo;"], 400),
        ([b"foo bar"], 400),
        ([b""], 400),
        ([b"foo; x=\xe9"], 400),
    ],
    ids=repr,
)
def test_extension_offer(values: list[bytes], expected: Any) -> None:
    """RFC 6455 sections 9.1 (malformed: fail) and 11.3.2 (may come in several headers)."""
    answer = upgrade(*[(b"sec-websocket-extensions", value) for value in values])
    assert (answer.extensions if isinstance(answer, Request) else status(answer)) == expected


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (None, None, 101),
        (None, b"https://evil", 101),
        (("https://a.example",), b"https://a.example", 101),
        (("https://a.example",), None, 403),
        (("https://a.example", None), None, 101),
        (("https://a.example",), b"https://a.example.evil", 403),
        (("https://a.example",), b"https://evil/https://a.example", 403),
        (("https://a.example",), b"HTTPS://A.EXAMPLE", 403),
        (("https://a.example",), b"https://a.example https://evil", 403),
        (("null",), b"null", 101),
        ((None,), b"null", 403),
        ((), None, 403),
        ((re.compile(r"https://[a-z]+\.example"),), b"https://b.example", 101),
        ((re.compile(r"https://[a-z]+\.example"),), b"https://b.example.evil", 403),
        ((re.compile(r".*"),), None, 403),
        (("https://a.example",), b"https://\xe9", 400),
        (None, b"https://\xe9", 400),
        (None, b"", 400),
        (None, b"a\x01", 400),
    ],
)
def test_origin(allowed: Any, origin: bytes | None, expected: int) -> None:
    """RFC 6455 section 10.2. The match is of the whole; a missing Origin is allowed only where None is."""
    headers = [] if origin is None else [(b"origin", origin)]
    assert status(upgrade(*headers, settings=Settings(allowed_origins=allowed))) == expected


def test_several_origins() -> None:
    settings = Settings(allowed_origins=("https://a.example",))
    assert (
        status(upgrade((b"origin", b"https://a.example"), (b"origin", b"https://a.example"), settings=settings)) == 400
    )
