"""An echo server over trio, with the adapter: python examples/trio_echo.py [port]"""

from __future__ import annotations

import sys

import trio

from wsproto_lite.adapters.trio import Server, WebSocket, serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, echo, "127.0.0.1", port)
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)


if __name__ == "__main__":
    trio.run(main)
