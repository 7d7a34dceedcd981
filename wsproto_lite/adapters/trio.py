"""WebSockets over trio: `connect` to a server, `serve` clients.

    async with connect("ws://localhost:8765/") as websocket:
        await websocket.send("hello")
        print(await websocket.recv())

    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    await serve(echo, "localhost", 8765)

The public face of the modules beside it: _session has what a connection does but for I/O, _trio_websocket moves its
bytes, _trio_client and _trio_server make and keep connections.
"""

from ._broadcast import broadcast
from ._facts import Data
from ._shared import HandshakeRejected
from ._trio_client import connect
from ._trio_server import Server, serve
from ._trio_websocket import WebSocket

__all__ = ["Data", "HandshakeRejected", "Server", "WebSocket", "broadcast", "connect", "serve"]
