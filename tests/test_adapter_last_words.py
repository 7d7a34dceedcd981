"""Messages that came before the peer's Close or fault are answered before ours, over every adapter."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from adapter_peers import Peer, client_of
from adapter_scripts import Steps, receive_all, subjects
from adapter_subject_uvicorn import servers
from adapter_subjects import ServerSubject, Subject
from asyncio_helpers import SHORT
from wsproto.events import CloseConnection, TextMessage

from wsproto_lite import ConnectionClosed
from wsproto_lite.adapters import _asyncio_link, _session

PAUSE = SHORT / 5

UNMASKED = b"\x81\x01x"


def close(peer: Peer) -> bytes:
    return bytes(peer.wsproto.send(CloseConnection(4001)))


def violate(peer: Peer) -> bytes:
    return UNMASKED


def set_answer_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for module in (_asyncio_link, _session):
        monkeypatch.setattr(module, "ANSWER_TIME", seconds)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an answer the adapters wait longer than the test runs."""
    set_answer_time(monkeypatch, 1000.0)


endings = pytest.mark.parametrize(("ending", "code"), [(close, 4001), (violate, 1002)], ids=["close", "violation"])


@endings
@pytest.mark.usefixtures("patient")
@servers
def test_end_in_a_later_read(subject: ServerSubject, ending: Any, code: int) -> None:
    """A handler that is busy when the end comes still answers what it has yet to take."""
    has_come = threading.Event()

    def script(ws: Any) -> Steps:
        while ws.waiting() < 2:
            yield subject.sleep(PAUSE)
        has_come.set()
        while not ws.conn.is_ending:
            yield subject.sleep(PAUSE)
        for _ in range(2):
            message = yield ws.recv()
            yield subject.sleep(PAUSE)
            yield ws.send(message)
        assert (yield from receive_all(ws)) == []

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.send(TextMessage("one"), TextMessage("two"))
        has_come.wait()
        peer.write(ending(peer))
        assert peer.read_to_end() == ["one", "two", code]


@endings
@pytest.mark.usefixtures("patient")
@servers
def test_answer_takes_time(subject: ServerSubject, ending: Any, code: int) -> None:
    """The end waits until the message that was taken is answered."""

    def script(ws: Any) -> Steps:
        message = yield ws.recv()
        while not ws.conn.is_ending:
            yield subject.sleep(PAUSE)
        yield subject.sleep(PAUSE)
        yield ws.send(message)
        assert (yield from receive_all(ws)) == []

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.write(peer.wsproto.send(TextMessage("last")) + ending(peer))
        assert peer.read_to_end() == ["last", code]


@endings
@pytest.mark.usefixtures("patient")
@servers
def test_handler_that_has_begun_to_answer(subject: ServerSubject, ending: Any, code: int) -> None:
    """What it sends then is no answer that an end would wait for, or a subscription could not be ended."""
    ends: list[Any] = []

    def script(ws: Any) -> Steps:
        yield ws.recv()
        try:
            while True:
                yield ws.send("news")
                yield subject.sleep(PAUSE)
        except ConnectionClosed:
            ends.append(ws.close_code)

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.send(TextMessage("subscribe"))
        peer.read()
        peer.write(ending(peer))
        *news, last = peer.read_to_end()
        assert (set(news) - {"news"}, last) == (set(), code)
    assert ends == [code]


@endings
@pytest.mark.usefixtures("patient")
@subjects
def test_handler_that_awaits_the_end(subject: Subject, ending: Any, code: int) -> None:
    """It has no answer to give."""

    def script(ws: Any) -> Steps:
        yield ws.recv()
        yield ws.wait_closed()

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.write(peer.wsproto.send(TextMessage("no question")) + ending(peer))
        assert peer.read_to_end() == [code]


def wait_for_a_pong(ws: Any, sleep: Any) -> Steps:
    yield ws.ping()


def send_pongs(ws: Any, sleep: Any) -> Steps:
    while True:
        yield ws.pong()
        yield sleep(PAUSE / 5)


@endings
@pytest.mark.parametrize("busy", [wait_for_a_pong, send_pongs])
@pytest.mark.usefixtures("patient")
@subjects
def test_control_frames_of_another(subject: Subject, busy: Any, ending: Any, code: int) -> None:
    """They are no answer, nor is waiting for one of them."""
    is_over = threading.Event()

    def other(ws: Any) -> Steps:
        try:
            yield from busy(ws, subject.sleep)
        except ConnectionClosed:
            is_over.set()

    def script(ws: Any) -> Steps:
        message = yield ws.recv()
        while not ws.conn.is_ending:
            yield subject.sleep(PAUSE)
        kept = subject.start(other, ws)
        yield subject.sleep(SHORT)
        yield ws.send(message)
        assert (yield from receive_all(ws)) == []
        while not is_over.is_set():
            yield subject.sleep(PAUSE)
        del kept

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.write(peer.wsproto.send(TextMessage("last")) + ending(peer))
        assert peer.read_to_end(answer=False) == ["last", code]
    assert is_over.is_set()


@endings
@pytest.mark.parametrize("taken", [0, 1, 2])
@servers
def test_handler_that_never_answers(
    subject: ServerSubject, monkeypatch: pytest.MonkeyPatch, taken: int, ending: Any, code: int
) -> None:
    """The end waits for a time only. No message is lost by that."""
    set_answer_time(monkeypatch, SHORT)
    received: list[Any] = []

    def script(ws: Any) -> Steps:
        for _ in range(taken):
            received.append((yield ws.recv()))
        while not ws.is_ended():
            yield subject.sleep(PAUSE)
        received.extend((yield from receive_all(ws)))

    with subject.serving(script, ping_interval=None) as server, client_of(server.port) as peer:
        peer.write(peer.wsproto.send(TextMessage("one")) + peer.wsproto.send(TextMessage("two")) + ending(peer))
        assert peer.read_to_end() == [code]
    assert received == ["one", "two"]


@servers
def test_answers_that_take_longer_than_the_end_waits(subject: ServerSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits as long as there is progress."""
    set_answer_time(monkeypatch, 4 * SHORT)

    def script(ws: Any) -> Steps:
        for _ in range(4):
            message = yield ws.recv()
            yield subject.sleep(2 * SHORT)
            yield ws.send(message)
        assert (yield from receive_all(ws)) == []

    with subject.serving(script) as server, client_of(server.port) as peer:
        messages = [peer.wsproto.send(TextMessage(str(number))) for number in range(4)]
        peer.write(b"".join(messages) + close(peer))
        assert peer.read_to_end() == ["0", "1", "2", "3", 4001]


@pytest.mark.usefixtures("patient")
@servers
def test_end_of_the_stream_behind_a_message(subject: ServerSubject) -> None:
    """A peer that only half-closes reads the answer."""

    def script(ws: Any) -> Steps:
        message = yield ws.recv()
        yield subject.sleep(SHORT)
        yield ws.send(message)
        assert (yield from receive_all(ws)) == []

    with subject.serving(script) as server, client_of(server.port) as peer:
        peer.send(TextMessage("over"))
        peer.half_close()
        assert peer.read_to_end() == ["over"]
