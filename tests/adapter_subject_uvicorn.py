"""Servers of the uvicorn adapter for the tests of every adapter's: a real uvicorn, and an application around a script.

ASGI has recv, send and close, and tells how a connection has ended. What it lacks is left to test_uvicorn*.py: Pings,
a deadline for the handshake and a hook in it, which are uvicorn's; the code and the reason of a shutdown; what uvicorn
does itself with an application that raises. There are no clients, and a client's answer to our Close is nothing that an
application hears of: there the script is told what the connection knows.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import Queue
from typing import Any

import pytest
from adapter_subjects import SUBJECTS, Running, Script, ServerSubject, calls_in, drive
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_helpers import ACCEPT, App, Message, Receive, Send, serving

from wsproto_lite import ConnectionClosed, State
from wsproto_lite.adapters.uvicorn import WebSocketProtocol

OPTIONS = {"ping_interval": "ws_ping_interval", "ping_timeout": "ws_ping_timeout", "max_size": "ws_max_size"}
"""What uvicorn calls what the other adapters have as arguments, too."""


class AsgiWebSocket:
    """What a script does with its WebSocket, by messages of ASGI."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._protocol: WebSocketProtocol = receive.__self__  # type: ignore[attr-defined]  # it is a bound method
        self.close_code: int | None = None
        self.conn = self._protocol.conn

    async def accept(self) -> None:
        assert await self._receive() == {"type": "websocket.connect"}
        await self._send(ACCEPT)

    async def recv(self) -> Any:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise self._closed(message)
        return message["text"] if "text" in message else message["bytes"]

    async def send(self, message: str | bytes) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        await self._unless_disconnected(self._send({"type": "websocket.send", key: message}))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, if that isn't too late, and wait until the connection is closed."""
        if self.close_code is None:
            await self._unless_disconnected(self._send({"type": "websocket.close", "code": code, "reason": reason}))
            await self.wait_closed()
            received = self.conn.close_info.received
            self.close_code = 1006 if received is None else received[0]

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, as an application that is busy with something else."""
        await asyncio.shield(self._protocol.lost)

    def waiting(self) -> int:
        return self._protocol.waiting()

    def is_ended(self) -> bool:
        return self.conn.state is not State.OPEN

    async def _unless_disconnected(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except ClientDisconnected:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                pass
            raise self._closed(message) from None

    def _closed(self, message: Message) -> ConnectionClosed:
        self.close_code = message["code"]
        return ConnectionClosed(f"the application was told {message}", self.conn.close_info)


def application(script: Script) -> App:
    """Make an application that runs a script, and closes behind it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        ws = AsgiWebSocket(receive, send)
        with suppress(ConnectionClosed, ClientDisconnected):
            await ws.accept()
            await drive(script, ws)
            await ws.close()

    return app


class Server:
    """What a Running knows how to ask, of uvicorn's server."""

    def __init__(self, server: Any, close: Callable[[], None]) -> None:
        self.sockets = server.servers[0].sockets
        self.connections = server.server_state.connections
        self.close = close


class Uvicorn(ServerSubject):
    name = "uvicorn"

    def _serve(self, script: Script, ready: Queue[Any], kwargs: dict[str, Any]) -> None:
        asyncio.run(self._main(script, ready, **kwargs))

    async def _main(
        self, script: Script, ready: Queue[Any], host: str, port: int, open_timeout: None = None, **kwargs: Any
    ) -> None:
        closing = asyncio.Event()
        attributes = {"close_timeout": kwargs.pop("close_timeout", WebSocketProtocol.close_timeout)}
        protocol = type("Protocol", (WebSocketProtocol,), attributes)
        options = {OPTIONS[name]: value for name, value in kwargs.items()}
        listener = socket.create_server((host, port))
        async with serving(application(script), listener=listener, ws=protocol, **options) as server:
            ready.put(Running(Server(server, closing.set), calls_in(asyncio.get_running_loop())))
            await closing.wait()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def sleep(self, seconds: float) -> Any:
        return asyncio.sleep(seconds)


SERVERS: dict[str, ServerSubject] = {**SUBJECTS, "uvicorn": Uvicorn()}

servers = pytest.mark.parametrize("subject", SERVERS.values(), ids=SERVERS)
