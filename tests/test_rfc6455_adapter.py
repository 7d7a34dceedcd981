"""What RFC 6455 leaves to whoever has the transport: section 4.1 to who opens it, section 7.1.7 to a server."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import pytest
import trustme
from adapter_peers import client_of
from adapter_subject_uvicorn import servers
from adapter_subjects import ServerSubject
from asyncio_helpers import in_loop, port_of, running
from helpers import close, feed, frame
from helpers import connect as opened

from wsproto_lite import CLIENT, SERVER, LocalProtocolError, RemoteProtocolError, Role
from wsproto_lite.adapters._closing import Step, next_step
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


CLOSED, FAILED, GIVEN_UP = "closed by the peer", "failed", "given up"


@pytest.mark.parametrize(
    ("role", "end", "has_eof", "can_half_close", "step"),
    [
        (SERVER, "nothing", False, True, Step.WAIT),
        (SERVER, CLOSED, False, True, Step.HALF_CLOSE),
        (SERVER, CLOSED, False, False, Step.CLOSE),
        (SERVER, CLOSED, True, True, Step.CLOSE),
        (SERVER, FAILED, False, True, Step.HALF_CLOSE),
        (SERVER, FAILED, False, False, Step.WAIT),
        (SERVER, FAILED, True, False, Step.CLOSE),
        (CLIENT, "nothing", False, True, Step.WAIT),
        (CLIENT, CLOSED, False, True, Step.WAIT),
        (CLIENT, CLOSED, True, True, Step.CLOSE),
        (CLIENT, FAILED, False, True, Step.HALF_CLOSE),
        (CLIENT, FAILED, False, False, Step.WAIT),
        (CLIENT, FAILED, True, True, Step.CLOSE),
        (SERVER, GIVEN_UP, False, True, Step.CLOSE),
        (CLIENT, GIVEN_UP, False, True, Step.CLOSE),
    ],
)
def test_7_1_1_next_step(role: Role, end: str, has_eof: bool, can_half_close: bool, step: Step) -> None:
    """Section 7.1.1: an endpoint SHOULD close cleanly: half-close, read up to the EOF, and only then close."""
    connection = opened(role)
    if end in (CLOSED, FAILED):
        feed(connection, close(role) if end == CLOSED else frame(role, 0x83))
    if end == GIVEN_UP:
        connection.fail(RemoteProtocolError("nothing came", 1006))
    if has_eof:
        connection.receive_eof()
    assert next_step(connection, has_eof=has_eof, can_half_close=can_half_close) is step


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


@servers
@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (b"\x83\x80\0\0\0\0", ["closed 1002 by us: opcode 0x3 is unknown"]),
        (b"\x81\x81\0\0\0\0\xff", ["closed 1007 by us: text is not valid UTF-8"]),
        (b"\x88\x82\0\0\0\0\x03\xe8", []),
        (b"", []),
    ],
    ids=["unknown opcode", "not UTF-8", "a proper Close", "gone"],
)
def test_7_1_7_server_logs_the_problem(
    subject: ServerSubject, data: bytes, problems: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Section 7.1.7: to fail the connection, a server SHOULD log the problem."""
    caplog.set_level(logging.INFO)
    with subject.serving() as server, client_of(server.port) as peer:
        peer.write(data)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.read_to_end(answer=False)
    closed = [text.partition("closed ") for text in caplog.messages]
    assert [found + cause for _, found, cause in closed if cause[:1] == "1"] == problems
