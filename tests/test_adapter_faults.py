"""What goes wrong between two ends, for servers and clients over every adapter: nothing hangs, nothing is left."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable

import pytest
from adapter_peers import Peer, client_of, server_that
from adapter_short_of_files import FEW, MANY
from adapter_subjects import PATIENCE, SUBJECTS, Subject
from asyncio_helpers import SHORT, handshake, text
from processes import program
from wsproto.events import BytesMessage, CloseConnection

from wsproto_lite import ConnectionClosed, RemoteProtocolError

LIMIT = 5.0
"""Seconds that a connection may take to end, whatever deadline was set: far less than the default ones."""

UNFINISHED = bytes.fromhex("81 fe 0fff 00000000") + b"x" * 1000
"""The beginning of a client's text frame of 4,095 bytes, masked with zeros."""

UNLIMITED: dict[str, Any] = dict.fromkeys(["open_timeout", "ping_interval", "ping_timeout", "close_timeout"])

subjects = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


def threads_and_files() -> tuple[int, int]:
    gc.collect()
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    return threading.active_count(), files


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Neither threads nor descriptors. Tasks are watched by the subjects."""
    before = threads_and_files()
    yield
    assert threads_and_files() == before


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LIMIT


class Log:
    """Scripts that note how their connection has ended."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.code: int | None = None
        self.received: list[Any] = []

    def echo(self, ws: Any) -> Generator[Any, Any, None]:
        try:
            while True:
                message = yield ws.recv()
                self.received.append(message)
                yield ws.send(message)
        except ConnectionClosed:
            self.end(ws)

    def flood(self, ws: Any) -> Generator[Any, Any, None]:
        """Send until that is no longer possible."""
        try:
            while True:
                yield ws.send(bytes(1 << 16))
        except ConnectionClosed:
            self.end(ws)

    def close(self, ws: Any) -> Generator[Any, Any, None]:
        yield ws.close(4000, "enough")
        self.end(ws)

    def end(self, ws: Any) -> None:
        self.code = ws.close_code
        self.ended.set()

    def wait(self) -> int | None:
        assert self.ended.wait(PATIENCE), "the handler hangs"
        return self.code


# ---- servers: a client that breaks off ----


def silent(peer: Peer) -> None:
    """It has said nothing since the handshake."""


def in_a_frame(peer: Peer) -> None:
    peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])


def in_a_message(peer: Peer) -> None:
    peer.send(BytesMessage(data=b"first fragment", message_finished=False))


MOMENTS = [silent, in_a_frame, in_a_message]


@pytest.mark.parametrize("moment", MOMENTS)
@subjects
def test_client_resets(subject: Subject, moment: Any) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        peer.reset()
        assert log.wait() == 1006


@pytest.mark.parametrize("moment", MOMENTS)
@subjects
def test_client_half_closes(subject: Subject, moment: Any) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        peer.half_close()
        assert peer.read_to_end() == []
        assert log.wait() == 1006


@subjects
def test_client_half_closes_behind_messages(subject: Subject) -> None:
    """They are answered before the connection ends."""
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        peer.send(*[text(str(number)) for number in range(50)])
        peer.half_close()
        assert peer.read_to_end() == [str(number) for number in range(50)]
        assert log.wait() == 1006


@subjects
def test_client_resets_while_we_write(subject: Subject) -> None:
    log = Log()
    with subject.serving(log.flood, **UNLIMITED) as server, client_of(server.port, buffer=4096) as peer, in_time():
        peer.read()
        peer.reset()
        assert log.wait() == 1006


@pytest.mark.parametrize("sent", [b"", handshake()[:40], handshake()[:-1]], ids=["nothing", "a_part", "all_but_a_byte"])
@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@subjects
def test_client_leaves_during_the_handshake(subject: Subject, leave: Any, sent: bytes) -> None:
    with subject.serving(**UNLIMITED) as server, client_of(server.port, opened=False) as peer, in_time():
        peer.write(sent)
        leave(peer)
        wait_until_empty(server)


def wait_until_empty(server: Any) -> None:
    until(lambda: not server.connections())


@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@subjects
def test_client_leaves_when_we_close(subject: Subject, leave: Any) -> None:
    """Instead of a Close of its own."""
    log = Log()
    with subject.serving(log.close, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        (closing,) = peer.read()
        assert isinstance(closing, CloseConnection)
        leave(peer)
        assert log.wait() == 1006


@subjects
def test_client_resets_behind_its_close(subject: Subject) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        peer.send(CloseConnection(code=1000))
        assert peer.read() != []
        peer.reset()
        assert log.wait() == 1000
        wait_until_empty(server)


# ---- servers: a client that stalls, or sends a byte at a time ----


@pytest.mark.parametrize("moment", MOMENTS)
@subjects
def test_client_stalls(subject: Subject, moment: Any) -> None:
    """It answers no Ping, so that the connection is given up, with a Close that it could read."""
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with subject.serving(log.echo, **timeouts) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        assert peer.read_to_end(answer=False) == [1011]
        assert log.wait() == 1011


@subjects
def test_client_stalls_and_does_not_read(subject: Subject) -> None:
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with subject.serving(log.flood, **timeouts) as server, client_of(server.port, buffer=4096), in_time():
        assert log.wait() == 1011
        wait_until_empty(server)


@pytest.mark.parametrize("sent", [b"", handshake()[:40]], ids=["nothing", "a_part"])
@subjects
def test_client_stalls_in_the_handshake(subject: Subject, sent: bytes) -> None:
    with (
        subject.serving(open_timeout=SHORT) as server,
        client_of(server.port, opened=False) as peer,
        in_time(),
    ):
        peer.write(sent)
        assert peer.is_cut_off()


@subjects
def test_client_does_not_answer_our_close(subject: Subject) -> None:
    log = Log()
    with subject.serving(log.close, close_timeout=SHORT) as server, client_of(server.port) as peer, in_time():
        assert peer.read_to_end(answer=False) == [4000]
        assert log.wait() == 1006


@subjects
def test_client_does_not_end_its_stream(subject: Subject) -> None:
    log = Log()
    with subject.serving(log.close, close_timeout=SHORT) as server, client_of(server.port) as peer, in_time():
        assert peer.read_to_end() == [4000]
        assert log.wait() == 4000


def dribble(peer: Peer, data: bytes, seconds: float) -> None:
    """Write a byte at a time, until all is written or the other end has gone."""
    for byte in data:
        try:
            peer.write(bytes([byte]))
        except OSError:
            return
        time.sleep(seconds)


@subjects
def test_slow_message_is_life(subject: Subject) -> None:
    """It takes several times the ping timeout, and answers no Ping meanwhile."""
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": 4 * SHORT, "close_timeout": SHORT}
    with subject.serving(log.echo, **timeouts) as server, client_of(server.port) as peer, in_time():
        dribble(peer, peer.wsproto.send(text("x" * 34)), SHORT / 2)
        peer.send(CloseConnection(code=1000))
        assert peer.read_to_end(answer=False) == ["x" * 34, 1000]
        assert log.wait() == 1000


@subjects
def test_slow_handshake_is_cut(subject: Subject) -> None:
    """Its deadline is absolute."""
    with subject.serving(open_timeout=4 * SHORT) as server, client_of(server.port, opened=False) as peer, in_time():
        dribble(peer, handshake(), SHORT)
        assert peer.is_cut_off()


@subjects
def test_slow_input_does_not_delay_the_end(subject: Subject) -> None:
    """Nor is the close deadline moved by what comes."""
    log = Log()
    with subject.serving(log.close, close_timeout=4 * SHORT) as server, client_of(server.port) as peer, in_time():
        dribble(peer, UNFINISHED, SHORT)
        assert log.wait() == 1006


# ---- clients ----


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


# ---- no file descriptors left ----


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@subjects
def test_no_descriptors_left(subject: Subject) -> None:
    """A server goes on when there are some again, and has leaked none."""
    with program(str(Path(__file__).with_name("adapter_short_of_files.py")), subject.name) as (process, port):
        files = Path(f"/proc/{process.pid}/fd")
        before = len(list(files.iterdir()))
        with ExitStack() as stack:
            peers = [stack.enter_context(client_of(int(port), opened=False)) for _ in range(MANY)]
            for peer in peers:
                peer.write(handshake())
            assert peers[0].sock.recv(1 << 16).startswith(b"HTTP/1.1 101 ")
            until(lambda: len(list(files.iterdir())) >= FEW)
        with client_of(int(port)) as peer:
            peer.send(text("still there"), CloseConnection(code=1000))
            assert peer.read_to_end() == ["still there", 1000]
        until(lambda: len(list(files.iterdir())) <= before)


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "it hangs"
        time.sleep(0.01)
