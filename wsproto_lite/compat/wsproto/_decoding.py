"""wsproto's own stages of decoding, for programs that use them, and for extensions that work on frames.

The rules are the core's: its reader takes a header apart, its decoder judges it, its table says what may follow.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ... import codec, errors, flow, frames
from ...codec import Decoder
from ...settings import Settings
from ._frames import OPCODES, CloseReason, Frame, Header, Opcode, ParseFailed, RsvBits
from ._limits import limits
from ._wording import worded

if TYPE_CHECKING:
    from .extensions import Extension

_PHASES = {None: flow.BETWEEN_MESSAGES, Opcode.TEXT: flow.IN_TEXT, Opcode.BINARY: flow.IN_BINARY}


class XorMaskerSimple:
    """Mask or unmask data that comes in pieces (RFC 6455 section 5.3)."""

    def __init__(self, masking_key: bytearray | bytes) -> None:
        self._masking_key = bytes(masking_key)
        self._phase = 0

    def process(self, data: bytearray | bytes) -> bytearray:
        """Return the next piece, XORed."""
        masked = bytearray(codec.mask(bytes(data), self._masking_key, self._phase))
        self._phase = (self._phase + len(data)) % 4
        return masked


class XorMaskerNull:
    """Leave data as it is."""

    def process(self, data: bytearray) -> bytearray:
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
        self.masker: XorMaskerNull | XorMaskerSimple = XorMaskerNull()
        self.payload_consumed = 0
        self._failed = False

    def receive_bytes(self, data: bytes) -> None:
        """Add bytes from the peer. After a fault they are discarded."""
        if not self._failed:
            self.buffer.feed(data)

    def process_buffer(self) -> Frame | None:
        """Return the next frame, or the next piece of one; None when there is none yet. Raises ParseFailed."""
        try:
            return None if self._failed else self._take_piece()
        except ParseFailed:
            self._failed = True
            self.buffer = Buffer()
            raise

    def _take_piece(self) -> Frame | None:
        header = self.header or self._read_header()
        if header is None:
            return None
        assert self.effective_opcode is not None
        remaining = header.payload_len - self.payload_consumed
        if (remaining and not self.buffer) or (header.opcode.iscontrol() and len(self.buffer) < remaining):
            return None
        piece = self.masker.process(self.buffer.consume_at_most(remaining))
        self.buffer.commit()
        finished = len(piece) == remaining
        payload = self._through_extensions(bytes(piece), header.fin, finished)
        frame = Frame(self.effective_opcode, payload, finished, header.fin)
        self.header = None if finished else header
        self.payload_consumed = 0 if finished else self.payload_consumed + len(piece)
        self.effective_opcode = None if finished else Opcode.CONTINUATION
        return frame

    def _read_header(self) -> Header | None:
        reader = frames.StreamReader("auto")
        head = self.buffer.consume_exactly(2)
        rest = None if head is None else self.buffer.consume_exactly(reader.read_header(head))
        if head is None or rest is None:
            self.buffer.rollback()
            return None
        try:
            reader.read_header_continuation(rest)
            self._judge(bytes(head + rest))
        except errors.RemoteProtocolError as fault:
            raise worded(fault) from None
        self.buffer.commit()
        rsv = RsvBits(bool(reader.rsv1), bool(reader.rsv2), bool(reader.rsv3))
        self.effective_opcode = OPCODES[reader.opcode]
        self._ask_extensions(self.effective_opcode, rsv, reader.amount)
        self.masker = XorMaskerNull() if reader.mask is None else XorMaskerSimple(reader.mask)
        self.header = Header(bool(reader.fin), rsv, self.effective_opcode, reader.amount, None)
        return self.header

    def _judge(self, header: bytes) -> None:
        """Hold a header against the rules, less its reserved bits, of which extensions decide."""
        judge = Decoder(
            masked=not self.client,
            max_frame_size=self.settings.max_frame_size,
            max_message_size=None,
            max_fragments=None,
        )
        judge.decode(bytes((header[0] & ~codec.RESERVED_BITS & 0xFF,)) + header[1:], len(header))
        fault = judge.fault()
        if fault:
            raise fault

    def _ask_extensions(self, opcode: Opcode, rsv: RsvBits, payload_len: int) -> None:
        """Raise ParseFailed for a reserved bit that no extension uses (RFC 6455 section 5.2)."""
        unused = rsv
        for extension in self.extensions:
            used = extension.frame_inbound_header(self, opcode, rsv, payload_len)
            if isinstance(used, CloseReason):
                raise ParseFailed("error in extension", used)
            unused = RsvBits(*(is_set and not is_used for is_set, is_used in zip(unused, used)))
        if any(unused):
            raise ParseFailed("Reserved bit set unexpectedly")

    def _through_extensions(self, payload: bytes, fin: bool, finished: bool) -> bytes:
        for extension in self.extensions:
            result = extension.frame_inbound_payload_data(self, payload)
            if isinstance(result, CloseReason):
                raise ParseFailed("error in extension", result)
            payload = bytes(result)
        if finished:
            for extension in self.extensions:
                rest = extension.frame_inbound_complete(self, fin)
                if isinstance(rest, CloseReason):
                    raise ParseFailed("error in extension", rest)
                payload += rest or b""
        return payload
