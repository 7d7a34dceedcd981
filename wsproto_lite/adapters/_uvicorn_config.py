"""What uvicorn was told, in this library's words, and what an application is told: settings, the scope, complaints.

Knows values alone. Must not know what becomes of a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from ..events import Request
from ..extensions import Extension, PerMessageDeflate
from ..settings import Settings
from ._options import Options, Timeouts, make_options

Message = MutableMapping[str, Any]
"""A message of ASGI, and a scope."""

CLOSE_TIMEOUT = 10.0
"""Seconds to wait for the client's Close. uvicorn has no option for it, and waits as long."""

SHUTDOWN_TIMEOUT = 1.0
"""Seconds to wait for it when the server ends. uvicorn's own protocols don't wait at all then, so that a client whose
input is under way may be reset before it has read why; but a server mustn't end late because of clients that are gone.
"""

HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding"))
"""Headers of a refusal that are about how it travels, of which the application knows nothing."""

HEAD_SIZE = 64 << 10
"""Bytes of a request's head if uvicorn has no limit of its own. It has read the head before we see it."""


class Phase(Enum):
    """Where an application stands with its connection."""

    ASKED = auto()
    REFUSING = auto()
    ACCEPTED = auto()
    DONE = auto()


def complaint(kind: str, expected: Iterable[str]) -> str:
    """Say in uvicorn's words that a message isn't due. Where none is, the application had said that it was done."""
    due = " or ".join(f"'{name}'" for name in expected)
    if not due:
        return f"Unexpected ASGI message '{kind}', after sending 'websocket.close' or response already completed."
    return f"Expected ASGI message {due} but got '{kind}'."


def read_options(config: Config, close_timeout: float | None = CLOSE_TIMEOUT) -> Options:
    """Give what a connection is made with, also for options with which uvicorn starts though they make little sense.

    To uvicorn a ping interval or timeout of 0 means none.
    """
    return _cached_options(
        max(1, config.ws_max_size),
        max(1, config.ws_max_queue),
        _seconds(config.ws_ping_interval),
        _seconds(config.ws_ping_timeout),
        close_timeout,
        config.ws_per_message_deflate,
        config.h11_max_incomplete_event_size or HEAD_SIZE,
    )


def _seconds(timeout: float | None) -> float | None:
    return timeout if timeout is not None and timeout > 0 else None


@lru_cache(maxsize=16)
def _cached_options(
    max_size: int,
    max_queue: int,
    ping_interval: float | None,
    ping_timeout: float | None,
    close_timeout: float | None,
    per_message_deflate: bool,
    head_size: int,
) -> Options:
    # Once for all connections of a server, as checking them takes longer than a handshake.
    extensions: tuple[Extension, ...] = (PerMessageDeflate(),) if per_message_deflate else ()
    settings = Settings(max_message_size=max_size, max_header_size=head_size, extensions=extensions)
    # An application may take all the time it likes to accept: uvicorn doesn't limit that.
    return make_options(settings, Timeouts(None, ping_interval, ping_timeout, close_timeout), max_queue)


def make_scope(request: Request, transport: asyncio.Transport, config: Config, state: dict[str, Any]) -> Message:
    """Describe the connection for the application, as ASGI has it."""
    path, _, query = request.target.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(transport) else "ws",
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "root_path": config.root_path,
        "path": config.root_path + unquote(path),
        "raw_path": (config.root_path + path).encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": request.headers,
        "subprotocols": list(request.subprotocols),
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}},
    }
