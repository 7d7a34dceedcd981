"""The server's side of the handshake on plain values: what is judged, accepted and refused, and with which answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from handshake_samples import CLOSE, KEY, SETTINGS, UPGRADE, connect, status, upgrade, without
from patience import PATIENCE

from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.handshake import accept, accept_key, check_request, generate_key, request_headers
from wsproto_lite.handshake_shared import check_http
from wsproto_lite.headers import is_field_value
from wsproto_lite.settings import Settings


def test_example_of_the_rfc() -> None:
    """RFC 6455 section 1.3 computes this answer to this key."""
    request = check_request("GET", "/chat", UPGRADE, SETTINGS)
    assert isinstance(request, Request)
    assert accept(request, AcceptConnection(), SETTINGS) == (
        101,
        [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ],
        None,
        (),
    )


def test_key_conversion() -> None:
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


ONLY_FIPS = """
openssl_conf = settings
[settings]
alg_section = algorithms
[algorithms]
default_properties = fips=yes
"""

CONVERT_WITHOUT_SHA1 = f"""
import hashlib
from wsproto_lite.handshake import accept_key
try:
    hashlib.sha1(b"")
except ValueError:
    print(accept_key({KEY!r}).decode())
"""


def test_key_conversion_where_sha1_is_forbidden(tmp_path: Path) -> None:
    """RFC 6455 section 10.8: no security property of SHA-1 is relied on, so what forbids it otherwise may allow it."""
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(ONLY_FIPS, "ascii")
    printed = subprocess.run(
        [sys.executable, "-c", CONVERT_WITHOUT_SHA1],
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=3 * PATIENCE,
        check=True,
    ).stdout.strip()
    if not printed:
        pytest.skip("SHA-1 is not to be forbidden here: it isn't OpenSSL's, or that takes no such setting")
    assert printed == accept_key(KEY).decode()


def test_generated_key_is_16_bytes_of_the_given_source() -> None:
    """RFC 6455 section 4.1, item 7: 16 bytes, selected randomly."""
    assert generate_key(lambda size: bytes(range(size))) == b"AAECAwQFBgcICQoLDA0ODw=="
    assert generate_key() != generate_key()


@pytest.mark.parametrize("nonce", [b"", b"x" * 15, b"x" * 17, "x" * 16, None], ids=repr)
def test_random_source_that_does_not_give_16_bytes(nonce: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"random_bytes\(16\) returned"):
        generate_key(lambda size: nonce)


def test_request_as_the_user_sees_it() -> None:
    """Every header as it came with its name in lower case; those that the handshake does not own once more."""
    headers = [
        *UPGRADE,
        (b"Origin", b"https://example.com"),
        (b"Sec-WebSocket-Protocol", b"chat, superchat"),
        (b"Sec-WebSocket-Extensions", b"foo; bar; baz=1"),
        (b"Cookie", b"a=\xe9"),
        (b"Cookie", b"b=2"),
    ]
    assert check_request(b"GET", b"/chat?x=1", headers, SETTINGS) == Request(
        "/chat?x=1",
        "server.example.com",
        ("chat", "superchat"),
        [(name.lower(), value) for name, value in headers],
        "https://example.com",
        (("foo", (("bar", None), ("baz", "1"))),),
        [(b"cookie", b"a=\xe9"), (b"cookie", b"b=2")],
    )


def test_text_is_taken_like_bytes() -> None:
    """Servers that parsed the request themselves often have text; whatever is in it, nothing raises."""
    headers = [(name.decode(), value.decode()) for name, value in UPGRADE]
    answer = check_request("GET", "/chat", [*headers, ("X-Caf\xe9", "\u20ac\ud800")], SETTINGS)
    assert isinstance(answer, Request)
    assert answer.headers[-1] == ("x-caf\xe9".encode(), b"\xe2\x82\xac\xed\xa0\x80")


def test_any_bytes_object_is_taken() -> None:
    headers = [(bytearray(name), memoryview(value)) for name, value in UPGRADE]
    assert status(check_request(bytearray(b"GET"), memoryview(b"/"), headers, SETTINGS)) == 101  # type: ignore[arg-type] # lenient


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        (None, "/", UPGRADE),
        ("GET", 5, UPGRADE),
        ("GET", "/", None),
        ("GET", "/", [(b"a",)]),
        ("GET", "/", [(b"a", 5)]),
        ("GET", "/", [(None, b"a")]),
    ],
    ids=["method", "target", "headers", "short header", "value", "name"],
)
def test_wrong_types_are_the_callers_mistake(method: Any, target: Any, headers: Any) -> None:
    with pytest.raises(LocalProtocolError):
        check_request(method, target, headers, SETTINGS)


@pytest.mark.parametrize("http", ["1.0", "0.9", "1.2", "2.0", ""])
def test_other_versions_of_http(http: str) -> None:
    """RFC 6455 section 4.2.1, item 1: HTTP/1.1 or higher."""
    answer = check_request("GET", "/", UPGRADE, SETTINGS, http=http)
    assert status(answer) == 505
    assert answer.headers == [CLOSE]


def test_version_of_http_that_the_caller_got_wrong() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check_http("1.0")
    assert str(caught.value) == "http is '1.0'; it is one of '1.1', '2', '3'"


@pytest.mark.parametrize("method", ["POST", "HEAD", "CONNECT", "get", "GE", "GETS", "", "G\xcbT"])
def test_methods_other_than_get(method: str) -> None:
    """RFC 6455 section 4.2.1, item 1; RFC 9110 section 15.5.6: a 405 comes with Allow."""
    answer = check_request(method, "/", UPGRADE, SETTINGS)
    assert status(answer) == 405
    assert answer.headers == [(b"allow", b"GET"), CLOSE]


@pytest.mark.parametrize("name", [name for name, _ in UPGRADE], ids=bytes.decode)
def test_header_is_missing(name: bytes) -> None:
    answer = check_request("GET", "/", without(name), SETTINGS)
    assert status(answer) == 400
    assert answer.headers == [CLOSE]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"Host", 400),
        (b"Upgrade", 101),
        (b"Connection", 101),
        (b"Sec-WebSocket-Key", 400),
        (b"Sec-WebSocket-Version", 400),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else None,
)
def test_header_is_doubled(name: bytes, expected: int) -> None:
    """RFC 6455 sections 11.3.1 and 11.3.5, RFC 9112 section 3.2: once. Upgrade and Connection are lists."""
    assert status(check_request("GET", "/", [*UPGRADE, (name, dict(UPGRADE)[name])], SETTINGS)) == expected


@pytest.mark.parametrize(
    ("upgrade_value", "connection_value", "expected"),
    [
        (b"WebSocket", b"uPGRADE", 101),
        (b"h2c, websocket", b"keep-alive, Upgrade", 101),
        (b",websocket ,", b" keep-alive\t,\tupgrade", 101),
        (b"websocket", b"notupgrade", 400),
        (b"websocket", b"upgrade-insecure", 400),
        (b"websocket", b"keep-alive", 400),
        (b"websocket", b'"upgrade"', 400),
        (b"websocket", b"upgrade; x", 400),
        (b"websocket", b"", 400),
        (b"websocket/13", b"Upgrade", 400),
        (b"websockets", b"Upgrade", 400),
        (b"web socket", b"Upgrade", 400),
        (b"h2c", b"Upgrade", 400),
        (b"", b"Upgrade", 400),
    ],
)
def test_tokens_match_whole_and_without_case(upgrade_value: bytes, connection_value: bytes, expected: int) -> None:
    """RFC 6455 section 4.2.1, items 3 and 4."""
    assert status(upgrade((b"upgrade", upgrade_value), (b"connection", connection_value))) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b" " + KEY + b"\t", 101),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", 101),
        (b"+/+/+/+/+/+/+/+/+/+/+w==", 101),
        (b"", 400),
        (b"AAAA", 400),
        (b"AAAAAAAAAAAAAAAAAAAA", 400),  # 15 bytes
        (b"AAAAAAAAAAAAAAAAAAAAAAA=", 400),  # 17 bytes
        (b"dGhlIHNhbXBsZSBub25jZR==", 400),  # bits that no byte has
        (b"dGhlIHNhbXBsZSBub25jZQ=", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ===", 400),
        (b"dGhlIHNh bXBsZSBub25jZQ==", 400),
        (b"dGhlIHNhbXBsZSBub25jZ-==", 400),  # base64url
        (KEY + b", " + KEY, 400),
    ],
    ids=repr,
)
def test_key_is_16_bytes_in_canonical_base64(key: bytes, expected: int) -> None:
    """RFC 6455 section 4.2.1, item 5; RFC 4648 section 3.5."""
    assert status(upgrade((b"sec-websocket-key", key))) == expected


@pytest.mark.parametrize(
    "version", [b"12", b"14", b"8", b"0", b"", b"013", b"+13", b"13, 8", b"13.0", b"\xb2"], ids=repr
)
def test_version_other_than_13(version: bytes) -> None:
    """RFC 6455 section 4.4: tell the versions; RFC 9110 sections 15.5.22 and 7.8: Upgrade, and Connection naming it."""
    answer = upgrade((b"sec-websocket-version", version))
    assert status(answer) == 426
    assert answer.headers == [
        (b"sec-websocket-version", b"13"),
        (b"upgrade", b"websocket"),
        (b"connection", b"close, Upgrade"),
    ]


def test_version_is_judged_before_the_key() -> None:
    """An old draft has other keys, but should be told the version."""
    headers = [*without(b"sec-websocket-key", without(b"sec-websocket-version")), (b"sec-websocket-version", b"8")]
    assert status(check_request("GET", "/", headers, SETTINGS)) == 426


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize(
    "name",
    [
        *(name for name, _ in UPGRADE), b"Origin", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Cookie",
        b"Content-Length", b"Transfer-Encoding", b":authority", b":protocol", b"X-\xff",
    ],
    ids=repr,
)  # fmt: skip
def test_no_byte_in_any_header_raises(name: bytes, http: str) -> None:
    """Headers are bytes: 0x80 to 0xff, and whatever else, is judged or delivered."""
    for byte in range(256):
        for value in (bytes([byte]), b"a" + bytes([byte]) + b"b"):
            answer = upgrade((name, value)) if http == "1.1" else connect((name, value))
            assert isinstance(answer, (Request, RejectConnection))
            if name in (b"Cookie", b"X-\xff"):
                assert (name.lower(), value) in answer.headers


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("name", [b"Cookie", b"X-\xff", b"x y", b""], ids=repr)
def test_extra_headers_can_be_sent(name: bytes, http: Any) -> None:
    """A peer can't make a proxy that forwards them fail, and what can be forwarded is."""
    for byte in range(256):
        for value in (bytes([byte]), b"a" + bytes([byte]) + b"b"):
            answer = upgrade((name, value)) if http == "1.1" else connect((name, value))
            assert isinstance(answer, Request)
            request_headers(Request("/", "x", headers=answer.extra_headers), SETTINGS, http=http)
            fits = name == b"Cookie" and is_field_value(value)
            assert [(b"cookie", value)] * bool(fits) == answer.extra_headers


@pytest.mark.parametrize(("count", "expected"), [(128, 101), (129, 431), (10_000, 431)])
def test_limit_of_the_count_of_headers(count: int, expected: int) -> None:
    assert status(upgrade(*[(b"x", b"")] * (count - len(UPGRADE)))) == expected


@pytest.mark.parametrize(("more", "expected"), [(0, 101), (1, 431), (1 << 20, 431)])
def test_limit_of_the_size_of_headers(more: int, expected: int) -> None:
    size = sum(len(name) + len(value) for name, value in UPGRADE) + len("/chat") + len("x")
    assert status(upgrade((b"x", b"x" * (SETTINGS.max_header_size - size + more)))) == expected


def test_pathological_values_take_linear_time() -> None:
    """At 128 Ki repetitions, quadratic would be minutes."""
    settings = Settings(max_header_size=1 << 20)
    for name in (b"connection", b"upgrade", b"sec-websocket-protocol", b"origin", b"host", b"sec-websocket-key"):
        for filler in (b",", b" ", b"a,", b"a ", b"=", b":", b"["):
            assert status(upgrade((name, filler * (1 << 17) + b"\x01"), settings=settings)) == 400


def test_what_a_proxy_may_forward() -> None:
    """RFC 9110 section 7.6.1: not what belongs to this hop, nor what Connection names."""
    request = upgrade(
        (b"Connection", b"keep-alive, Upgrade, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"5"),
        (b"Proxy-Connection", b"close"),
        (b"TE", b"trailers"),
        (b"Trailer", b"x"),
        (b"Content-Length", b"0"),
        (b"Origin", b"null"),
        (b"Sec-WebSocket-Accept", b"x"),
        (b"Authorization", b"me"),
        (b"X-Forwarded-For", b"::1"),
    )
    assert request.extra_headers == [(b"authorization", b"me"), (b"x-forwarded-for", b"::1")]
