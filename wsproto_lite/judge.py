"""One direction of a connection after the handshake: its frames, what is in them, and the first rule that is broken.

The library's own core judges: the same bytes go through a Connection as through the dissector. Must not know
handshakes, captures, or how a frame is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .connection import Connection
from .constants import CLIENT, SERVER, Opcode, Role
from .dissect import Piece, SeenFrame, Splitter
from .errors import RemoteProtocolError
from .events import BytesMessage, CloseConnection, EncodedTextMessage, Event
from .extensions import Codec
from .flow import AFTER_CLOSE
from .handshake import Handshake
from .sections import COMPRESSED_BIT, section_of_frame
from .seen_handshake import Violation
from .settings import Settings

# Limits are each endpoint's own business, so that going over ours breaks no rule. Pieces are not kept, which is what
# bounds the memory.
_SETTINGS = Settings(
    max_message_size=None, max_fragments=2**32 - 1, auto_reply=False, delivery="piece", text_as_bytes=True
)

RSV1 = 0x40

CLOSE_SIZE = 125
"""Bytes of a Close that are always given, so that its code and reason can be read: all of one that is valid."""

DATA_OPCODES = (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY)


class JudgedFrame(NamedTuple):
    """A frame and what is in it, as far as it is to be shown.

    `offset` is where it begins, in bytes after the handshake. `payload` is unmasked. `inflated` and `inflated_length`
    are None for what isn't compressed. A frame that isn't complete ends with the input.
    `is_text` tells of its message.
    """

    sender: Role
    offset: int
    frame: SeenFrame
    payload: bytes
    inflated: bytes | None
    inflated_length: int | None
    violation: Violation | None
    is_complete: bool
    is_text: bool


class Judge:
    """Takes the bytes of one direction in any portions and gives its frames.

    `codecs` decode what the sender encodes; None if they are unknown, and then nothing is judged. `preview` is how many
    bytes of each payload are given, but for a Close's. After the first violation there is no more judging, but still
    frames, until one whose length is out of range: then `is_lost`. Bytes of text that end within a code point count to
    the next frame, when they are inflated.
    """

    def __init__(self, sender: Role, codecs: Sequence[Codec] | None, preview: int) -> None:
        receiver = SERVER if sender is CLIENT else CLIENT
        self._sender = sender
        self._preview = preview
        self._reserved = 0
        self._connection: Connection | None = None
        if codecs is not None:
            for codec in codecs:
                self._reserved |= codec.rsv
            handshake = Handshake(101, [], None, tuple(codecs))
            self._connection = Connection.established(receiver, _SETTINGS, handshake)
        self._splitter = Splitter()
        self._offset = 0
        self._size = 0  # of the frame under way
        self._frame: SeenFrame | None = None
        self._violation: Violation | None = None
        self._is_compressed = self._is_text = False  # the message under way
        self._is_closed = False
        self._inflated = bytearray()
        self._inflated_length = 0
        self.is_lost = False

    def feed(self, data: bytes) -> Iterator[JudgedFrame]:
        """Take bytes; give the frames that they complete."""
        if self.is_lost:
            return
        try:
            for piece in self._splitter.feed(data):
                self._take(piece)
                if piece.is_last:
                    yield self._finish_frame(is_complete=True)
        except RemoteProtocolError:
            # The splitter's: of the same opinion is the connection.
            self.is_lost = True
            header = bytes(self._splitter.header)
            self._size += len(header)
            self._begin(SeenFrame.begin(header, int.from_bytes(header[2:10], "big")))
            self._judge(header)
            yield self._finish_frame(is_complete=True)

    def finish(self) -> Iterator[JudgedFrame]:
        """Give the frame that the input ends in, if its header is complete."""
        if self._frame is not None:
            yield self._finish_frame(is_complete=False)

    @property
    def unfinished_header(self) -> int:
        """How many bytes there are of a header that isn't complete."""
        return 0 if self.is_lost else len(self._splitter.header)

    def _take(self, piece: Piece) -> None:
        frame = piece.begins
        if frame is not None:
            self._begin(frame)
        frame = self._frame
        assert frame is not None
        preview = max(self._preview, CLOSE_SIZE) if frame.opcode == Opcode.CLOSE else self._preview
        room = preview - len(frame.payload)
        if room > 0:
            self._frame = frame._replace(payload=frame.payload + piece.payload[:room])
        self._size += len(piece.data)
        self._judge(piece.data)

    def _begin(self, frame: SeenFrame) -> None:
        self._frame = frame
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_compressed = bool(frame.rsv1 and self._reserved & RSV1)
            self._is_text = frame.opcode == Opcode.TEXT

    def _judge(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._is_closed:
            self._judge_after_close()
            return
        self._take_events(connection.receive_data(data))
        while connection.has_pending and not self._is_closed:
            self._take_events(connection.receive_data(b""))

    def _judge_after_close(self) -> None:
        # Section 5.5.1: "MUST NOT send any more data frames after sending a Close frame". To the core they are nothing.
        assert self._frame is not None
        if self._frame.opcode in DATA_OPCODES:
            message = AFTER_CLOSE.refusal(self._frame.opcode)
            self._condemn(RemoteProtocolError(message))

    def _take_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, (EncodedTextMessage, BytesMessage)):
                self._inflated_length += len(event.data)
                self._inflated += event.data[: self._preview - len(self._inflated)]
            elif isinstance(event, CloseConnection):
                self._is_closed = True
                if event.error is not None:
                    self._condemn(event.error)

    def _condemn(self, error: RemoteProtocolError) -> None:
        message = str(error)
        section = section_of_frame(message)
        if message.startswith("reserved bits") and self._reserved:
            section = COMPRESSED_BIT
        self._violation = Violation(message, section, error.code)
        self._connection = None

    def _finish_frame(self, *, is_complete: bool) -> JudgedFrame:
        frame = self._frame
        assert frame is not None
        inflated: bytes | None = None
        inflated_length: int | None = None
        if self._is_compressed and frame.opcode in DATA_OPCODES:
            inflated, inflated_length = bytes(self._inflated), self._inflated_length
        judged = JudgedFrame(
            self._sender,
            self._offset,
            frame,
            frame.unmasked(),
            inflated,
            inflated_length,
            self._violation,
            is_complete,
            self._is_text,
        )
        if frame.fin and frame.opcode in DATA_OPCODES:
            self._is_compressed = self._is_text = False
        self._offset += self._size
        self._size = 0
        self._frame = self._violation = None
        self._inflated.clear()
        self._inflated_length = 0
        return judged
