"""Messages over the asyncio adapter: both ways, and with other libraries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets
from asyncio_helpers import SHORT, in_loop, peer_of, running, text, uri_of
from missing import needed_module
from wsproto.events import CloseConnection, Request

from wsproto_lite import LocalProtocolError, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import WebSocket, connect

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
    aiohttp = needed_module("aiohttp")
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
    web = needed_module("aiohttp.web")

    async def handler(request: Any) -> Any:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        async for received in ws:
            send: Any = ws.send_str if received.type is web.WSMsgType.TEXT else ws.send_bytes
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


@in_loop
async def test_ping_for_which_nobody_waits_any_more() -> None:
    """Its payload may be used again, and nothing of it is kept."""
    async with running(WebSocket.wait_closed) as server, peer_of(server):
        (ws,) = server.connections
        for _ in range(2):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(await ws.ping(b"the same"), SHORT / 10)
        answers = [asyncio.ensure_future(await ws.ping()) for _ in range(100)]
        for answer in answers:
            answer.cancel()
        await asyncio.wait(answers)
        assert ws._pings.clear() == []


@in_loop
async def test_pings_cancelled_when_their_answer_comes() -> None:
    """Before they can be forgotten."""
    async with running(WebSocket.wait_closed) as server, peer_of(server):
        (ws,) = server.connections
        answered = await ws.ping(b"soon")
        assert isinstance(answered, asyncio.Future)
        answered.cancel()
        ws.feed(b"\x8a\x84\0\0\0\0soon")
        lost = await ws.ping(b"never")
        assert isinstance(lost, asyncio.Future)
        ws.abort()
        lost.cancel()
        await ws.wait_closed()
        assert (answered.cancelled(), lost.cancelled()) == (True, True)
