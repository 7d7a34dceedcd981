"""WebSockets over asyncio: `connect` to a server, `serve` clients.

    async with connect("ws://localhost:8765/") as websocket:
        await websocket.send("hello")
        print(await websocket.recv())

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async with serve(echo, "localhost", 8765) as server:
        await server.serve_forever()

The public face of the modules beside it: _asyncio_link drives the core over a transport, _asyncio_websocket is what a
user holds, _asyncio_client and _asyncio_server make and keep connections.
"""

from ._asyncio_client import ClientWebSocket, connect
from ._asyncio_serve import serve
from ._asyncio_server import Server, ServerWebSocket
from ._asyncio_websocket import WebSocket
from ._broadcast import broadcast
from ._facts import Data
from ._shared import HandshakeRejected

__all__ = [
    "ClientWebSocket",
    "Data",
    "HandshakeRejected",
    "Server",
    "ServerWebSocket",
    "WebSocket",
    "broadcast",
    "connect",
    "serve",
]
