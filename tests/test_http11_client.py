"""The handshake over HTTP/1.1, the client's side: a request out, a response of any shape and in any pieces in."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY, Reversal, http11_without_reader

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.handshake import Handshake
from wsproto_lite.http11 import ClientUpgrade, ServerUpgrade
from wsproto_lite.settings import Settings

SETTINGS = Settings(random_bytes=lambda size: b"the sample nonce"[:size])
SMALL = Settings(random_bytes=SETTINGS.random_bytes, max_message_size=100, max_header_size=300, max_header_count=8)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"\r\n"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"


def client(settings: Settings = SETTINGS) -> ClientUpgrade:
    upgrade = ClientUpgrade(settings)
    upgrade.request(Request("/chat", "server.example.com", ["chat"]))
    return upgrade


def receive(data: bytes, settings: Settings = SETTINGS, size: int | None = None, *, eof: bool = False) -> Any:
    """Feed `data` in pieces of `size`, up to the answer."""
    upgrade = client(settings)
    size = size or max(1, len(data))
    for start in range(0, len(data), size):
        answer = upgrade.receive(data[start : start + size])
        if answer is not None:
            return answer
    return upgrade.receive_eof() if eof else None


def fault(answer: Any) -> str:
    """Give what is wrong with a response."""
    assert isinstance(answer, RejectConnection)
    assert isinstance(answer.error, RemoteProtocolError)
    assert answer.body == b""
    return str(answer.error)


def test_request_is_written() -> None:
    """RFC 6455 section 1.2."""
    upgrade = ClientUpgrade(SETTINGS)
    event = Request("/chat?x", "server.example.com", ["chat"], [("x-a", "b")], "http://example.com")
    assert upgrade.request(event) == (
        b"GET /chat?x HTTP/1.1\r\n"
        b"Host: server.example.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: " + KEY + b"\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Origin: http://example.com\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"X-A: b\r\n"
        b"\r\n"
    )


def test_mistake_in_the_request_changes_nothing() -> None:
    upgrade = ClientUpgrade(SETTINGS)
    with pytest.raises(LocalProtocolError):
        upgrade.request(Request("/a b", "a"))
    assert upgrade.request(Request("/", "a")).startswith(b"GET / HTTP/1.1\r\n")
    with pytest.raises(LocalProtocolError, match="sent before"):
        upgrade.request(Request("/", "a"))


def test_random_source_that_gives_too_little() -> None:
    with pytest.raises(LocalProtocolError, match="returned 0 bytes"):
        ClientUpgrade(Settings(random_bytes=lambda size: b"")).request(Request("/", "a"))


def test_switch() -> None:
    assert receive(SWITCH) == Handshake(
        101,
        [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ],
        None,
        (),
    )


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_server_of_ours_is_understood(size: int) -> None:
    settings = Settings(extensions=(Reversal(),))
    upgrade, server = ClientUpgrade(settings), ServerUpgrade(settings)
    request = upgrade.request(Request("/", "a", ["chat", "superchat"]))
    assert isinstance(server.receive(request), Request)
    response, answered = server.accept(AcceptConnection("superchat"))
    for start in range(0, len(response), size):
        handshake = upgrade.receive(response[start : start + size])
    assert isinstance(handshake, Handshake)
    assert handshake[:3] == answered[:3]
    assert len(handshake.extensions) == 1


def test_event_may_be_used_again() -> None:
    """What was offered is remembered, whatever becomes of the event."""
    subprotocols = ["chat"]
    upgrade = ClientUpgrade(SETTINGS)
    upgrade.request(Request("/", "a", subprotocols))
    subprotocols.append("late")
    answer = upgrade.receive(SWITCH[:-2] + b"Sec-WebSocket-Protocol: late\r\n\r\n")
    assert "was not offered" in fault(answer)


REFUSED = b"HTTP/1.1 403 Forbidden\r\n"


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (REFUSED + b"Content-Length: 0\r\n\r\n", 403, b""),
        (REFUSED + b"Content-Length: 5\r\n\r\nhello", 403, b"hello"),
        (REFUSED + b"Content-Length: 5\r\n\r\nhello, you", 403, b"hello"),
        (REFUSED + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n", 403, b"hello"),
        (REFUSED + b"Content-Length: 100\r\n\r\n" + bytes(100), 403, bytes(100)),
        (b"HTTP/1.1 204 No Content\r\n\r\nignored", 204, b""),
        (b"HTTP/1.1 304\r\n\r\n", 304, b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (CONTINUE + HINTS + REFUSED + b"Content-Length: 0\r\n\r\n", 403, b""),
    ],
    ids=["empty", "length", "more", "chunked", "limit", "204", "304", "HTTP/1.0", "interim"],
)
def test_refusal_has_its_whole_body(data: bytes, status: int, body: bytes) -> None:
    for size in (None, *range(1, 60)):
        answer = receive(data, SMALL, size)
        assert isinstance(answer, RejectConnection)
        assert (answer.status_code, answer.body, answer.error) == (status, body, None)


def test_headers_of_a_refusal() -> None:
    answer = receive(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\nX: \xe9\r\n\r\n")
    assert answer == RejectConnection(302, [(b"location", b"/b"), (b"content-length", b"0"), (b"x", b"\xe9")])


@pytest.mark.parametrize("size", [None, 1])
def test_body_that_the_end_of_the_stream_ends(size: int | None) -> None:
    """RFC 9112 section 6.3, item 8."""
    data = REFUSED + b"\r\nhello"
    assert receive(data, size=size) is None
    assert receive(data, size=size, eof=True) == RejectConnection(403, [], b"hello")
    assert receive(REFUSED + b"\r\n", size=size, eof=True) == RejectConnection(403, [], b"")


@pytest.mark.parametrize(
    "data",
    [
        REFUSED + b"Content-Length: 5\r\n\r\nhell",
        REFUSED + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        REFUSED + b"Transfer-Encoding: chunked\r\n\r\n5",
    ],
    ids=["length", "chunks", "chunk header"],
)
def test_body_is_cut_off(data: bytes) -> None:
    """Nothing is silently shortened."""
    assert "body of the refusal is broken" in fault(receive(data, eof=True))


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 403 Forb", CONTINUE], ids=repr)
def test_end_of_the_stream_before_a_final_response(data: bytes) -> None:
    assert receive(data, eof=True) is None


@pytest.mark.parametrize("size", [None, 1, 50])
@pytest.mark.parametrize(
    "data",
    [
        REFUSED + b"Content-Length: 101\r\n\r\n" + bytes(101),
        REFUSED + b"\r\n" + bytes(101),
        REFUSED + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 101,
    ],
    ids=["length", "EOF", "chunked"],
)
def test_body_over_the_limit(data: bytes, size: int | None) -> None:
    assert "over the limit of 100 bytes (status 403)" in fault(receive(data, SMALL, size))


def test_body_without_limit() -> None:
    settings = Settings(max_message_size=None)
    body = bytes(2 << 20)
    assert receive(REFUSED + b"Content-Length: %d\r\n\r\n" % len(body) + body, settings).body == body


@pytest.mark.parametrize(
    ("body", "is_broken"),
    [
        (b"5;" + b"x" * 297 + b"\r\nhello\r\n0\r\n\r\n", False),
        (b"5;" + b"x" * 298 + b"\r\nhello\r\n0\r\n\r\n", True),
        (b"0\r\n" + b"a: b\r\n" * 200 + b"\r\n", True),
        (b"5\r\nhelloXX", True),
    ],
    ids=["line at the limit", "line over it", "trailers over it", "no line break"],
)
def test_split_of_a_body_makes_no_difference(body: bytes, is_broken: bool) -> None:
    """Rule 1, and the words of the error with it."""
    data = REFUSED + b"Transfer-Encoding: chunked\r\n\r\n" + body
    answers = [receive(data, SMALL, size) for size in (None, 1, 2, 100, 301)]
    assert answers == answers[:1] * len(answers)
    assert bool(answers[0].error) is is_broken


@pytest.mark.parametrize("body", [b"x\r\n", b"5\r\nhelloo", b"1" * 400, b"1;" + b"x" * 400], ids=repr)
def test_body_is_broken(body: bytes) -> None:
    assert "broken" in fault(receive(REFUSED + b"Transfer-Encoding: chunked\r\n\r\n" + body, SMALL))


@pytest.mark.parametrize("interim", [CONTINUE, HINTS, CONTINUE + HINTS + b"HTTP/1.1 199\r\n\r\n"], ids=repr)
def test_interim_responses_are_skipped(interim: bytes) -> None:
    """RFC 9110 section 15.2: a client must parse them, expected or not."""
    for size in (None, *range(1, 60)):
        assert isinstance(receive(interim + SWITCH, size=size), Handshake)


def test_endless_interim_responses() -> None:
    assert "over the limit of 300 bytes" in fault(receive(CONTINUE * 100, SMALL))


INVALID = [
    (SWITCH.replace(b"HTTP/1.1", b"HTTP/1.0"), "HTTP/1.0"),
    (SWITCH.replace(b"s3p", b"S3p"), "sec-websocket-accept"),
    (SWITCH.replace(b"Upgrade: w", b"Upgrade: v"), "upgrade"),
    (SWITCH.replace(b"HTTP/1.1 101", b"HTTP/1.1  101"), "not HTTP"),
    (SWITCH.replace(b"HTTP/1.1 101", b"HTTP/1.1 099"), "not HTTP"),
    (SWITCH.replace(b"Upgrade:", b"Upgrade :"), "not HTTP"),
    (SWITCH.replace(b"Upgrade: w", b"X: \x00\r\nUpgrade: w"), "not HTTP"),
    (SWITCH.replace(b"Upgrade: w", b"\xe9: x\r\nUpgrade: w"), "not HTTP"),
    (b"\r\n" + SWITCH, "begins with"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "begins with"),
    (b"\x15\x03\x01\x00\x02\x02", "begins with"),
    (b"HTTP/1.1 101 " + b"x" * 300, "over the limit of 300 bytes"),
    (b"HTTP/1.1 101 \r\n" + b"x:\r\n" * 9 + b"\r\n", "9 headers; the limit is 8"),
]


@pytest.mark.parametrize(("data", "why"), INVALID, ids=repr)
def test_invalid_response(data: bytes, why: str) -> None:
    expected = receive(data, SMALL)
    assert why in fault(expected)
    for size in range(1, 60):
        assert receive(data, SMALL, size) == expected


def test_strictness_is_that_of_all_of_h11() -> None:
    """What we leave out of h11 has no say in which responses are good, nor in what is wrong with the others."""
    module = http11_without_reader()
    refused = REFUSED + b"Content-Length: 5\r\n\r\nhello"
    both_lengths = REFUSED + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"
    for data in [*(data for data, _ in INVALID), SWITCH, CONTINUE + HINTS + SWITCH, HINTS + refused, both_lengths]:
        one, other = client(SMALL), module.ClientUpgrade(SMALL)
        other.request(Request("/chat", "server.example.com", ["chat"]))
        assert repr(one.receive(data)) == repr(other.receive(data))


def test_extension_that_was_not_offered() -> None:
    answer = receive(SWITCH[:-2] + b"Sec-WebSocket-Extensions: reversal; times=4\r\n\r\n")
    assert "reversal" in fault(answer)
    assert answer.error.code == 1010


def test_response_before_the_request() -> None:
    """Else an answer to the empty key would do."""
    assert "before there was a request" in fault(ClientUpgrade(SETTINGS).receive(SWITCH))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_follows_the_switch_is_kept(size: int) -> None:
    upgrade = client()
    data = HINTS + SWITCH + b"\x81\x02hi"
    for start in range(0, len(data), size):
        if upgrade.receive(data[start : start + size]) is not None:
            assert bytes(upgrade.rest) == data[: start + size][len(HINTS + SWITCH) :]
            return
    raise AssertionError("no answer")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("whole", [SWITCH, REFUSED + b"Content-Length: 5\r\n\r\nhello"], ids=["switch", "refusal"])
def test_input_of_any_type_is_copied(kind: Any, whole: bytes) -> None:
    upgrade = client()
    for byte in whole:
        data = bytearray([byte])
        answer = upgrade.receive(kind(data))
        data[0] = 0
    assert answer == receive(whole)


def test_any_damage_gives_an_answer_or_waits() -> None:
    refusal = REFUSED + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"
    for whole in (SWITCH, refusal):
        for position in range(len(whole)):
            for byte in b"\x00\t\n\r :,/=\x7f\x80\xff":
                answer = receive(whole[:position] + bytes([byte]) + whole[position + 1 :], eof=True)
                assert answer is None or isinstance(answer, (Handshake, RejectConnection))


def test_64_kib_one_byte_at_a_time() -> None:
    """Each byte is searched once; searching all of them each time would take minutes."""
    settings = Settings(random_bytes=SETTINGS.random_bytes, max_header_size=64 << 10)
    data = SWITCH[:-2] + b"x: " + b"y" * (65_536 - len(SWITCH) - 5) + b"\r\n\r\n"
    assert len(data) == settings.max_header_size
    assert isinstance(receive(data, settings, 1), Handshake)
    assert "over the limit" in fault(receive(b"HTTP/1.1 101 " + bytes(1 << 17), settings, 1))
