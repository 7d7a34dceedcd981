"""Peers that are gone while what they have sent waits for a handler, over every adapter: the connection ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from adapter_faults import in_time, until
from adapter_peers import Peer, client_of
from adapter_scripts import Steps, receive_all, subjects
from adapter_subject_uvicorn import servers
from adapter_subjects import Running, ServerSubject, Subject
from asyncio_helpers import SHORT, text
from patience import PATIENCE
from wsproto.events import BytesMessage, CloseConnection
from wsproto.extensions import PerMessageDeflate as TheirDeflate

from wsproto_lite import ConnectionClosed, PerMessageDeflate, Settings
from wsproto_lite.adapters import _asyncio_link, _session

PAUSE = SHORT / 5

MANY = 50
"""Messages for which no adapter's queue has room."""

LARGE = bytes(900_000)

DEFLATE = Settings(extensions=(PerMessageDeflate(),))


def close_transport(peer: Peer) -> None:
    peer.sock.close()


def close(peer: Peer) -> None:
    peer.send(CloseConnection(1000))
    peer.sock.close()


def close_and_half_close(peer: Peer) -> None:
    peer.send(CloseConnection(1000))
    peer.half_close()


# ---- more messages than are kept ----


@pytest.mark.parametrize("leave", [Peer.reset, close_transport, close])
@pytest.mark.parametrize("ping_timeout", [SHORT, None], ids=["pings_checked", "pings_only"])
@servers
def test_peer_leaves_while_reading_pauses(subject: ServerSubject, ping_timeout: float | None, leave: Any) -> None:
    """Pings go on: who writes to a peer that is gone learns of it."""
    has_paused = threading.Event()

    def script(ws: Any) -> Steps:
        while ws.waiting() < MANY:
            yield subject.sleep(PAUSE)
        has_paused.set()
        yield ws.wait_closed()

    timeouts = {"ping_interval": SHORT, "ping_timeout": ping_timeout, "close_timeout": SHORT}
    with subject.serving(script, **timeouts) as server, client_of(server.port) as peer, in_time():
        peer.send(*[text("x")] * MANY)
        assert has_paused.wait(PATIENCE)
        leave(peer)
        until(lambda: not server.connections())


@servers
def test_live_peer_of_a_slow_handler(subject: ServerSubject) -> None:
    """Its Pongs lie unread for several timeouts: the silence is of our own making."""

    def script(ws: Any) -> Steps:
        yield subject.sleep(8 * SHORT)
        for _ in range(MANY):
            message = yield ws.recv()
            yield ws.send(message)

    timeouts = {"ping_interval": SHORT, "ping_timeout": 2 * SHORT}
    with subject.serving(script, **timeouts) as server, client_of(server.port) as peer, in_time():
        peer.send(*[text(str(number)) for number in range(MANY)])
        assert peer.read_to_end()[:MANY] == [str(number) for number in range(MANY)]


# ---- messages that are held back ----


@pytest.fixture(autouse=True)
def _short_answer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_asyncio_link, _session):
        monkeypatch.setattr(module, "ANSWER_TIME", SHORT)


class Held:
    """A server whose handler waits, by `wait`, while all but one of five large messages are held back inflated."""

    def __init__(self, subject: ServerSubject, wait: Any) -> None:
        self.subject = subject
        self.wait = wait
        self.are_held = threading.Event()
        self.is_done = threading.Event()
        self.received: list[Any] = []

    def script(self, ws: Any) -> Steps:
        while not ws.conn.has_pending:
            yield self.subject.sleep(PAUSE)
        self.are_held.set()
        yield from self.wait(ws)
        self.received.extend((yield from receive_all(ws)))

    @contextmanager
    def peer(self) -> Iterator[tuple[Running, Peer]]:
        settings = {"max_size": 1 << 20} if self.subject.name == "uvicorn" else {"settings": DEFLATE}
        with self.subject.serving(self.script, **settings) as server, client_of(server.port, opened=False) as peer:
            peer.open(extensions=[TheirDeflate()])
            peer.send(*[BytesMessage(LARGE)] * 5)
            assert self.are_held.wait(PATIENCE)
            with in_time():
                yield server, peer
                until(lambda: not server.connections())


@servers
def test_handler_that_does_not_come_back_for_what_is_held_back(subject: ServerSubject) -> None:
    """It is at hand nevertheless after a time, as many messages as one step inflates."""

    def wait(ws: Any) -> Steps:
        while ws.waiting():
            held.received.append((yield ws.recv()))
        while not ws.waiting():
            yield subject.sleep(PAUSE)
        held.is_done.set()

    held = Held(subject, wait)
    with held.peer() as (_, peer):
        assert held.is_done.wait(PATIENCE)
        peer.half_close()
    assert held.received == [LARGE] * 5


leavings = pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close, close_and_half_close, close])


@leavings
@servers
def test_peer_leaves_while_messages_are_held_back(subject: ServerSubject, leave: Any) -> None:
    """They can be received when the connection is gone."""

    def wait(ws: Any) -> Steps:
        yield ws.wait_closed()

    held = Held(subject, wait)
    with held.peer() as (_, peer):
        leave(peer)
    assert held.received == [LARGE] * 5


@leavings
@subjects
def test_ping_while_messages_are_held_back(subject: Subject, leave: Any) -> None:
    """A Pong needn't wait until the messages before the end are taken. Nor does its absence."""
    errors: list[str] = []

    def wait(ws: Any) -> Steps:
        for call in (ws.ping, lambda: ws.send("too late")):
            with pytest.raises(ConnectionClosed) as caught:
                yield call()
            errors.append(str(caught.value))

    held = Held(subject, wait)
    with held.peer() as (_, peer):
        leave(peer)
    assert errors[0] == "the connection is closing or closed: the transport is lost"
    assert errors[1] in (errors[0], "the connection is lost: messages are yet to be taken")
    assert held.received == [LARGE] * 5
