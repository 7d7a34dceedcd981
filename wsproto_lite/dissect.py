"""Take what went over the wire in one direction apart, frame by frame, to show it.

Knows how a frame is laid out (RFC 6455 section 5.2). Must not know whether it may come, or what a message is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .frames import StreamReader

PREVIEW = 96
"""Bytes of a payload that are kept to be shown."""


class SeenFrame(NamedTuple):
    """A frame as it was on the wire: `header` has all up to the masking key, `payload` begins the masked payload."""

    fin: int
    rsv1: int
    rsv2: int
    rsv3: int
    opcode: int
    header: bytes
    mask: bytes | None
    length: int
    payload: bytes


class Dissector:
    """Takes bytes in any portions and gives frames as soon as as much of them is there as is to be shown.

    What isn't shown is skipped, not kept. A frame need not be valid, but raises RemoteProtocolError if its length is
    out of range: nothing that follows can be told apart.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[SeenFrame]:
        """Take bytes; give the frames that they complete."""
        self._buffer += data
        while True:
            skipped = min(self._skip, len(self._buffer))
            del self._buffer[:skipped]
            self._skip -= skipped
            frame = self._take_frame()
            if frame is None:
                return
            yield frame

    def _take_frame(self) -> SeenFrame | None:
        buffer, reader = bytes(self._buffer[: 14 + PREVIEW]), StreamReader("auto")
        size = 2
        if len(buffer) < size:
            return None
        size += reader.read_header(buffer[:2])
        if len(buffer) < size:
            return None
        if size > 2:
            reader.read_header_continuation(buffer[2:size])
        payload = buffer[size : size + min(reader.amount, PREVIEW)]
        if len(payload) < min(reader.amount, PREVIEW):
            return None
        self._skip = size + reader.amount
        header = buffer[: size - (4 if reader.mask else 0)]
        bits = int(reader.fin), int(reader.rsv1), int(reader.rsv2), int(reader.rsv3)
        return SeenFrame(*bits, int(reader.opcode), header, reader.mask, reader.amount, payload)
