"""Messages over the asyncio adapter: both ways, with other libraries, and when one side is slow."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest
import websockets
from aiohttp import web
from asyncio_helpers import echo, in_loop, peer_of, running, text, uri_of
from wsproto.events import CloseConnection, Ping, Pong, Request

from wsproto_lite import ConnectionClosed, LocalProtocolError, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import ServerWebSocket, WebSocket, connect, serve

LIMIT = 1 << 20

MESSAGES = {
    "text": "h\u00e9llo",
    "binary": b"\0\xff",
    "empty_text": "",
    "empty_binary": b"",
    "text_of_the_largest_size": "x" * LIMIT,
    "binary_of_the_largest_size": b"x" * LIMIT,
}

COMPRESSION = {"plain": Settings(), "compressed": Settings(extensions=(PerMessageDeflate(),))}

messages = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
compression = pytest.mark.parametrize("settings", COMPRESSION.values(), ids=COMPRESSION)


@messages
@compression
@in_loop
async def test_echo(message: str | bytes, settings: Settings) -> None:
    async with running(settings=settings) as server, connect(uri_of(server), settings=settings) as ws:
        await ws.send(message)
        assert await ws.recv() == message
        assert len(ws.conn.extensions) == len(settings.extensions)


@messages
@compression
@in_loop
async def test_client_websockets(message: str | bytes, settings: Settings) -> None:
    async with running(settings=settings) as server, websockets.connect(uri_of(server)) as ws:
        await ws.send(message)
        assert await ws.recv() == message


@messages
@compression
@in_loop
async def test_client_aiohttp(message: str | bytes, settings: Settings) -> None:
    async with (
        running(settings=settings) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(uri_of(server), compress=15, max_msg_size=0) as ws,
    ):
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        assert (await ws.receive()).data == message


@messages
@in_loop
async def test_server_websockets(message: str | bytes) -> None:
    async def handler(ws: websockets.ServerConnection) -> None:
        async for received in ws:
            await ws.send(received)

    async with (
        websockets.serve(handler, "127.0.0.1", 0) as server,
        connect(uri_of(server), settings=COMPRESSION["compressed"]) as ws,
    ):
        await ws.send(message)
        assert await ws.recv() == message


@messages
@in_loop
async def test_server_aiohttp(message: str | bytes) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        async for received in ws:
            send: Any = ws.send_str if received.type is aiohttp.WSMsgType.TEXT else ws.send_bytes
            await send(received.data)
        return ws

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with connect(f"ws://127.0.0.1:{port}/", settings=COMPRESSION["compressed"]) as ws:
            await ws.send(message)
            assert await ws.recv() == message
    finally:
        await runner.cleanup()


KINDS = {
    "bytearray": (bytearray(b"abc"), False, b"abc"),
    "memoryview": (memoryview(b"abc"), False, b"abc"),
    "bytes_as_text": ("\u00e9".encode(), True, "\u00e9"),
    "str_as_text": ("\u00e9", True, "\u00e9"),
}


@pytest.mark.parametrize(("message", "as_text", "expected"), KINDS.values(), ids=KINDS)
@in_loop
async def test_kinds_of_message(message: Any, as_text: bool, expected: str | bytes) -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        await ws.send(message, text=as_text)
        assert await ws.recv() == expected


@in_loop
async def test_text_as_bytes() -> None:
    async with running(settings=Settings(text_as_bytes=True)) as server, connect(uri_of(server)) as ws:
        await ws.send("\u00e9")
        assert await ws.recv() == "\u00e9".encode()


@pytest.mark.parametrize("message", [5, None, "\ud800"], ids=["int", "none", "lone_surrogate"])
@in_loop
async def test_what_is_no_message_changes_nothing(message: Any) -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        with pytest.raises(LocalProtocolError):
            await ws.send(message)
        await ws.send("after")
        assert await ws.recv() == "after"


@in_loop
async def test_byte_by_byte() -> None:
    """The handshake, a message and a Close in single bytes."""
    async with running() as server, peer_of(server, opened=False) as peer:
        request = peer.wsproto.send(Request(host="localhost", target="/"))
        for byte in request:
            await peer.write(bytes([byte]))
        await peer.read()
        for byte in peer.wsproto.send(text("hello")) + peer.wsproto.send(CloseConnection(code=1000)):
            await peer.write(bytes([byte]))
        assert await peer.read_to_end() == ["hello", 1000]


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
    handshake, *answers = seen[0].writes
    assert len(answers) <= 2, "a hundred messages, and the Close"


@in_loop
async def test_what_came_before_a_close_is_answered_first() -> None:
    """After the Close there is no answering, so it is held back until a slow handler has taken the rest."""

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            await asyncio.sleep(0)
            await ws.send(message)

    async with running(handler) as server, peer_of(server) as peer:
        await peer.send(text("one"), text("two"), text("three"), CloseConnection(code=1001))
        assert (await peer.read_to_end())[:2] == ["one", "two"]


@in_loop
async def test_many_tasks_may_send() -> None:
    async with running() as server, connect(uri_of(server)) as ws:

        async def send(task: int) -> None:
            for number in range(50):
                await ws.send(f"{task} {number} " + "x" * 5000)

        sending = asyncio.gather(*[send(task) for task in range(20)])
        received = [str(await ws.recv()).split()[:2] for _ in range(1000)]
        await sending
    for task in range(20):
        assert [number for sender, number in received if sender == str(task)] == [str(number) for number in range(50)]


@in_loop
async def test_one_task_may_receive() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        receiving = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="another task is waiting"):
            await ws.recv()
        await ws.send("for the first")
        assert await receiving == "for the first"


@in_loop
async def test_fast_reader_does_not_starve_others() -> None:
    """While sending never blocks, other tasks have their turn all the same."""
    turns = 0

    async def handler(ws: WebSocket) -> None:
        for _ in range(200):
            await ws.send(b"x" * (64 << 10))

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    async with running(handler) as server, connect(uri_of(server)) as ws:
        assert [len(message) async for message in ws] == [64 << 10] * 200
    counting.cancel()
    assert turns > 100


# ---- when one side is slow ----


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
    settings = COMPRESSION["compressed"]

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
            await ws.send(bytes(LIMIT))
        while sockets[0].taken < 2:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert sockets[0].taken <= 3  # the request, a message, and what may be inflated besides
        go.set()
    assert sizes == [LIMIT] * 50


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

        class Cancelling(type(ws)):  # type: ignore[misc]  # its class is known at run time alone
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
