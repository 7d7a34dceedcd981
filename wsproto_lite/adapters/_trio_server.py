"""A WebSocket server over trio: opens WebSockets, runs a handler for each, shuts down in good order.

Knows how connections come and go. Must not know what a handler does with one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from ssl import SSLContext
from typing import Any, Callable, Union

import trio

from ..closing import encode_close
from ..constants import SERVER, CloseCode
from ..events import Headers, RejectConnection
from ..http11 import RequestHead
from ..settings import Settings
from ._options import MAX_QUEUE, Options, Timeouts, make_options
from ._service import Service, code_after, split_failure
from ._sockets import listen_on_path
from ._trio_websocket import WebSocket

Handler = Callable[[WebSocket], Awaitable[None]]

Answer = Union[RejectConnection, None]
ProcessRequest = Callable[[WebSocket, RequestHead], Union[Answer, Awaitable[Answer]]]


async def serve(
    handler: Handler,
    host: str | None = None,
    port: int = 0,
    *,
    settings: Settings | None = None,
    subprotocols: Sequence[str] = (),
    additional_headers: Headers = (),
    process_request: ProcessRequest | None = None,
    open_timeout: float | None = 10.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    close_timeout: float | None = 10.0,
    max_queue: int | None = MAX_QUEUE,
    ssl: SSLContext | None = None,
    path: str | None = None,
    listeners: Sequence[trio.abc.Listener[Any]] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """Serve WebSockets until the server is closed: `server = await nursery.start(serve, handler, host, port)`.

    handler: awaited with each WebSocket that opens. When it returns the connection is closed with 1000; when it raises,
        with 1011, and the exception is logged.
    settings: what connections allow; sizes, compression, origins and so on.
    subprotocols: those supported, best first. A client that offers none of them is served without.
    additional_headers: names and values to send with the acceptance.
    process_request: called, and awaited if need be, with the WebSocket and the RequestHead of any HTTP request, an
        upgrade or not. Returns a RejectConnection to answer with, whatever its status, or None to go on as usual.
    open_timeout, ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches one off.
    max_queue: messages of a connection to keep for its handler before reading pauses; None for no limit.
    ssl: a context, for TLS.
    path: of a Unix socket to listen on, instead of host and port.
    listeners: to accept from, instead of any address; they are closed at the end.

    Further arguments go to trio.open_tcp_listeners(), for example `backlog`. Port 0 is any that is free, see
    `Server.sockets`. Where it is cancelled, all connections are cut; to end in good order call `Server.close`.
    Raises LocalProtocolError for settings or timeouts that make no sense, and OSError when it can't listen.
    """
    service = Service(handler, subprotocols, additional_headers, process_request)
    timeouts = Timeouts(open_timeout, ping_interval, ping_timeout, close_timeout)
    options = make_options(settings, timeouts, max_queue)
    if path is not None:
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listen_on_path(path)))]
    elif listeners is None:
        listeners = await trio.open_tcp_listeners(port, host=host, **kwargs)
    if ssl is not None:
        listeners = [trio.SSLListener(listener, ssl, https_compatible=True) for listener in listeners]
    await Server(service, options, listeners).run(task_status)


class Server:
    """A server that listens. Its connections are in `connections`, those that are only opening included."""

    def __init__(self, service: Service, options: Options, listeners: Sequence[trio.abc.Listener[Any]]) -> None:
        self.connections: set[WebSocket] = set()
        self.listeners = list(listeners)
        self._service = service
        self._options = options
        self._accepting = trio.CancelScope()
        self._gone = trio.lowlevel.ParkingLot()
        self._finished = trio.Event()

    # ---- the server ----

    @property
    def sockets(self) -> Sequence[Any]:
        """The sockets it listens on; none once it is closed."""
        transports = [getattr(listener, "transport_listener", listener) for listener in self.listeners]
        sockets = [listener.socket for listener in transports if isinstance(listener, trio.SocketListener)]
        return [sock for sock in sockets if sock.fileno() >= 0]

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stop listening and close all connections, but don't wait for that: wait_closed does.

        Raises LocalProtocolError for a code or reason that can't be sent.
        """
        encode_close(code, reason)
        for websocket in list(self.connections):
            websocket.go_away(code, reason)
        self._accepting.cancel()

    async def wait_closed(self) -> None:
        """Wait until the server is closed, all its connections are, too, and all handlers are done.

        After close() that takes no longer than the close timeout: then connections are cut off and handlers cancelled.
        """
        await self._finished.wait()

    async def run(self, task_status: trio.TaskStatus[Server]) -> None:
        """Accept connections until it is closed, then wait for those there are."""
        try:
            async with trio.open_nursery() as nursery:
                with self._accepting:
                    task_status.started(self)
                    await trio.serve_listeners(self._serve_stream, self.listeners, handler_nursery=nursery)
                timeout = self._options.timeouts.close_timeout
                with trio.move_on_after(math.inf if timeout is None else timeout):
                    while self.connections:
                        await self._gone.park()
                nursery.cancel_scope.cancel()
        finally:
            self._finished.set()

    # ---- its connections ----

    async def _serve_stream(self, stream: trio.abc.Stream) -> None:
        websocket = WebSocket(stream, SERVER, self._options)
        websocket.hold_refusal(is_held=self._service.process_request is not None)
        self.connections.add(websocket)
        if self._accepting.cancel_called:
            websocket.abort()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(websocket.run)
                await self._serve(websocket)
        finally:
            self.connections.discard(websocket)
            self._gone.unpark_all()

    async def _serve(self, websocket: WebSocket) -> None:
        code = CloseCode.NORMAL_CLOSURE
        try:
            await websocket.wait_asked()
            is_answered = await self._service.has_refused(websocket)
            websocket.hold_refusal(is_held=False)
            if not is_answered and websocket.request is not None:
                websocket.accept(self._service.acceptance(websocket.request))
                await self._service.handler(websocket)
        except BaseException as error:
            failure, rest = split_failure(error)
            if failure is not None:
                code = code_after(failure, websocket)
            if rest is not None:
                raise rest from None
        await websocket.close(code)
