"""A WebSocket server over asyncio: opens WebSockets, runs a handler for each, shuts down in good order.

Knows how connections come and go. Must not know what a handler does with one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Callable, Union

from ..closing import encode_close
from ..constants import SERVER, CloseCode
from ..events import AcceptConnection, Event, RejectConnection, Request
from ..http11 import RequestHead
from ._asyncio_websocket import WebSocket
from ._facts import CONNECTING
from ._options import Options
from ._service import Service, code_after

Handler = Callable[[WebSocket], Awaitable[None]]

Answer = Union[RejectConnection, None]
ProcessRequest = Callable[[WebSocket, RequestHead], Union[Answer, Awaitable[Answer]]]


class ServerWebSocket(WebSocket):
    """The server's end of a WebSocket."""

    __slots__ = ("_server",)

    def __init__(self, server: Server, options: Options) -> None:
        super().__init__(SERVER, options)
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.remove(self)

    def take_other(self, event: Event) -> None:
        super().take_other(event)
        if isinstance(event, Request):
            self.request = event
            self._server.serve(self)
        elif isinstance(event, RejectConnection) and self.request is None:
            self._server.answer(self)

    def accept(self, response: AcceptConnection) -> None:
        """Answer a client's request with consent."""
        self.response = response
        self.put(response)

    def refuse(self, rejection: RejectConnection) -> None:
        """Answer a client's request with anything else."""
        self.put(rejection)

    def go_away(self, code: int, reason: str) -> None:
        """End, because the server does."""
        if self.conn.state is CONNECTING and self.request is not None:
            self.put(RejectConnection(503))
        else:
            self.begin_close(code, reason)


class Server:
    """A server that listens. `async with` closes it at the end; its connections are in `connections`."""

    def __init__(self, service: Service, close_timeout: float | None) -> None:
        self.connections: set[WebSocket] = set()
        self._service = service
        self._close_timeout = close_timeout
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: asyncio.Task[None] | None = None
        self._finished: asyncio.Future[None] = self._loop.create_future()

    # ---- the server ----

    async def listen(self, listener: asyncio.Server) -> None:
        """Begin to accept connections."""
        self._listener = listener
        await listener.start_serving()

    @property
    def sockets(self) -> Sequence[Any]:
        """The sockets it listens on; none once it is closed."""
        return () if self._listener is None else self._listener.sockets

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stop listening and close all connections, but don't wait for that: wait_closed does.

        Raises LocalProtocolError for a code or reason that can't be sent.
        """
        encode_close(code, reason)
        for websocket in list(self.connections):
            assert isinstance(websocket, ServerWebSocket)
            websocket.go_away(code, reason)
        if self._finishing is None:
            self._finishing = self._loop.create_task(self._finish())

    async def wait_closed(self) -> None:
        """Wait until the server is closed, all its connections are, too, and all handlers are done.

        After close() that takes no longer than the close timeout: then connections are cut off and handlers cancelled.
        """
        await asyncio.shield(self._finished)

    async def serve_forever(self) -> None:
        """Wait until another task has closed the server. Where this is cancelled, close it."""
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    async def _finish(self) -> None:
        assert self._listener is not None
        self._listener.close()
        await self._wait_for_all(self._close_timeout)
        for task in self._tasks:
            task.cancel()
        # Connections have deadlines of their own. Those that are still in a TLS handshake are refused after it.
        await self._wait_for_all(None)
        self._finished.set_result(None)

    async def _wait_for_all(self, timeout: float | None) -> None:
        waiting = [*self._tasks, *(websocket.lost for websocket in self.connections)]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()

    # ---- its connections ----

    def add(self, websocket: WebSocket) -> None:
        """Take note of a connection, and refuse it if the server is closing."""
        self.connections.add(websocket)
        if self._finishing is not None:
            websocket.abort()

    def remove(self, websocket: WebSocket) -> None:
        """Forget a connection that is lost."""
        self.connections.discard(websocket)

    def serve(self, websocket: ServerWebSocket) -> None:
        """Answer an upgrade, and run the handler if it is accepted."""
        self._start(self._serve(websocket))

    def answer(self, websocket: ServerWebSocket) -> None:
        """Let process_request answer what the connection refuses by itself, if it is HTTP at all."""
        if self._service.process_request is not None and websocket.conn.request_head is not None:
            websocket.holds_refusal = True
            self._start(self._answer(websocket))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, websocket: ServerWebSocket) -> None:
        code = CloseCode.NORMAL_CLOSURE
        try:
            if not await self._service.has_refused(websocket):
                assert websocket.request is not None
                websocket.accept(self._service.acceptance(websocket.request))
                await self._service.handler(websocket)
        except Exception as error:
            code = code_after(error, websocket)
        except BaseException:
            websocket.abort()
            raise
        await websocket.close(code)

    async def _answer(self, websocket: ServerWebSocket) -> None:
        try:
            await self._service.has_refused(websocket)
        except BaseException:
            websocket.abort()
            raise
        websocket.holds_refusal = False
        websocket.schedule()
