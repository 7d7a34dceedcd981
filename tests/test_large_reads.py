"""Reads larger than a chunk: what follows the first frame in them is neither lost nor slow."""

from __future__ import annotations

import time
from typing import Any

import pytest
from helpers import ROLE_IDS, ROLES, connect, feed, frame, header, ping, text
from slow_codec import BINARY, CONTINUATION, FIN, TEXT

from wsproto_lite import SERVER, BytesMessage, CloseConnection, Event, Ping, Role, TextMessage
from wsproto_lite.codec import CHUNK

both_roles = pytest.mark.parametrize("role", ROLES, ids=ROLE_IDS.get)

LARGE = b"large" * CHUNK


@both_roles
@pytest.mark.parametrize("size", [0, 1, 2, 4, 7, 8, 9, 11, 12, 13, 125, 126, CHUNK - 1, CHUNK])
def test_small_message_first(size: int, role: Role) -> None:
    """Wherever the first frame ends, within a header's length above all, decoding goes on behind it."""
    data = frame(role, FIN | BINARY, b"x" * size) + frame(role, FIN | BINARY, LARGE) + text(role, "end")
    assert feed(connect(role), data) == [BytesMessage(b"x" * size), BytesMessage(LARGE), TextMessage("end")]


@both_roles
@pytest.mark.parametrize("before", [b"", b"12", b"123456"])
def test_fault_behind_a_small_message(before: bytes, role: Role) -> None:
    """A fault in a header of which the first bytes were decoded with the message before it."""
    data = frame(role, FIN | BINARY, before) + header(role, FIN | BINARY, 1 << 20) + bytes(2 * CHUNK)
    events = feed(connect(role, max_frame_size=1000), data)
    assert events[0] == BytesMessage(before)
    assert [(type(event), event.code) for event in events[1:]] == [(CloseConnection, 1009)]


STREAMS: dict[str, tuple[Any, list[Event]]] = {
    "fragments of every size": (
        lambda role: b"".join(
            [
                frame(role, TEXT, b"a" * 5),
                frame(role, CONTINUATION, "é".encode()[:1]),
                frame(role, CONTINUATION, "é".encode()[1:] + b"b" * CHUNK),
                ping(role, b"?"),
                frame(role, FIN | CONTINUATION, b"c" * 20_000 + "€".encode()),
                text(role, "x"),
            ]
        ),
        [Ping(b"?"), TextMessage("a" * 5 + "é" + "b" * CHUNK + "c" * 20_000 + "€"), TextMessage("x")],
    ),
    "more frames than records": (
        lambda role: ping(role) * 20_000 + text(role, "x"),
        [*[Ping()] * 20_000, TextMessage("x")],
    ),
    "payload that looks like headers": (
        lambda role: frame(role, FIN | BINARY, b"\x81\x7f" * CHUNK) + text(role, "x") * 3,
        [BytesMessage(b"\x81\x7f" * CHUNK), *[TextMessage("x")] * 3],
    ),
}


@both_roles
@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("size", [1 << 30, 200_000, CHUNK + 1, CHUNK + 13, CHUNK, CHUNK - 1, 1000])
def test_streams(stream: Any, expected: list[Event], size: int, role: Role) -> None:
    data = stream(role)
    assert feed(connect(role), *(data[at : at + size] for at in range(0, len(data), size))) == expected


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_a_large_read_costs_what_its_parts_cost(size: int) -> None:
    """Rule 10: time is linear, whatever the transport's buffer. It was 100 times as slow when headers came alone."""
    data = frame(SERVER, FIN | BINARY, bytes(size)) * (20 * CHUNK // size)

    def cost(step: int) -> float:
        started = time.process_time()
        feed(connect(SERVER), *(data[at : at + step] for at in range(0, len(data), step)))
        return time.process_time() - started

    assert min(cost(1 << 30) for _ in range(3)) < 8 * min(cost(CHUNK) for _ in range(3))
