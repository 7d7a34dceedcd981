"""The asyncio adapter when one side is slow: writes are few, memory is bounded, cancelling loses nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from asyncio_helpers import echo, in_loop, peer_of, running, text, uri_of
from wsproto.events import CloseConnection, Ping, Pong

from wsproto_lite import ConnectionClosed, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import ServerWebSocket, WebSocket, connect, serve


class Observed(ServerWebSocket):
    """A WebSocket that tells what it reads, writes and waits for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.taken = 0
        self.writes: list[int] = []
        self.full = asyncio.Event()
        self.blocked = asyncio.Event()

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


@in_loop
async def test_answers_to_one_chunk_are_one_write() -> None:
    seen = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws)
        await echo(ws)

    async with running(handler, websocket_class=Observed) as server, peer_of(server) as peer:
        await peer.send(*[text(str(number)) for number in range(100)], CloseConnection(code=1000))
        assert await peer.read_to_end() == [*map(str, range(100)), 1000]
    assert len(seen[0].writes[1:]) <= 2, "a hundred messages, and the Close"


@in_loop
async def test_slow_reader_makes_senders_wait() -> None:
    """Memory is bounded by what asyncio and the kernel buffer."""
    sent = 0
    sockets: list[Observed] = []
    started = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        nonlocal sent
        assert isinstance(ws, Observed)
        sockets.append(ws)
        started.set()
        for number in range(1000):
            await ws.send(number.to_bytes(2, "big") * (32 << 10))
            sent += 1

    async with running(handler, websocket_class=Observed) as server, peer_of(server) as peer:
        await started.wait()
        await sockets[0].blocked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent * (64 << 10) < 16 << 20
        *received, code = await peer.read_to_end()
        assert [message[:2] for message in received] == [number.to_bytes(2, "big") for number in range(1000)]
        assert code == 1000


@in_loop
async def test_slow_handler_makes_reading_pause() -> None:
    received = []
    go = asyncio.Event()
    sockets: list[Observed] = []
    started = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws, Observed)
        sockets.append(ws)
        started.set()
        await go.wait()
        async for message in ws:
            received.append(len(message))

    async with running(handler, websocket_class=Observed) as server, connect(uri_of(server)) as ws:

        async def send() -> None:
            for _ in range(500):
                await ws.send(b"x" * (64 << 10))

        sending = asyncio.ensure_future(send())
        await started.wait()
        await sockets[0].full.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not sending.done()
        assert sockets[0].taken <= 16 + 3  # the request, the message over the limit, and what its chunk brought
        go.set()
        await sending
    assert received == [64 << 10] * 500


@in_loop
async def test_bombs_wait_for_a_slow_handler() -> None:
    """What one chunk can be inflated to stays compressed until there is somebody to take it."""
    sizes = []
    go = asyncio.Event()
    sockets: list[Observed] = []
    started = asyncio.Event()
    settings = Settings(extensions=(PerMessageDeflate(),))

    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws, Observed)
        sockets.append(ws)
        started.set()
        await go.wait()
        async for message in ws:
            sizes.append(len(message))

    async with (
        running(handler, websocket_class=Observed, settings=settings) as server,
        connect(uri_of(server), settings=settings) as ws,
    ):
        await started.wait()
        for _ in range(50):
            await ws.send(bytes(1 << 20))
        while sockets[0].taken < 2:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert sockets[0].taken <= 3  # the request, a message, and what may be inflated besides
        go.set()
    assert sizes == [1 << 20] * 50


@in_loop
async def test_flood_of_pings_from_one_who_does_not_read() -> None:
    """Pongs are dropped, not kept: section 5.5.3 asks for an answer to the latest Ping alone."""
    sockets: list[Observed] = []

    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws, Observed)
        sockets.append(ws)
        await echo(ws)

    # The kernel's buffers are made small, so that they are full soon.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(listener.getsockname())
    async with (
        serve(handler, sock=listener, websocket_class=Observed) as server,
        peer_of(server, sock=client, limit=1 << 10) as peer,
    ):
        pings = b"".join(peer.wsproto.send(Ping(payload=b"p" * 125)) for _ in range(1000))
        for _ in range(100):
            await peer.write(pings)
        await sockets[0].blocked.wait()
        await peer.send(Ping(payload=b"last"), CloseConnection(code=1000))
        seen = await peer.read_to_end()
        assert seen[-2:] == [Pong(payload=b"last"), 1000]
        assert len(seen) < 2_000


@in_loop
async def test_cancelled_send() -> None:
    """The message on which it waits is not sent, in no part; others are, before and after."""
    cancelled = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        assert isinstance(ws, Observed)
        sending = asyncio.ensure_future(send_until_blocked(ws))
        await ws.blocked.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        cancelled.set()
        await ws.send("still whole")

    async def send_until_blocked(ws: WebSocket) -> None:
        while True:
            await ws.send(b"x" * (64 << 10))

    async with running(handler, websocket_class=Observed) as server, peer_of(server) as peer:
        await cancelled.wait()
        *received, last, code = await peer.read_to_end()
        assert {len(message) for message in received} == {64 << 10}
        assert (last, code) == ("still whole", 1000)


@in_loop
async def test_cancelled_recv_loses_nothing() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        receiving = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        await ws.send("first")
        assert await ws.recv() == "first"


@in_loop
async def test_recv_cancelled_as_the_message_comes() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        receiving = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0)
        original = ws.take

        class Cancelling(type(ws)):
            __slots__ = ()

            def take(self, events: Any) -> None:
                original(events)
                receiving.cancel()

        ws.__class__ = Cancelling
        await ws.send("first")
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert await ws.recv() == "first"


@in_loop
async def test_max_queue_of_none_reads_on() -> None:
    go = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await go.wait()
        await echo(ws)

    async with running(handler, max_queue=None) as server, peer_of(server) as peer:
        await peer.send(*[text(str(number)) for number in range(100)], Ping(payload=b""))
        assert await peer.read() == [Pong(payload=b"")]
        go.set()
        await peer.send(CloseConnection(code=1000))
        assert (await peer.read_to_end())[-1] == 1000


@in_loop
async def test_send_after_the_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(1001, "done")
        for use in (ws.send("late"), ws.recv(), ws.ping(), ws.pong()):
            with pytest.raises(ConnectionClosed) as caught:
                await use
            assert caught.value.close_info.sent == (1001, "done")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.close_info.received == (1001, "done")
