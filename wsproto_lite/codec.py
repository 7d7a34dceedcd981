"""Frames, masking and UTF-8 at the level of bytes: the only module that touches ffi.

Knows buffers, limits and the faults that bytes alone can show; not events, nor who may send what when.
"""

from __future__ import annotations

import io
import struct
import sys
from functools import lru_cache
from typing import Any, Callable, Union

from ._codec import ffi, lib
from .constants import MAX_CONTROL_PAYLOAD, CloseCode, Opcode
from .errors import RemoteProtocolError
from .masking_keys import MaskingKeys

Buffer = Union[bytes, bytearray, memoryview]

FIN = 0x80
CONTROL = 0x08
MASKED = 0x80
RESERVED_BITS = 0x70

# What a record's first number holds besides the frame's first byte: see csrc/codec.h.
BEGIN: int = lib.WSL_BEGIN
END: int = lib.WSL_END

CHUNK: int = lib.WSL_CHUNK
"""Bytes that are worked on at a time: few enough to stay in a processor's cache."""

KEY_SIZE = 4

MAX_HEADER = 14
"""Bytes in the longest frame header: 2, 8 of extended length, 4 of masking key (RFC 6455 section 5.2)."""

_NO_LIMIT = 2**64 - 1

# PyPy moves what a BytesIO holds: ffi.from_buffer() refuses it there.
_BODY_HAS_ADDRESS = sys.implementation.name != "pypy"

# Bytes of a message from which on more of it is decoded to where it stays. Room for that is made by doubling: 4 MiB in
# reads of 64 KiB cost 190 to 200 us, and else 210 to 370, as a copy of each read makes a buffer grow 35 times, and what
# it finds behind it in memory decides how often it has to move. Below this it saves nothing.
_IN_PLACE = 256 << 10

_WHOLE_BINARY: int = lib.WSL_WHOLE_BINARY
_RUN: int = lib.WSL_RUN
_RECORDS: int = lib.WSL_RECORDS
_STOPPED: int = lib.WSL_STOPPED
_wsl_decode = lib.wsl_decode
_wsl_decode_payload = lib.wsl_decode_payload
_wsl_encode = lib.wsl_encode
_wsl_mask = lib.wsl_mask
_wsl_mask_frame = lib.wsl_mask_frame
_LONGEST_SHORT = 125
_header_16 = struct.Struct("!BBH").pack
_header_64 = struct.Struct("!BBQ").pack
_masked_header_7 = struct.Struct("!BB4s").pack
_masked_header_16 = struct.Struct("!BBH4s").pack

# Bytes of payload up to which a masked frame is put together in Python, and masked where it is: nobody else has it yet.
# That saves C two arguments, a buffer and a copy: 70 of 630 ns for 128 bytes. PyPy may give C a copy of bytes, and does
# so when many threads are at it.
_LONGEST_IN_PLACE = 0xFFFF if sys.implementation.name == "cpython" else -1

# Bytes of payload up to which it is copied, and the copy unmasked where it is, as nobody else has it yet: 4.8 us for
# 128 KiB, 6.1 in a buffer that has to be cleared first. What doesn't fit into a processor's cache is quicker there.
_LONGEST_COPY = 256 << 10 if _LONGEST_IN_PLACE > 0 else -1

# C writes all that is handed out of these buffers: clearing them first would only cost time.
_allocate = ffi.new_allocator(should_clear_after_alloc=False)


_Scratch = tuple[Any, Any, memoryview, memoryview]
_Output = tuple[Any, Any]

# Free lists of what one call into C writes to. Threads may run during a call, so each belongs to one call at a time;
# taking and giving back are one atomic step each, and a list is as long as there ever were calls at once.
# Tuples are unpacked in 8 ns, where an object's attributes take 25; a slice of a cffi buffer is bytes, made in 31 ns
# where ffi.unpack takes 53.
_free_scratch: list[_Scratch] = []
_free_output: list[_Output] = []


def _new_scratch() -> _Scratch:
    """Make room for what is decoded: the struct, its payload as bytes, the heads and the ends of its records."""
    scratch = _allocate("wsl_scratch *")
    payload = ffi.buffer(ffi.addressof(scratch, "payload"))
    heads = memoryview(ffi.buffer(ffi.addressof(scratch, "heads"))).cast("I")
    ends = memoryview(ffi.buffer(ffi.addressof(scratch, "ends"))).cast("I")
    return scratch, payload, heads, ends


def _take_output() -> _Output:
    """Take room for what is encoded: a chunk with its header, and the same as bytes."""
    try:
        return _free_output.pop()
    except IndexError:
        output = _allocate("uint8_t[]", CHUNK + MAX_HEADER)
        return output, ffi.buffer(output)


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
    # The decoder counts fragments in 32 bits.
    rules.max_fragments = min(_limit(max_fragments), 2**32 - 1)
    rules.reserved_bits = reserved_bits
    rules.masked = masked
    rules.coalesce = coalesce
    rules.report_whole_text = report_whole_text
    return rules


def _limit(limit: int | None) -> int:
    return _NO_LIMIT if limit is None else min(limit, _NO_LIMIT)


def max_encoded_size(max_message_size: int) -> int:
    """Return the bytes that a compressed message may have on the wire: what doesn't compress grows a little.

    For each fragment but the first there are WSL_ENCODED_GROWTH more.
    """
    return max_message_size + max_message_size // 8 + 1024


Records = tuple[list[int], list[int], bytes, int, bool]
"""Pieces of frames: for each the frame's first byte | BEGIN | END, and where it ends in the payload; the payload; where
the first piece begins there; whether all but the first and the last have the same first byte and flags."""

NO_RECORDS: Records = ([], [], b"", 0, False)


def _read_records(result: int, heads: memoryview, ends: memoryview, payload: Any) -> Records:
    is_run = _STOPPED < result <= _RUN
    count = (_RUN if is_run else _RECORDS if result > _RUN else _STOPPED) - result
    if not count:
        return NO_RECORDS
    if count == 1:  # 200 ns less than lists of slices
        end = ends[0]
        return [heads[0]], [end], payload[:end], 0, False
    # All but the first and the last are alike in a run: 15 ns a message less than tolist().
    piece_heads = [heads[0], *[heads[1]] * (count - 2), heads[count - 1]] if is_run else heads[:count].tolist()
    piece_ends = ends[:count].tolist()
    return piece_heads, piece_ends, payload[: piece_ends[-1]], 0, is_run


class Decoder:
    """Decode one direction of one connection, chunk by chunk, up to the first fault.

    `masked`: frames must be masked, as a client's (RFC 6455 section 5.1); else they must not be.
    `coalesce`: fragments that follow each other directly in a chunk come as one piece.
    `text_as_str`: give a whole text message as str.

    After a call of `decode` that returned None, `records` tells of the pieces of frames that came, and `stopped` of a
    fault behind them, or of bytes not decoded yet.
    """

    __slots__ = ("_cdata", "_rules", "records", "stopped")

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
        self.stopped = False
        self.records = NO_RECORDS

    def decode(self, data: bytes, size: int) -> str | bytes | None:
        """Decode up to CHUNK of the `size` bytes of `data`; return a message if that is exactly what they are.

        Only a whole plain message between messages is returned, text as str and binary as bytes. For all else None:
        then see `records`, `consumed` and `fault`.
        """
        try:
            scratch = _free_scratch.pop()
        except IndexError:
            scratch = _new_scratch()
        target, payload, heads, ends = scratch
        result = _wsl_decode(self._cdata, data, size, target)
        whole: str | bytes | None
        if result < 0:
            whole = None
            self.stopped = result <= _STOPPED
            self.records = _read_records(result, heads, ends, payload)
        elif result < _WHOLE_BINARY:
            whole = payload[:result].decode()
        else:
            whole = payload[: result - _WHOLE_BINARY]
        _free_scratch.append(scratch)
        return whole

    def decode_from(self, data: bytes, start: int, size: int) -> str | bytes | None:
        """Do as `decode` with the `size` bytes from `start` on."""
        source: Any = ffi.from_buffer(data) + start
        return self.decode(source, size)

    def remaining(self) -> int:
        """Return the payload bytes to come of a plain data frame under way, 0 if there is none."""
        return lib.wsl_remaining(self._cdata)

    def decode_payload(self, data: bytes, start: int, size: int, body: Body) -> RemoteProtocolError | None:
        """Decode `size` bytes that belong to the frame under way straight into `body`; return what is wrong with them.

        `size` is at most `remaining()`.
        """
        source: Any = ffi.from_buffer(data) + start if start else data
        if (size > CHUNK or body.size >= _IN_PLACE) and _BODY_HAS_ADDRESS:
            status = _wsl_decode_payload(self._cdata, source, size, body.make_room(size))
            return self._describe(status) if status else None
        room = _take_output()
        output, output_bytes = room
        view = memoryview(output_bytes)
        while True:
            piece = min(CHUNK, size)
            status = _wsl_decode_payload(self._cdata, source, piece, output)
            body.append(view[:piece])
            start += piece
            size -= piece
            if not size:
                break
            source = ffi.from_buffer(data) + start
        _free_output.append(room)
        return self._describe(status) if status else None

    def decode_large(self, data: bytes, start: int, size: int) -> bytes | RemoteProtocolError:
        """Decode `size` bytes that are all payload of the frame under way; return the content, or what is wrong.

        It is part of `data` and more than one byte, or the copy of it would not be one.
        """
        if size > _LONGEST_COPY:
            body = Body()
            return self.decode_payload(data, start, size, body) or body.take()
        payload = data[start : start + size]
        status = _wsl_decode_payload(self._cdata, payload, size, payload)
        return self._describe(status) if status else payload

    def is_between_frames(self) -> bool:
        """Tell whether the next byte begins a frame."""
        return not self._cdata.stage

    def is_final(self) -> bool:
        """Tell whether the frame under way, or the last one, has FIN."""
        return bool(self._cdata.header[0] & FIN)

    def consumed(self) -> int:
        """Return how many bytes of the last chunk are decoded: all, but for a fault or a great many tiny frames."""
        return int(self._cdata.consumed)

    def fault(self) -> RemoteProtocolError | None:
        """Return what stopped decoding for good."""
        status = self._cdata.status
        return self._describe(status) if status in _FAULTS else None

    def _describe(self, status: int) -> RemoteProtocolError:
        return _FAULTS[status](self._cdata, self._rules)


class _Buffer(io.BytesIO):
    """Memory that isn't to be closed: CPython's collector would try, and complain while there is a pointer into it."""

    __slots__ = ()
    closed = True  # 45 ns a buffer; a close() that does nothing costs 180


class Body:
    """The payload of a message under way, in one buffer that is handed over without a copy.

    Its memory grows with what was received, not with what was declared. `most` is what it may grow to ahead of need.
    """

    __slots__ = ("_buffer", "_capacity", "_content", "_first", "most", "size")

    def __init__(self, first: bytes = b"", most: int = 0) -> None:
        self._first = first  # all that there is, while there is no buffer: a message in one piece is not copied
        self._buffer: io.BytesIO | None = None
        self._content: Any = None  # a pointer into the buffer, which can't grow while it is there
        self._capacity = 0
        self.size = len(first)
        self.most = most

    def append(self, piece: bytes | memoryview) -> None:
        """Add a piece."""
        buffer = self._buffer
        if buffer is None:
            # It shares the first piece until another comes.
            buffer = self._buffer = _Buffer(self._first)
            buffer.seek(self.size)
            self._first = b""
        elif self._content is not None:
            self._release(buffer)
        buffer.write(piece)
        self.size += len(piece)

    def make_room(self, size: int) -> Any:
        """Count `size` more bytes as content; return a pointer to room for them."""
        if self.size + size > self._capacity:
            # Doubling keeps copying linear.
            self._capacity = max(self.size + size, min(2 * self.size, self.most))
            if self._buffer is None:
                self._buffer = _Buffer(bytes(self._capacity))
                self._buffer.write(self._first)
                self._first = b""
            else:
                # A write beyond the end makes BytesIO grow in place, to just this size.
                self._release(self._buffer)
                self._buffer.seek(self._capacity - 1)
                self._buffer.write(b"\0")
        if self._content is None:
            assert self._buffer is not None
            self._content = ffi.from_buffer(self._buffer.getbuffer())
        room = self._content + self.size
        self.size += size
        return room

    def take(self) -> bytes:
        """Return the content. The body is of no use after that."""
        buffer = self._buffer
        if buffer is None:
            return self._first
        self._release(buffer)
        buffer.truncate(self.size)
        return buffer.getvalue()

    def _release(self, buffer: io.BytesIO) -> None:
        if self._content is not None:
            ffi.release(self._content)
            self._content = None
        buffer.seek(self.size)


def _violation(text: str) -> Callable[[Any, Any], RemoteProtocolError]:
    def fault(decoder: Any, rules: Any) -> RemoteProtocolError:
        first = decoder.header[0]
        length = decoder.header[1] & 0x7F
        return RemoteProtocolError(text.format(first=first, opcode=first & 0xF, length=length))

    return fault


def _too_big(decoder: Any, rules: Any) -> RemoteProtocolError:
    limit = rules.max_message_size
    if decoder.encoded:
        limit = rules.max_encoded_size + lib.WSL_ENCODED_GROWTH * decoder.fragments
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


def encode_header(first: int, size: int) -> bytes:
    """Return the header of an unmasked frame of `size` payload bytes, whose first byte is `first`."""
    if size <= _LONGEST_SHORT:
        return bytes((first, size))
    if size <= 0xFFFF:
        return _header_16(first, 126, size)
    return _header_64(first, 127, size)


# The headers of usual texts are at hand: 75 of 505 ns for a client's message, 90 of 380 for a server's.
_WHOLE_TEXT = FIN | Opcode.TEXT
_LONGEST_USUAL = 1023
_LONGEST_USUAL_IN_PLACE = min(_LONGEST_USUAL, _LONGEST_IN_PLACE)
_TEXT_HEADERS = tuple([encode_header(_WHOLE_TEXT, size) for size in range(_LONGEST_USUAL + 1)])
_MASKED_TEXT_HEADERS = tuple([bytes((header[0], MASKED | header[1])) + header[2:] for header in _TEXT_HEADERS])


def encode_frame(first: int, payload: Buffer, key: bytes | None) -> bytes:
    """Return a whole frame; `payload` is contiguous bytes, masked with the 4 bytes of `key` unless that is None.

    `first` is the frame's first byte: FIN, reserved bits, opcode.
    """
    size = len(payload)
    if key is None:
        if size <= 0xFFFF and size > _LONGEST_SHORT:
            return _header_16(first, 126, size) + payload
        return encode_header(first, size) + payload
    if size <= _LONGEST_IN_PLACE and type(payload) is bytes:
        if size > _LONGEST_SHORT:
            masked = _masked_header_16(first, MASKED | 126, size, key) + payload
        else:
            masked = _masked_header_7(first, MASKED | size, key) + payload
        _wsl_mask_frame(masked)
        return masked
    if size > CHUNK:
        return _encode_large(first, payload, key)
    room = _take_output()
    output, output_bytes = room
    if type(payload) is bytes:
        frame: bytes = output_bytes[: _wsl_encode(output, first, key, payload, size)]
    else:
        frame = output_bytes[: _wsl_encode(output, first, key, ffi.from_buffer(payload), size)]
    _free_output.append(room)
    return frame


def encode_text(payload: bytes, keys: MaskingKeys | None) -> bytes:
    """Return the frame of a whole text message, masked with a key drawn from `keys` unless that is None."""
    size = len(payload)
    if keys is None:
        if size <= _LONGEST_USUAL:
            return _TEXT_HEADERS[size] + payload
        return (_header_16(_WHOLE_TEXT, 126, size) if size <= 0xFFFF else encode_header(_WHOLE_TEXT, size)) + payload
    # What C writes to has to be as long as its header says, which a subclass could lie about.
    if size > _LONGEST_USUAL_IN_PLACE or type(payload) is not bytes:
        return encode_frame(_WHOLE_TEXT, payload, keys.draw())
    try:
        frame = _MASKED_TEXT_HEADERS[size] + keys.batch.pop() + payload
    except IndexError:
        frame = _MASKED_TEXT_HEADERS[size] + keys.draw() + payload
    _wsl_mask_frame(frame)
    return frame


def _encode_large(first: int, payload: Buffer, key: bytes) -> bytes:
    room = _take_output()
    output, output_bytes = room
    header = output_bytes[: lib.wsl_encode_header(output, first, key, len(payload))]
    _free_output.append(room)
    return _mask_large(header, payload, 0, key, 0)


def _mask_large(header: bytes, data: Buffer, start: int, key: bytes, phase: int) -> bytes:
    """Mask a slice at a time: each is in the cache when it is copied, and BytesIO gives its content without a copy."""
    size = len(data)
    masked = io.BytesIO()
    masked.write(header)
    room = _take_output()
    output, output_bytes = room
    view = memoryview(output_bytes)
    source = ffi.from_buffer(data)
    # CHUNK is a multiple of 4, so that every slice begins in the same phase.
    for at in range(start, size, CHUNK):
        end = min(at + CHUNK, size)
        _wsl_mask(output, source, at, end, key, phase)
        masked.write(view[: end - at])
    _free_output.append(room)
    return masked.getvalue()


def mask(data: Buffer, key: bytes, phase: int = 0, start: int = 0) -> bytes:
    """Return data[start:] XORed with the 4 bytes of `key`, whose byte `phase` % 4 meets the first.

    RFC 6455 section 5.3. `start` saves the caller a copy.
    """
    size = len(data) - start
    if size > CHUNK:
        return _mask_large(b"", data, start, key, phase % 4)
    if size < 1:
        return b""
    room = _take_output()
    output, output_bytes = room
    _wsl_mask(output, ffi.from_buffer(data), start, start + size, key, phase % 4)
    masked: bytes = output_bytes[:size]
    _free_output.append(room)
    return masked


# ---- UTF-8 ----

UTF8_START = 0
UTF8_INVALID: int = lib.WSL_UTF8_INVALID


def check_utf8(state: int, data: Buffer) -> int:
    """Validate a piece of text (RFC 6455 section 8.1, RFC 3629): return the state after it.

    UTF8_START begins a text and is where one may end; UTF8_INVALID comes with the earliest byte that decides.
    """
    source = data if type(data) is bytes else ffi.from_buffer(data)
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
