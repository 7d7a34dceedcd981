"""Begin to serve: turn what a user asks for into a Server that listens.

Knows the arguments. Must not know what becomes of a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any

from ..events import Headers
from ..settings import Settings
from ._asyncio_server import Handler, ProcessRequest, Server, ServerWebSocket
from ._options import MAX_QUEUE, Timeouts, make_options
from ._service import Service


class serve:
    """Serve WebSockets: `async with serve(handler, host, port) as server:` or `server = await serve(...)`.

    handler: awaited with each WebSocket that opens. When it returns the connection is closed with 1000; when it raises,
        with 1011, and the exception is logged.
    settings: what connections allow; sizes, compression, origins and so on.
    subprotocols: those supported, best first. A client that offers none of them is served without.
    additional_headers: names and values to send with the acceptance.
    process_request: called, and awaited if need be, with the WebSocket and the RequestHead of any HTTP request, an
        upgrade or not. Returns a RejectConnection to answer with, whatever its status, or None to go on as usual.
    open_timeout, ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches one off.
    max_queue: messages of a connection to keep for its handler before reading pauses; None for no limit.
    path: of a Unix socket to listen on, instead of host and port.
    websocket_class: a subclass of ServerWebSocket to use.

    Further arguments go to asyncio's create_server(), for example `ssl`, `sock`, `backlog` or `reuse_port`.
    Raises LocalProtocolError for settings or timeouts that make no sense, and OSError when it can't listen.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
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
        path: str | None = None,
        websocket_class: type[ServerWebSocket] = ServerWebSocket,
        **kwargs: Any,
    ) -> None:
        self._service = Service(handler, subprotocols, additional_headers, process_request)
        timeouts = Timeouts(open_timeout, ping_interval, ping_timeout, close_timeout)
        self._options = make_options(settings, timeouts, max_queue)
        self._host, self._port, self._path = host, port, path
        self._websocket_class = websocket_class
        self._kwargs = kwargs
        if kwargs.get("ssl") is not None:
            kwargs.setdefault("ssl_handshake_timeout", open_timeout)

    def __await__(self) -> Generator[Any, None, Server]:
        return self._serve().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self
        return self._server

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, traceback)

    async def _serve(self) -> Server:
        loop = asyncio.get_running_loop()
        server = Server(self._service, self._options.timeouts.close_timeout)

        def make_websocket() -> ServerWebSocket:
            return self._websocket_class(server, self._options)

        kwargs = {**self._kwargs, "start_serving": False}
        if self._path is not None:
            await server.listen(await loop.create_unix_server(make_websocket, self._path, **kwargs))
        else:
            await server.listen(await loop.create_server(make_websocket, self._host, self._port, **kwargs))
        return server
