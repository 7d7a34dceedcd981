"""Frames, masking and UTF-8 at the level of bytes: the only module that touches ffi.

Knows buffers, limits and the faults that bytes alone can show; not events, nor who may send what when.
"""

from __future__ import annotations

import io
import os
import struct
import weakref
from functools import lru_cache
from typing import Any, Callable, Union

from ._codec import ffi, lib
from .constants import MAX_CONTROL_PAYLOAD, CloseCode
from .errors import LocalProtocolError, RemoteProtocolError

Buffer = Union[bytes, bytearray, memoryview]

FIN = 0x80
CONTROL = 0x08
RESERVED_BITS = 0x70

# What a record's first number holds besides the frame's first byte: see csrc/codec.h.
BEGIN: int = lib.WSL_BEGIN
END: int = lib.WSL_END

CHUNK: int = lib.WSL_CHUNK
"""Bytes that are worked on at a time: few enough to stay in a processor's cache."""

MAX_HEADER = 14
"""Bytes in the longest frame header: 2, 8 of extended length, 4 of masking key (RFC 6455 section 5.2)."""

_NO_LIMIT = 2**64 - 1
_WHOLE_BINARY: int = lib.WSL_WHOLE_BINARY
_wsl_decode = lib.wsl_decode
_wsl_encode = lib.wsl_encode
_wsl_mask = lib.wsl_mask
_SHORT_LENGTHS = 126
_header_16 = struct.Struct("!BBH").pack
_header_64 = struct.Struct("!BBQ").pack

# C writes all that is handed out of these buffers: clearing them first would only cost time.
_allocate = ffi.new_allocator(should_clear_after_alloc=False)


_Scratch = tuple[Any, Any, memoryview, Any, Any]


def _new_scratch() -> _Scratch:
    """Make what one call into C writes to: decoded payload, its bytes, records; an encoded frame, its bytes.

    cffi drops the GIL during a call, so a scratch belongs to one call at a time. A tuple is unpacked in 8 ns, an
    object's attributes are read in 25; a slice of a cffi buffer is bytes, made in 31 ns where ffi.unpack takes 53.
    """
    scratch = _allocate("wsl_scratch *")
    output = _allocate("uint8_t[]", CHUNK + MAX_HEADER)
    payload = ffi.buffer(ffi.addressof(scratch, "payload"))
    records = memoryview(ffi.buffer(ffi.addressof(scratch, "records"))).cast("I")
    return scratch, payload, records, output, ffi.buffer(output)


# A free list: taking and giving back are one atomic step each. Its length is the most calls there ever were at once.
_free: list[_Scratch] = []


def _take_scratch() -> _Scratch:
    try:
        return _free.pop()
    except IndexError:
        return _new_scratch()


# ---- decoding ----


@lru_cache(maxsize=64)
def _make_rules(
    max_frame_size: int | None,
    max_message_size: int | None,
    max_fragments: int | None,
    reserved_bits: int,
    masked: bool,
    coalesce: bool,
    report_whole_text: bool,
) -> Any:
    rules = ffi.new("wsl_rules *")
    rules.max_frame_size = _limit(max_frame_size)
    rules.max_message_size = _limit(max_message_size)
    rules.max_encoded_size = _limit(max_encoded_size(rules.max_message_size))
    rules.max_fragments = _limit(max_fragments)
    rules.reserved_bits = reserved_bits
    rules.masked = masked
    rules.coalesce = coalesce
    rules.report_whole_text = report_whole_text
    return rules


def _limit(limit: int | None) -> int:
    return _NO_LIMIT if limit is None else min(limit, _NO_LIMIT)


def max_encoded_size(max_message_size: int) -> int:
    """Return the bytes that a compressed message may have on the wire: what doesn't compress grows a little."""
    return max_message_size + max_message_size // 8 + 1024


class Decoder:
    """Decode one direction of one connection, chunk by chunk, up to the first fault.

    `masked`: frames must be masked, as a client's (RFC 6455 section 5.1); else they must not be.
    `coalesce`: fragments that follow each other directly in a chunk come as one piece.
    `text_as_str`: give a whole text message as str.

    After a call of `decode` that returned None, `records` is a flat list, (frame's first byte | BEGIN | END, end of the
    piece in `payload`) for each piece.
    """

    __slots__ = ("_cdata", "_rules", "payload", "records")

    def __init__(
        self,
        *,
        masked: bool,
        max_frame_size: int | None,
        max_message_size: int | None,
        max_fragments: int | None,
        reserved_bits: int = 0,
        coalesce: bool = False,
        text_as_str: bool = True,
    ) -> None:
        # The struct points to the rules but does not keep them alive; the attribute does.
        self._rules = _make_rules(
            max_frame_size, max_message_size, max_fragments, reserved_bits, masked, coalesce, text_as_str
        )
        self._cdata = ffi.new("wsl_decoder *")
        self._cdata.rules = self._rules
        self.records: list[int] = []
        self.payload = b""

    def decode(self, data: bytes, size: int) -> str | bytes | None:
        """Decode up to CHUNK of the `size` bytes of `data`; return a message if that is exactly what they are.

        Only a whole plain message between messages is returned, text as str and binary as bytes. For all else None:
        then see `records` and `payload`, `consumed` and `fault`.
        """
        # _take_scratch in place: 40 of 560 ns.
        try:
            scratch = _free.pop()
        except IndexError:
            scratch = _new_scratch()
        target, payload, records, _, _ = scratch
        result = _wsl_decode(self._cdata, data, size, target)
        whole: str | bytes | None
        if result < 0:
            whole = None
            self.records = records[: 2 * (-1 - result)].tolist()
            self.payload = payload[: self.records[-1]] if self.records else b""
        elif result < _WHOLE_BINARY:
            whole = payload[:result].decode()
        else:
            whole = payload[: result - _WHOLE_BINARY]
        _free.append(scratch)
        return whole

    def decode_from(self, data: bytes, start: int) -> str | bytes | None:
        """Do as `decode` with the bytes from `start` on."""
        return self.decode(ffi.from_buffer("uint8_t[]", data) + start, len(data) - start)  # type: ignore[arg-type]

    def consumed(self) -> int:
        """Return how many bytes of the last chunk are decoded: all, but for a fault or a great many tiny frames."""
        return int(self._cdata.consumed)

    def fault(self) -> RemoteProtocolError | None:
        """Return what stopped decoding for good."""
        status = self._cdata.status
        return _FAULTS[status](self._cdata, self._rules) if status >= lib.WSL_FAULTS else None


def _violation(text: str) -> Callable[[Any, Any], RemoteProtocolError]:
    def fault(decoder: Any, rules: Any) -> RemoteProtocolError:
        first = decoder.header[0]
        length = decoder.header[1] & 0x7F
        return RemoteProtocolError(text.format(first=first, opcode=first & 0xF, length=length))

    return fault


def _too_big(decoder: Any, rules: Any) -> RemoteProtocolError:
    limit = rules.max_encoded_size if decoder.encoded else rules.max_message_size
    size = decoder.message_size + decoder.remaining
    what = "compressed message" if decoder.encoded else "message"
    return RemoteProtocolError(f"{what} is {size} bytes; the limit is {limit}", CloseCode.MESSAGE_TOO_BIG)


def _frame_too_big(decoder: Any, rules: Any) -> RemoteProtocolError:
    text = f"frame is {decoder.remaining} bytes; the limit is {rules.max_frame_size}"
    return RemoteProtocolError(text, CloseCode.MESSAGE_TOO_BIG)


def _too_many_fragments(decoder: Any, rules: Any) -> RemoteProtocolError:
    text = f"message has more than {rules.max_fragments} fragments"
    return RemoteProtocolError(text, CloseCode.MESSAGE_TOO_BIG)


def invalid_utf8() -> RemoteProtocolError:
    """Make the error of RFC 6455 section 8.1."""
    return RemoteProtocolError("text is not valid UTF-8", CloseCode.INVALID_FRAME_PAYLOAD_DATA)


_FAULTS: dict[int, Callable[[Any, Any], RemoteProtocolError]] = {
    lib.WSL_RESERVED_BITS: _violation("reserved bits are set in the first byte 0x{first:02x} of a frame"),
    lib.WSL_UNKNOWN_OPCODE: _violation("opcode {opcode:#x} is unknown"),
    lib.WSL_CONTROL_FRAGMENTED: _violation("control frame with opcode {opcode:#x} is fragmented"),
    lib.WSL_NOT_MASKED: _violation("frame from the client is not masked"),
    lib.WSL_MASKED: _violation("frame from the server is masked"),
    lib.WSL_CONTROL_TOO_LONG: _violation(f"control frame has length {{length}}; the limit is {MAX_CONTROL_PAYLOAD}"),
    lib.WSL_LENGTH_NOT_MINIMAL: _violation("payload length is not in its shortest form"),
    lib.WSL_LENGTH_TOP_BIT: _violation("payload length has its most significant bit set"),
    lib.WSL_FRAME_TOO_BIG: _frame_too_big,
    lib.WSL_MESSAGE_TOO_BIG: _too_big,
    lib.WSL_TOO_MANY_FRAGMENTS: _too_many_fragments,
    lib.WSL_INVALID_UTF8: lambda decoder, rules: invalid_utf8(),
}


# ---- encoding ----


class MaskingKeys:
    """Masking keys, each used once, unpredictable (RFC 6455 sections 5.3 and 10.3).

    Drawn from `random_bytes` in batches; drawing one from the batch is one atomic step, and a fork drops it.
    """

    __slots__ = ("__weakref__", "_keys", "_random_bytes")

    BATCH = 256
    """Bytes drawn at a time: an operating system's call costs as much for 64 keys as for one."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._keys: list[bytes] = []
        _pools.add(self)

    def draw(self) -> bytes:
        """Return 4 bytes. Raises LocalProtocolError when `random_bytes` gives no whole number of keys."""
        while True:
            try:
                return self._keys.pop()
            except IndexError:
                self._refill()

    def _refill(self) -> None:
        batch = self._random_bytes(self.BATCH)
        if not batch or len(batch) % 4:
            raise LocalProtocolError(f"random_bytes({self.BATCH}) returned {len(batch)} bytes")
        # pop() takes from the end: reversed, keys come in the order drawn.
        self._keys.extend(batch[at : at + 4] for at in range(len(batch) - 4, -1, -4))

    def clear(self) -> None:
        """Forget the batch."""
        self._keys.clear()


_pools: weakref.WeakSet[MaskingKeys] = weakref.WeakSet()


def _forget_keys() -> None:
    for pool in _pools:
        pool.clear()


# A forked child would use the parent's keys again. Windows has no fork and no such function.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_forget_keys)


def encode_header(first: int, size: int) -> bytes:
    """Return the header of an unmasked frame of `size` payload bytes, whose first byte is `first`."""
    if size < _SHORT_LENGTHS:
        return bytes((first, size))
    if size <= 0xFFFF:
        return _header_16(first, 126, size)
    return _header_64(first, 127, size)


def encode_frame(first: int, payload: Buffer, key: bytes | None) -> bytes:
    """Return a whole frame; `payload` is contiguous bytes, masked with the 4 bytes of `key` unless that is None.

    `first` is the frame's first byte: FIN, reserved bits, opcode.
    """
    if key is None:
        return encode_header(first, len(payload)) + payload
    size = len(payload)
    if size > CHUNK:
        return _encode_large(first, payload, key)
    scratch = _take_scratch()
    _, _, _, output, output_bytes = scratch
    source = payload if type(payload) is bytes else ffi.from_buffer("uint8_t[]", payload)
    frame: bytes = output_bytes[: _wsl_encode(output, first, key, source, size)]
    _free.append(scratch)
    return frame


def _encode_large(first: int, payload: Buffer, key: bytes) -> bytes:
    scratch = _take_scratch()
    _, _, _, output, output_bytes = scratch
    header = output_bytes[: lib.wsl_encode_header(output, first, key, len(payload))]
    _free.append(scratch)
    return _mask_large(header, payload, 0, key, 0)


def _mask_large(header: bytes, data: Buffer, start: int, key: bytes, phase: int) -> bytes:
    """Mask a slice at a time: each is in the cache when it is copied, and BytesIO gives its content without a copy."""
    size = len(data)
    masked = io.BytesIO()
    masked.write(header)
    scratch = _take_scratch()
    _, _, _, output, output_bytes = scratch
    view = memoryview(output_bytes)
    source = ffi.from_buffer("uint8_t[]", data)
    # CHUNK is a multiple of 4, so that every slice begins in the same phase.
    for at in range(start, size, CHUNK):
        end = min(at + CHUNK, size)
        _wsl_mask(output, source, at, end, key, phase)
        masked.write(view[: end - at])
    _free.append(scratch)
    return masked.getvalue()


def mask(data: Buffer, key: bytes, phase: int = 0, start: int = 0) -> bytes:
    """Return data[start:] XORed with the 4 bytes of `key`, whose byte `phase` % 4 meets the first.

    RFC 6455 section 5.3. `start` saves the caller a copy.
    """
    end = len(data)
    if end - start > CHUNK:
        return _mask_large(b"", data, start, key, phase % 4)
    scratch = _take_scratch()
    _, _, _, output, output_bytes = scratch
    source = data if type(data) is bytes else ffi.from_buffer("uint8_t[]", data)
    _wsl_mask(output, source, start, end, key, phase % 4)
    masked: bytes = output_bytes[: end - start]
    _free.append(scratch)
    return masked


# ---- UTF-8 ----

UTF8_START = 0
UTF8_INVALID: int = lib.WSL_UTF8_INVALID


def check_utf8(state: int, data: Buffer) -> int:
    """Validate a piece of text (RFC 6455 section 8.1, RFC 3629): return the state after it.

    UTF8_START begins a text and is where one may end; UTF8_INVALID comes with the earliest byte that decides.
    """
    source = data if type(data) is bytes else ffi.from_buffer("uint8_t[]", data)
    return lib.wsl_utf8(state, source, len(data))


def is_utf8(data: Buffer) -> bool:
    """Tell whether `data` is a whole valid text."""
    return check_utf8(UTF8_START, data) == UTF8_START


def incomplete_tail(text: Buffer) -> int:
    """Return how many bytes at the end of `text`, valid so far, begin a code point that is not complete (0 to 3)."""
    for back in range(1, min(3, len(text)) + 1):
        byte = text[-back]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < needs else 0
        if byte < 0x80:
            return 0
    return 0
