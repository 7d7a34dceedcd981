"""wsproto's frame layer: frames in both directions, over the core's connection.

Translates. Rules, limits and the order of frames are the core's. Extensions that users wrote see each frame: those of
the peer before the core does, ours after it.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from ... import errors, events
from ...codec import CHUNK, FIN, encode_frame
from ...connection import Connection
from ...constants import CLIENT, SERVER, State
from ...extensions import Codec
from ...handshake import Handshake
from ...sending import Sender
from ...settings import Settings
from . import _frames
from ._decoding import Buffer, FrameDecoder, MessageDecoder, XorMaskerNull, XorMaskerSimple
from ._frames import *  # noqa: F403  these are names that wsproto has here
from ._frames import (
    FIN_MASK,
    LOCAL_ONLY_CLOSE_REASONS,
    MAX_PAYLOAD_NORMAL,
    OPCODE_MASK,
    OPCODES,
    CloseReason,
    Frame,
    Opcode,
    ParseFailed,
    RsvBits,
    named_code,
)
from ._limits import limits
from ._wording import worded
from .utilities import LocalProtocolError, Unsendable

if TYPE_CHECKING:
    from .extensions import Extension

__all__ = ["Buffer", "FrameDecoder", "FrameProtocol", "MessageDecoder", "XorMaskerNull", "XorMaskerSimple"]
__all__ += _frames.__all__

_UNMASKED = bytes(4)
"""A masking key that changes nothing, for frames on their way from extensions to the core."""


class FrameProtocol:
    """One connection from its handshake on, frame by frame.

    `settings` may hold limits; wsproto has none.
    """

    def __init__(self, client: bool, extensions: Sequence[Extension], *, settings: Settings | None = None) -> None:
        self.client = client
        self.extensions = [extension for extension in extensions if extension.enabled()]
        self.settings = limits(settings)
        codecs = self._core_codecs()
        self.core = Connection.established(
            CLIENT if client else SERVER, self.settings, Handshake(101, [], None, tuple(codecs or ()))
        )
        self._is_inflating = bool(codecs)
        self._filter = FrameDecoder(client, self.extensions, settings=settings) if codecs is None else None
        # Makes what goes through extensions. Without keys, as masking comes after them.
        self._sender = Sender(None)
        self._in_message = False
        self.pending: list[bytes] = []
        self.queue: deque[events.Event] = deque()

    def _core_codecs(self) -> list[Codec] | None:
        """Give what the core needs for the extensions, None where they have to see each frame."""
        # Extensions needn't be subclasses of Extension.
        makers = [getattr(extension, "core_codec", None) for extension in self.extensions]
        codecs: list[Codec | None] = [maker and maker(self.client) for maker in makers]
        known = [codec for codec in codecs if codec is not None]
        # Two of the same would claim the same reserved bit.
        return known if len(known) == len(codecs) and len(known) < 2 else None

    # ---- frames in ----

    def receive_bytes(self, data: bytes) -> None:
        """Take bytes from the peer, for `received_frames`. Raises TypeError for what isn't bytes-like."""
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        if data and self.core.state in (State.OPEN, State.LOCAL_CLOSING):
            self.pending.append(data)

    def received_frames(self) -> Generator[Frame, None, None]:
        """Give the frames that have come, data frames in pieces. Raises ParseFailed."""
        while self.queue or self.fill_queue():
            yield _as_frame(self.queue.popleft())

    def fill_queue(self) -> bool:
        """Decode what is pending, as far as the core goes in one step. False if that has given no event."""
        pending = self.pending
        if pending:
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            pending.clear()
        elif self._filter is not None or self.core.has_pending:
            data = b""
        else:
            return False
        if self._filter is not None:
            return self._fill_filtered(self._filter, data)
        received = self.core.receive_data(data)
        if len(received) > 1 and (self._is_inflating or len(data) > CHUNK):
            # The core cuts its work into chunks, and what it inflates too; wsproto's pieces are those of the input.
            received = _joined(received)
        self.queue.extend(received)
        return bool(received)

    def _fill_filtered(self, frames: FrameDecoder, data: bytes) -> bool:
        """Show one frame to the extensions, and what they make of it to the core: that always gives an event."""
        frames.receive_bytes(data)
        if self.core.state not in (State.OPEN, State.LOCAL_CLOSING):
            return False
        received = self.core.receive_data(b"") if self.core.has_pending else self._take_filtered(frames)
        self.queue.extend(received)
        return bool(received)

    def _take_filtered(self, frames: FrameDecoder) -> list[events.Event]:
        try:
            frame = frames.process_buffer()
        except ParseFailed as fault:
            return self._fail(fault)
        return [] if frame is None else self._through_core(frame)

    def _fail(self, fault: ParseFailed) -> list[events.Event]:
        # Extensions choose any code. To the core, 1006 would mean that no Close can be sent any more.
        ending = self.core.fail(errors.RemoteProtocolError(str(fault)))
        for event in ending:
            assert isinstance(event, events.CloseConnection)
            event.error = fault
        return ending

    def _through_core(self, frame: Frame) -> list[events.Event]:
        """Give a piece to the core as a fragment: that has the same message, and the core needn't know its size."""
        finished = frame.frame_finished and frame.message_finished
        assert isinstance(frame.payload, bytes)
        first = frame.opcode | FIN if finished else int(frame.opcode)
        wire = encode_frame(first, frame.payload, None if self.client else _UNMASKED)
        received = self.core.receive_data(wire)
        if len(received) > 1:
            received = _joined(received)
        if not frame.frame_finished:
            for event in received:
                if isinstance(event, (events.TextMessage, events.BytesMessage)):
                    event.frame_finished = False
        return received

    # ---- frames out ----

    def close(self, code: int | None = None, reason: str | None = None) -> bytearray:
        """Return a Close frame. A reason is cut to what fits; codes that may not travel become 1000."""
        return bytearray(self.send_close(code, reason))

    def ping(self, payload: bytes = b"") -> bytearray:
        """Return a Ping frame."""
        return bytearray(self.send(events.Ping(payload)))

    def pong(self, payload: bytes = b"") -> bytearray:
        """Return a Pong frame."""
        return bytearray(self.send(events.Pong(payload)))

    def send_data(self, payload: bytes | bytearray | str = b"", fin: bool = True) -> bytearray:
        """Return a frame of a text or binary message, by the type of `payload`."""
        return bytearray(self.send_message(payload, fin))

    def send_message(self, payload: object, fin: bool) -> bytes:
        """Return a frame of a text or binary message, by the type of `payload`."""
        if fin is not True and fin not in (0, 1):
            raise Unsendable(f"message_finished is {fin!r}; it must be True or False")
        if isinstance(payload, str):
            return self.send(events.TextMessage(payload, True, fin))
        if isinstance(payload, (bytes, bytearray, memoryview)):
            return self.send(events.BytesMessage(payload, True, fin))  # type: ignore[arg-type]  # the core takes any
        raise Unsendable(f"data is {type(payload).__name__}; it must be str or bytes")

    def send_close(self, code: int | None, reason: str | None) -> bytes:
        """Return a Close frame, see `close`."""
        if code is CloseReason.NO_STATUS_RCVD:
            code = None
        if code is None:
            if reason:
                raise Unsendable(f"close reason {reason!r} needs a code")
            return self.send(events.CloseConnection(CloseReason.NO_STATUS_RCVD))
        if code in LOCAL_ONLY_CLOSE_REASONS:
            code = CloseReason.NORMAL_CLOSURE
        return self.send(events.CloseConnection(code, _cut(reason or "")))

    def send(self, event: events.Event) -> bytes:
        """Return the frame for one of the core's events. Raises LocalProtocolError, and then nothing has changed."""
        try:
            return self.core.send(event) if self._filter is None else self._send_through_extensions(event)
        except LocalProtocolError:
            raise
        except errors.ConnectionClosed as error:
            raise LocalProtocolError(str(error)) from None
        except errors.LocalProtocolError as error:
            raise Unsendable(str(error)) from None

    def _send_through_extensions(self, event: events.Event) -> bytes:
        """Show our frame to the extensions before the state changes: one may raise, or make what can't be sent."""
        is_close = isinstance(event, events.CloseConnection)
        state = self.core.state
        if state is State.CLOSED or (state is State.REMOTE_CLOSING and not is_close):
            return self.core.send(event)  # it says why not
        goes_on = self._in_message
        if isinstance(event, (events.TextMessage, events.BytesMessage)):
            goes_on = not event.message_finished
        # A whole message leaves a sender as it was. A copy takes 2 us.
        sender = copy.copy(self._sender) if is_close or goes_on or self._in_message else self._sender
        header, *payload = sender.encode_buffers(event)
        wire = self._through_extensions(header[0], b"".join(payload))
        if is_close:
            self.core.send(event)
        self._sender, self._in_message = sender, goes_on
        return wire

    def _through_extensions(self, first: int, payload: bytes) -> bytes:
        """Make a frame of what the extensions make of ours, the last of them first."""
        opcode, fin, rsv = OPCODES[first & OPCODE_MASK], first >= FIN_MASK, RsvBits(False, False, False)
        for extension in reversed(self.extensions):
            rsv, payload = extension.frame_outbound(self, opcode, rsv, bytes(payload), fin)
        if opcode.iscontrol() and len(payload) > MAX_PAYLOAD_NORMAL:
            limit = MAX_PAYLOAD_NORMAL
            raise Unsendable(f"control frame payload is {len(payload)} bytes after extensions; the limit is {limit}")
        first |= bool(rsv[0]) << 6 | bool(rsv[1]) << 5 | bool(rsv[2]) << 4
        return encode_frame(first, bytes(payload), self.settings.masking_keys.draw() if self.client else None)


def _joined(received: list[events.Event]) -> list[events.Event]:
    """Join pieces of one frame that came in one call."""
    joined: list[events.Event] = []
    pieces: list[events.TextMessage | events.BytesMessage] = []
    for event in received:
        if isinstance(event, (events.TextMessage, events.BytesMessage)):
            pieces.append(event)
            if event.frame_finished:
                joined.append(_join(pieces))
                pieces = []
        else:
            joined.append(event)
    return [*joined, _join(pieces)] if pieces else joined


def _join(pieces: list[events.TextMessage | events.BytesMessage]) -> events.Event:
    last = pieces[-1]
    if len(pieces) > 1:
        last.data = last.data[:0].join([piece.data for piece in pieces])  # type: ignore  # all are of one type
    return last


def _as_frame(event: events.Event) -> Frame:
    if isinstance(event, events.TextMessage):
        return Frame(Opcode.TEXT, event.data, event.frame_finished, event.message_finished)
    if isinstance(event, events.BytesMessage):
        return Frame(Opcode.BINARY, event.data, event.frame_finished, event.message_finished)
    if isinstance(event, events.CloseConnection):
        if event.error is not None:
            raise worded(event.error)
        return Frame(Opcode.CLOSE, (named_code(event.code), event.reason), True, True)
    assert isinstance(event, (events.Ping, events.Pong))
    return Frame(Opcode.PING if isinstance(event, events.Ping) else Opcode.PONG, event.payload, True, True)


def _cut(reason: str) -> str:
    """Cut a reason to what fits a Close frame, at a code point."""
    try:
        return reason.encode()[: MAX_PAYLOAD_NORMAL - 2].decode(errors="ignore")
    except UnicodeEncodeError as error:
        raise Unsendable(f"close reason has a lone surrogate at {error.start}") from None
    except AttributeError:
        raise Unsendable(f"close reason is {type(reason).__name__}; it must be str") from None
