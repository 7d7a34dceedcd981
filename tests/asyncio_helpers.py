"""What the tests of the asyncio adapter share: a loop that notices leaks, and a peer of another make."""

from __future__ import annotations

import asyncio
import functools
import gc
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Callable

import wsproto
from patience import PATIENCE
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, CloseConnection, Event, Message, Request, TextMessage

from wsproto_lite.adapters.asyncio import Server, WebSocket, serve

SHORT = 0.05
"""Seconds of a deadline that is to pass."""

UPLOAD = 16 << 20

LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER with which closing a socket resets the connection."""

Test = Callable[..., Coroutine[Any, Any, None]]


def in_loop(test: Test) -> Callable[..., None]:
    """Run a test in a loop of its own, which must end with nothing left over: no task, no transport, no exception."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        if hasattr(gc, "freeze"):  # PyPy has none
            gc.freeze()  # what is there already need not be searched
        asyncio.run(supervise(test, args, kwargs), debug=True)
        gc.collect()  # a transport or socket that wasn't closed warns, and warnings are errors

    return run


async def supervise(test: Test, args: Any, kwargs: Any) -> None:
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = PATIENCE
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    await asyncio.wait_for(test(*args, **kwargs), PATIENCE)
    await asyncio.sleep(0)  # what has been cancelled ends
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert left == set()
    # What never became a connection asyncio mentions in debug mode only.
    assert [fault for fault in faults if "transport creation" not in fault["message"]] == []


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def uri_of(server: Server, target: str = "/") -> str:
    return f"ws://127.0.0.1:{port_of(server)}{target}"


@asynccontextmanager
async def running(handler: Callable[[WebSocket], Any] = echo, **kwargs: Any) -> AsyncIterator[Server]:
    async with serve(handler, "127.0.0.1", 0, **kwargs) as server:
        yield server


class Peer:
    """A client that writes what it is told to, and reads with wsproto."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.wsproto = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.early: list[Event] = []
        self.draining = asyncio.Lock()  # before 3.10 no two may drain at once

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        async with self.draining:
            await self.writer.drain()

    async def send(self, *events: Event) -> None:
        """Send events in one piece."""
        await self.write(b"".join([self.wsproto.send(event) for event in events]))

    async def open(self, **kwargs: Any) -> None:
        await self.send(Request(host="localhost", target="/", **kwargs))
        accepted, *self.early = await self.read()
        assert isinstance(accepted, AcceptConnection)

    async def read(self) -> list[Event]:
        """Return the events of the next bytes, none at the end of the stream."""
        if self.early:
            early, self.early = self.early, []
            return early
        data = await self.reader.read(1 << 16)
        if not data:
            return []
        self.wsproto.receive_data(data)
        return list(self.wsproto.events())

    async def read_to_end(self) -> list[Any]:
        """Answer a Close, and return all that comes: messages whole, codes of Closes, other events as they are.

        Fails when the connection is reset.
        """
        seen: list[Any] = []
        parts: list[Any] = []
        while True:
            events = await self.read()
            if not events:
                return seen
            for event in events:
                if isinstance(event, Message):
                    parts.append(event.data)
                    if event.message_finished:
                        seen.append((b"" if isinstance(parts[0], (bytes, bytearray)) else "").join(parts))
                        parts.clear()
                elif isinstance(event, CloseConnection):
                    seen.append(event.code)
                    if self.wsproto.state is ConnectionState.REMOTE_CLOSING:
                        await self.send(event.response())
                else:
                    seen.append(event)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def is_cut_off(self) -> bool:
        """Tell whether the server ends the connection without a word, in one way or another."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        """Close the TCP connection the hard way."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.writer.transport.abort()


@asynccontextmanager
async def peer_of(server: Server, *, opened: bool = True, **kwargs: Any) -> AsyncIterator[Peer]:
    address = () if "sock" in kwargs else ("127.0.0.1", port_of(server))
    peer = Peer(*await asyncio.open_connection(*address, **kwargs))
    try:
        if opened:
            await peer.open()
        yield peer
    finally:
        await peer.close()


def text(data: str) -> TextMessage:
    return TextMessage(data=data)


def handshake() -> bytes:
    """Return a client's request, as simple as can be."""
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()
