"""An echo application in Starlette, served by uvicorn: python examples/uvicorn_starlette.py [port]

The same from the command line, which goes for any ASGI application:
    uvicorn --ws wsproto_lite.adapters.uvicorn:WebSocketProtocol --app-dir examples uvicorn_starlette:app
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

PROTOCOL = "wsproto_lite.adapters.uvicorn:WebSocketProtocol"


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while (message := await ws.receive())["type"] == "websocket.receive":
        await ws.send({**message, "type": "websocket.send"})


app = Starlette(routes=[WebSocketRoute("/", echo)])


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    config = uvicorn.Config(app, ws=PROTOCOL, ws_max_size=1 << 20, log_level="warning")
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
