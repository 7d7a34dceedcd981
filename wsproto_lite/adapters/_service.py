"""What a server does with its connections, whatever drives them.

Knows the user's functions and what to make of their failures. Must not know how connections come and go.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Any, Callable, NamedTuple, Protocol

from ..connection import Connection
from ..constants import SERVER, CloseCode
from ..errors import ConnectionClosed
from ..events import AcceptConnection, CloseConnection, Headers, RejectConnection, Request
from ._shared import select_subprotocol

logger = logging.getLogger("wsproto_lite")


class Endable(Protocol):
    """A WebSocket, as far as its end matters here."""

    def is_ended(self) -> bool: ...


class Refusable(Protocol):
    """A WebSocket, as far as its beginning does."""

    conn: Connection

    def refuse(self, rejection: RejectConnection) -> None: ...


class Service(NamedTuple):
    """The arguments of `serve` that say what to do with a connection."""

    handler: Callable[..., Any]
    subprotocols: Sequence[str]
    additional_headers: Headers
    process_request: Callable[..., Any] | None

    def acceptance(self, request: Request) -> AcceptConnection:
        """Answer an upgrade that nobody refuses."""
        return AcceptConnection(select_subprotocol(request, self.subprotocols), self.additional_headers)

    async def has_refused(self, websocket: Refusable) -> bool:
        """Ask process_request, which may be a coroutine function. Tell whether it gave an answer of its own."""
        head = websocket.conn.request_head
        if self.process_request is None or head is None:
            return False
        try:
            answer = self.process_request(websocket, head)
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer is None:
                return False
            websocket.refuse(check_answer(answer))
        except ConnectionClosed:
            pass
        except Exception:
            logger.exception("process_request failed")
            websocket.refuse(RejectConnection(500))
        return True


def check_answer(answer: object) -> RejectConnection:
    """Raise TypeError for what process_request may not return."""
    if not isinstance(answer, RejectConnection):
        raise TypeError(f"process_request returned {answer!r}; it must be a RejectConnection or None")
    return answer


def log_problem(conn: Connection, ending: CloseConnection | RejectConnection) -> None:
    """Log for which fault of the client's a connection was failed or refused (RFC 6455 section 7.1.7).

    A client that is merely gone is no problem.
    """
    error = ending.error
    if conn.role is SERVER and error is not None and error.code != CloseCode.ABNORMAL_CLOSURE:
        logger.info("a connection was %s", conn.close_info.cause)


def code_after(failure: Exception, websocket: Endable) -> CloseCode:
    """Say with which code to close after a handler has failed, and log what is its own fault."""
    # A handler may leave it to us to notice that the connection has ended.
    if websocket.is_ended() and all(isinstance(error, ConnectionClosed) for error in _single(failure)):
        return CloseCode.NORMAL_CLOSURE
    logger.error("a handler failed", exc_info=failure)
    return CloseCode.INTERNAL_ERROR


def split_failure(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """Take apart what a handler has raised: its failures, and what has to go on, a cancellation for example."""
    if isinstance(error, Exception):
        return error, None
    split: Callable[..., Any] | None = getattr(error, "split", None)
    return (None, error) if split is None else split(Exception)


def _single(error: BaseException) -> list[BaseException]:
    """Take an ExceptionGroup apart, which Python has by itself from 3.11 on only."""
    return [single for inner in getattr(error, "exceptions", ()) for single in _single(inner)] or [error]
