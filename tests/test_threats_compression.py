"""Attacks on permessage-deflate that need a hand-made stream: final blocks, bombs of all shapes, the tail."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from deflate_backends import BACKENDS, TAIL, deflate, noise, payload
from helpers import RSV1, both_roles, byte_by_byte, feed, frame, handshake, only_code
from slow_codec import BINARY, CONTINUATION, FIN

from wsproto_lite import CLIENT, BytesMessage, Connection, PerMessageDeflate, Role, Settings

NO_TAKEOVER = {"server_no_context_takeover": True, "client_no_context_takeover": True}

each_takeover = pytest.mark.parametrize("config", [{}, NO_TAKEOVER], ids=["takeover", "no takeover"])


def opened(role: Role, config: dict[str, Any], **limits: Any) -> Connection:
    """Give a connection with permessage-deflate, windows of full size and some limits."""
    full = {"server_max_window_bits": 15, "client_max_window_bits": 15}
    settings = Settings(extensions=(PerMessageDeflate(**config, **full),), **limits)
    client, server = handshake(settings, settings)
    return client if role is CLIENT else server


def fragments(role: Role, *pieces: bytes) -> list[bytes]:
    """Give a compressed message in a frame a piece."""
    firsts = [RSV1 | BINARY] + [CONTINUATION] * (len(pieces) - 1)
    firsts[-1] |= FIN
    return [frame(role, first, piece) for first, piece in zip(firsts, pieces)]


class TestFinalBlock:
    """websockets gave b"" for the message after it; here all goes on as RFC 7692 section 7.2.3.4 says."""

    @both_roles
    @each_takeover
    @pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
    def test_in_each_fragment(self, role: Role, config: dict[str, Any], place: int) -> None:
        connection = opened(role, config)
        words = [noise(50, number) for number in range(3)]
        pieces = [deflate(word, final=number == place) for number, word in enumerate(words)]
        pieces[2] = pieces[2] + b"\x00" if place == 2 else pieces[2][: -len(TAIL)]
        for _ in range(2):
            assert feed(connection, *fragments(role, *pieces)) == [BytesMessage(b"".join(words))]
        assert feed(connection, *fragments(role, payload(b"Hello"))) == [BytesMessage(b"Hello")]


class TestEmptyMessage:
    """However many fragments without payload a message has, and however they are read, it is empty."""

    @both_roles
    @each_takeover
    @pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
    @pytest.mark.parametrize("count", [1, 2, 3])
    @pytest.mark.parametrize("delivery", ["message", "frame", "piece"])
    def test_no_payload_at_all(
        self, role: Role, config: dict[str, Any], backend: ModuleType, count: int, delivery: str
    ) -> None:
        frames = fragments(role, *[b""] * count)
        for chunks in (frames, [b"".join(frames)], byte_by_byte(b"".join(frames))):
            connection = opened(role, {**config, "backend": backend}, delivery=delivery)
            for _ in range(2):
                events = feed(connection, *chunks)
                finished = [True] if delivery == "message" else [False] * (count - 1) + [True]
                assert events == [BytesMessage(b"", True, is_last) for is_last in finished]
            assert feed(connection, *fragments(role, payload(b"Hello"))) == [BytesMessage(b"Hello")]


LIMIT = 10_000

BOMBS = {
    "one block": lambda size: [payload(bytes(size))],
    "final blocks": lambda size: [deflate(bytes(size // 2), final=True) + deflate(bytes(size - size // 2), final=True)],
    "stored": lambda size: [payload(noise(size), level=0)],
    "fragments": lambda size: [deflate(bytes(size - 1)), payload(b"\x00")],
}


class TestBombs:
    """Exactly the limit passes; one and two bytes more give 1009, and nothing is delivered cut short."""

    @both_roles
    @each_takeover
    @pytest.mark.parametrize("shape", BOMBS)
    @pytest.mark.parametrize("excess", [0, 1, 2])
    def test_limit(self, role: Role, config: dict[str, Any], shape: str, excess: int) -> None:
        connection = opened(role, config, max_message_size=LIMIT)
        events = feed(connection, *fragments(role, *BOMBS[shape](LIMIT + excess)))
        if excess:
            assert only_code(events) == 1009
        else:
            (event,) = events
            assert isinstance(event, BytesMessage)
            assert len(event.data) == LIMIT

    @both_roles
    @each_takeover
    @pytest.mark.parametrize("excess", [0, 1, 2])
    def test_in_the_tail(self, role: Role, config: dict[str, Any], excess: int) -> None:
        """What the last fragment adds comes out with the tail: a run that was cut within its last code."""
        whole = payload(bytes(LIMIT + excess))
        connection = opened(role, config, max_message_size=LIMIT)
        events = feed(connection, *fragments(role, whole[:-3], b"", whole[-3:-1], whole[-1:]))
        if excess:
            assert only_code(events) == 1009
        else:
            assert events == [BytesMessage(bytes(LIMIT))]
