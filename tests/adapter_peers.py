"""Peers of another make for the adapters: blocking sockets that do what they are told, and read with wsproto."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import wsproto
from asyncio_helpers import LINGER_NOT
from patience import PATIENCE
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, CloseConnection, Event, Message, Ping, Request


class Peer:
    """One end of a connection. It reads no more than it must, and fails a test in which it waits too long."""

    def __init__(self, sock: socket.socket, role: wsproto.ConnectionType) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.wsproto = wsproto.WSConnection(role)
        self.early: list[Event] = []

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, *events: Event) -> None:
        self.write(b"".join([self.wsproto.send(event) for event in events]))

    def read(self) -> list[Event]:
        """Return the events of the next bytes, none at the end of the stream."""
        if self.early:
            early, self.early = self.early, []
            return early
        data = self.sock.recv(1 << 16)
        if not data:
            return []
        self.wsproto.receive_data(data)
        return list(self.wsproto.events())

    def open(self, **kwargs: Any) -> None:
        """Do a client's handshake."""
        self.send(Request(host="localhost", target="/", **kwargs))
        accepted, *self.early = self.read()
        assert isinstance(accepted, AcceptConnection)

    def accept(self) -> None:
        """Do a server's handshake."""
        (request,) = self.read()
        assert isinstance(request, Request)
        self.send(AcceptConnection())

    def read_to_end(self, *, answer: bool = True, echo: bool = False, until_close: bool = False) -> list[Any]:
        """Answer Pings and a Close, perhaps messages, too, until the end of the stream or until a Close.

        Returns all that comes: messages whole, codes of Closes, no Pings and Pongs.
        """
        seen: list[Any] = []
        parts: list[Any] = []
        while True:
            events = self.read()
            if not events:
                return seen
            for event in events:
                if isinstance(event, Message):
                    parts.append(event.data)
                    if event.message_finished:
                        seen.append((b"" if isinstance(parts[0], (bytes, bytearray)) else "").join(parts))
                        parts.clear()
                        if echo:
                            self.send(type(event)(data=seen[-1]))
                elif isinstance(event, CloseConnection):
                    seen.append(event.code)
                    if answer and self.wsproto.state is ConnectionState.REMOTE_CLOSING:
                        self.send(event.response())
                    if until_close:
                        return seen
                elif isinstance(event, Ping) and answer and self.wsproto.state is ConnectionState.OPEN:
                    self.send(event.response())

    def is_cut_off(self) -> bool:
        """Wait for the end of the stream, one way or another."""
        try:
            while self.sock.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close the TCP connection the hard way."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.sock.close()


@contextmanager
def client_of(port: int, *, opened: bool = True, buffer: int | None = None) -> Iterator[Peer]:
    """Connect to a server. `buffer`: bytes that the kernel receives while nobody reads."""
    with socket.socket() as sock:
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        peer = Peer(sock, wsproto.ConnectionType.CLIENT)
        if opened:
            peer.open()
        yield peer


@contextmanager
def server_that(behaves: Callable[[Peer], None]) -> Iterator[str]:
    """Run a server for one connection. Gives its URI; what goes wrong in it fails the test."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            sock, _ = listener.accept()
            with sock:
                behaves(Peer(sock, wsproto.ConnectionType.SERVER))
        except BaseException as error:
            faults.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join(PATIENCE)
    assert not thread.is_alive()
    assert faults == []
