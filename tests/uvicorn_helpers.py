"""What the tests of the uvicorn adapter share: uvicorn inside the test, and an application that tells what it sees."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Callable, ClassVar

import uvicorn
from asyncio_helpers import Peer

from wsproto_lite.adapters.uvicorn import WebSocketProtocol

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[Any]]

ACCEPT = {"type": "websocket.accept"}

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Observed(WebSocketProtocol):
    """A protocol that tells what it reads, writes and waits for."""

    seen: ClassVar[list[Observed]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writes: list[int] = []
        self.taken = 0
        self.full = asyncio.Event()
        self.blocked = asyncio.Event()
        self.seen.append(self)

    def take(self, events: Any) -> None:
        self.taken += len(events)
        super().take(events)

    def emit(self, data: bytes) -> None:
        self.writes.append(len(data))
        super().emit(data)

    def is_full(self) -> bool:
        full = super().is_full()
        if full:
            self.full.set()
        return full

    def pause_writing(self) -> None:
        super().pause_writing()
        self.blocked.set()


@asynccontextmanager
async def serving(app: Any, *, listener: socket.socket | None = None, **options: Any) -> AsyncIterator[uvicorn.Server]:
    """Run uvicorn in this loop, all but its signals and its clock."""
    options = {"ws": WebSocketProtocol, "lifespan": "off", "log_config": None, "http": "h11", **options}
    config = uvicorn.Config(app, **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = listener or socket.create_server(("127.0.0.1", 0))
    await server.on_tick(0)  # it makes the headers
    await server.startup(sockets=[listener])
    try:
        yield server
    finally:
        await server.shutdown(sockets=[listener])


def address_of(server: uvicorn.Server) -> tuple[str, int]:
    host, port = server.servers[0].sockets[0].getsockname()
    return host, port


def uri_of(server: uvicorn.Server, target: str = "/") -> str:
    return "ws://{}:{}".format(*address_of(server)) + target


@asynccontextmanager
async def peer_of(server: uvicorn.Server, *, opened: bool = True, **kwargs: Any) -> AsyncIterator[Peer]:
    """Connect with wsproto, and by hand."""
    address = () if "sock" in kwargs else address_of(server)
    peer = Peer(*await asyncio.open_connection(*address, **kwargs))
    try:
        if opened:
            await peer.open()
        yield peer
    finally:
        await peer.close()


async def answer_to(server: uvicorn.Server, request: bytes = REQUEST) -> tuple[bytes, list[bytes], bytes]:
    """Send a request, and return status line, headers and body of what comes until the end."""
    async with peer_of(server, opened=False) as peer:
        await peer.write(request)
        head, _, body = (await peer.reader.read()).partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        return status, headers, body


async def turns(count: int = 50) -> None:
    """Let everybody else do what there is to do."""
    for _ in range(count):
        await asyncio.sleep(0)


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Accept, and send back what comes."""
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send(ACCEPT)
        elif message["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        else:
            return


class Recorder:
    """An application that accepts, records what it receives and does nothing else."""

    def __init__(self) -> None:
        self.scopes: list[Message] = []
        self.received: list[Message] = []
        self.done = asyncio.Event()
        self.accepted = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        assert await receive() == {"type": "websocket.connect"}
        await send(ACCEPT)
        self.accepted.set()
        while True:
            message = await receive()
            self.received.append(message)
            if message["type"] == "websocket.disconnect":
                assert await receive() == message, "it is told again to whoever asks again"
                self.done.set()
                return
