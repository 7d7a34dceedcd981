"""The payloads of permessage-deflate: one connection's compression and decompression (RFC 7692 section 7.2).

Knows what was agreed, and any library with zlib's API. Not how it was agreed, nor frames, nor limits.
"""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

from .constants import CloseCode
from .errors import LocalProtocolError, RemoteProtocolError

_TAIL = b"\x00\x00\xff\xff"
"""The sender cuts it off each message, the receiver appends it: the second part of an empty stored block (RFC 7692
sections 7.2.1 and 7.2.2)."""

_FINAL = b"\x03\x00"
"""A final block. We append it too, and a decompressor takes it for the end only if it stands between blocks: thus we
know that the message is whole."""

_END = _TAIL + _FINAL

_EMPTY = b"\x00"
"""The first part of an empty stored block: all there is to an empty message (section 7.2.3.6)."""

_DEFLATED = 8
_MAX_BITS = 15

_STEP = 4096
"""Bytes of input tried at once where some may be left over: what is left over is copied each time."""

_stored_block = struct.Struct("<BHH").pack
_STORED_LIMIT = 0xFFFF

_REPEATS = (bytes(range(256)) + b"\x80") * 2
"""Has each of its strings twice, 257 bytes apart, and no other repetition."""


class DeflateCodec:
    """Codec of one connection. Has nothing of the deflate library until its first use.

    Between messages only a compressor is kept, if it may take its context over. To decompress, each message gets a
    decompressor of its own, primed with the last window of output if the peer may take its context over. Used again, it
    would hold what it was used for, and let back-references reach that. It would also make the outcome depend on the
    split of the input, since zlib lets a reference beyond the agreed window pass within the output of one call.
    Measured at 0.1 us for a new one, and 0.06 (12 bits) to 0.3 us (15) to prime it, of 3 us for a message of 1 KiB.
    """

    __slots__ = (
        "_backend",
        "_backlog",
        "_compress_bits",
        "_compressor",
        "_decompressor",
        "_is_ending",
        "_keeps_compressor",
        "_keeps_window",
        "_level",
        "_mem_level",
        "_threshold",
        "_window",
        "_window_size",
        "has_pending",
    )

    rsv = 0x40
    """RSV1 (RFC 7692 section 6)."""

    def __init__(
        self,
        backend: ModuleType,
        *,
        level: int,
        mem_level: int,
        threshold: int,
        compress_bits: int,
        compress_takeover: bool,
        decompress_bits: int,
        decompress_takeover: bool,
    ) -> None:
        self._backend: Any = backend
        self._level = level
        self._mem_level = mem_level
        self._compress_bits = _real_bits(backend, level, compress_bits, mem_level)
        self._threshold = threshold
        self._keeps_compressor = compress_takeover
        self._keeps_window = decompress_takeover
        self._window_size = 1 << decompress_bits
        self._compressor: Any = None
        self._decompressor: Any = None
        self._window: bytearray | None = None
        self._backlog = b""
        self._is_ending = False
        self.has_pending = False

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        """Decompress a piece of a message into at most `max_length` (>= 1) bytes (RFC 7692 section 7.2.2).

        With `has_pending` there may be more, for calls with b"". Raises RemoteProtocolError (1007) for data that is not
        deflate, refers to what isn't there, or ends within a block; the codec is of no more use then.
        """
        if max_length < 1:
            raise LocalProtocolError(f"max_length is {max_length}; it must be at least 1: to zlib, 0 means no limit")
        if not data and self._decompressor is None:
            # Section 7.2.3.6 has one octet here, but zlib gives some senders none for the second in a row. We take it.
            return b""
        if final and not self._is_ending:
            data += _END
        try:
            if self._decompressor is not None:
                return self._go_on(self._backlog + data, max_length, final=final)
            decompressor = self._new_decompressor()
            output: bytes = decompressor.decompress(data, max_length)
            if final and decompressor.eof and not decompressor.unused_data:
                if self._keeps_window:
                    self._remember(output)
                return output
            self._decompressor = decompressor
            self._remember(output)
            self.has_pending = len(output) == max_length and not decompressor.eof
            return output + self._go_on(_left(decompressor), max_length - len(output), final=final)
        except self._backend.error as error:
            raise self._fail(f"compressed message is corrupt: {error}") from error

    def _go_on(self, data: bytes, room: int, *, final: bool) -> bytes:
        """Decompress through any number of final blocks, as far as there is room, and keep what is left over."""
        self._is_ending = is_ending = self._is_ending or final
        decompressor = self._decompressor
        outputs = []
        position = 0
        while room and (self.has_pending or position < len(data)):
            if decompressor.eof:
                if is_ending and len(data) - position <= len(_END):
                    break
                # RFC 7692 section 7.2.3.4: a block may be final, and more may follow.
                decompressor = self._decompressor = self._new_decompressor()
            chunk = data[position : position + _STEP]
            output = decompressor.decompress(chunk, room)
            self._remember(output)
            outputs.append(output)
            room -= len(output)
            # A full output may leave more in the decompressor, which only shows when it is called again.
            self.has_pending = not room and not decompressor.eof
            left = _left(decompressor)
            position += len(chunk) - len(left)
            if position < 0:
                # At its end, ISA-L also gives back some bytes of earlier pieces.
                data = left[:-position] + data
                position = 0
        self._backlog = data[position:]
        if is_ending and decompressor.eof and self._backlog in (b"", _FINAL, _END):
            # The last two: it ended with a final block. We take it without the octet that section 7.2.3.4 has follow.
            self._end_message()
        elif is_ending and room:
            raise self._fail("compressed message ends within a block")
        elif self._backlog:
            self.has_pending = True
        return b"".join(outputs)

    def _new_decompressor(self) -> Any:
        # Always with the largest window: it holds a message's own output, so that no split of it changes what it means.
        if self._window:
            return self._backend.decompressobj(-_MAX_BITS, self._window)
        return self._backend.decompressobj(-_MAX_BITS)

    def _remember(self, output: bytes) -> None:
        """Keep the end of the output, for whatever follows a final block or this message."""
        if self._window is None:
            self._window = bytearray()
        self._window += output[-self._window_size :]
        if len(self._window) > self._window_size:
            del self._window[: -self._window_size]

    def _end_message(self) -> None:
        self._decompressor = None
        self._backlog = b""
        self._is_ending = self.has_pending = False
        if not self._keeps_window:
            self._window = None

    def _fail(self, text: str) -> RemoteProtocolError:
        self._decompressor = self._window = None
        self._backlog = b""
        self._is_ending = self.has_pending = False
        return RemoteProtocolError(text, CloseCode.INVALID_FRAME_PAYLOAD_DATA)

    def wants(self, size: int | None) -> bool:
        """Tell whether to compress a message of `size` bytes; None for a fragmented one, of unknown size."""
        return self._compress_bits != 0 and (size is None or size >= self._threshold)

    def encode(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        """Compress a piece of a message, so that the peer can decompress all of it (RFC 7692 section 7.2.1).

        The result is never longer than `data` by more than 1 byte and 5 in 65,535.
        """
        if not data:
            payload = _EMPTY if final else b""
        elif not self._compress_bits:
            payload = _store(data, final=final)
        else:
            payload = self._compress(data, final=final)
            if len(payload) > len(data):
                # To the peer's window it makes no difference, and pieces end on an octet boundary.
                payload = min(payload, _store(data, final=final), key=len)
        if final and not self._keeps_compressor:
            self._compressor = None
        return payload

    def _compress(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        compressor = self._compressor
        try:
            if compressor is None:
                compressor = self._compressor = self._new_compressor()
            head: bytes = compressor.compress(data)
            tail: bytes = compressor.flush(self._backend.Z_SYNC_FLUSH)
        except BaseException as error:
            # It may have swallowed some of the data. A new one refers to nothing before it, so the peer can go on.
            self._compressor = None
            if isinstance(error, self._backend.error):
                raise LocalProtocolError(f"compression failed: {error}") from error
            raise
        return head + (tail[: -len(_TAIL)] if final else tail)

    def _new_compressor(self) -> Any:
        return self._backend.compressobj(self._level, _DEFLATED, -self._compress_bits, self._mem_level)


def _left(decompressor: Any) -> bytes:
    # At the end of the stream zlib may leave the same in both.
    left: bytes = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
    return left


def _real_bits(backend: Any, level: int, bits: int, mem_level: int) -> int:
    """Give the window bits to ask the library for; 0 if it can't keep to the window that was agreed.

    Deflate libraries make no raw deflate with a window of 8 bits. With 9 bits zlib and zlib-ng reach back 250 bytes at
    most (their window less their lookahead of 262), but ISA-L 512: we look.
    """
    if bits > 8:
        return bits
    compressor = backend.compressobj(level, _DEFLATED, -9, mem_level)
    size = len(compressor.compress(_REPEATS) + compressor.flush())
    return 0 if size < len(_REPEATS) else 9


def _store(data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
    """Make stored blocks (RFC 1951 section 3.2.4)."""
    parts: list[bytes | bytearray | memoryview] = []
    for start in range(0, len(data), _STORED_LIMIT):
        block = data[start : start + _STORED_LIMIT]
        parts += [_stored_block(0, len(block), len(block) ^ 0xFFFF), block]
    if final:
        parts.append(_EMPTY)
    return b"".join(parts)
