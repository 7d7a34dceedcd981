"""How the asyncio server shuts down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from adapter_faults import LIMIT
from asyncio_helpers import SHORT, Peer, handshake, in_loop, peer_of, running, uri_of

from wsproto_lite import ConnectionClosed, LocalProtocolError, State
from wsproto_lite.adapters.asyncio import Server, WebSocket, connect
from wsproto_lite.http11 import RequestHead

PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def hang(ws: WebSocket) -> None:
    await asyncio.Event().wait()


@in_loop
async def test_shutdown() -> None:
    """Clients get 1001, and handlers the time to end."""
    ended = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            raise AssertionError("there is no message")
        await asyncio.sleep(0)
        ended.append(ws.close_info.sent)

    async with running(handler) as server:
        sockets = [await connect(uri_of(server)) for _ in range(3)]
        assert len(server.connections) == 3
        server.close(reason="restart")
        server.close()
        await server.wait_closed()
        for ws in sockets:
            await ws.wait_closed()
            assert (ws.close_code, ws.close_reason) == (1001, "restart")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", ws.remote_address[1])
    assert ended == [(1001, "restart")] * 3


@in_loop
async def test_shutdown_cuts_what_takes_too_long() -> None:
    cancelled = []

    async def handler(ws: WebSocket) -> None:
        try:
            await hang(ws)
        except asyncio.CancelledError:
            cancelled.append(ws.close_code)
            raise

    async with running(handler, close_timeout=SHORT) as server, connect(uri_of(server)) as ws:
        server.close()
        await server.wait_closed()
        await ws.wait_closed()
        assert ws.close_code == 1001
    assert cancelled == [1001]


@in_loop
async def test_shutdown_cuts_a_peer_that_does_not_close() -> None:
    """Nor does a handler that waits for the peer hold it up."""
    async with running(lambda ws: ws.wait_closed(), close_timeout=SHORT) as server, peer_of(server) as peer:
        server.close()
        await server.wait_closed()
        assert [event.code for event in await peer.read() if hasattr(event, "code")] == [1001]


@in_loop
async def test_shutdown_during_handshakes() -> None:
    """One has sent nothing, one is waiting for an answer."""

    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        await ws.wait_closed()

    async with (
        running(process_request=process_request) as server,
        peer_of(server, opened=False) as silent,
        peer_of(server, opened=False) as waiting,
    ):
        await waiting.write(handshake())
        while not any(ws.request for ws in server.connections):
            await asyncio.sleep(0)
        server.close()
        assert (await waiting.reader.readuntil(b"\r\n")) == b"HTTP/1.1 503 Service Unavailable\r\n"
        assert await silent.is_cut_off()


@in_loop
async def test_serve_forever() -> None:
    async with running() as server:
        serving = asyncio.ensure_future(server.serve_forever())
        ws = await connect(uri_of(server))
        assert not serving.done()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await ws.wait_closed()
        assert (ws.close_code, ws.state) == (1001, State.CLOSED)
        await server.serve_forever()


@in_loop
async def test_close_with_a_bad_code() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        with pytest.raises(LocalProtocolError, match="close code 1005"):
            server.close(1005, "with a reason")
        await ws.send("still open")
        assert await ws.recv() == "still open"


@in_loop
async def test_send_to_all() -> None:
    async with running(lambda ws: ws.wait_closed()) as server:
        sockets = [await connect(uri_of(server)) for _ in range(3)]
        for connection in server.connections:
            await connection.send("news")
        assert [await ws.recv() for ws in sockets] == ["news"] * 3
    for ws in sockets:
        with pytest.raises(ConnectionClosed):
            await ws.recv()


async def check_cut_off(server: Server, peer: Peer) -> None:
    try:
        assert await asyncio.wait_for(peer.is_cut_off(), LIMIT)
    finally:
        for ws in server.connections:
            ws.abort()


@in_loop
async def test_shutdown_cancels_process_request() -> None:
    asked = asyncio.Event()

    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        asked.set()
        await hang(ws)

    kwargs: dict[str, Any] = {"process_request": process_request, "close_timeout": SHORT}
    async with running(**kwargs) as server, peer_of(server, opened=False) as peer:
        await peer.write(PLAIN)
        await asked.wait()
        server.close()
        await check_cut_off(server, peer)


@in_loop
async def test_process_request_that_is_cancelled() -> None:
    """The connection is cut, instead of waiting for an answer for ever."""

    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        raise asyncio.CancelledError

    kwargs: dict[str, Any] = {"process_request": process_request, "close_timeout": None}
    async with running(**kwargs) as server, peer_of(server, opened=False) as peer:
        await peer.write(PLAIN)
        await check_cut_off(server, peer)
