"""An echo server over asyncio, with the adapter: python examples/asyncio_echo.py [port]"""

from __future__ import annotations

import asyncio
import sys

from wsproto_lite.adapters.asyncio import WebSocket, serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    async with serve(echo, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
