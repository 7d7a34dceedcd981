"""WebSockets for threads, over plain sockets: `connect` to a server, `serve` clients.

    with connect("ws://localhost:8765/") as websocket:
        websocket.send("hello")
        print(websocket.recv(timeout=5))

    def echo(websocket):
        for message in websocket:
            websocket.send(message)

    with serve(echo, "localhost", 8765) as server:
        server.serve_forever()

The public face of the modules beside it: _session has what a connection does but for I/O, _threads_websocket moves its
bytes, _threads_client and _threads_server make and keep connections.
"""

from ._broadcast import broadcast
from ._facts import Data
from ._shared import HandshakeRejected
from ._threads_client import connect
from ._threads_server import Server, serve
from ._threads_websocket import WebSocket

__all__ = ["Data", "HandshakeRejected", "Server", "WebSocket", "broadcast", "connect", "serve"]
