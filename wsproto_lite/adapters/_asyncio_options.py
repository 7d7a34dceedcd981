"""What a WebSocket over asyncio is made with. Knows values, and which of them make no sense."""

from __future__ import annotations

from typing import NamedTuple

from ..connection import Connection
from ..constants import CLIENT
from ..errors import LocalProtocolError
from ..heartbeat import Heartbeat
from ..settings import Settings

MAX_QUEUE = 16
"""Messages that wait for the user before reading pauses."""


class Timeouts(NamedTuple):
    """What Heartbeat measures, in seconds; None switches one off."""

    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float | None


class Options(NamedTuple):
    """The arguments that `connect` and `serve` have in common."""

    settings: Settings
    timeouts: Timeouts
    max_queue: int | None

    def check(self) -> None:
        """Raise LocalProtocolError for what makes no sense, before there is a connection."""
        if self.settings.delivery != "message" or not self.settings.auto_reply:
            raise LocalProtocolError("settings have a delivery other than 'message', or no auto_reply: use the core")
        if self.max_queue is not None and self.max_queue < 1:
            raise LocalProtocolError(f"max_queue is {self.max_queue!r}; it is a positive number or None")
        Heartbeat(Connection(CLIENT), 0.0, *self.timeouts)
