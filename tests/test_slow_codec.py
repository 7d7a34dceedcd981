"""The oracle itself, on bytes and events worked out by hand from RFC 6455."""

from __future__ import annotations

import pytest
from slow_codec import Event, Fault, decode, events, frame, header, utf8

PEER = {"client": None, "server": b"\x37\xfa\x21\x3d"}

STREAMS: dict[str, tuple[list[tuple[int, bytes]], list[Event]]] = {
    "nothing": ([], []),
    "text": ([(0x81, b"Hello")], [("text", "Hello", True)]),
    "empty binary": ([(0x82, b"")], [("bytes", b"", True)]),
    "fragments": ([(0x01, b"Hel"), (0x00, b""), (0x80, b"lo")], [("text", "Hello", True)]),
    "ping between fragments": (
        [(0x02, b"a"), (0x89, b"?"), (0x80, b"b")],
        [("ping", b"?"), ("bytes", b"ab", True)],
    ),
    "code point in two frames": ([(0x01, b"\xe2"), (0x80, b"\x82\xac")], [("text", "\u20ac", True)]),
    "close": ([(0x88, b"\x03\xe8bye"), (0x81, b"late")], [("close", 1000, "bye")]),
    "empty close": ([(0x88, b"")], [("close", 1005, "")]),
    "close of one byte": ([(0x88, b"\x03")], [("fault", 1002)]),
    "close code 1006": ([(0x88, b"\x03\xee")], [("fault", 1002)]),
    "close reason": ([(0x88, b"\x03\xe8\xe2\x82")], [("fault", 1007)]),
    "nothing to continue": ([(0x8A, b"!"), (0x80, b"")], [("pong", b"!"), ("fault", 1002)]),
    "text within binary": ([(0x02, b""), (0x81, b"")], [("fault", 1002)]),
    "reserved bit": ([(0xC1, b"")], [("fault", 1002)]),
    "opcode 3": ([(0x83, b"")], [("fault", 1002)]),
    "fragmented ping": ([(0x09, b"")], [("fault", 1002)]),
    "ping of 126 bytes": ([(0x89, bytes(126))], [("fault", 1002)]),
    "invalid text": ([(0x81, b"ok"), (0x81, b"\xc0")], [("text", "ok", True), ("fault", 1007)]),
    "text cut short": ([(0x81, b"\xe2\x82")], [("fault", 1007)]),
    "frame of 11 bytes": ([(0x82, bytes(11))], [("fault", 1009)]),
    "message of 21 bytes": ([(0x02, bytes(10)), (0x00, bytes(10)), (0x80, b"x")], [("fault", 1009)]),
    "four fragments": ([(0x02, b""), (0x00, b""), (0x00, b""), (0x00, b"")], [("fault", 1009)]),
}


@pytest.mark.parametrize("role", PEER)
@pytest.mark.parametrize(("frames", "expected"), STREAMS.values(), ids=STREAMS)
def test_events(frames: list[tuple[int, bytes]], expected: list[Event], role: str) -> None:
    data = b"".join(frame(first, payload, PEER[role]) for first, payload in frames)
    assert events(data, role=role, max_frame_size=10, max_message_size=20, max_fragments=3) == expected


def test_events_of_frames() -> None:
    """Text of a frame ends on a code point, and the bytes held back lead the next event."""
    data = frame(0x01, b"a\xe2\x82") + frame(0x00, b"") + frame(0x80, b"\xac") + frame(0x02, b"b") + frame(0x80, b"")
    assert events(data, role="client", delivery="frame") == [
        ("text", "a", False),
        ("text", "", False),
        ("text", "\u20ac", True),
        ("bytes", b"b", False),
        ("bytes", b"", True),
    ]


@pytest.mark.parametrize("role", PEER)
def test_masking_is_the_clients(role: str) -> None:
    """Section 5.1: each end refuses what the other may not send, on the second byte."""
    wrong = frame(0x81, b"", PEER["server" if role == "client" else "client"])
    assert events(wrong[:2], role=role) == [("fault", 1002)]
    assert events(wrong[:1], role=role) == []


@pytest.mark.parametrize("length", [0, 5, 125, 126, 65535, 65536])
@pytest.mark.parametrize("extended", [2, 8])
def test_length_forms(length: int, extended: int) -> None:
    data = header(0x82, length, None, extended) if length < 1 << 8 * extended else header(0x82, length)
    minimal = len(data) == len(header(0x82, length))
    assert decode(data, masked=False)[1] == (None if minimal else Fault("length_not_minimal", len(data)))


def test_an_unfinished_frame_is_told_apart() -> None:
    ((first, payload, whole),), fault = decode(frame(0x81, b"Hello", PEER["server"])[:-1], masked=True)
    assert (first, payload, whole, fault) == (0x81, b"Hell", False, None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (None, 0)),
        (b"a\xe2\x82\xac", (None, 4)),
        (b"a\xe2\x82", (None, 1)),
        (b"\xed\xa0", (1, 0)),
        (b"\xf4\x90", (1, 0)),
        (b"ok\xff", (2, 2)),
    ],
    ids=["empty", "whole", "unfinished", "surrogate", "above U+10FFFF", "FF"],
)
def test_utf8(data: bytes, expected: tuple[int | None, int]) -> None:
    assert utf8(data) == expected
