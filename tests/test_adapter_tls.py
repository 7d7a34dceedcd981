"""Servers and clients over every adapter and TLS, which has no half-close."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from typing import Any

import pytest
import trio
import trustme
from adapter_peers import Peer, client_of, server_that
from adapter_subjects import SUBJECTS, Running, Subject
from asyncio_helpers import SHORT
from patience import PATIENCE

from wsproto_lite import ConnectionClosed
from wsproto_lite.adapters.trio import connect

Steps = Generator[Any, Any, Any]

subjects = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


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


def secure(server: Running) -> str:
    return f"wss://127.0.0.1:{server.port}/"


def receive_to_end(ws: Any) -> Steps:
    try:
        while True:
            yield ws.recv()
    except ConnectionClosed:
        return ws.close_code


@subjects
def test_echo(subject: Subject, server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    def script(ws: Any) -> Steps:
        for message in ("hello", b"x" * (1 << 20)):
            yield ws.send(message)
            assert (yield ws.recv()) == message
        assert ws.remote_address[0] == "127.0.0.1"
        yield ws.close(3000, "done")
        return ws.close_info.received

    with subject.serving(ssl=server_side) as server:
        assert subject.talk(script, secure(server), ssl=client_side) == (3000, "")
        assert subject.talk(script, secure(server), ssl=client_side, server_hostname="localhost") == (3000, "")


@subjects
def test_server_closes(subject: Subject, server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    """At once: neither side waits for a half-close that can't come."""

    def script(ws: Any) -> Steps:
        yield ws.close(3000, "done")

    with subject.serving(script, ssl=server_side, close_timeout=None) as server:
        assert subject.talk(receive_to_end, secure(server), ssl=client_side, close_timeout=None) == 3000


@subjects
def test_untrusted(subject: Subject, server_side: ssl.SSLContext) -> None:
    with subject.serving(ssl=server_side) as server, pytest.raises(ssl.SSLCertVerificationError):
        subject.talk(receive_to_end, secure(server))


@subjects
def test_ssl_without_wss(subject: Subject, client_side: ssl.SSLContext) -> None:
    with pytest.raises(Exception, match="has to begin with wss"):
        subject.talk(receive_to_end, "ws://localhost/", ssl=client_side)


@subjects
def test_too_large_an_upload(subject: Subject, server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    """The client reads our Close in the middle of it: we read on until the deadline."""

    def script(ws: Any) -> Steps:
        yield ws.send(bytes(4 << 20))
        return (yield from receive_to_end(ws))

    with subject.serving(ssl=server_side, close_timeout=0.5) as server:
        assert subject.talk(script, secure(server), ssl=client_side) == 1009


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"], ids=["nothing", "a_part", "no_tls"])
@subjects
def test_client_stalls_in_the_tls_handshake(subject: Subject, server_side: ssl.SSLContext, sent: bytes) -> None:
    with (
        subject.serving(ssl=server_side, open_timeout=4 * SHORT) as server,
        client_of(server.port, opened=False) as peer,
    ):
        peer.write(sent)
        assert peer.is_cut_off()


@subjects
def test_server_stalls_in_the_tls_handshake(subject: Subject, client_side: ssl.SSLContext) -> None:
    def behave(peer: Any) -> None:
        assert peer.is_cut_off()

    with server_that(behave) as uri, pytest.raises(TimeoutError, match=f"longer than {SHORT} s"):
        subject.talk(receive_to_end, uri.replace("ws:", "wss:"), ssl=client_side, open_timeout=SHORT)


@subjects
def test_server_speaks_no_tls(subject: Subject, client_side: ssl.SSLContext) -> None:
    def behave(peer: Any) -> None:
        peer.sock.recv(1 << 16)
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with server_that(behave) as uri, pytest.raises(ssl.SSLError):
        subject.talk(receive_to_end, uri.replace("ws:", "wss:"), ssl=client_side)


@pytest.mark.parametrize("name", ["trio", "threads"])
def test_shutdown_during_a_tls_handshake(name: str, server_side: ssl.SSLContext) -> None:
    """It is cut. (asyncio waits for its end, and what comes of it is refused.)"""
    with (
        SUBJECTS[name].serving(ssl=server_side, open_timeout=PATIENCE) as server,
        socket.create_connection(("127.0.0.1", server.port)) as sock,
    ):
        sock.sendall(b"\x16\x03\x01")
        threading.Event().wait(SHORT)
        server.close()
        sock.settimeout(PATIENCE)
        assert sock.recv(1) == b""


@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@subjects
def test_server_leaves_during_the_tls_handshake(subject: Subject, client_side: ssl.SSLContext, leave: Any) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(1 << 16)
        leave(peer)

    with server_that(behave) as uri, pytest.raises((ConnectionError, ssl.SSLError)):
        subject.talk(receive_to_end, uri.replace("ws:", "wss:"), ssl=client_side)


def test_broken_stream_under_tls() -> None:
    """One without a socket has no error of a socket, but gives a reset nevertheless."""

    class Broken(trio.abc.Stream):
        async def send_all(self, data: Any) -> None:
            raise trio.BrokenResourceError

        async def wait_send_all_might_not_block(self) -> None: ...

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise trio.BrokenResourceError

        async def aclose(self) -> None: ...

    async def main() -> None:
        async with connect("wss://localhost/", stream=Broken()):
            raise AssertionError("it is open")

    with pytest.raises(ConnectionResetError):
        trio.run(main)
