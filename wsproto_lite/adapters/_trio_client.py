"""A WebSocket client over trio: from a URI to an open WebSocket (RFC 6455 section 4.1).

Knows how a connection is made. Must not know what it is used for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any

import trio

from ..constants import CLIENT, CloseCode
from ..events import Headers
from ..settings import Settings
from ._options import MAX_QUEUE, Timeouts, make_destination, make_options
from ._trio_websocket import WebSocket


class connect:
    """Connect to a WebSocket server: `async with connect(uri) as ws:`.

    uri: ws:// or wss://, without user information or fragment.
    settings: what the connection allows; sizes, compression and so on.
    subprotocols: to offer, best first.
    additional_headers: names and values to send with the request.
    origin: the Origin header.
    open_timeout: seconds for all of connecting, name look-up and TLS included.
    ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches any timeout off.
    max_queue: messages to keep for the user before reading pauses; None for no limit.
    ssl, server_hostname: a context for wss://, else Python's default one, and the name to check.
    path: of a Unix socket to connect to, instead of the host and port in the URI.
    stream: any trio stream to use instead of connecting, through a proxy say. TLS is added to it for wss://.

    Further arguments go to trio.open_tcp_stream(), for example `local_address`.

    The tasks behind a connection live as long as the block. At its end the connection is closed; where an exception or
    a cancellation ends it, with 1011 or at once. Raises HandshakeRejected for a refusal with its status, headers and
    body, redirects included; RemoteProtocolError for a server that breaks a rule; TimeoutError; LocalProtocolError for
    arguments that can't be sent; OSError.
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
        server_hostname: str | None = None,
        path: str | None = None,
        stream: trio.abc.Stream | None = None,
        **kwargs: Any,
    ) -> None:
        self._uri, self._request, self._ssl = make_destination(uri, subprotocols, additional_headers, origin, ssl)
        self._open_timeout = open_timeout
        # The heartbeat knows nothing of name look-up, TCP and TLS, for which the open timeout is, too.
        self._options = make_options(settings, Timeouts(None, ping_interval, ping_timeout, close_timeout), max_queue)
        self._server_hostname = server_hostname or self._uri.host
        self._path = path
        self._stream = stream
        self._kwargs = kwargs

    async def __aenter__(self) -> WebSocket:
        # A nursery as a context manager would wrap the exceptions of the user's block in groups.
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        try:
            with trio.CancelScope(deadline=_after(self._open_timeout)) as scope:
                self._websocket = await self._open()
                return self._websocket
        except BaseException:
            await self._leave()
            raise
        await self._leave()
        assert scope.cancelled_caught
        raise TimeoutError(f"connecting took longer than {self._open_timeout} s")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE
        if kind is not None:
            code = CloseCode.INTERNAL_ERROR if issubclass(kind, Exception) else CloseCode.GOING_AWAY
        try:
            await self._websocket.close(code)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)

    async def _open(self) -> WebSocket:
        websocket = WebSocket(await self._open_stream(), CLIENT, self._options)
        self._nursery.start_soon(websocket.run)
        websocket.begin(self._request)
        await websocket.wait_opened()
        return websocket

    async def _open_stream(self) -> trio.abc.Stream:
        stream = await self._open_transport()
        if self._ssl is None:
            return stream
        # Peers close TCP without the end of TLS all the time, and a Close frame says as much.
        secure = trio.SSLStream(stream, self._ssl, server_hostname=self._server_hostname, https_compatible=True)
        is_secure = False
        try:
            await secure.do_handshake()
            is_secure = True
        except trio.BrokenResourceError as error:
            # Its cause is an SSLError, which is an OSError, or that of the socket, if there is one.
            raise error.__cause__ if isinstance(error.__cause__, OSError) else ConnectionResetError() from None
        finally:
            if not is_secure:
                await trio.aclose_forcefully(secure)
        return secure

    async def _open_transport(self) -> trio.abc.Stream:
        if self._stream is not None:
            return self._stream
        if self._path is not None:
            return await trio.open_unix_socket(self._path)
        return await trio.open_tcp_stream(self._uri.host, self._uri.port, **self._kwargs)


def _after(seconds: float | None) -> float:
    return math.inf if seconds is None else trio.current_time() + seconds
