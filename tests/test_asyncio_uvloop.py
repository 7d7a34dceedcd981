"""The asyncio adapter over uvloop, whose transports are not asyncio's."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from asyncio_helpers import echo, peer_of, running, text, uri_of
from patience import PATIENCE
from wsproto.events import CloseConnection

from wsproto_lite import ConnectionClosed, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import WebSocket, broadcast, connect, serve

uvloop = pytest.importorskip("uvloop")

COMPRESSED = Settings(extensions=(PerMessageDeflate(),))


def in_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(test(*args, **kwargs), PATIENCE))
            loop.run_until_complete(asyncio.sleep(0))
            assert asyncio.all_tasks(loop) == set()
        finally:
            loop.close()

    return run


@pytest.mark.parametrize("settings", [Settings(), COMPRESSED], ids=["plain", "compressed"])
@in_uvloop
async def test_echo(settings: Settings) -> None:
    async with running(settings=settings) as server, connect(uri_of(server), settings=settings) as ws:
        for message in ("hello", b"bytes", "", "x" * (1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message
        assert await (await ws.ping()) < PATIENCE
        assert ws.remote_address[0] == "127.0.0.1"
    assert ws.close_code == 1000


@in_uvloop
async def test_tls() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with (
        running(ssl=server_side) as server,
        connect(uri_of(server).replace("ws:", "wss:"), ssl=client_side) as ws,
    ):
        await ws.send("x" * (1 << 20))
        assert len(await ws.recv()) == 1 << 20
        await ws.close(3000, "done")
        assert ws.close_info.received == (3000, "")


@in_uvloop
async def test_unix_socket_and_existing_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with serve(echo, path=path), connect("ws://localhost/", path=path) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"
    listener = socket.create_server(("127.0.0.1", 0))
    async with serve(echo, sock=listener) as server, connect(uri_of(server)) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@in_uvloop
async def test_slow_reader_and_slow_handler() -> None:
    """Both directions wait."""
    go = asyncio.Event()
    sent = received = 0

    async def handler(ws: WebSocket) -> None:
        nonlocal received
        await go.wait()
        async for _ in ws:
            received += 1

    async def send(ws: WebSocket) -> None:
        nonlocal sent
        for _ in range(500):
            await ws.send(b"x" * (64 << 10))
            sent += 1

    async with running(handler) as server, connect(uri_of(server)) as ws:
        sending = asyncio.ensure_future(send(ws))
        await asyncio.sleep(0.1)
        assert sent < 500
        go.set()
        await sending
    assert received == 500


@in_uvloop
async def test_faults() -> None:
    """A violation is answered, a half-close is waited for, and a reset is noticed."""
    async with running() as server:
        async with peer_of(server) as peer:
            await peer.write(peer.wsproto.send(text("one")) + b"\x81\x01x")
            assert await peer.read_to_end() == ["one", 1002]
        async with peer_of(server) as peer:
            await peer.send(text("one"), text("two"))
            peer.writer.write_eof()
            assert await peer.read_to_end() == ["one", "two"]
        async with peer_of(server) as peer:
            await peer.send(CloseConnection(code=1000))
            assert await peer.read_to_end() == [1000]
        async with peer_of(server) as peer:
            peer.reset()
            while server.connections:
                await asyncio.sleep(0)


@in_uvloop
async def test_shutdown_and_broadcast() -> None:
    async with running(lambda ws: ws.wait_closed()) as server:
        sockets = [await connect(uri_of(server)) for _ in range(3)]
        assert broadcast(server.connections, "news") == []
        assert [await ws.recv() for ws in sockets] == ["news"] * 3
        server.close()
        for ws in sockets:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            await ws.wait_closed()
            assert ws.close_code == 1001
