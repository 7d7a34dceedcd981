"""What the browser talks to, twice: `handle` for the asyncio adapter, and `app`, which does the same for uvicorn.

/echo sends back what comes, /watched/name does so, too, and /ends/name then tells how that ended; /ping tells how long
a Ping took, null if that isn't known yet; /close closes with the code and reason it is sent; /forbidden answers 403.
Run as a program this serves `handle`, over TLS where it is given a certificate, until it is terminated.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Callable

from wsproto_lite import ConnectionClosed, PerMessageDeflate, RejectConnection, Settings
from wsproto_lite.adapters.asyncio import WebSocket, serve

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PING = bytes(range(125))
"""The largest payload that a Ping can have."""

ends: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
"""Code and reason with which each connection to /watched/name ended, by name."""


# ---- the asyncio adapter ----


async def handle(ws: WebSocket) -> None:
    assert ws.request is not None
    _, task, *name = ws.request.target.split("/")
    with suppress(ConnectionClosed):
        async for message in ws:
            if task == "ping":
                await ws.send(json.dumps(await (await ws.ping(PING))))
            elif task == "close":
                await ws.close(*json.loads(message))
            elif task == "ends":
                await ws.send(json.dumps(await ends[name[0]].get()))
            else:
                await ws.send(message)
    if task == "watched":
        ends[name[0]].put_nowait([ws.close_code, ws.close_reason])


def forbid(ws: WebSocket, head: Any) -> RejectConnection | None:
    return RejectConnection(403) if head.target == "/forbidden" else None


async def main(certificates: list[str]) -> None:
    context = None
    for certificate in certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    settings = Settings(extensions=(PerMessageDeflate(),))
    async with serve(handle, "127.0.0.1", 0, settings=settings, process_request=forbid, ssl=context) as server:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        scheme = "wss" if context else "ws"
        print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.wait_closed()


# ---- uvicorn ----


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    _, task, *name = scope["path"].split("/")
    await receive()
    await send({"type": "websocket.close" if task == "forbidden" else "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            break
        if task == "ping":
            await send({"type": "websocket.send", "text": json.dumps(latency_of(receive))})
        elif task == "close":
            code, reason = json.loads(message["text"])
            await send({"type": "websocket.close", "code": code, "reason": reason})
        elif task == "ends":
            await send({"type": "websocket.send", "text": json.dumps(await ends[name[0]].get())})
        else:
            await send({**message, "type": "websocket.send"})
    if task == "watched":
        ends[name[0]].put_nowait([message["code"], message["reason"]])


def latency_of(receive: Any) -> float | None:
    """Ask the protocol that this method is of. Its heartbeat sends Pings, of which ASGI knows nothing."""
    latency: float | None = receive.__self__._heartbeat.latency
    return latency


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
