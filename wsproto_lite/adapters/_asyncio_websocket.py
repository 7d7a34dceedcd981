"""What a user holds: messages in, messages out, Pings and the end of one WebSocket, client or server.

Knows events and whoever waits for them. Must not know how bytes travel, or how a connection comes about.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import Union, cast

from ..constants import CloseCode, Role, State
from ..errors import CloseInfo, ConnectionClosed, LocalProtocolError
from ..events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    EncodedTextMessage,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from ._asyncio_link import OPEN, WRITE_SIZE, Link
from ._asyncio_options import Options

Data = Union[str, bytes]

CONNECTING = State.CONNECTING
LOCAL_CLOSING = State.LOCAL_CLOSING

MESSAGES = (TextMessage, BytesMessage, EncodedTextMessage)

NORMAL_ENDS = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)
"""Close codes with which iterating over messages just stops."""


class WebSocket(Link):
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
        self._pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
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
            for answered, _ in self._pings.values():
                if not answered.done():
                    answered.set_exception(self._closed())
                    answered.exception()  # else it is logged when nobody awaits it
            self._pings.clear()

    def is_full(self) -> bool:
        return len(self._messages) > (self._max_queue if self._is_reading else self._max_queue // 4)

    def has_messages(self) -> bool:
        return bool(self._messages)

    # ---- what a user reads ----

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

    # ---- messages ----

    async def send(self, message: str | bytes | bytearray | memoryview, *, text: bool = False) -> None:
        """Send a message: str as text, bytes as binary, or as text in UTF-8 if `text` is set.

        Waits while the peer reads too slowly. Raises ConnectionClosed when it is too late, LocalProtocolError for what
        is no message. If it is cancelled, the message is not sent.
        """
        if self._is_paused or self._output_size > WRITE_SIZE:
            await self.wait_writable()
        self._check_not_closing()
        if isinstance(message, str):
            self.write(self.conn.send(TextMessage(message)))
        else:
            data = cast(bytes, message)  # of which the core takes any kind
            self.write(self.conn.send(EncodedTextMessage(data) if text else BytesMessage(data)))

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
        if self._is_holding:
            self.schedule()
        return message

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> Data:
        """Return the next message; stop after a normal closing, raise ConnectionClosed after any other."""
        while not self._messages:
            if self._ending is not None and self._ending.error is None and self.close_code in NORMAL_ENDS:
                raise StopAsyncIteration
            await self._wait_for_message()
        return self._take_message()

    def _wait_for_message(self) -> asyncio.Future[None]:
        """Give what is done when there is a message, or will be none."""
        if self._ending is not None:
            raise self._closed()
        if self._receiver is not None and not self._receiver.done():
            raise LocalProtocolError("another task is waiting for a message already")
        self._receiver = self.loop.create_future()
        return self._receiver

    def _closed(self) -> ConnectionClosed:
        info = self.conn.close_info
        return ConnectionClosed(f"the connection is closing or closed: {info.cause}", info)

    # ---- Pings ----

    async def ping(self, payload: bytes | None = None) -> Awaitable[float]:
        """Send a Ping; what is returned gives the seconds until its Pong when awaited (RFC 6455 section 5.5.2).

        That raises ConnectionClosed if the connection ends first. A `payload` must differ from those on their way.
        """
        if self._is_paused:
            await self.wait_writable()
        if payload is None:
            payload = self.conn.settings.random_bytes(8)
        if payload in self._pings:
            raise LocalProtocolError(f"a ping with payload {payload!r} is on its way already")
        self._check_not_closing()
        self.put(Ping(payload))
        answered: asyncio.Future[float] = self.loop.create_future()
        self._pings[payload] = answered, self.loop.time()
        return answered

    async def pong(self, payload: bytes = b"") -> None:
        """Send a Pong that nobody asked for (RFC 6455 section 5.5.3). Pings are answered without it."""
        if self._is_paused:
            await self.wait_writable()
        self._check_not_closing()
        self.put(Pong(payload))

    def _take_pong(self, event: Pong) -> None:
        """Section 5.5.3: a Pong may answer the latest Ping alone, so all before it are answered as well."""
        if event.payload not in self._pings:
            return
        now = self.loop.time()
        payload = None
        while payload != event.payload:
            payload = next(iter(self._pings))
            answered, sent = self._pings.pop(payload)
            if not answered.done():
                answered.set_result(now - sent)

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
