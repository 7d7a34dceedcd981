"""wsproto's events, the same for both directions. Knows their fields; not when they may come."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, Union

from .typing import Headers

if TYPE_CHECKING:
    from .extensions import Extension


class Event(ABC):  # noqa: B024  wsproto's base class has no methods either
    """What all events have in common."""


@dataclass(frozen=True)
class Request(Event):
    """A client's opening handshake.

    Received: `extensions` are the elements of the offer as they came, and `extra_headers` all headers but Host,
    Sec-WebSocket-Protocol and Sec-WebSocket-Extensions. Sent: `extensions` are to be offered.
    """

    host: str
    target: str
    extensions: Sequence[Extension] | Sequence[str] = field(default_factory=list)
    extra_headers: Headers = field(default_factory=list)
    subprotocols: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AcceptConnection(Event):
    """A server's consent. `extensions`: received, those agreed on; sent, those to choose from."""

    subprotocol: str | None = None
    extensions: list[Extension] = field(default_factory=list)
    extra_headers: Headers = field(default_factory=list)


@dataclass(frozen=True)
class RejectConnection(Event):
    """A refusal over HTTP. With `has_body`, RejectData events follow."""

    status_code: int = 400
    headers: Headers = field(default_factory=list)
    has_body: bool = False


@dataclass(frozen=True)
class RejectData(Event):
    """A piece of a refusal's body."""

    data: bytes
    body_finished: bool = True


@dataclass(frozen=True)
class CloseConnection(Event):
    """A Close frame, or the end of the connection without one."""

    code: int
    reason: str | None = None

    def response(self) -> CloseConnection:
        """Make the answer (RFC 6455 section 5.5.1)."""
        return CloseConnection(code=self.code, reason=self.reason)


T = TypeVar("T", Union[bytes, bytearray], str)


@dataclass(frozen=True)
class Message(Event, Generic[T]):
    """A piece of a message: `frame_finished` ends a frame, `message_finished` the message."""

    data: T
    frame_finished: bool = True
    message_finished: bool = True


@dataclass(frozen=True)
class TextMessage(Message[str]):
    """A piece of a text message."""


@dataclass(frozen=True)
class BytesMessage(Message[Union[bytearray, bytes]]):
    """A piece of a binary message."""


@dataclass(frozen=True)
class Ping(Event):
    """Are you there? (RFC 6455 section 5.5.2.) Nothing answers it but the caller."""

    payload: bytes = b""

    def response(self) -> Pong:
        """Make the answer (RFC 6455 section 5.5.3)."""
        return Pong(payload=self.payload)


@dataclass(frozen=True)
class Pong(Event):
    """I am (RFC 6455 section 5.5.3)."""

    payload: bytes = b""
