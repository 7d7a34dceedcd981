"""Deadlines over the asyncio adapter: silent peers, stuck peers, and silence of our own making."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncio_helpers import SHORT, echo, in_loop, peer_of, running, text, uri_of
from wsproto.events import CloseConnection, Ping, Pong

from wsproto_lite import (
    SERVER,
    AcceptConnection,
    Connection,
    ConnectionClosed,
    State,
)
from wsproto_lite.adapters.asyncio import WebSocket, connect


@in_loop
async def test_silence_after_a_ping() -> None:
    """A message that stalls in the middle is silence, too."""
    ends = []

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed, match="closed 1011 by us"):
            await ws.recv()
        ends.append(ws.close_code)

    async with running(handler, ping_interval=SHORT, ping_timeout=SHORT) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])
        assert isinstance((await peer.read())[0], Ping)
        assert await peer.read_to_end() == [1011]
    assert ends == [1011]


@in_loop
async def test_pong_that_is_late_when_the_opening_is_noticed() -> None:
    """Where others keep the loop busy a tick that follows the handshake may fail the connection: its Close goes out."""
    loop = asyncio.get_running_loop()
    time, passed = loop.time, 0.0

    async def handler(ws: WebSocket) -> None:
        nonlocal passed
        passed += 2 * SHORT
        ws.tick()
        passed += 2 * SHORT
        await ws.wait_closed()
        assert ws.close_code == 1011

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(loop, "time", lambda: time() + passed)
        async with running(handler, ping_interval=SHORT, ping_timeout=SHORT) as server, peer_of(server) as peer:
            ping, code = await peer.read_to_end()
            assert isinstance(ping, Ping)
            assert code == 1011


@in_loop
async def test_pongs_keep_a_connection_open() -> None:
    async with (
        running(ping_interval=SHORT, ping_timeout=SHORT) as server,
        connect(uri_of(server), ping_interval=SHORT, ping_timeout=SHORT) as ws,
    ):
        assert ws.latency is None
        while ws.latency is None:
            await asyncio.sleep(SHORT)
        assert 0 < ws.latency < 10
        assert ws.state is State.OPEN


@pytest.mark.parametrize("ping_timeout", [SHORT, None], ids=["pings_checked", "pings_only"])
@in_loop
async def test_silence_of_our_own_making(ping_timeout: float | None) -> None:
    """While we don't read, Pongs can't be seen: that is no reason to give the connection up."""
    go = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await go.wait()
        await echo(ws)

    timeouts: dict[str, Any] = {"ping_interval": SHORT, "ping_timeout": ping_timeout}
    async with running(handler, max_queue=1, **timeouts) as server, peer_of(server) as peer:
        await peer.send(*[text(str(number)) for number in range(10)])
        for _ in range(4):
            await asyncio.sleep(SHORT)
        go.set()
        await peer.send(CloseConnection(code=1000))
        seen = [event for event in await peer.read_to_end() if not isinstance(event, (Ping, Pong))]
        assert seen == [*map(str, range(10)), 1000]


@in_loop
async def test_reading_pauses_without_timeouts() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("read me")
        await (await ws.ping())
        await echo(ws)

    timeouts: dict[str, Any] = {"ping_interval": None, "ping_timeout": None}
    async with running(handler, max_queue=1, **timeouts) as server, peer_of(server) as peer:
        messages = [text(str(number)) for number in range(10)]
        events = await peer.read()
        while not isinstance(events[-1], Ping):
            events += await peer.read()
        await peer.send(*messages, events[-1].response())
        await peer.send(CloseConnection(code=1000))
        assert (await peer.read_to_end())[-1] == 1000


@in_loop
async def test_peer_does_not_answer_our_close() -> None:
    async with running(lambda ws: ws.close(), close_timeout=SHORT) as server, peer_of(server) as peer:
        (closing,) = await peer.read()
        assert closing == CloseConnection(code=1000, reason="")
        assert await peer.reader.read() == b""


@in_loop
async def test_peer_answers_our_close_but_not_the_end_of_the_stream() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        await ws.close()
        ends.append((ws.close_code, ws.conn.should_close))

    async with running(handler, close_timeout=SHORT) as server, peer_of(server) as peer:
        (closing,) = await peer.read()
        await peer.send(closing.response())
        assert await peer.reader.read() == b""
        while not ends:
            await asyncio.sleep(0)
    assert ends == [(1000, True)]


@in_loop
async def test_peer_that_closes_but_does_not_read() -> None:
    """What is not written by the close deadline is thrown away."""

    async def handler(ws: WebSocket) -> None:
        sending = [asyncio.ensure_future(ws.send(bytes(1 << 20))) for _ in range(100)]
        for _ in range(100):
            await asyncio.sleep(0)
        for task in sending:
            task.cancel()

    async with running(handler, close_timeout=SHORT) as server, peer_of(server, limit=1 << 10) as peer:
        peer.writer.write_eof()
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
        await ws.wait_closed()
        assert ws.close_code == 1006


@in_loop
async def test_server_that_never_closes() -> None:
    """A client waits for the server to close TCP, but not for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conn = _server_side(await reader.readuntil(b"\r\n\r\n"), writer)
        while data := await reader.read(1 << 16):
            conn.receive_data(data)
            conn.receive_data(b"")
            writer.write(conn.data_to_send())
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        async with connect(uri_of(listener), close_timeout=SHORT) as ws:
            pass
        assert (ws.close_code, ws.close_info.sent, ws.close_info.received) == (1000, (1000, ""), (1000, ""))


def _server_side(request: bytes, writer: asyncio.StreamWriter) -> Any:
    conn = Connection(SERVER)
    conn.receive_data(request)
    writer.write(conn.send(AcceptConnection()))
    return conn


@in_loop
async def test_no_close_timeout() -> None:
    async with running(close_timeout=None) as server, connect(uri_of(server), close_timeout=None) as ws:
        await ws.close()
        assert ws.close_code == 1000
