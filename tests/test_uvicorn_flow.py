"""The uvicorn adapter's options, Pings, and what happens when one side is slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from asyncio_helpers import in_loop
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_helpers import (
    ACCEPT,
    Message,
    Observed,
    Receive,
    Recorder,
    Send,
    echo,
    peer_of,
    serving,
    turns,
    uri_of,
)
from wsproto.events import Ping, Pong

from wsproto_lite.adapters._uvicorn_config import CLOSE_TIMEOUT, HEAD_SIZE, read_options
from wsproto_lite.adapters.asyncio import connect

CLOSE = {"type": "websocket.close"}
LONG = b"x" * (64 << 10)


@in_loop
async def test_server_pings() -> None:
    async with serving(echo, ws_ping_interval=0.01) as server, peer_of(server) as peer:
        assert await peer.read() == [Ping(payload=b"heartbeat 1")]
        await peer.send(Ping(payload=b"heartbeat 1").response())
        assert await peer.read() == [Ping(payload=b"heartbeat 2")]


@in_loop
async def test_client_pings() -> None:
    """They are answered, and the application isn't told."""
    async with serving(Recorder()) as server, peer_of(server) as peer:
        await peer.send(Ping(payload=b"there?"))
        assert await peer.read() == [Pong(payload=b"there?")]


@in_loop
async def test_silence_after_a_ping() -> None:
    app = Recorder()
    async with serving(app, ws_ping_interval=0.01, ws_ping_timeout=0.01) as server, peer_of(server) as peer:
        assert (await peer.read_to_end())[-1] == 1011
        await app.done.wait()
    (message,) = app.received
    assert message["code"] == 1011


def config(**given: Any) -> uvicorn.Config:
    return uvicorn.Config(echo, log_config=None, **given)


@pytest.mark.parametrize(
    ("given", "timeouts"),
    [
        ({}, (None, 20.0, 20.0, CLOSE_TIMEOUT)),
        ({"ws_ping_interval": 1.0, "ws_ping_timeout": 2.0}, (None, 1.0, 2.0, CLOSE_TIMEOUT)),
        ({"ws_ping_interval": 0.0, "ws_ping_timeout": 0.0}, (None, None, None, CLOSE_TIMEOUT)),
        ({"ws_ping_interval": None, "ws_ping_timeout": None}, (None, None, None, CLOSE_TIMEOUT)),
    ],
    ids=["defaults", "seconds", "zero", "none"],
)
def test_timeouts(given: dict[str, Any], timeouts: tuple[Any, ...]) -> None:
    assert read_options(config(**given)).timeouts == timeouts


def test_sizes() -> None:
    options = read_options(config())
    assert (options.settings.max_message_size, options.max_queue) == (16 << 20, 32)
    assert options.settings.max_header_size == HEAD_SIZE
    options = read_options(config(ws_max_size=9, ws_max_queue=8, h11_max_incomplete_event_size=7))
    assert (options.settings.max_message_size, options.max_queue, options.settings.max_header_size) == (9, 8, 7)
    options = read_options(config(ws_max_size=0, ws_max_queue=-1))
    assert (options.settings.max_message_size, options.max_queue) == (1, 1), "uvicorn starts with these, too"


@in_loop
async def test_slow_application_makes_reading_pause() -> None:
    go = asyncio.Event()
    sizes = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await go.wait()
        while (message := await receive())["type"] == "websocket.receive":
            sizes.append(len(message["bytes"]))

    async with serving(app, ws=Observed, ws_max_queue=4) as server, connect(uri_of(server)) as ws:
        protocol = Observed.seen.pop()
        uploading = asyncio.ensure_future(upload(ws))
        await protocol.full.wait()
        await turns()
        assert not uploading.done()
        assert protocol.taken <= 4 + 3, "the request, a message over the limit, and what came in the same chunk"
        go.set()
        await uploading
    assert sizes == [len(LONG)] * 500


async def upload(ws: Any) -> None:
    for _ in range(500):
        await ws.send(LONG)


@in_loop
async def test_slow_client_makes_the_application_wait() -> None:
    sent = 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        await send(ACCEPT)
        for _ in range(500):
            await send({"type": "websocket.send", "bytes": LONG})
            sent += 1
        await send(CLOSE)

    async with serving(app, ws=Observed) as server, peer_of(server) as peer:
        await Observed.seen.pop().blocked.wait()
        await turns()
        assert sent * len(LONG) < 16 << 20
        *received, code = await peer.read_to_end()
    assert (len(received), code) == (500, 1000)


@in_loop
async def test_connection_is_lost_while_the_application_waits() -> None:
    ended = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        with pytest.raises(ClientDisconnected):
            await send_for_ever(send)
        ended.set()

    async def send_for_ever(send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "bytes": LONG})

    async with serving(app, ws=Observed) as server, peer_of(server) as peer:
        await Observed.seen.pop().blocked.wait()
        await turns()
        peer.reset()
        await ended.wait()
