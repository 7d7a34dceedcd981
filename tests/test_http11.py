"""The handshake over HTTP/1.1, the server's side: bytes in, an answer out, whatever the bytes and however they come."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY, UPGRADE, head, http11_without_reader

from wsproto_lite.errors import RemoteProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.http11 import RequestHead, ServerUpgrade
from wsproto_lite.settings import Settings

SETTINGS = Settings()
HEAD = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def receive(data: bytes, settings: Settings = SETTINGS, size: int | None = None) -> Any:
    """Feed `data` in pieces of `size`, up to the answer."""
    upgrade = ServerUpgrade(settings)
    size = size or len(data)
    for start in range(0, len(data), size):
        answer = upgrade.receive(data[start : start + size])
        if answer is not None:
            return answer
    return None


def status(answer: Request | RejectConnection | None) -> int | None:
    if answer is None or isinstance(answer, Request):
        return answer and 101
    assert isinstance(answer.error, RemoteProtocolError)
    assert dict(answer.headers)[b"connection"] in (b"close", b"close, Upgrade")
    return answer.status_code


def test_request_as_the_user_sees_it() -> None:
    expected = [(name.lower(), value) for name, value in UPGRADE]
    assert receive(head(b"X-A:\tb ", b"x-a:\xff")) == Request(
        "/chat",
        "server.example.com",
        headers=[*expected, (b"x-a", b"b"), (b"x-a", b"\xff")],
        extra_headers=[(b"x-a", b"b"), (b"x-a", b"\xff")],
    )


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD.replace(b"\r\n", b"\n"),
        b"\r\n\n" + HEAD,
        HEAD + b"\x81\x80\x00\x00\x00\x00",
        HEAD + HEAD,
        head(b"X: a\r\n b"),
        head(request_line=b"POST / HTTP/1.1"),
        head(request_line=b"GET / HTTP/1.0"),
        head(request_line=b"G@T / HTTP/1.1"),
        head(b"Transfer-Encoding: chunked"),
        head(*[b"x: y"] * 200),
        head(b"x: " + b"y" * 400),
        b"\r" + HEAD,
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03",
        b"\r\n" * 300 + HEAD,
    ],
    ids=[
        "good", "bare LF", "empty lines", "early data", "pipelined", "folded", "POST", "1.0", "bad method", "body",
        "count", "size", "CR", "TLS", "many empty lines",
    ],
)  # fmt: skip
def test_every_split_gives_the_same_answer(data: bytes) -> None:
    settings = Settings(max_header_size=500, max_header_count=50)
    expected = receive(data, settings)
    assert expected is not None
    for size in range(1, 80):
        assert receive(data, settings, size) == expected
    for cut in range(1, len(data)):
        upgrade = ServerUpgrade(settings)
        assert (upgrade.receive(data[:cut]) or upgrade.receive(data[cut:])) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_early_data_is_kept(size: int) -> None:
    """It is up to the connection to parse it, after the accept."""
    upgrade = ServerUpgrade(SETTINGS)
    data = HEAD + b"\x81\x80abcd"
    for start in range(0, len(data), size):
        if upgrade.receive(data[start : start + size]) is not None:
            assert bytes(upgrade.rest) == data[: start + size][len(HEAD) :]
            return
    raise AssertionError("no answer")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_input_of_any_type_is_copied(kind: Any) -> None:
    data = bytearray(HEAD)
    upgrade = ServerUpgrade(SETTINGS)
    answer = upgrade.receive(kind(data))
    data[:] = bytes(len(data))
    assert answer == receive(HEAD)


def test_pipelined_second_request_is_never_parsed() -> None:
    """Its bytes could only be frames."""
    upgrade = ServerUpgrade(SETTINGS)
    upgrade.receive(HEAD + b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
    data, _ = upgrade.accept(AcceptConnection())
    assert data.count(b"HTTP/1.1") == 1
    assert upgrade.head is not None
    assert upgrade.head.target == "/chat"
    assert bytes(upgrade.rest).startswith(b"GET /admin")


STRICTNESS = [
    (head(request_line=b"POST / HTTP/1.1"), 405),
    (head(request_line=b"HEAD / HTTP/1.1"), 405),
    (head(request_line=b"GET / HTTP/1.0"), 505),
    (head(request_line=b"GET / HTTP/1.2"), 505),
    (head(request_line=b"GET / HTTP/2.0"), 505),
    (b"PRI * HTTP/2.0\r\n\r\n", 505),
    (head(request_line=b"GET /"), 400),
    (head(request_line=b"GET  / HTTP/1.1"), 400),
    (head(request_line=b"GET / HTTP/1.1 "), 400),
    (head(request_line=b"GET / http/1.1"), 400),
    (head(request_line=b"GET /caf\xe9 HTTP/1.1"), 400),
    (head(request_line=b"GET * HTTP/1.1"), 400),
    (head(request_line=b" GET / HTTP/1.1"), 400),
    (head(without=b"Host"), 400),
    (head(b"Host: a"), 400),
    (head(without=b"Upgrade"), 400),
    (head(without=b"Connection"), 400),
    (head(without=b"Sec-WebSocket-Key"), 400),
    (head(b"Sec-WebSocket-Key: " + KEY), 400),
    (head(without=b"Sec-WebSocket-Version"), 400),
    (head(b"Sec-WebSocket-Version: 8", without=b"Sec-WebSocket-Version"), 426),
    (head(b"Connection: notupgrade", without=b"Connection"), 400),
    (head(b"Content-Length: 5"), 400),
    (head(b"Content-Length: 0"), 101),
    (head(b"Content-Length: 0", b"Content-Length: 5"), 400),
    (head(b"Content-Length: x"), 400),
    (head(b"Transfer-Encoding: chunked"), 400),
    (head(b"Transfer-Encoding: gzip, chunked"), 400),
    (head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    (head(b"Origin: a", b"Origin: a"), 400),
    (head(b"X : a"), 400),
    (head(b"X"), 400),
    (head(b": a"), 400),
    (head(b"X: a\x00"), 400),
    (head(b"X: a\rb"), 400),
    (head(b"X\xe9: a"), 400),
    (head(b"X: a", b" folded"), 101),
    (head(request_line=b"GET / HTTP/1.1\r\n folded"), 400),
    (head(b"Expect: 100-continue"), 101),
]


@pytest.mark.parametrize(("data", "expected"), STRICTNESS, ids=repr)
def test_strictness(data: bytes, expected: int) -> None:
    """RFC 6455 section 4.2.1, RFC 9112: each fault alone gives its status, and Connection: close."""
    assert status(receive(data)) == expected


def test_strictness_is_that_of_all_of_h11() -> None:
    """What we leave out of h11 has no say in which requests are good, nor in what is wrong with the others."""
    module = http11_without_reader()
    for data in [*(data for data, _ in STRICTNESS), HEAD, HEAD.replace(b"\r\n", b"\n")]:
        one, other = ServerUpgrade(SETTINGS), module.ServerUpgrade(SETTINGS)
        answers = one.receive(data), other.receive(data)
        assert repr(answers[0]) == repr(answers[1])
        # As tuples: the class is another one of that name.
        assert (one.head and tuple(one.head)) == (other.head and tuple(other.head))


def test_origin_is_refused() -> None:
    assert status(receive(head(b"Origin: https://evil"), Settings(allowed_origins=("https://good",)))) == 403


@pytest.mark.parametrize(
    "name",
    [
        *(name for name, _ in UPGRADE), b"Origin", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Cookie",
        b"Content-Length", b"Transfer-Encoding",
    ],
    ids=bytes.decode,
)  # fmt: skip
def test_no_byte_anywhere_raises(name: bytes) -> None:
    """Non-ASCII bytes are delivered, or refused where the grammar says so."""
    for byte in range(256):
        answer = receive(head(name + b": a" + bytes([byte]) + b"b", without=name))
        assert isinstance(answer, (Request, RejectConnection))
        if name == b"Cookie" and byte >= 0x80:
            assert (b"cookie", b"a" + bytes([byte]) + b"b") in answer.headers


def test_any_damage_gives_an_answer_or_waits() -> None:
    for position in range(len(HEAD)):
        for byte in b"\x00\t\n\r :,/=\x7f\x80\xff":
            answer = receive(HEAD[:position] + bytes([byte]) + HEAD[position + 1 :])
            assert answer is None or isinstance(answer, (Request, RejectConnection))


class TestLimits:
    """The head is counted from its first byte to its blank line, also when it comes at once."""

    @pytest.mark.parametrize("size", [None, 1, 1000])
    @pytest.mark.parametrize(("more", "expected"), [(0, 101), (1, 431)])
    def test_size(self, more: int, expected: int, size: int | None) -> None:
        data = head(b"x: " + b"y" * (SETTINGS.max_header_size - len(head(b"x: ")) + more))
        assert len(data) == SETTINGS.max_header_size + more
        assert status(receive(data + b"early data", size=size)) == expected

    @pytest.mark.parametrize("size", [None, 1])
    @pytest.mark.parametrize(("count", "expected"), [(128, 101), (129, 431)])
    def test_count(self, count: int, expected: int, size: int | None) -> None:
        assert status(receive(head(*[b"x:"] * (count - len(UPGRADE))), size=size)) == expected

    def test_10000_headers(self) -> None:
        assert status(receive(head(*[b"x:"] * 10_000), Settings(max_header_size=1 << 20))) == 431

    def test_64_kib_one_byte_at_a_time(self) -> None:
        """Each byte is searched once: an end of the head that is put where all was searched before isn't found."""
        data = head(b"x: " + b"y" * ((64 << 10) - len(head(b"x: "))))
        upgrade = ServerUpgrade(Settings(max_header_size=64 << 10))
        for at in range(len(data) - 1):
            assert upgrade.receive(data[at : at + 1]) is None
            if at % 1000 == 999:
                before = bytes(upgrade.rest[at - 99 : at - 95])
                upgrade.rest[at - 99 : at - 95] = b"\r\n\r\n"
                assert upgrade.receive(b"") is None
                upgrade.rest[at - 99 : at - 95] = before
        assert status(upgrade.receive(data[-1:])) == 101

    def test_endless_line(self) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        for _ in range(SETTINGS.max_header_size):
            assert upgrade.receive(b"G") is None
        assert status(upgrade.receive(b"G")) == 431

    @pytest.mark.parametrize("size", [None, 1, 3])
    def test_endless_empty_lines(self, size: int | None) -> None:
        assert status(receive(b"\r\n" * SETTINGS.max_header_size, size=size)) == 431

    def test_early_data_does_not_count(self) -> None:
        assert status(receive(HEAD + bytes(1 << 20))) == 101


@pytest.mark.parametrize("byte", sorted({*range(256)} - {*b"\r\n"} - {*b"!#$%&'*+-.^_`|~"}))
def test_first_byte_that_no_method_has(byte: int) -> None:
    """A TLS ClientHello begins with 0x16; its blank line might never come."""
    answer = receive(bytes([byte]))
    assert status(answer) == (None if chr(byte).isalnum() and byte < 0x80 else 400)


@pytest.mark.parametrize("data", [b"", b"\r", b"\r\n", b"\r\n\r", b"\n\n", HEAD[:-1], HEAD[:-2]], ids=repr)
def test_head_is_incomplete(data: bytes) -> None:
    upgrade = ServerUpgrade(SETTINGS)
    assert upgrade.receive(data) is None
    assert upgrade.receive(b"") is None
    assert upgrade.head is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD, ("GET", "/chat", "1.1")),
        (b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/health", "1.1")),
        (b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", ("POST", "/a?b", "1.1")),
        (b"GET http://a/ HTTP/1.0\r\n\r\n", ("GET", "http://a/", "1.0")),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"GET\r\n\r\n", None),
    ],
    ids=["upgrade", "GET", "POST", "1.0", "no host", "garbage"],
)
def test_head_of_any_good_request_can_be_seen(data: bytes, expected: tuple[str, str, str] | None) -> None:
    """An adapter offers a plain request to the user before it is refused."""
    upgrade = ServerUpgrade(SETTINGS)
    upgrade.receive(data)
    if expected is None:
        assert upgrade.head is None
    else:
        method, target, version = expected
        headers = [tuple(line.split(b": ")) for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
        lower = [(name.lower(), value) for name, value in headers]
        assert upgrade.head == RequestHead(method, target, lower, version)
