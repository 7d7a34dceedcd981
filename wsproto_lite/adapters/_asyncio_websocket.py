"""What a user holds: messages in, messages out, Pings and the end of one WebSocket, client or server.

Knows events and whoever waits for them. Must not know how bytes travel, or how a connection comes about.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Sequence
from types import TracebackType

from ..constants import CloseCode, Role
from ..errors import LocalProtocolError
from ..events import AcceptConnection, CloseConnection, Event, Message, Ping, Pong, RejectConnection, Request
from ._asyncio_link import Link
from ._facts import CONNECTING, LOCAL_CLOSING, MESSAGES, OPEN, Data, Facts, Sendable, to_event
from ._options import WRITE_SIZE, Options
from ._pings import Pings
from ._service import log_problem


class WebSocket(Link, Facts):
    """A WebSocket over asyncio. Made by `connect` and `serve`; `async with` closes it at the end.

    Messages are str or bytes, or bytes for text, too, where the settings have text_as_bytes. `request` is the client's
    Request, `response` the server's AcceptConnection, None before there is one. Any number of tasks may send, one at a
    time may receive.
    """

    __slots__ = ("_ending", "_max_queue", "_messages", "_pings", "_receiver", "request", "response")

    def __init__(self, role: Role, options: Options) -> None:
        super().__init__(role, options)
        self._max_queue = math.inf if options.max_queue is None else options.max_queue
        self._messages: deque[Data] = deque()
        self._receiver: asyncio.Future[None] | None = None
        self._pings: Pings[asyncio.Future[float]] = Pings()
        self._ending: CloseConnection | RejectConnection | None = None
        self.request: Request | None = None
        self.response: AcceptConnection | None = None

    # ---- what the link asks ----

    def take(self, events: Sequence[Event]) -> None:
        messages = self._messages
        waiting = len(messages)
        for event in events:
            if isinstance(event, MESSAGES):
                messages.append(event.data)
            else:
                self.take_other(event)
        if self.conn.state is LOCAL_CLOSING:
            # Reading goes on until the peer's Close comes, and perhaps nobody receives any more.
            while len(messages) > max(waiting, self._max_queue):
                messages.pop()
        if self._receiver is not None and not self._receiver.done() and (messages or self._ending is not None):
            self._receiver.set_result(None)
        if len(messages) > self._max_queue:
            self.schedule()

    def take_other(self, event: Event) -> None:
        """Take an event that is no message; a subclass knows what to do in the opening handshake."""
        self.schedule()
        if isinstance(event, Pong):
            self.tick()
            self._take_pong(event)
        elif isinstance(event, (CloseConnection, RejectConnection)):
            self._ending = event
            self._fail_pings()
            log_problem(self.conn, event)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # The last event may have to wait until messages before it are taken, a Pong doesn't.
        self._fail_pings()

    def is_full(self) -> bool:
        return len(self._messages) > (self._max_queue if self._is_reading else self._max_queue // 4)

    def waiting(self) -> int:
        return len(self._messages)

    # ---- messages ----

    async def send(self, message: Sendable, *, text: bool = False) -> None:
        """Send a message: str as text, bytes as binary, or as text in UTF-8 if `text` is set.

        Waits while the peer reads too slowly. Raises ConnectionClosed when it is too late, LocalProtocolError for what
        is no message. If it is cancelled, the message is not sent.
        """
        if self._is_paused or self._output_size > WRITE_SIZE:
            await self.wait_writable()
        self._check_not_closing()
        self.write(self.conn.send(to_event(message, text=text)))
        self._is_answering = False
        if self._is_holding:
            self.make_progress()

    def send_now(self, event: Message, frame: bytes | None) -> None:
        """Send a message without waiting, as `frame` if it is encoded already. For `broadcast`."""
        if not self.is_ended():
            self.write(self.conn.send(event) if frame is None else frame)
            self.come_back()

    def _check_not_closing(self) -> None:
        if self.conn.state is LOCAL_CLOSING:
            # To the core a message after our own Close is a mistake. Here another task may have sent that Close.
            raise self._closed()

    async def recv(self) -> Data:
        """Return the next message. Raises ConnectionClosed when there are no more.

        If it is cancelled, no message is lost. Raises LocalProtocolError if another task is waiting already.
        """
        while not self._messages:
            await self._wait_for_message()
        return self._take_message()

    def _take_message(self) -> Data:
        message = self._messages.popleft()
        self._is_answering = True
        if self._is_holding:
            self.make_progress()
        return message

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> Data:
        """Return the next message; stop after a normal closing, raise ConnectionClosed after any other."""
        while not self._messages:
            if self.has_ended_normally():
                raise StopAsyncIteration
            await self._wait_for_message()
        return self._take_message()

    def _wait_for_message(self) -> asyncio.Future[None]:
        """Give what is done when there is a message, or will be none."""
        self.come_back()
        if self._ending is not None:
            raise self._closed()
        if self._receiver is not None and not self._receiver.done():
            raise LocalProtocolError("another task is waiting for a message already")
        self._receiver = self.loop.create_future()
        return self._receiver

    # ---- Pings ----

    async def ping(self, payload: bytes | None = None) -> Awaitable[float]:
        """Send a Ping; what is returned gives the seconds until its Pong when awaited (RFC 6455 section 5.5.2).

        That raises ConnectionClosed if the connection ends first. A `payload` must differ from those on their way.
        """
        if self._is_paused:
            await self.wait_writable()
        sent = self._pings.check(self.conn.settings.random_bytes(8) if payload is None else payload)
        self._check_not_closing()
        self.put(Ping(sent))
        answered: asyncio.Future[float] = self.loop.create_future()
        self._pings.add(sent, answered, self.loop.time())
        # The payload is free again when nobody waits any more.
        answered.add_done_callback(lambda done: self._pings.forget(sent) if done.cancelled() else None)
        return answered

    async def pong(self, payload: bytes = b"") -> None:
        """Send a Pong that nobody asked for (RFC 6455 section 5.5.3). Pings are answered without it."""
        if self._is_paused:
            await self.wait_writable()
        self._check_not_closing()
        self.put(Pong(payload))

    def _take_pong(self, event: Pong) -> None:
        for answered, seconds in self._pings.answer(event.payload, self.loop.time()):
            if not answered.done():
                answered.set_result(seconds)

    def _fail_pings(self) -> None:
        for answered in self._pings.clear():
            if not answered.done():
                answered.set_exception(self._closed())
                answered.exception()  # else it is logged when nobody awaits it

    # ---- the end ----

    def is_ended(self) -> bool:
        """Tell whether nothing can be sent any more."""
        return self.conn.state is not OPEN or self.lost.done()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection, if it isn't closed, and wait until it is, for the close timeout at most.

        Messages that arrive meanwhile can still be received. If it is cancelled, the closing goes on.
        """
        self.begin_close(code, reason)
        await asyncio.shield(self.lost)

    def begin_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send a Close if that isn't too late, and don't wait. Raises LocalProtocolError for what can't be sent."""
        if self.conn.state is OPEN:
            self.put(CloseConnection(code, reason))
        elif self.conn.state is CONNECTING:
            self.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by whomever."""
        self.come_back()
        await asyncio.shield(self.lost)

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE
        if kind is not None:
            code = CloseCode.INTERNAL_ERROR if issubclass(kind, Exception) else CloseCode.GOING_AWAY
        try:
            await self.close(code)
        except asyncio.CancelledError:
            self.abort()
            raise
