"""What the adapter for threads has for itself: timeouts of calls, users in many threads, shortages of its machine."""

from __future__ import annotations

import errno
import gc
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import wsproto
from adapter_peers import Peer, client_of, server_that
from asyncio_helpers import LINGER_NOT, SHORT, handshake
from patience import PATIENCE
from wsproto.events import CloseConnection, TextMessage

from wsproto_lite import SERVER, ConnectionClosed, LocalProtocolError
from wsproto_lite.adapters import _sockets
from wsproto_lite.adapters._closing import Step
from wsproto_lite.adapters._options import Timeouts, make_options
from wsproto_lite.adapters._service import Service
from wsproto_lite.adapters._threads_poll import READ
from wsproto_lite.adapters.threads import Server, WebSocket, connect, serve


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def uri_of(server: Server) -> str:
    return f"ws://127.0.0.1:{port_of(server)}/"


@pytest.fixture
def uri() -> Any:
    with serve(echo, "127.0.0.1", 0) as server:
        yield uri_of(server)


def test_timeouts_of_calls(uri: str) -> None:
    with connect(uri) as ws:
        with pytest.raises(TimeoutError, match=f"waited for {SHORT} s"):
            ws.recv(timeout=SHORT)
        with pytest.raises(TimeoutError):
            ws.wait_closed(timeout=SHORT)
        ws.send("hello", timeout=SHORT)
        assert ws.recv(timeout=PATIENCE) == "hello"
        assert ws.ping(timeout=PATIENCE) > 0


def send_for_ever(ws: WebSocket) -> None:
    while True:
        ws.send("x" * 100_000, timeout=SHORT)


def test_timeouts_of_a_peer_that_does_nothing() -> None:
    """A message that can't be sent in time is not sent, in no part."""
    go = threading.Event()
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.accept()
        assert go.wait(PATIENCE)
        seen.extend(peer.read_to_end(until_close=True))

    with server_that(behave) as uri, connect(uri) as ws:
        with pytest.raises(TimeoutError):
            ws.ping(timeout=SHORT)
        with pytest.raises(TimeoutError):
            send_for_ever(ws)
        with pytest.raises(TimeoutError):
            ws.pong(timeout=SHORT)
        go.set()
        ws.send("after", timeout=PATIENCE)
    assert seen[-2:] == ["after", 1000]
    assert set(seen[:-2]) == {"x" * 100_000}


def test_iteration(uri: str) -> None:
    with connect(uri) as ws:
        ws.send("one")
        assert next(ws) == "one"
        ws.begin_close()
        assert list(ws) == []

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.send(CloseConnection(code=1011, reason="broken"))
        assert peer.read() != []

    with server_that(behave) as uri, connect(uri) as ws, pytest.raises(ConnectionClosed, match="broken"):
        next(ws)


def test_many_threads_may_send(uri: str) -> None:
    with connect(uri) as ws:

        def send(thread: int) -> None:
            for number in range(50):
                ws.send(f"{thread} {number} " + "x" * 5000)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        received = [str(ws.recv()).split()[:2] for _ in range(400)]
        for thread in threads:
            thread.join(PATIENCE)
    for number in range(8):
        assert [each for sender, each in received if sender == str(number)] == [str(each) for each in range(50)]


def test_one_thread_may_receive(uri: str) -> None:
    received = []
    with connect(uri) as ws:
        thread = threading.Thread(target=lambda: received.append(ws.recv()))
        thread.start()
        while not ws._is_receiving:
            threading.Event().wait(SHORT / 10)
        with pytest.raises(LocalProtocolError, match="somebody else is waiting"):
            ws.recv()
        ws.send("for the first")
        thread.join(PATIENCE)
    assert received == ["for the first"]


def test_existing_sockets() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    with serve(echo, sock=listener), connect("ws://example.org/", sock=client) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


def test_serve_forever() -> None:
    server = serve(echo, "127.0.0.1", 0)
    threading.Timer(SHORT, server.close).start()
    server.serve_forever()
    assert server.sockets == []
    server.close()


def test_serve_forever_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(echo, "127.0.0.1", 0)
    interrupts: list[type[BaseException]] = [KeyboardInterrupt]
    wait_for = threading.Condition.wait_for

    def interrupted(self: threading.Condition, *args: Any) -> bool:
        if interrupts and threading.current_thread() is threading.main_thread():
            raise interrupts.pop()
        return wait_for(self, *args)

    monkeypatch.setattr(threading.Condition, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    assert server.sockets == []


class Interrupted(WebSocket):
    __slots__ = ()

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise KeyboardInterrupt


def test_interrupted_exit(uri: str) -> None:
    """The connection is cut."""
    ws = connect(uri)
    ws.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt), ws:
        pass
    ws.wait_closed()
    assert ws.close_code == 1006


def test_close_behind_a_message_that_is_never_answered() -> None:
    """It waits for the answer, but not for ever."""
    go = threading.Event()

    def take(ws: WebSocket) -> None:
        ws.recv()
        go.wait(PATIENCE)

    with serve(take, "127.0.0.1", 0) as server, client_of(port_of(server)) as peer:
        peer.send(TextMessage(data="a question"), CloseConnection(code=1000))
        assert peer.read_to_end() == [1000]
        go.set()


def test_handler_that_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    """It is left behind, as nobody can stop a thread."""
    go = threading.Event()
    with serve(lambda ws: go.wait(PATIENCE) and None, "127.0.0.1", 0, close_timeout=SHORT) as server:
        ws = connect(uri_of(server))
    assert "a handler doesn't end" in caplog.text
    ws.wait_closed()
    (left,) = server._threads
    go.set()
    left.join(PATIENCE)


def test_handler_that_ends_its_thread() -> None:
    """The connection is cut, and forgotten."""

    def handler(ws: WebSocket) -> None:
        raise SystemExit

    ours, theirs = socket.socketpair()
    with unstarted(handler) as server, theirs:
        theirs.sendall(handshake())
        with pytest.raises(SystemExit):
            server._serve_socket(ours)
        assert server.connections == set()
        assert Peer(theirs, wsproto.ConnectionType.CLIENT).is_cut_off()


# ---- shortages ----


class Short:
    """A listener of a process that has no descriptors left."""

    def __init__(self, number: int) -> None:
        self.number = number

    def accept(self) -> None:
        raise OSError(self.number, "")


@contextmanager
def unstarted(handler: Any = echo) -> Iterator[Server]:
    """A server whose thread doesn't run."""
    service = Service(handler, (), (), None)
    server = Server(service, make_options(None, Timeouts(None, None, None, None), None), [], None)
    yield server
    server._poller.close()


@pytest.mark.parametrize(("number", "logged"), [(errno.EMFILE, 1), (errno.ECONNABORTED, 0)], ids=["short", "left"])
def test_accept_fails(number: int, logged: int, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, after a while if there are too many connections; closing the server ends that."""
    with unstarted() as server:
        server._poller.wake()
        server._accept_from(Short(number))  # type: ignore[arg-type]  # a socket as far as it matters
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == logged


def test_no_threads_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a handler, nor for what is behind a connection. Nothing stays open."""
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith(refused[-1]):
            raise RuntimeError("can't start new thread")
        start(self)

    refused = ["nothing"]
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with serve(echo, "127.0.0.1", 0) as server:
        for name in ("wsproto_lite handler", "wsproto_lite connection"):
            refused.append(name)
            with client_of(port_of(server), opened=False) as peer:
                peer.write(handshake())
                assert peer.is_cut_off()
        with pytest.raises(RuntimeError):
            connect(uri_of(server))
        refused.append("nothing")
        with connect(uri_of(server)) as ws:
            ws.send("goes on")
            assert ws.recv() == "goes on"


def test_no_descriptors_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """With which a connection can be woken."""
    with serve(echo, "127.0.0.1", 0) as server:
        socketpair = socket.socketpair

        def short() -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(socket, "socketpair", short)
        with client_of(port_of(server), opened=False) as peer:
            peer.write(handshake())
            assert peer.is_cut_off()
        with pytest.raises(OSError, match="Too many open files"):
            connect(uri_of(server))
        monkeypatch.setattr(socket, "socketpair", socketpair)


def test_late_connection() -> None:
    """It was accepted just before the server closed."""
    ours, theirs = socket.socketpair()
    with unstarted() as server, theirs:
        server._is_closing = True
        ws = server._open(ours)
        assert ws is not None
        ws.wait_closed()
        assert theirs.recv(1) == b""


def test_connection_that_opens_while_the_server_closes() -> None:
    """It is one of those that are told, or is cut."""
    late = []
    ours, theirs = socket.socketpair()
    with unstarted() as server, theirs:

        class Other(WebSocket):
            """While this one is told, there is another."""

            def go_away(self, code: int, reason: str) -> None:
                late.append(server._open(ours))

        other = Other(socket.socket(), SERVER, server._options)
        server._connections.add(other)
        server.close()
        (ws,) = late
        assert ws is not None
        ws.wait_closed(PATIENCE)
        assert theirs.recv(1) == b""
        other._end()


def test_late_tls_handshake() -> None:
    ours, theirs = socket.socketpair()
    with unstarted() as server, theirs:
        server._is_closing = True
        server._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert server._open(ours) is None


def test_reset_before_the_tls_handshake() -> None:
    """Nothing stays open."""
    with socket.create_server(("127.0.0.1", 0)) as listener, unstarted() as server:
        server._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert server._open(reset_by_the_peer(listener)) is None
        with pytest.raises(OSError, match="not connected"):
            connect("wss://localhost/", sock=reset_by_the_peer(listener))
    gc.collect()  # a socket that wasn't closed warns


def reset_by_the_peer(listener: socket.socket) -> socket.socket:
    """Make one end of a connection that has lost its other end."""
    with socket.create_connection(listener.getsockname()) as peer:
        sock, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    return sock


def test_reset_noticed_when_half_closing() -> None:
    """Between our Close and our half-close the peer may be gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener, unstarted() as server:
        peer = socket.create_connection(listener.getsockname())
        ws = WebSocket(listener.accept()[0], SERVER, server._options)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        peer.close()
        assert ws._poller.wait(READ, None) != {}
        with ws._lock:
            assert ws._take_step(Step.HALF_CLOSE)
        assert ws.close_code == 1006
        ws._end()


def test_address_of_a_peer_that_is_gone() -> None:
    with unstarted() as server:
        ws = WebSocket(socket.socket(), SERVER, server._options)
        assert (ws.local_address, ws.remote_address) == (None, None)
        ws._end()


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EACCES], ids=["missing", "forbidden"])
@pytest.mark.parametrize("fails", [1, 2], ids=["one", "all"])
def test_addresses_of_a_host(monkeypatch: pytest.MonkeyPatch, number: int, fails: int) -> None:
    """Those that this machine doesn't have are left out, unless there are no others."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0, "another")))  # type: ignore[arg-type]
    create_server, calls = socket.create_server, []

    def create(address: Any, **kwargs: Any) -> socket.socket:
        calls.append(address)
        if len(calls) > 2 - fails:
            raise OSError(number, "no such address")
        return create_server(address, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    monkeypatch.setattr(socket, "create_server", create)
    if fails == 1 and number == errno.EADDRNOTAVAIL:
        (listener,) = _sockets.listen_on("host", 0)
        listener.close()
    else:
        with pytest.raises(OSError, match="no such address"):
            _sockets.listen_on("host", 0)


@pytest.mark.parametrize("silent", [1, 3], ids=["one", "all"])
def test_addresses_of_a_server(monkeypatch: pytest.MonkeyPatch, uri: str, silent: int) -> None:
    """They have their turns, all within the open timeout."""
    seconds = 10.0
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{number}", 0)) for number in (2, 1, 3)]
    turns = []

    def create(address: Any, timeout: float) -> socket.socket:
        turns.append(round(seconds / timeout))
        if len(turns) <= silent:
            raise socket.timeout("timed out")
        sock = socket.socket()
        sock.connect(address)
        return sock

    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    monkeypatch.setattr(socket, "create_connection", create)
    if silent == 1:
        with connect(uri.replace("127.0.0.1", "several.test"), open_timeout=seconds) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
        assert turns == [3, 2]
    else:
        with pytest.raises(TimeoutError, match="longer than"):
            connect(uri.replace("127.0.0.1", "several.test"), open_timeout=seconds)
        assert turns == [3, 2, 1]
