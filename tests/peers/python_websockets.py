"""websockets as a peer; README.md says what a peer does."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

CHAT = Subprotocol("chat")
SIZE = 2 << 20
MESSAGES = ["h\u00e9llo", bytes(range(256)), b"", "x" * (1 << 20)]


async def client(uri: str) -> None:
    result: dict[str, Any] = {}
    async with connect(uri, subprotocols=[CHAT], max_size=SIZE) as ws:
        result["subprotocol"] = ws.subprotocol
        result["compressed"] = [extension.name for extension in ws.protocol.extensions] == ["permessage-deflate"]
        result["echoed"] = 0
        for message in MESSAGES:
            await ws.send(message)
            result["echoed"] += await ws.recv() == message
        await ws.send(["one ", "two ", "three"])
        result["fragments"] = await ws.recv() == "one two three"
        await ws.send("fragments")
        result["joined"] = await ws.recv() == "one two three"
        result["pinged"] = await (await ws.ping("there?")) >= 0
        await ws.send("ping")
        result["ponged"] = await ws.recv() == "ponged"
        await ws.close(3000, "done")
        result["closed"] = ws.close_code
    async with connect(uri + "close") as ws:
        await ws.wait_closed()
        result["server_closed"] = [ws.close_code, ws.close_reason]
    print(json.dumps(result))


async def handle(ws: ServerConnection) -> None:
    try:
        async for message in ws:
            if message == "fragments":
                await ws.send(["one ", "two ", "three"])
            elif message == "ping":
                await (await ws.ping("there?"))
                await ws.send("ponged")
            elif message == "close":
                await ws.close(3001, "bye")
            else:
                await ws.send(message)
    except ConnectionClosed:
        pass  # with a code other than 1000
    print("closed", ws.close_code, ws.close_reason, flush=True)


async def server() -> None:
    async with serve(handle, "127.0.0.1", 0, subprotocols=[CHAT], max_size=SIZE) as it:
        print(next(iter(it.sockets)).getsockname()[1], flush=True)
        await it.serve_forever()


if __name__ == "__main__":
    asyncio.run(client(sys.argv[2]) if sys.argv[1] == "client" else server())
