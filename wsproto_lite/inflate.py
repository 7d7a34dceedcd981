"""One compressed message under way: decompression in slices, up to its end or its first fault (RFC 7692 section 7.2.2).

Knows any library with zlib's API, and what a message may refer to. Not what was agreed, nor frames, nor limits.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Callable

from .constants import CloseCode
from .errors import RemoteProtocolError

TAIL = b"\x00\x00\xff\xff"
"""The sender cuts it off each message, the receiver appends it: the second part of an empty stored block (RFC 7692
sections 7.2.1 and 7.2.2)."""

_FINAL = b"\x03\x00"
"""A final block. We append it too, and a decompressor takes it for the end only if it stands between blocks: thus we
know that the message is whole."""

# The tail is appended to whatever came, as section 7.2.2 has it, so it also completes a stored block that lacks exactly
# these four octets. Chromium and websockets take that for a message as well.
END = TAIL + _FINAL

_MAX_BITS = 15

_STEP = 4096
"""Bytes of input tried at once where some may be left over: what is left over is copied each time."""

_SLICE = 1 << 16

_MOST_REPEATED = 1 << 16
"""Bytes of input kept to find out, should there be a fault, what comes before it."""

_SMALLER_STEPS = (256, 1)

_ENDINGS = (b"", _FINAL, END)
"""What may be left over where a message ends with a final block. The last two: we take it without the octet 00 that
section 7.2.3.4 has follow."""

_skip_empty_blocks = re.compile(
    rb"(?:\x03[%b]|[%b]\x00\x00\xff\xff){0,100}"
    % tuple(b"".join(b"\\x%02x" % octet for octet in octets) for octets in (range(0, 256, 4), range(1, 256, 8))),
).match
"""Match final blocks without content, fixed or stored, whatever their padding bits are; so many at once, as a match
keeps 130 bytes for each until it ends. The shortest have two octets, and a decompressor for each would take 2.5 us.
With content they have three or more, and take 0.9 to 1.4 us an octet: 1.5 s for all that a limit of 1 MiB lets in."""


def new_decompressor(backend: Any, window: bytearray | bytes | None) -> Any:
    """Make a decompressor that back-references may reach `window` in."""
    # Always with the largest window: it holds a message's own output, so that no split of it changes what it means.
    if window:
        return backend.decompressobj(-_MAX_BITS, window)
    return backend.decompressobj(-_MAX_BITS)


def remember(window: bytearray | None, size: int, output: bytes) -> bytearray:
    """Return the window with `output` added, less what is more than `size` bytes back."""
    if window is None or len(output) >= size:
        return bytearray(output[-size:])
    window += output
    if len(window) > size:
        del window[:-size]
    return window


class Inflation:
    """A message that does not come, or does not inflate, in one step.

    Any split of it has the same outcome, even in the face of a fault: what comes before that is given first. Libraries
    don't tell, as they keep to themselves what a call made before it failed, and ISA-L works ahead besides.
    """

    __slots__ = (
        "_backend",
        "_backlog",
        "_decompressor",
        "_fault",
        "_given",
        "_input",
        "_is_ending",
        "_origin",
        "_window_size",
        "has_pending",
        "is_done",
        "window",
    )

    def __init__(self, backend: Any, window: bytearray | None, window_size: int) -> None:
        self._backend = backend
        self.window = window
        self._window_size = window_size
        self._backlog = b""
        self._fault = ""
        self._is_ending = False
        self.has_pending = False
        self.is_done = False
        self._begin(new_decompressor(backend, window))

    def _begin(self, decompressor: Any) -> None:
        self._decompressor = decompressor
        # Makes a decompressor that has yet to take `_input`, of which `_given` bytes came. None if there is no way.
        self._origin: Callable[[], Any] | None = partial(new_decompressor, self._backend, bytes(self.window or b""))
        self._input = bytearray()
        self._given = 0

    def adopt(self, decompressor: Any, data: bytes, output: bytes, room: int) -> None:
        """Begin with a decompressor that had room for as much `output` of a whole message, END included."""
        self._begin(decompressor)
        self._is_ending = True
        self.has_pending = len(output) == room and not decompressor.eof
        self._backlog = data[self._note(data, output) :]

    def decode(self, data: bytes, room: int, *, final: bool, before: bytes = b"") -> bytes:
        """Decompress a piece into at most `room` bytes, and return them behind `before`.

        Raises RemoteProtocolError (1007).
        """
        if final and not self._is_ending:
            self._is_ending = True
            data += END
        data = self._backlog + data
        return self._fail(self._fault, [], room, data) if self._fault else self._decode(data, room, [before])

    def _decode(self, data: bytes, room: int, outputs: list[bytes]) -> bytes:
        """Decompress through any number of final blocks, as far as there is room, and keep what is left over."""
        end = len(data) - len(END) if self._is_ending else len(data)
        position = 0
        while room and (self.has_pending or position < len(data)):
            if self._decompressor.eof:
                # RFC 7692 section 7.2.3.4: a block may be final, and more may follow.
                position = _find_content(data, position, end)
                if position >= end:
                    break
                self._begin(new_decompressor(self._backend, self.window))
            chunk = data[position : position + _STEP]
            try:
                output: bytes = self._decompressor.decompress(chunk, room)
            except self._backend.error:
                return self._fail("compressed message is corrupt", outputs, room, self._before_fault(chunk))
            outputs.append(output)
            room -= len(output)
            # A full output may leave more in the decompressor, which only shows when it is called again.
            self.has_pending = not room and not self._decompressor.eof
            position += self._note(chunk, output)
            if position < 0:
                # At its end, ISA-L also gives back some bytes of earlier pieces.
                data = self._decompressor.unused_data[:-position] + data
                end -= position
                position = 0
        self._backlog = data[position:]
        if self._is_ending and self._decompressor.eof and self._backlog in _ENDINGS:
            self.has_pending = False
            self.is_done = True
        elif self._is_ending and room:
            return self._fail("compressed message ends within a block", outputs, room)
        elif self._backlog:
            self.has_pending = True
        return b"".join(outputs)

    def _note(self, chunk: bytes, output: bytes) -> int:
        """Take account of a step; return how much of `chunk` it took."""
        self.window = remember(self.window, self._window_size, output)
        decompressor = self._decompressor
        # At the end of the stream zlib may leave the same in both.
        taken = len(chunk) - len(decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail)
        if self._origin is not None:
            self._input += chunk if taken == len(chunk) else chunk[: max(taken, 0)]
            self._given += len(output)
            if len(self._input) > _MOST_REPEATED and not decompressor.eof:
                # ISA-L's can't be copied: there, what comes before a fault this far on gets lost with it.
                self._origin = decompressor.copy().copy if hasattr(decompressor, "copy") else None
                self._input.clear()
                self._given = 0
        return taken

    def _fail(self, fault: str, outputs: list[bytes], room: int, more: bytes = b"") -> bytes:
        """Give what came before the fault, as far as there is room; when there is nothing, raise it."""
        output = b"".join(outputs) + more[:room]
        if not output:
            raise RemoteProtocolError(fault, CloseCode.INVALID_FRAME_PAYLOAD_DATA)
        self._fault = fault
        self._backlog = more[room:]
        self.has_pending = True
        return output

    def _before_fault(self, chunk: bytes) -> bytes:
        """Repeat in ever smaller steps what ended in `chunk`; return what comes of it and isn't given yet."""
        if self._origin is None:
            return b""
        data = bytes(self._input) + chunk
        good = 0
        for step in _SMALLER_STEPS:
            good = self._try(self._origin(), data, good, step)
        decompressor = self._origin()
        output = bytearray()
        size = 0
        with suppress(self._backend.error):
            for part in chain(_drain(decompressor, data[:good]), _drain(decompressor, data[good : good + 1], 1)):
                size += len(part)
                if size > self._given:
                    output += part[self._given - size :]
        return bytes(output)

    def _try(self, decompressor: Any, data: bytes, good: int, step: int) -> int:
        """Return how much of `data` can be decompressed in such steps, where the first `good` bytes can."""
        with suppress(self._backend.error):
            deque(_drain(decompressor, data[:good]), maxlen=0)
            while good < len(data):
                deque(_drain(decompressor, data[good : good + step]), maxlen=0)
                good += step
        return good


def _drain(decompressor: Any, data: bytes, most: int = _SLICE) -> Iterator[bytes]:
    """Give all that comes of `data`, in slices."""
    while True:
        output = decompressor.decompress(data, most)
        yield output
        if len(output) < most:
            return
        data = decompressor.unconsumed_tail


def _find_content(data: bytes, start: int, end: int) -> int:
    """Return where in data[start:end] a block begins that has content or isn't final; `end` if there is none."""
    end = max(start, end)
    while True:
        skipped = _skip_empty_blocks(data, start, end)
        assert skipped is not None  # it matches nothing too
        if skipped.end() == start:
            return start
        start = skipped.end()
