"""A chat over asyncio: what one says all others read. python examples/asyncio_chat.py [port]

Any WebSocket client can join; its name is in the address: ws://127.0.0.1:8765/?name=Ada
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

from wsproto_lite import CloseCode, ConnectionClosed
from wsproto_lite.adapters.asyncio import WebSocket, broadcast, serve

guests: set[WebSocket] = set()


def tell_all(line: str) -> None:
    """Send a line to everybody, and show those out who read too slowly to keep up."""
    for ws in broadcast(guests, line):
        ws.begin_close(CloseCode.POLICY_VIOLATION, "too slow")


async def chat(ws: WebSocket) -> None:
    assert ws.request is not None
    query = parse_qs(urlsplit(ws.request.target).query)
    name = query.get("name", ["somebody"])[0]
    guests.add(ws)
    tell_all(f"{name} joins")
    try:
        async for message in ws:
            tell_all(f"{name}: {message!s}")
    except ConnectionClosed:
        pass  # the connection was lost, which is a way to leave
    finally:
        guests.discard(ws)
        tell_all(f"{name} leaves")


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    async with serve(chat, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
