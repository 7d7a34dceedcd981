"""What RFC 6455 section 4.1 leaves to whoever opens the connection, done by the asyncio adapter."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme
from asyncio_helpers import in_loop, port_of, running

from wsproto_lite import LocalProtocolError
from wsproto_lite.adapters.asyncio import connect


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give a server's context for localhost, and a client's that trusts it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@in_loop
async def test_4_1_server_name_indication() -> None:
    """Section 4.1, step 5: clients MUST use Server Name Indication, over a socket that is connected already as well."""
    server_side, client_side = contexts()
    names: list[str] = []
    server_side.sni_callback = lambda _socket, name, _context: names.append(name)
    async with running(ssl=server_side) as server:
        sock = socket.create_connection(("127.0.0.1", port_of(server)))
        sock.setblocking(False)
        async with connect("wss://localhost/", sock=sock, ssl=client_side):
            assert names == ["localhost"]


@in_loop
async def test_4_1_tls_before_the_handshake() -> None:
    """Section 4.1, step 5: a TLS handshake MUST come before any handshake data."""
    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.set_result(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(look, "127.0.0.1", 0) as server:
        with pytest.raises(OSError):  # noqa: PT011  # whatever TLS says of a server that ends at once
            await connect(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert await first == b"\x16"  # a TLS handshake record (RFC 8446 section 5.1)


def test_10_6_no_context_for_an_insecure_uri() -> None:
    """Section 10.6: TLS MUST be supported; who gives a context for a ws:// URI would believe to have it."""
    with pytest.raises(LocalProtocolError, match="not secure"):
        connect("ws://localhost/", ssl=ssl.create_default_context())


@in_loop
async def test_4_1_connection_that_could_not_be_opened() -> None:
    """Section 4.1, step 4: if the connection can't be opened the client MUST fail: there is no WebSocket."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/")
