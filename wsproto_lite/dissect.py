"""Take what went over the wire in one direction apart, frame by frame, to show it.

Knows how a frame is laid out (RFC 6455 section 5.2). Must not know whether it may come, or what a message is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .codec import KEY_SIZE, mask
from .frames import FIELDS, MASKED, StreamReader

PREVIEW = 96
"""Bytes of a payload that are kept to be shown on the demo page."""


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

    @classmethod
    def begin(cls, header: bytes, length: int) -> SeenFrame:
        """Read a frame's header, its payload yet to come."""
        opcode, fin, rsv1, rsv2, rsv3 = FIELDS[header[0]]
        size = len(header) - KEY_SIZE if header[1] & MASKED else len(header)
        return cls(fin, rsv1, rsv2, rsv3, int(opcode), header[:size], header[size:] or None, length, b"")

    def unmasked(self) -> bytes:
        """Return `payload` as it was before masking (section 5.3)."""
        return self.payload if self.mask is None else mask(self.payload, self.mask)


class Piece(NamedTuple):
    """A part of a frame: its first piece begins with the whole header, and is the one that has `begins`."""

    begins: SeenFrame | None
    data: bytes
    payload: bytes
    is_last: bool


class Splitter:
    """Cuts the bytes of one direction where frames begin and end. A frame need not be valid, and is never kept whole.

    Raises RemoteProtocolError for a length that is out of range: nothing that follows can be told apart. `header` has
    the frame's header then, and otherwise what has come of one that isn't complete.
    """

    def __init__(self) -> None:
        self.header = bytearray()
        self._reader = StreamReader("auto")
        self._wanted = 2  # bytes of the header
        self.remaining = 0  # bytes of the payload

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take bytes; give the pieces of frames in them."""
        start = 0
        while start < len(data):
            if self.remaining:
                payload = data[start : start + self.remaining]
                start += len(payload)
                self.remaining -= len(payload)
                yield Piece(None, payload, payload, not self.remaining)
                continue
            missing = self._wanted - len(self.header)
            self.header += data[start : start + missing]
            start += missing
            if len(self.header) < self._wanted or not self._is_header_complete():
                continue
            frame = SeenFrame.begin(bytes(self.header), self._reader.amount)
            payload = data[start : start + frame.length]
            start += len(payload)
            self.remaining = frame.length - len(payload)
            self.header.clear()
            self._wanted = 2
            yield Piece(frame, frame.header + (frame.mask or b"") + payload, payload, not self.remaining)

    def _is_header_complete(self) -> bool:
        if self._wanted > 2:
            self._reader.read_header_continuation(self.header[2:])
            return True
        self._wanted += self._reader.read_header(self.header)
        return self._wanted == 2


class Dissector:
    """Takes bytes in any portions and gives frames as soon as as much of them is there as is to be shown.

    Raises RemoteProtocolError as `Splitter` does.
    """

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._frame: SeenFrame | None = None  # until it is given

    def feed(self, data: bytes) -> Iterator[SeenFrame]:
        """Take bytes; give the frames that they complete."""
        for piece in self._splitter.feed(data):
            frame = piece.begins or self._frame
            if frame is None:
                continue
            room = PREVIEW - len(frame.payload)
            frame = frame._replace(payload=frame.payload + piece.payload[:room])
            is_shown_in_full = len(frame.payload) == min(frame.length, PREVIEW)
            self._frame = None if is_shown_in_full else frame
            if is_shown_in_full:
                yield frame
