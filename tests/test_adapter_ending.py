"""How connections over every adapter end in good order, shutdown included, and Pings."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from adapter_peers import client_of, server_that
from adapter_scripts import Steps, receive_all, subjects, wait_closed
from adapter_subjects import Subject
from asyncio_helpers import SHORT, handshake
from patience import PATIENCE
from wsproto.events import CloseConnection, Ping, Pong

from wsproto_lite import (
    CLIENT,
    SERVER,
    CloseInfo,
    ConnectionClosed,
    LocalProtocolError,
    State,
)
from wsproto_lite.http11 import RequestHead


@subjects
def test_client_closes(subject: Subject) -> None:
    def client(ws: Any) -> Steps:
        assert (ws.close_code, ws.close_reason) == (None, None)
        with pytest.raises(LocalProtocolError, match="close code 1006 may not be sent"):
            yield ws.close(1006)
        yield ws.close(3000, "done")
        yield ws.close(3001, "again")
        for call in (lambda: ws.send("late"), ws.recv, ws.ping, ws.pong):
            with pytest.raises(ConnectionClosed) as caught:
                yield call()
            assert caught.value.close_info.sent == (3000, "done")
        return ws.close_code, ws.close_reason, ws.state, ws.close_info

    with subject.serving() as server:
        info = CloseInfo((3000, "done"), (3000, ""), CLIENT, "closed 3000 by us: done")
        assert subject.talk(client, server.uri) == (3000, "", State.CLOSED, info)


@subjects
def test_handler_returns(subject: Subject) -> None:
    def script(ws: Any) -> Steps:
        yield ws.send("bye")

    def client(ws: Any) -> Steps:
        received = yield from receive_all(ws)
        return received, ws.close_info

    with subject.serving(script) as server:
        info = CloseInfo((1000, ""), (1000, ""), SERVER, "closed 1000 by the peer")
        assert subject.talk(client, server.uri) == (["bye"], info)


@subjects
def test_handler_raises(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    def script(ws: Any) -> Steps:
        yield ws.send("soon")
        raise ValueError("my mistake")

    def client(ws: Any) -> Steps:
        yield from receive_all(ws)
        return ws.close_code

    with subject.serving(script) as server:
        assert subject.talk(client, server.uri) == 1011
    (record,) = [record for record in caplog.records if record.name == "wsproto_lite"]
    assert "my mistake" in str(record.exc_info)


@pytest.mark.parametrize(("error", "code"), [(ValueError, 1011), (KeyboardInterrupt, 1001)])
@subjects
def test_exception_in_the_body_of_a_client(subject: Subject, error: type[BaseException], code: int) -> None:
    codes: list[int] = []

    def script(ws: Any) -> Steps:
        yield from wait_closed(ws)
        codes.append(ws.close_code)

    def client(ws: Any) -> Steps:
        yield ws.ping()
        raise error("mine")

    with subject.serving(script) as server, pytest.raises(error):
        subject.talk(client, server.uri)
    assert codes == [code]


@subjects
def test_messages_under_way_when_we_close(subject: Subject) -> None:
    """They can still be received, as many as the queue holds; there is nobody who must take them."""
    go = threading.Event()

    def behave(peer: Any) -> None:
        peer.accept()
        (closing,) = peer.read()
        peer.write(b"".join(bytes([0x81, 2]) + b"%02d" % number for number in range(100)))
        peer.send(closing.response())
        go.set()

    def client(ws: Any) -> Steps:
        yield ws.close()
        return (yield from receive_all(ws))

    with server_that(behave) as uri:
        assert subject.talk(client, uri, max_queue=10) == [f"{number:02}" for number in range(10)]


@subjects
def test_pings(subject: Subject) -> None:
    def client(ws: Any) -> Steps:
        seconds = yield ws.ping()
        assert 0 < seconds < PATIENCE
        assert (yield ws.ping(b"mine")) > 0
        yield ws.pong(b"nobody asked")
        with pytest.raises(LocalProtocolError):
            yield ws.ping(b"x" * 126)

    def script(ws: Any) -> Steps:
        with pytest.raises(ConnectionClosed):
            yield ws.ping()

    with subject.serving() as server:
        subject.talk(client, server.uri)
    with subject.serving(script) as server, client_of(server.port) as peer:
        (ping,) = peer.read()
        assert isinstance(ping, Ping)
        peer.send(Pong(payload=b"unknown"), CloseConnection(code=1000))
        assert peer.read_to_end(answer=False) == [1000]


@subjects
def test_latency(subject: Subject) -> None:
    def client(ws: Any) -> Steps:
        while ws.latency is None:
            yield subject.sleep(SHORT / 5)
        return ws.latency

    with subject.serving() as server:
        assert 0 < subject.talk(client, server.uri, ping_interval=SHORT) < PATIENCE


@subjects
def test_shutdown(subject: Subject) -> None:
    """Clients get 1001, and handlers the time to end."""
    ended = []

    def script(ws: Any) -> Steps:
        yield from receive_all(ws)
        ended.append(ws.close_info.sent)

    with subject.serving(script) as server, client_of(server.port) as peer, client_of(server.port) as other:
        while server.connections() < 2:
            threading.Event().wait(SHORT / 10)
        with pytest.raises(LocalProtocolError, match="close code 1005"):
            server.close(1005, "with a reason")
        server.close(1001, "restart")
        assert peer.read_to_end() == [1001]
        assert other.read_to_end() == [1001]
    assert ended == [(1001, "restart")] * 2


@subjects
def test_shutdown_during_handshakes(subject: Subject) -> None:
    """One has sent nothing, one is waiting for an answer."""
    asked, go = threading.Event(), threading.Event()

    def process_request(ws: Any, head: RequestHead) -> Any:
        asked.set()
        return go.wait(PATIENCE) and None if subject.name == "threads" else wait()

    async def wait() -> None:
        while not go.is_set():
            await subject.sleep(SHORT / 10)

    with (
        subject.serving(process_request=process_request) as server,
        client_of(server.port, opened=False) as silent,
        client_of(server.port, opened=False) as waiting,
    ):
        waiting.write(handshake())
        assert asked.wait(PATIENCE)
        while server.connections() < 2:
            threading.Event().wait(SHORT / 10)
        server.close()
        assert waiting.sock.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
        assert silent.is_cut_off()
        go.set()


@subjects
def test_shutdown_cuts_a_peer_that_does_not_close(subject: Subject) -> None:
    with subject.serving(wait_closed, close_timeout=SHORT) as server, client_of(server.port) as peer:
        server.close()
        assert peer.read_to_end(answer=False) == [1001]


@subjects
def test_ping_payloads(subject: Subject) -> None:
    def client(ws: Any) -> Steps:
        for payload in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), b""):
            assert isinstance((yield ws.ping(payload)), float)
        with pytest.raises(LocalProtocolError, match=r"^payload is str; it must be bytes, bytearray or memoryview$"):
            yield ws.ping("text")
        with pytest.raises(LocalProtocolError, match="126 bytes"):
            yield ws.ping(bytes(126))
        yield ws.close()

    with subject.serving(wait_closed) as server:
        subject.talk(client, server.uri)


@subjects
def test_shutdown_with_a_code_that_cant_be_sent(subject: Subject) -> None:
    """Is noticed without connections, too. The server goes on."""

    def client(ws: Any) -> Steps:
        yield ws.send("still there")
        return (yield ws.recv())

    with subject.serving() as server:
        for args in ((99999,), (1001, "x" * 124)):
            with pytest.raises(LocalProtocolError):
                server.close(*args)
        assert subject.talk(client, server.uri) == "still there"
