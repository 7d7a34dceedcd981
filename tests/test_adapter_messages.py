"""Messages over every adapter: both ways, at any speed, and one to many."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from adapter_peers import client_of, server_that
from adapter_scripts import Steps, receive_all, subjects, wait_closed
from adapter_subject_uvicorn import servers
from adapter_subjects import SUBJECTS, ServerSubject, Subject
from asyncio_helpers import SHORT, handshake, text
from patience import PATIENCE
from wsproto.events import CloseConnection

from wsproto_lite import (
    LocalProtocolError,
    PerMessageDeflate,
    Settings,
)

COMPRESSED = Settings(extensions=(PerMessageDeflate(),))

MESSAGES = ["h\u00e9llo", b"\0\xff", "", b"", "x" * (1 << 20), b"x" * (1 << 20)]


@pytest.mark.parametrize("settings", [Settings(), COMPRESSED], ids=["plain", "compressed"])
@subjects
def test_echo(subject: Subject, settings: Settings) -> None:
    def script(ws: Any) -> Steps:
        received = []
        for message in MESSAGES:
            yield ws.send(message)
            received.append((yield ws.recv()))
        assert len(ws.conn.extensions) == len(settings.extensions)
        return received

    with subject.serving(settings=settings) as server:
        assert subject.talk(script, server.uri, settings=settings) == MESSAGES


@subjects
def test_kinds_of_message(subject: Subject) -> None:
    def script(ws: Any) -> Steps:
        for message in (5, None, "\ud800"):
            with pytest.raises(LocalProtocolError):
                yield ws.send(message)
        yield ws.send(bytearray(b"a"))
        yield ws.send(memoryview(b"b"))
        yield ws.send(b"c", text=True)
        yield ws.send("d", text=True)
        received = []
        for _ in range(4):
            received.append((yield ws.recv()))
        return received

    with subject.serving() as server:
        assert subject.talk(script, server.uri) == [b"a", b"b", "c", "d"]
        as_bytes = Settings(text_as_bytes=True)
        assert subject.talk(script, server.uri, settings=as_bytes) == [b"a", b"b", b"c", b"d"]


@subjects
def test_slow_handler_makes_reading_pause(subject: Subject) -> None:
    """And a slow reader makes senders wait: memory is bounded on both sides."""
    go = threading.Event()
    sent = 0

    def script(ws: Any) -> Steps:
        nonlocal sent
        for number in range(500):
            yield ws.send(number.to_bytes(2, "big") * (16 << 10))
            sent += 1
        yield ws.close()

    def behave(peer: Any) -> None:
        peer.accept()
        assert not go.wait(2 * SHORT)
        assert sent < 400
        messages = peer.read_to_end(until_close=True)
        assert [message[:2] for message in messages[:-1]] == [number.to_bytes(2, "big") for number in range(500)]

    with server_that(behave) as uri:
        subject.talk(script, uri)

    def slow(ws: Any) -> Steps:
        while not go.is_set():
            yield subject.sleep(SHORT / 10)
        return (yield from receive_all(ws))

    with subject.serving(script) as server:
        sent = 0
        timer = threading.Timer(4 * SHORT, go.set)
        timer.start()
        assert len(subject.talk(slow, server.uri, ping_interval=SHORT, ping_timeout=SHORT)) == 500


@subjects
def test_silence_of_our_own_making(subject: Subject) -> None:
    """While we don't read, Pongs can't be seen: that is no reason to give the connection up."""
    go = threading.Event()

    def script(ws: Any) -> Steps:
        if subject.name == "threads":
            go.wait(PATIENCE)
        else:
            while not go.is_set():
                yield subject.sleep(SHORT / 10)
        return (yield from receive_all(ws))

    def behave(peer: Any) -> None:
        peer.accept()
        peer.send(*[text(str(number)) for number in range(10)])
        threading.Event().wait(6 * SHORT)
        go.set()
        peer.send(CloseConnection(code=1000))
        peer.read_to_end(until_close=True)

    for ping_timeout in (SHORT, None):
        go.clear()
        with server_that(behave) as uri:
            timeouts = {"ping_interval": SHORT, "ping_timeout": ping_timeout}
            assert subject.talk(script, uri, max_queue=1, **timeouts) == [*map(str, range(10))]


@subjects
def test_early_data(subject: Subject) -> None:
    """Frames that come with the request, though a client should wait for the response."""
    with subject.serving(max_queue=None) as server, client_of(server.port, opened=False) as peer:
        peer.write(handshake() + bytes.fromhex("81 85 37fa213d 7f9f4d5158"))
        response = b""
        while not response.endswith(b"\x81\x05Hello"):
            response += peer.sock.recv(1 << 16)
        assert response.startswith(b"HTTP/1.1 101 ")


@servers
def test_what_came_before_a_close_is_answered_first(subject: ServerSubject) -> None:
    """After the Close there is no answering, so it is held back until a slow handler has taken the rest."""

    def slow_echo(ws: Any) -> Steps:
        while True:
            message = yield ws.recv()
            for _ in range(3):
                yield subject.sleep(0)
            yield ws.send(message)

    with subject.serving(slow_echo) as server, client_of(server.port) as peer:
        peer.send(text("one"), text("two"), text("three"), CloseConnection(code=1001))
        assert peer.read_to_end()[:2] == ["one", "two"]


@pytest.mark.parametrize("subject", [SUBJECTS["trio"], SUBJECTS["threads"]], ids=["trio", "threads"])
def test_close_waits_for_an_answer(subject: Subject) -> None:
    """It came together with the message that a handler is busy with; even the end of the stream has to wait."""
    taken = threading.Event()

    def script(ws: Any) -> Steps:
        message = yield ws.recv()
        taken.set()
        yield subject.sleep(3 * SHORT)
        yield ws.send(message)
        yield from receive_all(ws)

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.send(text("last"), CloseConnection(code=1000))
        assert taken.wait(PATIENCE)
        peer.half_close()
        assert peer.read_to_end(answer=False) == ["last", 1000]


@subjects
def test_broadcast(subject: Subject) -> None:
    """Encoded once for all that don't compress; those who read too slowly are left out, and named."""
    connected, received = threading.Event(), []

    def client(ws: Any) -> Steps:
        connected.set()
        received.append((yield ws.recv()))
        yield ws.close()

    with (
        subject.serving(wait_closed, settings=COMPRESSED) as server,
        client_of(server.port) as plain,
        client_of(server.port, opened=False),
        client_of(server.port, buffer=4096),
    ):
        while server.connections() < 3:
            threading.Event().wait(SHORT / 10)
        kwargs = {"settings": COMPRESSED}
        thread = threading.Thread(target=subject.talk, args=(client, server.uri), kwargs=kwargs)
        thread.start()
        assert connected.wait(PATIENCE)
        assert server.call(lambda: subject.adapter.broadcast(server.server.connections, "news")) == []
        thread.join(PATIENCE)
        assert received == ["news"]
        (event,) = plain.read()
        assert event == text("news")
        slow: list[Any] = []

        def flood() -> list[Any]:
            return list(subject.adapter.broadcast(server.server.connections, bytes(1 << 20)))

        while not slow:
            slow = server.call(flood)
            plain.sock.recv(1 << 16)
        with pytest.raises(LocalProtocolError):
            server.call(lambda: subject.adapter.broadcast(server.server.connections, None))
        for ws in slow:
            server.call(ws.abort)
