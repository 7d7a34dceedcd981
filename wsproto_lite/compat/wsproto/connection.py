"""wsproto's Connection: its events and states, over the frame layer. Translates, and decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable

from ... import events as core
from ...constants import State
from ...settings import Settings
from ._frames import CloseReason, named_code
from ._frames import Opcode as Opcode
from ._frames import ParseFailed as ParseFailed
from ._wording import worded
from .events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from .frame_protocol import FrameProtocol
from .utilities import LocalProtocolError

if TYPE_CHECKING:
    from .extensions import Extension

_new = object.__new__


class ConnectionState(Enum):
    """Where a connection stands. REJECTING: a refusal's body is under way."""

    CONNECTING = 0
    OPEN = 1
    REMOTE_CLOSING = 2
    LOCAL_CLOSING = 3
    CLOSED = 4
    REJECTING = 5


class ConnectionType(Enum):
    """Which end of the connection we are."""

    CLIENT = 1
    SERVER = 2


CLIENT = ConnectionType.CLIENT
SERVER = ConnectionType.SERVER

# A look-up in the module costs 6 ns, one in an Enum class 30.
_OPEN = ConnectionState.OPEN
_LOCAL_CLOSING = ConnectionState.LOCAL_CLOSING
_REMOTE_CLOSING = ConnectionState.REMOTE_CLOSING
_CLOSED = ConnectionState.CLOSED

_STATES = {State.OPEN: _OPEN, State.LOCAL_CLOSING: _LOCAL_CLOSING, State.REMOTE_CLOSING: _REMOTE_CLOSING}


class Connection:
    """An open connection: bytes in, events out; events in, bytes out. It answers nothing by itself.

    `settings` may hold limits; wsproto has none. Bytes are decoded when `events` is iterated over, and the state
    changes when the event is given that changes it.
    """

    def __init__(
        self,
        connection_type: ConnectionType,
        extensions: Sequence[Extension] | None = None,
        trailing_data: bytes = b"",
        *,
        settings: Settings | None = None,
    ) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        self._proto = FrameProtocol(self.client, extensions or [], settings=settings)
        self._state = _OPEN
        self._failed = False  # the peer has broken a rule
        self._events: deque[Event] = deque()  # mitmproxy puts messages of its own there, to come before all else
        self._ends: deque[Event] = deque()
        self.receive_data(trailing_data)

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._state

    def send(self, event: Event) -> bytes:
        """Return the bytes to write for `event`. Raises LocalProtocolError, and then nothing has changed."""
        state, proto = self._state, self._proto
        if isinstance(event, CloseConnection) and state in (_OPEN, _REMOTE_CLOSING):
            wire = proto.send_close(event.code, event.reason)
            self._state = _LOCAL_CLOSING if state is _OPEN else _CLOSED
            return wire
        if state is _OPEN:
            if isinstance(event, Message):
                return proto.send_message(event.data, event.message_finished)
            if isinstance(event, Ping):
                return proto.send(core.Ping(event.payload))
            if isinstance(event, Pong):
                return proto.send(core.Pong(event.payload))
        raise LocalProtocolError(f"Event {event} cannot be sent in state {state}.")

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes from the peer, None for the end of the transport. What they mean comes from `events`."""
        state = self._state
        if data is None:
            self._ends.append(CloseConnection(code=CloseReason.ABNORMAL_CLOSURE))
            self._state = _CLOSED
        elif state is _OPEN or state is _LOCAL_CLOSING:
            if type(data) is bytes:
                self._proto.pending.append(data)  # receive_bytes in place: 130 of 1,500 ns
            else:
                self._proto.receive_bytes(data)
        elif state is _CLOSED and not self._failed:
            raise LocalProtocolError("Connection already closed.")

    def events(self) -> Generator[Event, None, None]:
        """Give the events that have come."""
        while self._events:
            yield self._events.popleft()
        proto = self._proto
        queue = proto.queue
        while queue or proto.fill_queue():
            event = queue.popleft()
            kind = _MESSAGES.get(type(event))
            if kind is not None:
                # A frozen dataclass sets its fields in 600 ns, this takes 150.
                message = _new(kind)
                fields = message.__dict__
                fields["data"] = event.data  # type: ignore[union-attr]  # those that _MESSAGES has have all three
                fields["frame_finished"] = event.frame_finished  # type: ignore[union-attr]
                fields["message_finished"] = event.message_finished  # type: ignore[union-attr]
                yield message
            else:
                yield _OTHERS[type(event)](self, event)
        while self._ends:
            yield self._ends.popleft()

    def _ping(self, event: core.Ping) -> Ping:
        return Ping(event.payload)

    def _pong(self, event: core.Pong) -> Pong:
        return Pong(event.payload)

    def _close(self, event: core.CloseConnection) -> CloseConnection:
        if self._state is not _CLOSED:
            self._state = _STATES.get(self._proto.core.state, _CLOSED)
        if event.error is None:
            return CloseConnection(named_code(event.code), event.reason)
        self._failed = True
        fault = worded(event.error)
        return CloseConnection(fault.code, str(fault))


_MESSAGES: dict[type, type[Event]] = {core.TextMessage: TextMessage, core.BytesMessage: BytesMessage}

_OTHERS: dict[type, Callable[[Connection, Any], Event]] = {
    core.Ping: Connection._ping,
    core.Pong: Connection._pong,
    core.CloseConnection: Connection._close,
}
