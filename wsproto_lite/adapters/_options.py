"""What a WebSocket is made with, whatever drives it. Knows values, and which of them make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from ssl import SSLContext, create_default_context
from typing import NamedTuple

from ..connection import Connection
from ..constants import CLIENT
from ..errors import LocalProtocolError
from ..events import Headers, Request
from ..heartbeat import Heartbeat
from ..settings import Settings
from ._shared import Uri, parse_uri

MAX_QUEUE = 16
"""Messages that wait for the user before reading pauses."""

ANSWER_TIME = 1.0
"""Seconds that the end of a connection waits for the next message before it to be taken, or, where a user in another
thread or task takes time for it, answered: after the end there is no answering."""

READ_SIZE = 64 << 10

WRITE_SIZE = 64 << 10
"""Bytes of output at which a sender waits, or gives way to others: as many as asyncio's transports buffer."""


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


def make_options(settings: Settings | None, timeouts: Timeouts, max_queue: int | None) -> Options:
    """Make options, and check them."""
    options = Options(settings or Settings(), timeouts, max_queue)
    options.check()
    return options


class Destination(NamedTuple):
    """Where a client connects to, and what it asks for there. `ssl` is None where `uri` is not secure."""

    uri: Uri
    request: Request
    ssl: SSLContext | None


def make_destination(
    uri: str, subprotocols: Sequence[str], additional_headers: Headers, origin: str | None, ssl: SSLContext | None
) -> Destination:
    """Raise LocalProtocolError for what can't be sent, and a URI that is none or does not go with `ssl`."""
    parsed = parse_uri(uri)
    if ssl is not None and not parsed.secure:
        raise LocalProtocolError(f"uri {uri!r} is not secure, but ssl is given; it has to begin with wss")
    if parsed.secure and ssl is None:
        ssl = create_default_context()
    request = Request(parsed.target, parsed.authority, subprotocols, additional_headers, origin)
    Connection(CLIENT).send(request)
    return Destination(parsed, request, ssl)
