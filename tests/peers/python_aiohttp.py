"""aiohttp as a peer; README.md says what a peer does. It has no way to send fragments."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiohttp import ClientSession, WSMsgType, web

SIZE = 2 << 20
MESSAGES = ["h\u00e9llo", bytes(range(256)), b"", "x" * (1 << 20)]


async def client(uri: str) -> None:
    result: dict[str, Any] = {"fragments": None}
    options: dict[str, Any] = {"protocols": ["chat"], "max_msg_size": SIZE, "compress": 15}
    async with ClientSession() as session:
        async with session.ws_connect(uri, autoping=False, **options) as ws:
            result["subprotocol"] = ws.protocol
            result["compressed"] = bool(ws.compress)
            result["echoed"] = 0
            for message in MESSAGES:
                await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                result["echoed"] += (await ws.receive()).data == message
            await ws.send_str("fragments")
            result["joined"] = (await ws.receive_str()) == "one two three"
            await ws.ping(b"there?")
            pong = await ws.receive()
            result["pinged"] = (pong.type, pong.data) == (WSMsgType.PONG, b"there?")
            await ws.send_str("ping")
            ping = await ws.receive()
            assert ping.type is WSMsgType.PING
            await ws.pong(ping.data)
            result["ponged"] = await ws.receive_str() == "ponged"
            await ws.close(code=3000, message=b"done")
            result["closed"] = ws.close_code
        async with session.ws_connect(uri + "close", **options) as ws:
            close = await ws.receive()
            result["server_closed"] = [close.data, close.extra]
    print(json.dumps(result))


async def handle(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(protocols=["chat"], max_msg_size=SIZE, autoping=False, autoclose=False)
    await ws.prepare(request)
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.CLOSE:
            print("closed", message.data, message.extra, flush=True)
            await ws.close()
            return ws
        if message.type is WSMsgType.PING:
            await ws.pong(message.data)
        elif message.type is WSMsgType.PONG:
            await ws.send_str("ponged")
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        elif message.data == "ping":
            await ws.ping(b"there?")
        elif message.data == "close":
            await ws.close(code=3001, message=b"bye")
            return ws
        else:
            await ws.send_str(message.data)


async def server() -> None:
    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(client(sys.argv[2]) if sys.argv[1] == "client" else server())
