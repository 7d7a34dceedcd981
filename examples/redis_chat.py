"""A chat over several processes, with Redis between them: python examples/redis_chat.py [port]

Needs Redis, at REDIS_URL (redis://localhost:6379 if that isn't set). Each process subscribes to one channel for all its
clients; what a client says is published, and so reaches everybody's clients. Any WebSocket client will do, this too:
    python -m websockets ws://127.0.0.1:8765/
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import redis.asyncio as redis
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

CHANNEL = "chat"
MAX_WAITING = 100  # messages for one client

clients: set[asyncio.Queue[str]] = set()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    url = os.environ.get("REDIS_URL", "redis://localhost:6379")
    async with redis.from_url(url, decode_responses=True) as server, server.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        task = asyncio.create_task(distribute(subscription))
        yield {"redis": server}
        task.cancel()


async def distribute(subscription: Any) -> None:
    """Give what is published to all clients of this process."""
    while True:
        try:
            async for message in subscription.listen():
                if message["type"] == "message":
                    for client in clients:
                        # Who reads too slowly misses something, for one client must not hold up all others.
                        with suppress(asyncio.QueueFull):
                            client.put_nowait(message["data"])
        except redis.ConnectionError:
            await asyncio.sleep(1)  # then listen() connects anew


async def chat(ws: WebSocket) -> None:
    # Which process it is is only of interest to those who want to see several at work.
    await ws.accept(headers=[(b"x-process", b"%d" % os.getpid())])
    client: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
    clients.add(client)
    task = asyncio.create_task(forward(client, ws))
    try:
        async for text in ws.iter_text():
            await ws.state.redis.publish(CHANNEL, text)
    finally:
        clients.discard(client)
        task.cancel()


async def forward(client: asyncio.Queue[str], ws: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await ws.send_text(await client.get())


app = Starlette(routes=[WebSocketRoute("/", chat)], lifespan=lifespan)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    uvicorn.run(
        "redis_chat:app",
        app_dir=str(Path(__file__).parent),
        ws="wsproto_lite.adapters.uvicorn:WebSocketProtocol",
        port=port,
        workers=2,
    )


if __name__ == "__main__":
    main()
