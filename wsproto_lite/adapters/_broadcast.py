"""One message to many connections. Knows what a WebSocket of any adapter offers for it, not how it writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from ..connection import Connection
from ..constants import SERVER
from ..events import Message
from ._facts import Sendable, to_event

MAX_UNSENT = 1 << 20


class Recipient(Protocol):
    """A WebSocket, as far as it matters here."""

    @property
    def conn(self) -> Connection: ...

    @property
    def unsent(self) -> int: ...

    def send_now(self, event: Message, frame: bytes | None) -> None:
        """Send `frame`, else `event`, without waiting. Do nothing if the connection isn't open."""
        ...


AnyWebSocket = TypeVar("AnyWebSocket", bound=Recipient)


def broadcast(
    connections: Iterable[AnyWebSocket], message: Sendable, *, text: bool = False, max_unsent: int = MAX_UNSENT
) -> list[AnyWebSocket]:
    """Send a message to all connections that are open, and wait for none of them.

    It is encoded once for all connections of a server that don't compress. Returns those that were left out because
    they still have more than `max_unsent` bytes to write: their peers read too slowly. What becomes of them is for the
    caller to say, begin_close(1008) for example. Raises LocalProtocolError, before anything is sent, for what is no
    message.
    """
    event = to_event(message, text=text)
    # To a server's encoder without extensions all connections are equal: nothing is masked.
    frame = Connection.established(SERVER).send(event)
    slow = []
    for websocket in list(connections):
        if websocket.unsent > max_unsent:
            slow.append(websocket)
        else:
            is_plain = websocket.conn.role is SERVER and not websocket.conn.extensions
            websocket.send_now(event, frame if is_plain else None)
    return slow
