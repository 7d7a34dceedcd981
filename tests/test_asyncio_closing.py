"""How connections over the asyncio adapter end in good order, and Pings."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asyncio_helpers import SHORT, in_loop, peer_of, running, text, uri_of
from wsproto.events import CloseConnection, Pong

from wsproto_lite import (
    CLIENT,
    SERVER,
    CloseInfo,
    ConnectionClosed,
    LocalProtocolError,
    Settings,
    State,
)
from wsproto_lite.adapters.asyncio import WebSocket, connect


async def hang(ws: WebSocket) -> None:
    await asyncio.Event().wait()


@in_loop
async def test_client_closes() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            raise AssertionError("there is no message")
        ends.append((ws.close_code, ws.close_reason, ws.close_info))

    async with running(handler) as server, connect(uri_of(server)) as ws:
        assert (ws.close_code, ws.close_reason, ws.state) == (None, None, State.OPEN)
        await ws.close(3000, "done")
        await ws.close(3001, "again")
        assert (ws.close_code, ws.close_reason, ws.state) == (3000, "", State.CLOSED)
        assert ws.close_info == CloseInfo((3000, "done"), (3000, ""), CLIENT, "closed 3000 by us: done")
    # The handler's loop raised, for 3000 is no normal end; but that is no fault of its own, and isn't logged.
    assert ends == []


@pytest.mark.parametrize("code", [1000, 1001, 1005])
@in_loop
async def test_iteration_stops_at_a_normal_end(code: int) -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        assert [message async for message in ws] == ["hello"]
        ends.append((ws.close_code, ws.close_reason))

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.send("hello")
        await ws.close(code, "" if code == 1005 else "bye")
    assert ends == [(code, "" if code == 1005 else "bye")]


@in_loop
async def test_iteration_raises_at_any_other_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(1011, "broken")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed, match="closed 1011 by the peer: broken") as caught:
            await ws.__anext__()
        assert caught.value.close_info.received == (1011, "broken")


@in_loop
async def test_handler_that_returns() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("bye")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        assert [message async for message in ws] == ["bye"]
        assert ws.close_info == CloseInfo((1000, ""), (1000, ""), SERVER, "closed 1000 by the peer")


@in_loop
async def test_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        raise ValueError("my mistake")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011
    (record,) = [record for record in caplog.records if record.name == "wsproto_lite"]
    assert record.levelno == logging.ERROR
    assert "my mistake" in str(record.exc_text)


@in_loop
async def test_handler_that_finds_another_connection_closed(caplog: pytest.LogCaptureFixture) -> None:
    """ConnectionClosed is no failure of a handler if it is about its own connection."""

    async def handler(ws: WebSocket) -> None:
        raise ConnectionClosed("another", CloseInfo())

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.wait_closed()
        assert ws.close_code == 1011
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["wsproto_lite"]


@in_loop
async def test_handler_that_finds_its_connection_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_loop
async def test_bad_close_code() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        with pytest.raises(LocalProtocolError, match="close code 1006 may not be sent"):
            await ws.close(1006)
        await ws.send("still open")
        assert await ws.recv() == "still open"


@in_loop
async def test_exception_in_the_body_of_a_client() -> None:
    codes = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        codes.append(ws.close_code)

    async with running(handler) as server:
        with pytest.raises(ValueError, match="mine"):
            async with connect(uri_of(server)):
                raise ValueError("mine")
        with pytest.raises(asyncio.CancelledError):
            async with connect(uri_of(server)):
                raise asyncio.CancelledError
    assert codes == [1011, 1001]


@in_loop
async def test_a_websocket_closes_itself() -> None:
    async with running() as server:
        async with await connect(uri_of(server)) as ws:
            pass
        assert ws.close_code == 1000


@in_loop
async def test_messages_under_way_when_we_close() -> None:
    """They can still be received, as many as the queue holds; there is nobody who must take them."""
    go = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await go.wait()
        for number in range(100):
            await ws.send(str(number))
        await ws.wait_closed()

    async with running(handler) as server, connect(uri_of(server), max_queue=10) as ws:
        closing = asyncio.ensure_future(ws.close())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionClosed, match="closing or closed"):
            await ws.send("too late")
        go.set()
        await closing
        assert [message async for message in ws] == [str(number) for number in range(10)]


@in_loop
async def test_answers_after_half_close() -> None:
    """A client that has no more to send may still want to read."""
    async with running() as server, peer_of(server) as peer:
        await peer.send(text("one"), text("two"))
        peer.writer.write_eof()
        assert await peer.read_to_end() == ["one", "two"]


# ---- cancellation ----


@in_loop
async def test_cancelled_close_goes_on() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        closing = asyncio.ensure_future(ws.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await ws.wait_closed()
        assert ws.close_code == 1000


@in_loop
async def test_cancelled_exit_cuts_the_connection() -> None:
    async with running(hang, close_timeout=SHORT) as server:

        async def use() -> None:
            async with connect(uri_of(server), close_timeout=None):
                pass

        using = asyncio.ensure_future(use())
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
        while ws.state is not State.CLOSED:
            await asyncio.sleep(0)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using


# ---- Pings ----


@in_loop
async def test_ping() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        assert 0 < await (await ws.ping()) < 10
        answered = await ws.ping(b"mine")
        with pytest.raises(LocalProtocolError, match="on its way already"):
            await ws.ping(b"mine")
        assert 0 < await answered < 10
        await ws.pong(b"nobody asked")


@in_loop
async def test_pong_answers_earlier_pings() -> None:
    """Section 5.5.3: a Pong may be sent for the latest Ping alone."""

    async def handler(ws: WebSocket) -> None:
        first, second, third, fourth, fifth = [await ws.ping(bytes([number])) for number in range(5)]
        for cancelled in (second, fifth):
            assert isinstance(cancelled, asyncio.Future)
            cancelled.cancel()
        assert await third < 10
        assert await first >= 0
        with pytest.raises(ConnectionClosed):
            await fourth

    async with running(handler) as server, peer_of(server) as peer:
        pings = await peer.read()
        while len(pings) < 5:
            pings += await peer.read()
        await peer.send(Pong(payload=b"unknown"), pings[2].response())
        await peer.send(CloseConnection(code=1000))
        assert await peer.read_to_end() == [1000]


@in_loop
async def test_pings_that_nobody_awaits_end_in_silence() -> None:
    async with running(hang, close_timeout=SHORT) as server, connect(uri_of(server)) as ws:
        answered = await ws.ping()
        cancelled = await ws.ping()
        assert isinstance(cancelled, asyncio.Future)
        cancelled.cancel()
        del answered


@in_loop
async def test_limits_are_the_settings() -> None:
    settings = Settings(max_message_size=10)
    async with running(settings=settings) as server, connect(uri_of(server)) as ws:
        await ws.send("x" * 11)
        with pytest.raises(ConnectionClosed, match="closed 1009 by the peer"):
            await ws.recv()
