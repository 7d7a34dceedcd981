"""Incoming frames into events: reassembly, limits on what extensions inflate, text, close payloads.

Knows one direction of one connection up to its end. Not which role it serves, what is sent, or what follows the end.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Union

from .codec import (
    BEGIN,
    CHUNK,
    CONTROL,
    END,
    FIN,
    UTF8_INVALID,
    UTF8_START,
    Decoder,
    check_utf8,
    incomplete_tail,
    invalid_utf8,
)
from .constants import CloseCode, Opcode, is_sendable_close_code
from .errors import RemoteProtocolError
from .events import BytesMessage, CloseConnection, EncodedTextMessage, Event, Message, Ping, Pong, TextMessage
from .extensions import Codec
from .flow import BETWEEN_MESSAGES, FLOW_BITS
from .settings import Settings

OPCODE = 0x0F
TEXT = int(Opcode.TEXT)
BINARY = int(Opcode.BINARY)
WHOLE = FIN | BEGIN | END
WHOLE_TEXT = WHOLE | Opcode.TEXT
WHOLE_BINARY = WHOLE | Opcode.BINARY
MESSAGE_END = FIN | END
FEW_RECORDS = 16

MIN_INFLATED = 1 << 20
"""Bytes that one call may inflate where messages are limited to less."""

MAX_PINGS = 16
"""Pings kept for an answer. When more come unanswered the oldest goes (RFC 6455 section 5.5.3 allows it)."""

Ending = Union[CloseConnection, RemoteProtocolError]
"""What ends the stream: the peer's Close, or its fault."""

_Records = tuple[list[int], bytes, int]
"""Records not worked off yet, the payload they point into, and where the first begins there."""

_Input = tuple[bytes, int]
"""Bytes not decoded yet, and where they begin."""

_Held = Union[_Input, _Records, RemoteProtocolError]

_new = object.__new__


class Receiver(Decoder):
    """Turn the bytes that follow the handshake into events, up to the peer's Close or its first fault.

    That end comes as `ending`, not as an event, and all input is discarded from then on. `held` is not None while
    `receive` has more to give. `pings` are the latest payloads to answer, at most MAX_PINGS, for the caller to take.
    """

    __slots__ = (
        "_as_str",
        "_codecs",
        "_control",
        "_inflated",
        "_message",
        "_phase",
        "_settings",
        "_suspended",
        "ending",
        "held",
        "last_pong",
        "pings",
    )

    def __init__(self, settings: Settings, *, masked: bool, codecs: Sequence[Codec] = ()) -> None:
        reserved_bits = 0
        for codec in codecs:
            reserved_bits |= codec.rsv
        super().__init__(
            masked=masked,
            max_frame_size=settings.max_frame_size,
            max_message_size=settings.max_message_size,
            max_fragments=settings.max_fragments,
            reserved_bits=reserved_bits,
            coalesce=settings.delivery == "message",
            text_as_str=not settings.text_as_bytes,
        )
        self._settings = settings
        self._as_str = not settings.text_as_bytes
        self._codecs = codecs
        self._phase = BETWEEN_MESSAGES
        self._message: _Message | None = None
        self._control = b""
        self.held: deque[_Held] | None = None
        self._suspended: tuple[int, Iterator[tuple[bytes, bool]]] | None = None
        self._inflated = 0
        self.ending: Ending | None = None
        self.pings: deque[bytes] | None = None
        self.last_pong: bytes | None = None  # for timers: a look at it now and then costs less than telling of each

    def hold(self, data: bytes) -> None:
        """Keep bytes that came too early for the next `receive`."""
        if data:
            self.held = deque([(data, 0)])

    def receive(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes: all of them, unless `held` or `ending` say otherwise."""
        if self.held is None:
            return self.receive_decoded(self.decode(data, len(data)), data)
        if self.ending is None and data:
            self.held.append((data, 0))
        return self._work_off(self.held)

    def receive_decoded(self, whole: str | bytes | None, data: bytes) -> list[Event]:
        """Go on where decode(data) returned `whole`, and nothing is held."""
        if type(whole) is str:
            return [TextMessage(whole)]
        if type(whole) is bytes:
            return [BytesMessage(whole)]
        self.held = deque()
        self._hold_decoded(data, 0)
        return self._work_off(self.held)

    def _hold_decoded(self, data: bytes, start: int) -> None:
        """Put what was decoded in front of what is held, and behind it what was not or could not be."""
        held = self.held
        assert held is not None
        fault = self.fault()
        start += self.consumed()
        if fault:
            held.appendleft(fault)
        elif start < len(data):
            held.appendleft((data, start))
        if self.records:
            held.appendleft((self.records, self.payload, 0))
        self.records, self.payload = [], b""

    def _work_off(self, held: deque[_Held]) -> list[Event]:
        """Work through what is held until it is empty, the stream ends, or enough was inflated for one call."""
        events: list[Event] = []
        self._inflated = 0
        try:
            if self._suspended:
                head, slices = self._suspended
                self._suspended = None
                self._deliver(head, slices, events)
            while held and not self._is_full(events):
                item = held.popleft()
                if isinstance(item, RemoteProtocolError):
                    raise item
                if len(item) == 2:
                    data, start = item
                    whole = self.decode_from(data, start)
                    if whole is None:
                        self._hold_decoded(data, start)
                    else:
                        events.append(TextMessage(whole) if isinstance(whole, str) else BytesMessage(whole))
                else:
                    self._work_off_records(*item, events)
        except RemoteProtocolError as fault:
            self._end(fault)
        if not held and self._suspended is None and self.ending is None:
            self.held = None
        return events

    def _is_full(self, events: list[Event]) -> bool:
        """Tell whether this call has inflated its share; an empty list would look as if nothing were pending."""
        return bool(events) and self._inflated >= max(self._settings.max_message_size or 0, MIN_INFLATED)

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self._message = None
        self._suspended = None
        if self.held:
            self.held.clear()

    def _work_off_records(self, records: list[int], payload: bytes, start: int, events: list[Event]) -> None:
        """Turn records into events, or hold what is left of them when enough was inflated for one call."""
        as_str = self._as_str
        # Slicing one str costs 67 ns a message less than slicing bytes and decoding each, of 270.
        text = payload.decode() if as_str and len(records) > FEW_RECORDS and payload.isascii() else None
        phase = self._phase
        pairs = iter(records)
        for head, end in zip(pairs, pairs):
            if phase is BETWEEN_MESSAGES and head == WHOLE_TEXT and as_str:
                event = _new(TextMessage)
                event.data = payload[start:end].decode() if text is None else text[start:end]
                event.frame_finished = event.message_finished = True
                events.append(event)
            elif phase is BETWEEN_MESSAGES and head == WHOLE_BINARY:
                events.append(BytesMessage(payload[start:end]))
            else:
                self._take_record(head, payload[start:end], events)
                if self.ending is not None:
                    return
                if self._is_full(events):
                    assert self.held is not None
                    self.held.appendleft((list(pairs), payload, end))
                    return
                phase = self._phase
            start = end

    def _take_record(self, head: int, piece: bytes, events: list[Event]) -> None:
        """Take one piece of a frame, at whose beginning flow.py decides whether the frame may come."""
        if head & BEGIN:
            phase = self._phase.get(head & FLOW_BITS)
            if phase is None:
                raise RemoteProtocolError(self._phase.refusal(head & FLOW_BITS))
            self._phase = phase
            if head & OPCODE in (Opcode.TEXT, Opcode.BINARY):
                self._message = self._begin_message(head)
        if head & CONTROL:
            self._take_control(head, piece, events)
        elif self._message is not None:
            final = head & MESSAGE_END == MESSAGE_END
            self._deliver(head, self._message.decode(piece, final=final), events)

    def _begin_message(self, head: int) -> _Message:
        codecs = [codec for codec in reversed(self._codecs) if codec.rsv & head]
        return _Message(
            text=head & OPCODE == Opcode.TEXT,
            as_bytes=self._settings.text_as_bytes,
            codecs=codecs,
            limit=self._settings.max_message_size,
        )

    def _take_control(self, head: int, piece: bytes, events: list[Event]) -> None:
        payload = self._control = self._control + piece
        if not head & END:
            return
        self._control = b""
        opcode = head & OPCODE
        if opcode == Opcode.PING:
            if self._settings.auto_reply:
                if self.pings is None:
                    self.pings = deque(maxlen=MAX_PINGS)
                self.pings.append(payload)
            events.append(Ping(payload))
        elif opcode == Opcode.PONG:
            self.last_pong = payload
            events.append(Pong(payload))
        else:
            self._end(parse_close(payload))

    def _deliver(self, head: int, slices: Iterator[tuple[bytes, bool]], events: list[Event]) -> None:
        """Add slices of a piece to the message, and make the events that are due."""
        message = self._message
        assert message is not None
        delivery = self._settings.delivery
        for data, is_last in slices:
            frame_finished = is_last and bool(head & END)
            message_finished = frame_finished and bool(head & FIN)
            if message.codecs:
                self._inflated += len(data)
            message.add(data)
            if message_finished or (delivery == "frame" and frame_finished) or delivery == "piece":
                event = message.take(frame_finished, message_finished)
                if event.data or frame_finished:
                    events.append(event)
            if message_finished:
                self._message = None
            if not is_last and self._is_full(events):
                self._suspended = head, slices
                return


class _Message:
    """A message under way: what has come of it and is not delivered yet."""

    __slots__ = ("_as_bytes", "_buffer", "_limit", "_size", "_text", "_utf8", "codecs")

    def __init__(self, *, text: bool, as_bytes: bool, codecs: Sequence[Codec], limit: int | None) -> None:
        self._text = text
        self._as_bytes = as_bytes
        self._limit = limit
        self._size = 0
        self._utf8 = UTF8_START
        self._buffer: io.BytesIO | None = None
        self.codecs = codecs

    def decode(self, piece: bytes, *, final: bool) -> Iterator[tuple[bytes, bool]]:
        """Give the piece back as it is, or what extensions make of it in bounded slices; True with the last.

        Raises RemoteProtocolError over the limit (1009) and for text that isn't UTF-8 (1007). Plain messages were
        held against both by the decoder, at the earliest byte.
        """
        if not self.codecs:
            yield piece, True
            return
        for data, is_last in self._inflate(self.codecs, piece, final):
            self._size += len(data)
            if self._limit is not None and self._size > self._limit:
                text = f"message inflates to more than {self._limit} bytes"
                raise RemoteProtocolError(text, CloseCode.MESSAGE_TOO_BIG)
            if self._text:
                self._utf8 = check_utf8(self._utf8, data)
                if self._utf8 == UTF8_INVALID or (is_last and final and self._utf8 != UTF8_START):
                    raise invalid_utf8()
            yield data, is_last

    def _inflate(self, codecs: Sequence[Codec], piece: bytes, final: bool) -> Iterator[tuple[bytes, bool]]:
        *inner, outer = codecs
        pieces = self._inflate(inner, piece, final) if inner else iter(((piece, True),))
        for data, is_last in pieces:
            while True:
                room = CHUNK if self._limit is None else self._limit - self._size + 1
                output = outer.decode(data, final=final and is_last, max_length=min(CHUNK, room))
                done = is_last and not outer.has_pending
                yield output, done
                if not outer.has_pending:
                    break
                data = b""

    def add(self, data: bytes) -> None:
        # BytesIO grows in place, and hands its content over without a copy.
        if self._buffer is None:
            self._buffer = io.BytesIO()
        self._buffer.write(data)

    def take(self, frame_finished: bool, message_finished: bool) -> Message:
        """Make an event of all that is here, less a code point that isn't complete."""
        assert self._buffer is not None
        data = self._buffer.getvalue()
        self._buffer = None
        if not self._text:
            return BytesMessage(data, frame_finished, message_finished)
        tail = incomplete_tail(data)
        if tail:
            self.add(data[-tail:])
            data = data[:-tail]
        if self._as_bytes:
            return EncodedTextMessage(data, frame_finished, message_finished)
        return TextMessage(data.decode(), frame_finished, message_finished)


def parse_close(payload: bytes) -> CloseConnection:
    """Read a Close frame's payload (RFC 6455 sections 5.5.1 and 7.4). Raises RemoteProtocolError."""
    if not payload:
        return CloseConnection(CloseCode.NO_STATUS_RCVD)
    if len(payload) == 1:
        raise RemoteProtocolError("close frame has 1 byte of payload; it has none or a code of 2 bytes")
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable_close_code(code):
        raise RemoteProtocolError(f"close frame has code {code}, which may not be sent")
    try:
        return CloseConnection(code, payload[2:].decode())
    except UnicodeDecodeError:
        text = "close reason is not valid UTF-8"
        raise RemoteProtocolError(text, CloseCode.INVALID_FRAME_PAYLOAD_DATA) from None
