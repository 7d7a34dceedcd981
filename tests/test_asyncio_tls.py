"""The asyncio adapter over TLS, which has no half-close."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import websockets
from asyncio_helpers import in_loop, port_of, running

from wsproto_lite import ConnectionClosed
from wsproto_lite.adapters.asyncio import Server, WebSocket, connect

REPEATS = 4


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def uri_of(server: Server) -> str:
    return f"wss://localhost:{port_of(server)}/"


@in_loop
async def test_echo(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    async with running(ssl=server_side) as server, connect(uri_of(server), ssl=client_side) as ws:
        for message in ("hello", b"x" * (1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.close(3000, "done")
        assert (ws.close_code, ws.close_info.received) == (3000, (3000, ""))


@in_loop
async def test_server_closes(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    """At once: neither side waits for a half-close that can't come."""
    async with (
        running(lambda ws: ws.close(3000, "done"), ssl=server_side, close_timeout=None) as server,
        connect(uri_of(server), ssl=client_side, close_timeout=None) as ws,
    ):
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (3000, "done")
        await ws.wait_closed()


@in_loop
async def test_untrusted(server_side: ssl.SSLContext) -> None:
    async with running(ssl=server_side) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(uri_of(server))


@in_loop
async def test_certificate_of_another(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6455 section 4.1, step 5: if the certificate can't be verified the client MUST fail; its name counts, too."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))  # what is trusted by default
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    async with running(ssl=context) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'localhost'"):
            await connect(uri_of(server))


@in_loop
async def test_client_reads_our_close_in_the_middle_of_its_upload(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    """It keeps its end open until we close ours, which we do at the deadline."""
    async with running(ssl=server_side, close_timeout=0.5) as server:
        for _ in range(REPEATS):
            ws = await websockets.connect(uri_of(server), ssl=client_side, compression=None)
            await asyncio.gather(ws.send(bytes(16 << 20)), ws.wait_closed(), return_exceptions=True)
            assert ws.close_code == 1009


@in_loop
async def test_server_reads_the_close_of_a_client_that_fails(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    codes = []

    async def handler(ws: websockets.ServerConnection) -> None:
        await asyncio.gather(ws.send(bytes(16 << 20)), ws.wait_closed(), return_exceptions=True)
        codes.append(ws.close_code)

    async with websockets.serve(handler, "localhost", 0, ssl=server_side, compression=None) as server:
        port: Any = server.sockets[0].getsockname()[1]
        for _ in range(REPEATS):
            async with connect(f"wss://localhost:{port}/", ssl=client_side) as ws:
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1009
    assert codes == [1009] * REPEATS


@in_loop
async def test_peer_vanishes(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    codes = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        codes.append(ws.close_code)

    async with running(handler, ssl=server_side) as server:
        ws = await connect(uri_of(server), ssl=client_side)
        ws.abort()
        await ws.wait_closed()
    assert codes == [1006]


@in_loop
async def test_handshake_that_ends_after_the_server(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    """The server doesn't wait for it, and refuses what comes of it."""
    loop = asyncio.get_running_loop()
    async with running(ssl=server_side) as server:
        sock = socket.create_connection(("127.0.0.1", port_of(server)))
        for _ in range(10):
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()
        reader = asyncio.StreamReader()
        transport, _ = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader),
            sock=sock,
            ssl=client_side,
            server_hostname="localhost",
        )
        with suppress(ConnectionError):
            assert await reader.read() == b""
        transport.abort()
        await asyncio.sleep(0)
