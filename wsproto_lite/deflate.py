"""The payloads of permessage-deflate: one connection's compression and decompression (RFC 7692 section 7.2).

Knows what was agreed, and any library with zlib's API. Not how it was agreed, nor frames, nor limits.
"""

from __future__ import annotations

import struct
import zlib
from types import ModuleType
from typing import Any

from .errors import LocalProtocolError, RemoteProtocolError
from .inflate import END, TAIL, Inflation, new_decompressor, remember

_EMPTY = b"\x00"
"""The first part of an empty stored block: all there is to an empty message (section 7.2.3.6)."""

_DEFLATED = zlib.DEFLATED
_SYNC_FLUSH = zlib.Z_SYNC_FLUSH

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
        "_agreed_bits",
        "_backend",
        "_compress_bits",
        "_compressor",
        "_inflation",
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
        self._agreed_bits = compress_bits
        self._compress_bits = _real_bits(backend, level, compress_bits, mem_level)
        self._threshold = threshold
        self._keeps_compressor = compress_takeover
        self._keeps_window = decompress_takeover
        self._window_size = 1 << decompress_bits
        self._compressor: Any = None
        self._inflation: Inflation | None = None
        self._window: bytearray | None = None
        self.has_pending = False

    def __repr__(self) -> str:
        """Tell what was agreed on."""
        return (
            f"<DeflateCodec {self._backend.__name__}, "
            f"compress_bits={self._agreed_bits}, compress_takeover={self._keeps_compressor}, "
            f"decompress_bits={self._window_size.bit_length() - 1}, decompress_takeover={self._keeps_window}>"
        )

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        """Decompress a piece of a message into at most `max_length` (>= 1) bytes (RFC 7692 section 7.2.2).

        With `has_pending` there may be more, for calls with b"". Raises RemoteProtocolError (1007) for data that is not
        deflate, refers to what isn't there, or ends within a block; the codec is of no more use then.
        """
        if max_length < 1:
            raise LocalProtocolError(f"max_length is {max_length}; it must be at least 1: to zlib, 0 means no limit")
        if self._inflation is None and not data:
            # The message begins with the first octet, and may have none: section 7.2.3.6 has one for an empty message,
            # but zlib gives some senders none for the second in a row. We take it, in any number of fragments.
            return b""
        if self._inflation is not None or not final:
            return self._inflate(data, max_length, final=final)
        # A whole message in one step, the common case.
        whole = data + END
        try:
            decompressor = new_decompressor(self._backend, self._window)
            output: bytes = decompressor.decompress(whole, max_length)
        except self._backend.error:
            return self._inflate(data, max_length, final=True)
        if decompressor.eof and not decompressor.unused_data:
            if self._keeps_window:
                self._window = remember(self._window, self._window_size, output)
            return output
        inflation = self._inflation = Inflation(self._backend, self._window, self._window_size)
        inflation.adopt(decompressor, whole, output, max_length)
        return self._inflate(b"", max_length - len(output), final=True, before=output)

    def _inflate(self, data: bytes, room: int, *, final: bool, before: bytes = b"") -> bytes:
        inflation = self._inflation
        if inflation is None:
            inflation = self._inflation = Inflation(self._backend, self._window, self._window_size)
        try:
            output = inflation.decode(data, room, final=final, before=before)
        except RemoteProtocolError:
            self._inflation = self._window = None
            self.has_pending = False
            raise
        self.has_pending = inflation.has_pending
        if inflation.is_done:
            self._inflation = None
            self._window = inflation.window if self._keeps_window else None
        return output

    def wants(self, size: int | None) -> bool:
        """Tell whether to compress a message of `size` bytes; None for a fragmented one, of unknown size."""
        return self._compress_bits != 0 and (size is None or size >= self._threshold)

    def encode(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        """Compress a piece of a message, so that the peer can decompress all of it (RFC 7692 section 7.2.1).

        The result is longer than `data` by at most 1 byte, and 5 for each 65,535 begun. A peer like
        ourselves allows for it, in every fragment.
        """
        if not data:
            payload = _EMPTY if final else b""
        elif not self._compress_bits:
            payload = _store(data, final=final)
        else:
            try:
                compressor = self._compressor
                if compressor is None:
                    compressor = self._compressor = self._new_compressor()
                payload = compressor.compress(data) + compressor.flush(_SYNC_FLUSH)
            except BaseException as error:
                # It may have swallowed some of the data. A new one refers to nothing before it, so the peer can go on.
                self._compressor = None
                if isinstance(error, self._backend.error):
                    raise LocalProtocolError(f"compression failed: {error}") from error
                raise
            if final:
                payload = payload[: -len(TAIL)]
            if len(payload) > len(data):
                # To the peer's window it makes no difference, and pieces end on an octet boundary.
                payload = min(payload, _store(data, final=final), key=len)
        if final and not self._keeps_compressor:
            self._compressor = None
        return payload

    def _new_compressor(self) -> Any:
        return self._backend.compressobj(self._level, _DEFLATED, -self._compress_bits, self._mem_level)


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
