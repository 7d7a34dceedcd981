"""Cancelling any call at any of its awaits leaves no half-written frame: the connection goes on, or is closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from typing import Any, Callable

import pytest
import trio
from adapter_cancelling import Cancelling, cancelled_over_asyncio
from adapter_peers import Peer, server_that
from adapter_subjects import SUBJECTS, Subject
from asyncio_helpers import SHORT
from patience import PATIENCE

from wsproto_lite import ConnectionClosed, State
from wsproto_lite.adapters import asyncio as over_asyncio
from wsproto_lite.adapters import trio as over_trio

MESSAGE = "x" * 100_000

BLOCKING = 200
"""Messages that no kernel buffers, if nobody reads them."""

Call = Callable[[Any], Awaitable[Any]]


async def cancelled_over_trio(work: Awaitable[Any], turns: int, seconds: float = PATIENCE) -> bool:
    with trio.move_on_after(seconds) as scope:
        cancelling = Cancelling(work, turns, scope.cancel)
        await cancelling
    return cancelling.is_over


FRAMEWORKS: dict[str, tuple[Any, Any, Any]] = {
    "asyncio": (lambda main: asyncio.run(main()), over_asyncio, cancelled_over_asyncio),
    "trio": (trio.run, over_trio, cancelled_over_trio),
}

frameworks = pytest.mark.parametrize("name", FRAMEWORKS)


# ---- calls of an open connection ----


async def send(ws: Any) -> None:
    await ws.send(MESSAGE)


async def send_and_receive(ws: Any) -> None:
    await ws.send(MESSAGE)
    assert await ws.recv() == MESSAGE


async def iterate(ws: Any) -> None:
    await ws.send(MESSAGE)
    async for message in ws:
        assert message == MESSAGE
        return


async def ping(ws: Any) -> None:
    answered = await ws.ping()
    assert (answered if isinstance(answered, float) else await answered) < PATIENCE


async def pong(ws: Any) -> None:
    await ws.pong(b"unasked")


async def close(ws: Any) -> None:
    await ws.close(3000, "done")


@pytest.mark.parametrize("call", [send, send_and_receive, iterate, ping, pong, close])
@frameworks
def test_calls(name: str, call: Call) -> None:
    run, adapter, cancelled = FRAMEWORKS[name]

    async def main(turns: int) -> bool:
        async with adapter.connect(uri) as ws:
            is_over: bool = await cancelled(call(ws), turns)
            if ws.state is State.OPEN:
                await ws.send("after")
                while await ws.recv() != "after":
                    pass
            else:
                await ws.wait_closed()
        return is_over

    def behave(peer: Peer) -> None:
        peer.accept()
        seen.extend(peer.read_to_end(echo=True, until_close=True))

    is_over, turns = False, 0
    while not is_over:
        seen: list[Any] = []
        with server_that(behave) as uri:
            is_over = run(lambda turns=turns: main(turns))
        assert set(seen) <= {MESSAGE, "after", 1000, 3000}
        turns += 1


# ---- a send that waits ----


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 8, BLOCKING])
@frameworks
def test_send_to_one_who_does_not_read(name: str, turns: int) -> None:
    """Whichever of many it is, and when all buffers are full."""
    run, adapter, cancelled = FRAMEWORKS[name]
    go = threading.Event()
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.accept()
        assert go.wait(PATIENCE)
        seen.extend(peer.read_to_end(until_close=True))

    async def send_many(ws: Any) -> None:
        for _ in range(BLOCKING):
            await ws.send(MESSAGE)

    async def main() -> None:
        async with adapter.connect(uri) as ws:
            assert not await cancelled(send_many(ws), turns, 4 * SHORT)
            go.set()
            await ws.send("after")

    with server_that(behave) as uri:
        run(main)
    assert seen[-2:] == ["after", 1000]
    assert set(seen[:-2]) <= {MESSAGE}


# ---- connecting ----


@frameworks
def test_connect_and_all(name: str) -> None:
    """Whenever it is cancelled, the server sees whole messages only, and nothing is left."""
    run, adapter, cancelled = FRAMEWORKS[name]

    async def use(uri: str) -> None:
        async with adapter.connect(uri) as ws:
            await send_and_receive(ws)
            await ping(ws)

    async def main(uri: str, turns: int) -> bool:
        is_over: bool = await cancelled(use(uri), turns)
        return is_over

    received: list[Any] = []

    def script(ws: Any) -> Iterator[Any]:
        try:
            while True:
                message = yield ws.recv()
                received.append(message)
                yield ws.send(message)
        except ConnectionClosed:
            assert ws.close_code in (1000, 1001, 1006)

    subject: Subject = SUBJECTS[name]
    with subject.serving(script) as server:  # type: ignore[arg-type]  # a generator that is sent to
        uri, is_over, turns = server.uri, False, 0
        while not is_over:
            is_over = run(lambda turns=turns: main(uri, turns))
            turns += 1
    assert set(received) == {MESSAGE}
    assert turns > 5
