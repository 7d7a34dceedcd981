"""Echo servers on asyncio, each written as its library's documentation does it, without compression or Pings.

`python -m benchmarks.echo_servers NAME` prints the port it listens on, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable
from typing import Any, Callable

Serve = Callable[[socket.socket], Awaitable[Any]]


async def ours(listener: socket.socket) -> Any:
    from wsproto_lite.adapters.asyncio import serve

    async def echo(websocket: Any) -> None:
        async for message in websocket:
            await websocket.send(message)

    return await serve(echo, sock=listener, ping_interval=None)


async def websockets(listener: socket.socket) -> Any:
    from websockets.asyncio.server import serve

    async def echo(websocket: Any) -> None:
        async for message in websocket:
            await websocket.send(message)

    return await serve(echo, sock=listener, compression=None, ping_interval=None)


async def aiohttp(listener: socket.socket) -> Any:
    from aiohttp import WSMsgType, web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        async for message in websocket:
            if message.type == WSMsgType.TEXT:
                await websocket.send_str(message.data)
        return websocket

    application = web.Application()
    application.router.add_get("/chat", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner


async def picows(listener: socket.socket) -> Any:
    from picows.websockets import serve

    async def echo(websocket: Any) -> None:
        async for message in websocket:
            await websocket.send(message)

    return await serve(echo, sock=listener, compression=None, ping_interval=None)


async def picows_callback(listener: socket.socket) -> Any:
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

    text = WSMsgType.TEXT

    class Echo(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            pass

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == text:
                transport.send(text, frame.get_payload_as_utf8_text())

    return await ws_create_server(lambda request: Echo(), sock=listener)


SERVERS: dict[str, Serve] = {
    "wsproto_lite": ours,
    "websockets": websockets,
    "aiohttp": aiohttp,
    "picows": picows,
    "picows callback": picows_callback,
}


async def main(name: str) -> None:
    """Serve on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = await SERVERS[name](listener)
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()
    del server


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
