"""What servers do wrong to clients over every adapter: nothing hangs, nothing is left."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from adapter_faults import MOMENTS, UNLIMITED, dribble, in_time, nothing_left
from adapter_peers import Peer, server_that
from adapter_scripts import subjects
from adapter_subjects import Subject
from asyncio_helpers import SHORT, text
from patience import PATIENCE

from wsproto_lite import ConnectionClosed, RemoteProtocolError


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


def receive_all(ws: Any) -> Generator[Any, Any, tuple[list[Any], int | None]]:
    """Receive until the end. Returns the messages and the close code."""
    received = []
    try:
        while True:
            received.append((yield ws.recv()))
    except ConnectionClosed:
        return received, ws.close_code


def flood(ws: Any) -> Generator[Any, Any, int | None]:
    try:
        while True:
            yield ws.send(bytes(1 << 16))
    except ConnectionClosed:
        return ws.close_code  # type: ignore[no-any-return]  # a script knows no types


def just_close(ws: Any) -> Generator[Any, Any, int | None]:
    yield ws.close(1000, "bye")
    return ws.close_code  # type: ignore[no-any-return]  # a script knows no types


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@subjects
def test_server_breaks_off(subject: Subject, leave: Any, moment: Any) -> None:
    def behave(peer: Peer) -> None:
        peer.accept()
        peer.send(text("hello"))
        moment(peer)
        if leave is Peer.reset:
            # A reset may overtake what was sent, unless that has been read.
            assert peer.read() != []
        leave(peer)

    def script(ws: Any) -> Generator[Any, Any, Any]:
        message = yield ws.recv()
        yield ws.send("read")
        received, code = yield from receive_all(ws)
        return message, received, code

    with server_that(behave) as uri, in_time():
        assert subject.talk(script, uri, **UNLIMITED) == ("hello", [], 1006)


ANSWERS = {
    "nothing": b"",
    "a_part": b"HTTP/1.1 101 Switching",
    "part_of_a_refusal": b"HTTP/1.1 403 No\r\nContent-Length: 9",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@subjects
def test_server_leaves_during_the_handshake(subject: Subject, leave: Any, answer: bytes) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(1 << 16)
        peer.write(answer)
        leave(peer)

    with server_that(behave) as uri, in_time(), pytest.raises((RemoteProtocolError, ConnectionResetError)):
        subject.talk(receive_all, uri, **UNLIMITED)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@subjects
def test_server_stalls_in_the_handshake(subject: Subject, answer: bytes) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(1 << 16)
        peer.write(answer)
        assert peer.is_cut_off()

    with server_that(behave) as uri, in_time(), pytest.raises(TimeoutError, match=f"longer than {SHORT} s"):
        subject.talk(receive_all, uri, open_timeout=SHORT)


@subjects
def test_server_dribbles_its_answer(subject: Subject) -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(1 << 16)
        dribble(peer, b"HTTP/1.1 101 Switching Protocols\r\n", SHORT)

    with server_that(behave) as uri, in_time(), pytest.raises(TimeoutError, match="longer than"):
        subject.talk(receive_all, uri, open_timeout=4 * SHORT)


@subjects
def test_server_does_not_close_tcp(subject: Subject) -> None:
    """A client waits for that, but not for ever."""

    def behave(peer: Peer) -> None:
        peer.accept()
        assert peer.read_to_end() == [1000]

    with server_that(behave) as uri, in_time():
        assert subject.talk(just_close, uri, close_timeout=SHORT) == 1000


@subjects
def test_server_stays_after_its_violation(subject: Subject) -> None:
    """A client that fails waits for the server to read its Close, but not for ever."""

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.write(b"\x81\x80mask")
        assert peer.read_to_end() == [1002]
        assert done.wait(PATIENCE)

    done = threading.Event()
    with server_that(behave) as uri, in_time():
        assert subject.talk(receive_all, uri, close_timeout=SHORT) == ([], 1002)
        done.set()


@subjects
def test_server_does_not_answer_our_close(subject: Subject) -> None:
    def behave(peer: Peer) -> None:
        peer.accept()
        assert peer.read_to_end(answer=False) == [1000]

    with server_that(behave) as uri, in_time():
        assert subject.talk(just_close, uri, close_timeout=SHORT) == 1006


@subjects
def test_server_resets_when_we_close(subject: Subject) -> None:
    def behave(peer: Peer) -> None:
        peer.accept()
        peer.read()
        peer.reset()

    with server_that(behave) as uri, in_time():
        assert subject.talk(just_close, uri, **UNLIMITED) == 1006


@subjects
def test_server_stalls_and_does_not_read(subject: Subject) -> None:
    """The client gives up after a Ping, and doesn't wait for its output to be read."""
    done = threading.Event()

    def behave(peer: Peer) -> None:
        peer.accept()
        assert done.wait(PATIENCE)

    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with server_that(behave) as uri, in_time():
        assert subject.talk(flood, uri, **timeouts) == 1011
        done.set()


@subjects
def test_server_resets_while_we_write(subject: Subject) -> None:
    def behave(peer: Peer) -> None:
        peer.accept()
        peer.read()
        peer.reset()

    with server_that(behave) as uri, in_time():
        assert subject.talk(flood, uri, **UNLIMITED) == 1006
