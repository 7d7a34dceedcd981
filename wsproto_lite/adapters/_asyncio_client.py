"""A WebSocket client over asyncio: from a URI to an open WebSocket (RFC 6455 section 4.1).

Knows how a connection is made. Must not know what it is used for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, cast

from ..constants import CLIENT
from ..events import AcceptConnection, CloseConnection, Event, Headers, RejectConnection, Request
from ..settings import Settings
from ._asyncio_websocket import WebSocket
from ._options import MAX_QUEUE, Options, Timeouts, make_destination, make_options
from ._shared import HandshakeRejected


class ClientWebSocket(WebSocket):
    """The client's end of a WebSocket. The request goes out as soon as there is a transport."""

    __slots__ = ("opened",)

    def __init__(self, request: Request, options: Options) -> None:
        super().__init__(CLIENT, options)
        self.request = request
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self.put(request)

    def take_other(self, event: Event) -> None:
        super().take_other(event)
        if self.opened.done():
            return
        if isinstance(event, AcceptConnection):
            self.response = event
            self.opened.set_result(None)
        elif isinstance(event, RejectConnection):
            self._fail_opening(HandshakeRejected(event))
        else:
            # Until it is open, a connection ends in no other way than with an error.
            self._fail_opening(cast(CloseConnection, event).error or AssertionError(event))

    def _fail_opening(self, error: Exception) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # else it is logged if connecting was cancelled meanwhile


class connect:
    """Connect to a WebSocket server: `async with connect(uri) as ws:` or `ws = await connect(uri)`.

    uri: ws:// or wss://, without user information or fragment.
    settings: what the connection allows; sizes, compression and so on.
    subprotocols: to offer, best first.
    additional_headers: names and values to send with the request.
    origin: the Origin header.
    open_timeout: seconds for all of connecting, name look-up and TLS included.
    ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches any timeout off.
    max_queue: messages to keep for the user before reading pauses; None for no limit.
    ssl: a context for wss://, else Python's default one.
    path: of a Unix socket to connect to, instead of the host and port in the URI.
    websocket_class: a subclass of ClientWebSocket to use.

    Further arguments go to asyncio's create_connection(), for example `sock`, `server_hostname` or `local_addr`.

    Raises HandshakeRejected for a refusal with its status, headers and body, redirects included; RemoteProtocolError
    for a server that breaks a rule; TimeoutError; LocalProtocolError for arguments that can't be sent; OSError.
    """

    def __init__(
        self,
        uri: str,
        *,
        settings: Settings | None = None,
        subprotocols: Sequence[str] = (),
        additional_headers: Headers = (),
        origin: str | None = None,
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float | None = 10.0,
        max_queue: int | None = MAX_QUEUE,
        ssl: SSLContext | None = None,
        path: str | None = None,
        websocket_class: type[ClientWebSocket] = ClientWebSocket,
        **kwargs: Any,
    ) -> None:
        self._uri, self._request, ssl = make_destination(uri, subprotocols, additional_headers, origin, ssl)
        self._open_timeout = open_timeout
        # The heartbeat knows nothing of name look-up, TCP and TLS, for which the open timeout is, too.
        self._options = make_options(settings, Timeouts(None, ping_interval, ping_timeout, close_timeout), max_queue)
        self._path = path
        self._websocket_class = websocket_class
        self._kwargs = kwargs
        if ssl is not None:
            kwargs["ssl"] = ssl
            kwargs.setdefault("server_hostname", self._uri.host)

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self._connect().__await__()

    async def __aenter__(self) -> WebSocket:
        self._websocket = await self
        return self._websocket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._websocket.__aexit__(kind, error, traceback)

    async def _connect(self) -> WebSocket:
        websocket = self._websocket_class(self._request, self._options)
        # Not wait_for(): before Python 3.12 it forgets a cancellation that comes when what it waits for is done.
        opening = websocket.loop.create_task(self._open(websocket))
        try:
            await asyncio.wait([opening], timeout=self._open_timeout)
            if not opening.done():
                raise TimeoutError(f"connecting took longer than {self._open_timeout} s")
            opening.result()
        except BaseException:
            opening.cancel()
            try:
                await asyncio.gather(opening, return_exceptions=True)
            finally:
                await websocket.abandon()
            raise
        return websocket

    async def _open(self, websocket: ClientWebSocket) -> None:
        loop = websocket.loop
        if self._path is not None:
            await loop.create_unix_connection(lambda: websocket, self._path, **self._kwargs)
        elif "sock" in self._kwargs:
            await loop.create_connection(lambda: websocket, **self._kwargs)
        else:
            await loop.create_connection(lambda: websocket, self._uri.host, self._uri.port, **self._kwargs)
        await websocket.opened
