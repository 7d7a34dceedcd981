"""wsproto's own stages of decoding, for programs that use them, and for extensions that work on frames.

The rules are the core's: its decoder judges the start of a header, its table says what may follow. Only lengths are
judged here, where wsproto has a method for it.
"""

from __future__ import annotations

import codecs
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from ... import codec, errors, flow, frames
from ...codec import Decoder
from ...settings import Settings
from ._frames import (
    FIN_MASK,
    MAX_PAYLOAD_NORMAL,
    MAX_PAYLOAD_TWO_BYTE,
    OPCODE_MASK,
    OPCODES,
    PAYLOAD_LEN_MASK,
    RSV1_MASK,
    RSV2_MASK,
    RSV3_MASK,
    CloseReason,
    Frame,
    Header,
    Opcode,
    ParseFailed,
    RsvBits,
)
from ._limits import limits
from ._wording import worded
from .utilities import Unsendable

if TYPE_CHECKING:
    from .extensions import Extension

_RSV_BITS = {
    bits: RsvBits(bool(bits & RSV1_MASK), bool(bits & RSV2_MASK), bool(bits & RSV3_MASK)) for bits in range(0, 128, 16)
}
_NO_BITS = _RSV_BITS[0]

_PHASES = {None: flow.BETWEEN_MESSAGES, Opcode.TEXT: flow.IN_TEXT, Opcode.BINARY: flow.IN_BINARY}


class XorMaskerSimple:
    """Mask or unmask data that comes in pieces (RFC 6455 section 5.3). Raises Unsendable for a key not of 4 bytes."""

    def __init__(self, masking_key: bytearray | bytes) -> None:
        try:
            self._masking_key = frames.as_key(masking_key)
        except errors.LocalProtocolError as error:
            raise Unsendable(str(error)) from None
        self._phase = 0

    def process(self, data: bytearray | bytes) -> bytearray:
        """Return the next piece, XORed."""
        return bytearray(self.unmask(bytes(data)))

    def unmask(self, data: bytes) -> bytes:
        """Do the same to bytes."""
        masked = codec.mask(data, self._masking_key, self._phase)
        self._phase = (self._phase + len(data)) % 4
        return masked


class XorMaskerNull:
    """Leave data as it is."""

    def process(self, data: bytearray) -> bytearray:
        """Return `data`."""
        return data

    def unmask(self, data: bytes) -> bytes:
        """Return `data`."""
        return data


class Buffer:
    """Bytes that are taken tentatively: `commit` forgets what was taken, `rollback` takes it back."""

    def __init__(self, initial_bytes: bytes | None = None) -> None:
        self.buffer = bytearray(initial_bytes or b"")
        self.bytes_used = 0

    def feed(self, new_bytes: bytes) -> None:
        """Add bytes at the end."""
        self.buffer += new_bytes

    def consume_at_most(self, nbytes: int) -> bytearray:
        """Take `nbytes`, or what there is."""
        taken = self.buffer[self.bytes_used : self.bytes_used + nbytes]
        self.bytes_used += len(taken)
        return taken

    def consume_exactly(self, nbytes: int) -> bytearray | None:
        """Take `nbytes`, or None where there are fewer."""
        if len(self.buffer) - self.bytes_used < nbytes:
            return None
        return self.consume_at_most(nbytes)

    def commit(self) -> None:
        """Forget what was taken."""
        del self.buffer[: self.bytes_used]
        self.bytes_used = 0

    def rollback(self) -> None:
        """Take back what was taken since the last commit."""
        self.bytes_used = 0

    def __len__(self) -> int:
        return len(self.buffer)


class MessageDecoder:
    """Put frames into the order of messages, and decode their text (RFC 6455 sections 5.4 and 8.1)."""

    def __init__(self) -> None:
        self.opcode: Opcode | None = None
        self.decoder: codecs.IncrementalDecoder | None = None

    def process_frame(self, frame: Frame) -> Frame:
        """Return a data frame, or a piece of one, as part of its message. Raises ParseFailed."""
        if frame.opcode.iscontrol():
            raise Unsendable(f"{frame.opcode!r} is a control frame; messages are of data frames")
        finished = frame.frame_finished and frame.message_finished
        phase = _PHASES[self.opcode]
        if flow.FIN * finished | frame.opcode not in phase:
            raise worded(errors.RemoteProtocolError(phase.refusal(frame.opcode)))
        if self.opcode is None:
            self.opcode = frame.opcode
            self.decoder = codecs.getincrementaldecoder("utf-8")() if frame.opcode is Opcode.TEXT else None
        payload = frame.payload
        if self.decoder is not None:
            assert isinstance(payload, (bytes, bytearray))
            try:
                payload = self.decoder.decode(payload, finished)
            except UnicodeDecodeError as error:
                raise ParseFailed(str(error), CloseReason.INVALID_FRAME_PAYLOAD_DATA) from None
        message = Frame(self.opcode, payload, frame.frame_finished, finished)
        if finished:
            self.opcode = self.decoder = None
        return message


class FrameDecoder:
    """Turn bytes into frames, data frames in pieces as they come, and let extensions see each.

    `settings` may hold limits; wsproto has none.
    """

    def __init__(
        self, client: bool, extensions: list[Extension] | None = None, *, settings: Settings | None = None
    ) -> None:
        self.client = client
        self.extensions = extensions or []
        self.settings = limits(settings)
        self.buffer = Buffer()
        self.header: Header | None = None
        self.effective_opcode: Opcode | None = None
        self.masker: XorMaskerNull | XorMaskerSimple | None = None
        self.payload_required = 0
        self.payload_consumed = 0
        self.ending = 0
        """Bytes of the piece that extensions are shown, if it is a message's last."""
        self._awaits_key: Header | None = None
        self._failed = False

    def receive_bytes(self, data: bytes) -> None:
        """Add bytes from the peer. After a fault they are discarded."""
        if not self._failed:
            self.buffer.feed(data)

    def process_buffer(self) -> Frame | None:
        """Return the next frame, or the next piece of one; None when there is none yet.

        Raises ParseFailed, and what a hook of an extension raises. Nothing is read after either.
        """
        try:
            return None if self._failed else self._take_piece()
        except BaseException:
            # Part of a frame is used up when a hook raises: what follows would be read from the wrong place.
            self._failed = True
            self.buffer = Buffer()
            raise

    def _take_piece(self) -> Frame | None:
        if self.header is None and not self.parse_header():
            return None
        header, masker, opcode = self.header, self.masker, self.effective_opcode
        assert header is not None
        assert masker is not None
        assert opcode is not None
        buffer = self.buffer
        remaining = header.payload_len - self.payload_consumed
        available = len(buffer)
        if available < self.payload_required or (remaining and not available):
            return None
        piece = buffer.consume_at_most(remaining)
        buffer.commit()
        self.payload_consumed += len(piece)
        finished = len(piece) == remaining
        self.ending = len(piece) if finished and header.fin else 0
        payload = self._through_extensions(masker.unmask(bytes(piece)), header.fin, finished)
        if finished:
            self.header = self.effective_opcode = self.masker = None
        else:
            self.effective_opcode = Opcode.CONTINUATION
        return Frame(opcode, payload, finished, header.fin)

    # ---- headers ----

    def parse_header(self) -> bool:
        """Read a header as far as it has come. Return whether it is all there. Raises ParseFailed."""
        header = self._awaits_key = self._awaits_key or self._parse_start()
        if header is None:
            return False
        if self.client:
            self.masker = XorMaskerNull()
        else:
            key = self.buffer.consume_exactly(codec.KEY_SIZE)
            if key is None:
                return False
            self.masker = XorMaskerSimple(key)
            self.buffer.commit()
        self._awaits_key = None
        self.header, self.effective_opcode = header, header.opcode
        self.payload_required = header.payload_len if header.opcode.iscontrol() else 0
        self.payload_consumed = 0
        return True

    def _parse_start(self) -> Header | None:
        """Read a header up to its masking key, and show it to the extensions."""
        start = self.buffer.consume_exactly(2)
        if start is None:
            return None
        first, second = start
        fault = _judge(first & ~codec.RESERVED_BITS, second, self.client)
        if fault is not None:
            raise worded(fault)
        opcode = OPCODES[first & OPCODE_MASK]
        length = self.parse_extended_payload_length(opcode, second & PAYLOAD_LEN_MASK)
        if length is None:
            self.buffer.rollback()
            return None
        rsv = _RSV_BITS[first & codec.RESERVED_BITS]
        self.extension_processing(opcode, rsv, length)
        self.buffer.commit()
        return Header(first >= FIN_MASK, rsv, opcode, length, None)

    def parse_extended_payload_length(self, opcode: Opcode, payload_len: int) -> int | None:
        """Give a payload's size by its 7-bit length, None while the rest of it isn't there. Raises ParseFailed."""
        size = frames.EXTENDED_SIZES.get(payload_len, 0)
        if size:
            extended = self.buffer.consume_exactly(size)
            if extended is None:
                return None
            payload_len = int.from_bytes(extended, "big")
            # RFC 6455 section 5.2: the shortest form, and no top bit.
            if payload_len <= (MAX_PAYLOAD_NORMAL if size == 2 else MAX_PAYLOAD_TWO_BYTE):
                raise ParseFailed("payload length is not in its shortest form")
            if payload_len >> 63:
                raise ParseFailed("8-byte payload length with non-zero MSB")
        limit = self.settings.max_frame_size
        if limit is not None and payload_len > limit:
            raise ParseFailed(f"frame is {payload_len} bytes; the limit is {limit}", CloseReason.MESSAGE_TOO_BIG)
        return payload_len

    def extension_processing(self, opcode: Opcode, rsv: RsvBits, payload_len: int) -> None:
        """Show a header to the extensions. Raises ParseFailed for a reserved bit that none uses (section 5.2)."""
        unused = [] if rsv is _NO_BITS else [bit for bit in range(3) if rsv[bit]]
        for extension in self.extensions:
            answer = extension.frame_inbound_header(self, opcode, rsv, payload_len)
            if isinstance(answer, IntEnum):
                raise _refused(answer)
            if unused:
                unused = [bit for bit in unused if not any(answer[bit : bit + 1])]
        if unused:
            raise ParseFailed("Reserved bit set unexpectedly")

    # ---- payloads ----

    def _through_extensions(self, payload: bytes, fin: bool, finished: bool) -> bytes:
        for extension in self.extensions:
            result = extension.frame_inbound_payload_data(self, payload)
            if isinstance(result, IntEnum):
                raise _refused(result)
            payload = bytes(result)
        if finished:
            for extension in self.extensions:
                rest = extension.frame_inbound_complete(self, fin)
                if isinstance(rest, IntEnum):
                    raise _refused(rest)
                payload += rest or b""
        return payload


def _refused(reason: IntEnum) -> ParseFailed:
    # It may be the CloseReason of wsproto itself, if the extension has imported that before compat.install().
    return ParseFailed("error in extension", CloseReason(reason))


@lru_cache(maxsize=256)
def _judge(first: int, second: int, client: bool) -> errors.RemoteProtocolError | None:
    """Hold the first two bytes of a header against the core's rules: what they tell needn't wait for the others."""
    judge = Decoder(masked=not client, max_frame_size=None, max_message_size=None, max_fragments=None)
    judge.decode(bytes((first, second)), 2)
    return judge.fault()
