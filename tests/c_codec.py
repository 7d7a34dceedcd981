"""The C file as tests call it: through ffi and lib alone, with buffers that end at pages that can't be touched."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable
from typing import Any

import slow_codec
from slow_codec import Frame

from wsproto_lite._codec import ffi, lib

KEY = bytes.fromhex("37fa213d")
NO_LIMIT = (1 << 64) - 1
FAULTS = {
    lib.WSL_RESERVED_BITS: "reserved_bits",
    lib.WSL_UNKNOWN_OPCODE: "unknown_opcode",
    lib.WSL_CONTROL_FRAGMENTED: "control_fragmented",
    lib.WSL_NOT_MASKED: "not_masked",
    lib.WSL_MASKED: "masked",
    lib.WSL_CONTROL_TOO_LONG: "control_too_long",
    lib.WSL_LENGTH_NOT_MINIMAL: "length_not_minimal",
    lib.WSL_LENGTH_TOP_BIT: "length_top_bit",
    lib.WSL_FRAME_TOO_BIG: "frame_too_big",
    lib.WSL_MESSAGE_TOO_BIG: "message_too_big",
    lib.WSL_TOO_MANY_FRAGMENTS: "too_many_fragments",
    lib.WSL_INVALID_UTF8: "invalid_utf8",
}

HAS_GUARD_PAGES = hasattr(mmap, "PROT_READ")


class Area:
    """Memory between two pages that can't be touched; plain memory where there is no POSIX mmap."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self.size = -(-size // page) * page
        if HAS_GUARD_PAGES:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
            libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            start = libc.mmap(None, self.size + 2 * page, 0, flags, -1, 0)
            assert start != ctypes.c_void_p(-1).value
            assert libc.mprotect(start + page, self.size, mmap.PROT_READ | mmap.PROT_WRITE) == 0
            self.start = start + page
        else:
            self.memory = ctypes.create_string_buffer(self.size)
            self.start = ctypes.addressof(self.memory)

    def at_end(self, size: int) -> Any:
        """Give a pointer to the last `size` bytes."""
        return self._pointer(self.start + self.size - size, size)

    def at_start(self, size: int) -> Any:
        """Give a pointer to the first `size` bytes."""
        return self._pointer(self.start, size)

    def holding(self, data: bytes) -> Any:
        """Give a pointer to `data` at the end of the area."""
        pointer = self.at_end(len(data))
        ffi.memmove(pointer, data, len(data))
        return pointer

    def _pointer(self, address: int, size: int) -> Any:
        assert size <= self.size
        ctypes.memset(address, 0, size)
        return ffi.cast("uint8_t *", address)


INPUT, OUTPUT = Area(1 << 17), Area(1 << 17)


def rules(
    *,
    masked: bool,
    reserved_bits: int = 0,
    max_frame_size: int | None = None,
    max_message_size: int | None = None,
    max_encoded_size: int | None = None,
    max_fragments: int | None = None,
    coalesce: bool = False,
    report_whole_text: bool = True,
) -> Any:
    limits = (max_frame_size, max_message_size, max_encoded_size, max_fragments)
    return ffi.new(
        "wsl_rules *",
        [
            *(NO_LIMIT if limit is None else limit for limit in limits),
            reserved_bits,
            masked,
            coalesce,
            report_whole_text,
        ],
    )


class Decoded:
    """What wsl_decode made of some chunks: whole frames and pieces of the last, joined; the fault and where it was.

    With `directly` wsl_decode_payload takes what it may, with `in_place` to where it came from.
    """

    def __init__(
        self, chunks: Iterable[bytes], *, directly: bool = False, in_place: bool = False, **asked: Any
    ) -> None:
        self._in_place = in_place
        self.rules = rules(**asked)
        self.decoder = ffi.new("wsl_decoder *", {"rules": self.rules})
        self.frames: list[Frame] = []
        self.returned: list[int] = []
        self.fault: str | None = None
        self.bytes_fed = 0
        for chunk in chunks:
            start = 0
            while not self.fault and (start < len(chunk) or not chunk):
                feed = self._feed_payload if directly and lib.wsl_remaining(self.decoder) else self._feed
                start += feed(chunk[start:])
                if not chunk:
                    break

    def _feed(self, chunk: bytes) -> int:
        """Decode one chunk in one call; return the bytes consumed."""
        scratch = ffi.cast("wsl_scratch *", OUTPUT.at_end(ffi.sizeof("wsl_scratch")))
        result = lib.wsl_decode(self.decoder, INPUT.holding(chunk), len(chunk), scratch)
        # It was zeroed: what these bytes had no need of is as it was.
        assert not any(ffi.buffer(scratch.payload)[len(chunk) : len(chunk) + 32])
        base = next(base for base in (lib.WSL_STOPPED, lib.WSL_RUN, lib.WSL_RECORDS) if result <= base or result >= 0)
        count = 1 if result >= 0 else base - result
        assert count <= min(len(chunk), lib.WSL_MAX_RECORDS)
        heads, ends = list(scratch.heads[0:count]), list(scratch.ends[0:count])
        if count < lib.WSL_MAX_RECORDS:
            assert (scratch.heads[count], scratch.ends[count]) == (0, 0)
        self._join(ffi.buffer(scratch.payload)[: len(chunk)], list(zip(heads, ends)))
        self.returned.append(result)
        self.bytes_fed += self.decoder.consumed
        self.fault = FAULTS.get(self.decoder.status)
        if result < 0:
            stopped = self.decoder.consumed < len(chunk) or self.decoder.status != lib.WSL_DONE
            is_run = count >= 8 and set(heads[1:-1]) == {heads[1]}
            assert base == (lib.WSL_STOPPED if stopped else lib.WSL_RUN if is_run else lib.WSL_RECORDS)
        if self.decoder.status == lib.WSL_RECORDS_FULL:
            assert count == lib.WSL_MAX_RECORDS
        elif not self.fault:
            assert (self.decoder.status, self.decoder.consumed) == (lib.WSL_DONE, min(len(chunk), lib.WSL_CHUNK))
        return int(self.decoder.consumed)

    def _feed_payload(self, chunk: bytes) -> int:
        """Decode payload of the frame under way; return the bytes consumed."""
        remaining = lib.wsl_remaining(self.decoder)
        size = min(remaining, len(chunk))
        if not size:
            return 0
        source = INPUT.holding(chunk)
        payload = source if self._in_place else OUTPUT.at_end(size)
        status = lib.wsl_decode_payload(self.decoder, source, size, payload)
        assert status == self.decoder.status
        self.returned.append(status)
        self.fault = FAULTS.get(status)
        if not self.fault:
            assert lib.wsl_remaining(self.decoder) == remaining - size
            last = self.frames[-1]
            joined = last.payload + bytes(ffi.buffer(payload, size))
            self.frames[-1] = Frame(last.first, joined, size == remaining)
            self.bytes_fed += size
        return int(size)

    def _join(self, payload: bytes, records: list[tuple[int, int]]) -> None:
        start = 0
        for flags, end in records:
            assert start <= end <= len(payload)
            whole = bool(flags & lib.WSL_END)
            if flags & lib.WSL_BEGIN:
                assert not self.frames or self.frames[-1].whole
                self.frames.append(Frame(flags & 0xFF, payload[start:end], whole))
            else:
                last = self.frames[-1]
                assert not last.whole
                # Joined to what began in an earlier chunk is a continuation: it may bring the FIN.
                assert flags & 0xFF == last.first or (self.rules.coalesce and flags & 0xF in (0, last.first & 0xF))
                self.frames[-1] = Frame(last.first | flags & 0x80, last.payload + payload[start:end], whole)
            start = end

    @property
    def good(self) -> list[Frame]:
        """Give the frames less the one at fault."""
        return self.frames[:-1] if self.fault and self.frames and not self.frames[-1].whole else self.frames


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def assert_like_slow(data: bytes, chunks: list[bytes], **asked: Any) -> None:
    frames, fault = slow_codec.decode(data, **asked)
    for directly in (False, True):
        decoded = Decoded(chunks, directly=directly, **asked)
        assert (frames, fault and fault.name) == (decoded.good, decoded.fault)
        if fault and chunks == byte_by_byte(data):
            assert fault.at == len(decoded.returned)
