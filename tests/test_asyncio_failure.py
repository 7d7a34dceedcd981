"""How connections over the asyncio adapter fail: our Close is read, resets are noticed, nothing is left."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import websockets
from asyncio_helpers import LINGER_NOT, UPLOAD, echo, in_loop, peer_of, port_of, running, text, uri_of
from missing import needed_module
from wsproto.events import BytesMessage, Ping

from wsproto_lite import (
    CLIENT,
    ConnectionClosed,
    PerMessageDeflate,
    Settings,
)
from wsproto_lite.adapters._options import Options, Timeouts
from wsproto_lite.adapters._service import Service
from wsproto_lite.adapters.asyncio import Server, ServerWebSocket, WebSocket, connect

REPEATS = 20


@in_loop
async def test_peer_reads_our_close_in_the_middle_of_its_upload() -> None:
    """Without a half-close and draining (section 7.1.1) this fails most of the time with a reset."""
    async with running() as server:
        for _ in range(REPEATS):
            async with peer_of(server) as peer:
                writing = asyncio.ensure_future(peer.send(BytesMessage(data=bytes(UPLOAD))))
                assert await peer.read_to_end() == [1009]
                await writing


@in_loop
async def test_websockets_client_reads_our_close_in_the_middle_of_its_upload() -> None:
    async with running() as server:
        for _ in range(REPEATS):
            ws = await websockets.connect(uri_of(server), compression=None)
            await asyncio.gather(ws.send(bytes(UPLOAD)), ws.wait_closed())
            assert ws.close_code == 1009


@in_loop
async def test_aiohttp_client_reads_our_close_in_the_middle_of_its_upload() -> None:
    aiohttp = needed_module("aiohttp")
    async with running() as server, aiohttp.ClientSession() as session:
        for _ in range(REPEATS):
            async with session.ws_connect(uri_of(server)) as ws:
                _, closing = await asyncio.gather(ws.send_bytes(bytes(UPLOAD)), ws.receive())
                assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1009)


@in_loop
async def test_server_reads_the_close_of_a_client_in_the_middle_of_its_message() -> None:
    codes = []

    async def handler(ws: websockets.ServerConnection) -> None:
        await asyncio.gather(ws.send(bytes(UPLOAD)), ws.wait_closed())
        codes.append(ws.close_code)

    async with websockets.serve(handler, "127.0.0.1", 0, compression=None) as server:
        for _ in range(REPEATS):
            async with connect(uri_of(server)) as ws:
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1009
                assert ws.close_info.initiator is CLIENT
    assert codes == [1009] * REPEATS


@in_loop
async def test_violation() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        assert [await ws.recv(), await ws.recv()] == ["one", "two"]
        with pytest.raises(ConnectionClosed, match="closed 1002 by us") as caught:
            await ws.recv()
        ends.append((ws.close_code, caught.value.close_info.received))

    async with running(handler) as server, peer_of(server) as peer:
        # An unmasked frame behind two good ones.
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        assert await peer.read_to_end() == [1002]
    assert ends == [(1002, None)]


@in_loop
async def test_reset() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed, match="closed 1006"):
            await ws.recv()
        with pytest.raises(ConnectionClosed):
            await ws.send("late")
        ends.append((ws.close_code, ws.close_info.initiator, ws.remote_address[0]))

    async with running(handler) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])
        peer.reset()
        while not ends:
            await asyncio.sleep(0)
    assert ends == [(1006, None, "127.0.0.1")]


@in_loop
async def test_lost_with_messages_still_compressed() -> None:
    """They are inflated as the handler takes them, and it may stop at any."""
    settings = Settings(extensions=(PerMessageDeflate(),))
    sizes = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        while ws.waiting():
            sizes.append(len(await ws.recv()))

    async with running(handler, settings=settings) as server:
        # Over a socket that closes with a reset.
        sock = socket.create_connection(("127.0.0.1", port_of(server)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        async with connect(uri_of(server), settings=settings, sock=sock) as ws:
            for _ in range(10):
                await ws.send(bytes(1 << 20))
            while not any(connection.waiting() for connection in server.connections):
                await asyncio.sleep(0)
            ws.abort()
            while server.connections:
                await asyncio.sleep(0)
    assert sizes
    assert set(sizes) == {1 << 20}


@in_loop
async def test_reset_noticed_when_half_closing() -> None:
    """Between our Close and our half-close the peer may be gone, and the transport has not told yet."""

    class Gone(asyncio.Transport):
        aborted = False

        def is_closing(self) -> bool:
            return self.aborted

        def can_write_eof(self) -> bool:
            return True

        def write(self, data: Any) -> None:
            assert data.startswith(b"HTTP/1.1 400 ")

        def write_eof(self) -> None:
            raise OSError(107, "Transport endpoint is not connected")

        def abort(self) -> None:
            self.aborted = True

        def close(self) -> None:
            pass

    async with running() as server:
        service, options = Service(echo, (), (), None), Options(Settings(), Timeouts(None, None, None, None), None)
        ws, transport = ServerWebSocket(Server(service, None), options), Gone()
        ws.connection_made(transport)
        ws.feed(b"GET / HTTP/1.1\r\n\r\n")
        while not transport.aborted:
            await asyncio.sleep(0)
        ws.connection_lost(None)
    assert not server.connections


@in_loop
async def test_reset_while_a_send_waits() -> None:
    ends = []
    blocked = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        blocked.set()
        with pytest.raises(ConnectionClosed):
            await send_for_ever(ws)
        ends.append(ws.close_code)

    async def send_for_ever(ws: WebSocket) -> None:
        while True:
            await ws.send(bytes(1 << 20))

    async with running(handler) as server, peer_of(server) as peer:
        await blocked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        peer.reset()
        while not ends:
            await asyncio.sleep(0)


@in_loop
async def test_reset_behind_messages_that_wait() -> None:
    """The messages that came are not lost, but sending fails from now on."""
    received: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        with pytest.raises(ConnectionClosed):
            await ws.send("nobody reads")
        with pytest.raises(ConnectionClosed):
            await receive_all(ws)

    async def receive_all(ws: WebSocket) -> None:
        async for message in ws:
            received.append(message)

    async with running(handler) as server, peer_of(server) as peer:
        # The violation is held back by the messages before it.
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        await peer.send(Ping(payload=b"all is read"))
        peer.reset()
        while len(received) < 2:
            await asyncio.sleep(0)
    assert received == ["one", "two"]


@pytest.mark.parametrize("taken", range(3))
@in_loop
async def test_handler_returns_when_the_connection_is_lost(taken: int) -> None:
    """Whether it has taken the messages that came before the end or not."""

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        for _ in range(taken):
            await ws.recv()

    async with running(handler) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        peer.reset()
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
    assert ws.close_code == 1002
