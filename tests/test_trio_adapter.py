"""What the adapter for trio has for itself: streams and listeners of any kind, cancel scopes, exception groups."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Callable

import pytest
import trio
import trio.testing
from adapter_peers import server_that
from asyncio_helpers import SHORT
from patience import PATIENCE

from wsproto_lite import SERVER, ConnectionClosed, LocalProtocolError, State
from wsproto_lite.adapters._options import Timeouts, make_options
from wsproto_lite.adapters._service import Service
from wsproto_lite.adapters.trio import Server, WebSocket, connect, serve


def in_trio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in trio. Exceptions that nurseries have wrapped are taken out, one by one."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            with trio.fail_after(PATIENCE):
                await test(*args, **kwargs)

        trio.run(main)

    return run


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def hang(ws: WebSocket) -> None:
    await trio.sleep_forever()


@asynccontextmanager
async def running(handler: Callable[[WebSocket], Any] = echo, **kwargs: Any) -> AsyncIterator[Server]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve, handler, "127.0.0.1", 0, **kwargs))
        yield server
        server.close()
        await server.wait_closed()


def uri_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@in_trio
async def test_iteration() -> None:
    async with running() as server:
        async with connect(uri_of(server)) as ws:
            await ws.send("one")
            assert await ws.__anext__() == "one"
            ws.begin_close()
            assert [message async for message in ws] == []
        assert ws.state is State.CLOSED
    assert server.sockets == []

    async def fail(ws: WebSocket) -> None:
        await ws.close(1011, "broken")

    async with running(fail) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed, match="broken"):
            await ws.__anext__()


@in_trio
async def test_one_task_may_receive() -> None:
    received = []

    async def receive(ws: WebSocket) -> None:
        received.append(await ws.recv())

    async with running() as server, connect(uri_of(server)) as ws, trio.open_nursery() as nursery:
        nursery.start_soon(receive, ws)
        await trio.testing.wait_all_tasks_blocked(SHORT)
        with pytest.raises(LocalProtocolError, match="somebody else is waiting"):
            await ws.recv()
        await ws.send("for the first")
    assert received == ["for the first"]


@in_trio
async def test_stream_and_listeners_of_another_kind() -> None:
    """Nothing that knows of sockets."""
    ours, theirs = trio.testing.memory_stream_pair()

    streams = [theirs]

    class Listener(trio.abc.Listener[trio.abc.Stream]):
        async def accept(self) -> trio.abc.Stream:
            if not streams:
                await trio.sleep_forever()
            return streams.pop()

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve, echo, listeners=[Listener()]))
        assert server.sockets == []
        async with connect("ws://example.org/", stream=ours) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            assert (ws.local_address, ws.remote_address) == (None, None)
        server.close()


@pytest.mark.parametrize("call", [WebSocket.recv, WebSocket.ping, lambda ws: ws.send("too late")])
@in_trio
async def test_stream_that_its_user_closes(call: Callable[[WebSocket], Any]) -> None:
    """It is lost like one that the peer has broken; no nursery wraps what that raises."""

    async def talk(stream: trio.SocketStream) -> None:
        async with connect("ws://localhost/", stream=stream) as ws:
            await stream.aclose()
            while True:
                await call(ws)

    async with running() as server:
        with pytest.raises(ConnectionClosed) as caught:
            await talk(await trio.open_tcp_stream("127.0.0.1", server.sockets[0].getsockname()[1]))
    assert (caught.value.close_info.sent, caught.value.close_info.received) == (None, None)


def test_deadlines_of_a_virtual_clock() -> None:
    """Hours pass in no time: what counts is trio's clock."""

    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        options = make_options(None, Timeouts(3600, 3600, 3600, 3600), None)
        ws = WebSocket(theirs, SERVER, options)
        began = trio.current_time()
        await ws.run()
        assert trio.current_time() - began == pytest.approx(3600)
        assert (ws.close_code, await ours.receive_some()) == (1006, b"")

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# ---- cancelling ----


@in_trio
async def test_cancelled_server_cuts_all() -> None:
    cancelled = []

    async def handler(ws: WebSocket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(ws.state)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, handler, "127.0.0.1", 0)
        async with connect(uri_of(server)) as ws:
            await ws.ping()
            nursery.cancel_scope.cancel()
    assert cancelled == [State.OPEN]
    assert ws.state is State.CLOSED


@in_trio
async def test_shutdown_cancels_what_takes_too_long() -> None:
    async with running(hang, close_timeout=SHORT) as server, connect(uri_of(server)) as ws:
        await ws.ping()
        server.close()
        await server.wait_closed()
        await ws.wait_closed()
        assert ws.close_code == 1001


@in_trio
async def test_connection_accepted_as_the_server_closes() -> None:
    async with running() as server:
        server.close()
        ours, theirs = trio.testing.memory_stream_pair()
        await server._serve_stream(theirs)
        assert await ours.receive_some() == b""


@in_trio
async def test_end_is_not_held_back_for_ever() -> None:
    """By one who has taken the last message and never comes back for another."""
    done = trio.Event()

    async def handler(ws: WebSocket) -> None:
        assert await ws.recv() == "last"
        await trio.sleep(2 * SHORT)
        while ws.state is State.OPEN:
            await trio.sleep(SHORT)
        done.set()

    for timeouts in ({}, dict.fromkeys(["ping_interval", "ping_timeout"])):
        done = trio.Event()
        async with running(handler, **timeouts) as server, connect(uri_of(server)) as ws:
            await ws.send("last")
            ws.begin_close()
            await done.wait()


# ---- exceptions ----


@in_trio
async def test_exceptions_are_not_wrapped() -> None:
    """Though there is a nursery behind each connection."""
    async with running() as server:
        with pytest.raises(ValueError, match="mine"):
            async with connect(uri_of(server)):
                raise ValueError("mine")
        with trio.move_on_after(SHORT) as scope:
            async with connect(uri_of(server)):
                await trio.sleep_forever()
        assert scope.cancelled_caught


@pytest.mark.parametrize("fails", [False, True], ids=["ended", "failed"])
@in_trio
async def test_handler_with_a_nursery(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    """That its own connection has ended is no failure, in whatever group it comes; anything else is logged."""

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.recv)
            nursery.start_soon(ws.wait_closed)
            if fails:
                nursery.start_soon(fail)

    async def fail() -> None:
        raise ValueError("my mistake")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.close()
    assert [str(record.message) for record in caplog.records if record.levelno >= logging.ERROR] == [
        "a handler failed"
    ] * fails


@in_trio
async def test_handler_that_fails_when_it_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged, the cancellation goes on."""

    async def fail() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    async def handler(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    async with running(handler, close_timeout=SHORT) as server, connect(uri_of(server)) as ws:
        await ws.ping()
        server.close()
        await server.wait_closed()
    assert "a handler failed" in caplog.text


@in_trio
async def test_server_that_breaks_a_rule() -> None:
    def behave(peer: Any) -> None:
        peer.sock.recv(1 << 16)
        peer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    with server_that(behave) as uri, pytest.raises(Exception, match=r"(?i)upgrade|connection"):
        async with connect(uri):
            raise AssertionError("it is open")


def test_interrupted_server() -> None:
    """KeyboardInterrupt in a handler ends it all."""

    async def handler(ws: WebSocket) -> None:
        raise KeyboardInterrupt

    async def serve_one() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        server = Server(Service(handler, (), (), None), make_options(None, Timeouts(None, None, None, None), 1), [])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server._serve_stream, theirs)
            async with connect("ws://localhost/", stream=ours):
                await trio.sleep_forever()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - alone, or in groups
        trio.run(serve_one)
    error = caught.value
    while hasattr(error, "exceptions"):
        (error,) = error.exceptions
    assert isinstance(error, KeyboardInterrupt)
