"""wsproto 1.3.2's public names over this library: import it in the place of wsproto.

Translates. docs/compat.md lists where it differs from wsproto, and why.
"""

from __future__ import annotations

from collections.abc import Generator

from ...settings import Settings
from . import connection as connection
from . import events as events
from . import extensions as extensions
from . import frame_protocol as frame_protocol
from . import handshake as handshake
from . import typing as typing
from . import utilities as utilities
from ._limits import set_default_limits as set_default_limits
from .connection import Connection as Connection
from .connection import ConnectionState as ConnectionState
from .connection import ConnectionType
from .events import Event
from .handshake import H11Handshake as H11Handshake
from .typing import Headers

__version__ = "1.3.2"
"""The version of wsproto that this answers to."""

# As in wsproto: `import *` mustn't put our `typing` in the place of Python's.
__all__ = ("ConnectionType", "WSConnection")


class WSConnection:
    """One end of a WebSocket, from the opening handshake on. `settings` may hold limits; wsproto has none."""

    def __init__(self, connection_type: ConnectionType, *, settings: Settings | None = None) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        self.handshake = H11Handshake(connection_type, settings=settings)
        self.connection: Connection | None = None

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self.handshake.state if self.connection is None else self.connection.state

    def initiate_upgrade_connection(self, headers: Headers, path: bytes | str) -> None:
        """Server: take a request that somebody else has read. Raises as receive_data."""
        self.handshake.initiate_upgrade_connection(headers, path)

    def send(self, event: Event) -> bytes:
        """Return the bytes to write for `event`. Raises LocalProtocolError."""
        if self.connection is not None:
            return self.connection.send(event)
        data = self.handshake.send(event)
        self.connection = self.handshake.connection
        return data

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes from the peer, None for the end of the transport. What they mean comes from `events`.

        Raises RemoteProtocolError for a handshake that breaks a rule, and LocalProtocolError after the end.
        """
        if self.connection is not None:
            self.connection.receive_data(data)
        else:
            self.handshake.receive_data(data)
            self.connection = self.handshake.connection

    def events(self) -> Generator[Event, None, None]:
        """Give the events that have come."""
        yield from self.handshake.events()
        if self.connection is not None:
            yield from self.connection.events()
