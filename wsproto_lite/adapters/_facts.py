"""What can be read of any WebSocket, whatever drives it, and what goes in and out of it.

Knows the core. Must not know how bytes travel, or who waits for what.
"""

from __future__ import annotations

from typing import Union, cast

from ..connection import Connection
from ..constants import CloseCode, State
from ..errors import CloseInfo, ConnectionClosed
from ..events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    EncodedTextMessage,
    Message,
    RejectConnection,
    Request,
    TextMessage,
)
from ..heartbeat import Heartbeat

Data = Union[str, bytes]
Sendable = Union[str, bytes, bytearray, memoryview]

CONNECTING = State.CONNECTING
OPEN = State.OPEN
LOCAL_CLOSING = State.LOCAL_CLOSING

MESSAGES = (TextMessage, BytesMessage, EncodedTextMessage)

NORMAL_ENDS = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)
"""Close codes with which iterating over messages just stops."""


def to_event(message: Sendable, *, text: bool) -> Message:
    """Say what to send for a message: str as text, all else as binary, or as text in UTF-8 if `text` is set."""
    if isinstance(message, str):
        return TextMessage(message)
    data = cast(bytes, message)  # of which the core takes any kind
    return EncodedTextMessage(data) if text else BytesMessage(data)


class Facts:
    """A WebSocket's state, and how it has ended.

    `request` is the client's Request, `response` the server's AcceptConnection, None before there is one.
    """

    __slots__ = ()

    conn: Connection
    request: Request | None
    response: AcceptConnection | None
    _ending: CloseConnection | RejectConnection | None
    _heartbeat: Heartbeat

    @property
    def state(self) -> State:
        """Where the connection stands; anything but OPEN can't send."""
        return self.conn.state

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed."""
        return self.conn.subprotocol

    @property
    def close_info(self) -> CloseInfo:
        """Who closed, with what, and why."""
        return self.conn.close_info

    @property
    def close_code(self) -> int | None:
        """The close code as RFC 6455 section 7.1.5 has it, None while there is none."""
        return self._ending.code if isinstance(self._ending, CloseConnection) else None

    @property
    def close_reason(self) -> str | None:
        """The close reason as RFC 6455 section 7.1.6 has it, None while there is none."""
        return self._ending.reason if isinstance(self._ending, CloseConnection) else None

    @property
    def latency(self) -> float | None:
        """Seconds that the last Ping of the heartbeat took to be answered, None before there is one."""
        return self._heartbeat.latency

    def has_ended_normally(self) -> bool:
        """Tell whether the last event has come, and is one after which iterating just stops."""
        return self._ending is not None and self._ending.error is None and self.close_code in NORMAL_ENDS

    def _closed(self) -> ConnectionClosed:
        info = self.conn.close_info
        # The core doesn't know that the transport is lost while messages are held back in it.
        cause = info.cause or "the transport is lost"
        return ConnectionClosed(f"the connection is closing or closed: {cause}", info)
