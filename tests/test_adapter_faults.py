"""What clients do wrong to servers over every adapter: nothing hangs, nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from adapter_faults import MOMENTS, UNLIMITED, dribble, in_time, nothing_left, until
from adapter_peers import Peer, client_of
from adapter_short_of_files import FEW, MANY
from adapter_subject_uvicorn import servers
from adapter_subjects import SUBJECTS, ServerSubject
from asyncio_helpers import SHORT, UPLOAD, handshake, text
from patience import PATIENCE
from processes import program
from wsproto.events import CloseConnection

from wsproto_lite import ConnectionClosed

UNFINISHED = bytes.fromhex("81 fe 0fff 00000000") + b"x" * 1000
"""The beginning of a client's text frame of 4,095 bytes, masked with zeros."""

readers = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
"""Servers that read the request themselves. For us uvicorn does, as long as that takes."""


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with nothing_left():
        yield


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


# ---- a client that breaks off ----


@pytest.mark.parametrize("moment", MOMENTS)
@servers
def test_client_resets(subject: ServerSubject, moment: Any) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        peer.reset()
        assert log.wait() == 1006


@pytest.mark.parametrize("moment", MOMENTS)
@servers
def test_client_half_closes(subject: ServerSubject, moment: Any) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        peer.half_close()
        assert peer.read_to_end() == []
        assert log.wait() == 1006


@servers
def test_client_half_closes_behind_messages(subject: ServerSubject) -> None:
    """They are answered before the connection ends."""
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        peer.send(*[text(str(number)) for number in range(50)])
        peer.half_close()
        assert peer.read_to_end() == [str(number) for number in range(50)]
        assert log.wait() == 1006


@servers
def test_client_resets_while_we_write(subject: ServerSubject) -> None:
    log = Log()
    with subject.serving(log.flood, **UNLIMITED) as server, client_of(server.port, buffer=4096) as peer, in_time():
        peer.read()
        peer.reset()
        assert log.wait() == 1006


@pytest.mark.parametrize("sent", [b"", handshake()[:40], handshake()[:-1]], ids=["nothing", "a_part", "all_but_a_byte"])
@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@servers
def test_client_leaves_during_the_handshake(subject: ServerSubject, leave: Any, sent: bytes) -> None:
    with subject.serving(**UNLIMITED) as server, client_of(server.port, opened=False) as peer, in_time():
        peer.write(sent)
        leave(peer)
        wait_until_empty(server)


def wait_until_empty(server: Any) -> None:
    until(lambda: not server.connections())


@pytest.mark.parametrize("leave", [Peer.reset, Peer.half_close], ids=["resets", "half_closes"])
@servers
def test_client_leaves_when_we_close(subject: ServerSubject, leave: Any) -> None:
    """Instead of a Close of its own."""
    log = Log()
    with subject.serving(log.close, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        (closing,) = peer.read()
        assert isinstance(closing, CloseConnection)
        leave(peer)
        assert log.wait() == 1006


@servers
def test_client_resets_behind_its_close(subject: ServerSubject) -> None:
    log = Log()
    with subject.serving(log.echo, **UNLIMITED) as server, client_of(server.port) as peer, in_time():
        peer.send(CloseConnection(code=1000))
        assert peer.read() != []
        peer.reset()
        assert log.wait() == 1000
        wait_until_empty(server)


# ---- a client that stalls, or sends a byte at a time ----


@pytest.mark.parametrize("moment", MOMENTS)
@servers
def test_client_stalls(subject: ServerSubject, moment: Any) -> None:
    """It answers no Ping, so that the connection is given up, with a Close that it could read."""
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with subject.serving(log.echo, **timeouts) as server, client_of(server.port) as peer, in_time():
        moment(peer)
        assert peer.read_to_end(answer=False) == [1011]
        assert log.wait() == 1011


@servers
def test_client_stalls_and_does_not_read(subject: ServerSubject) -> None:
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with subject.serving(log.flood, **timeouts) as server, client_of(server.port, buffer=4096), in_time():
        assert log.wait() == 1011
        wait_until_empty(server)


@pytest.mark.parametrize("sent", [b"", handshake()[:40]], ids=["nothing", "a_part"])
@readers
def test_client_stalls_in_the_handshake(subject: ServerSubject, sent: bytes) -> None:
    with (
        subject.serving(open_timeout=SHORT) as server,
        client_of(server.port, opened=False) as peer,
        in_time(),
    ):
        peer.write(sent)
        assert peer.is_cut_off()


@servers
def test_client_does_not_read_the_answers(subject: ServerSubject) -> None:
    """That reading has paused, as messages are yet to be taken, is no excuse: who takes them waits for the client."""
    log = Log()

    def answer_at_length(ws: Any) -> Generator[Any, Any, None]:
        try:
            while True:
                yield ws.recv()
                yield ws.send(bytes(1 << 20))
        except ConnectionClosed:
            log.end(ws)

    timeouts = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
    with (
        subject.serving(answer_at_length, **timeouts) as server,
        client_of(server.port, buffer=4096) as peer,
        in_time(),
    ):
        peer.send(*[text("more")] * 200)
        assert log.wait() == 1011
        wait_until_empty(server)


@servers
def test_client_does_not_answer_our_close(subject: ServerSubject) -> None:
    log = Log()
    with subject.serving(log.close, close_timeout=SHORT) as server, client_of(server.port) as peer, in_time():
        assert peer.read_to_end(answer=False) == [4000]
        assert log.wait() == 1006


@servers
def test_client_does_not_end_its_stream(subject: ServerSubject) -> None:
    log = Log()
    with subject.serving(log.close, close_timeout=SHORT) as server, client_of(server.port) as peer, in_time():
        assert peer.read_to_end() == [4000]
        assert log.wait() == 4000


@servers
def test_slow_message_is_life(subject: ServerSubject) -> None:
    """It takes several times the ping timeout, and answers no Ping meanwhile."""
    log = Log()
    timeouts = {"ping_interval": SHORT, "ping_timeout": 4 * SHORT, "close_timeout": SHORT}
    with subject.serving(log.echo, **timeouts) as server, client_of(server.port) as peer, in_time():
        dribble(peer, peer.wsproto.send(text("x" * 34)), SHORT / 2)
        peer.send(CloseConnection(code=1000))
        assert peer.read_to_end(answer=False) == ["x" * 34, 1000]
        assert log.wait() == 1000


@readers
def test_slow_handshake_is_cut(subject: ServerSubject) -> None:
    """Its deadline is absolute."""
    with subject.serving(open_timeout=4 * SHORT) as server, client_of(server.port, opened=False) as peer, in_time():
        dribble(peer, handshake(), SHORT)
        assert peer.is_cut_off()


@servers
def test_slow_input_does_not_delay_the_end(subject: ServerSubject) -> None:
    """Nor is the close deadline moved by what comes."""
    log = Log()
    with subject.serving(log.close, close_timeout=4 * SHORT) as server, client_of(server.port) as peer, in_time():
        dribble(peer, UNFINISHED, SHORT)
        assert log.wait() == 1006


@servers
def test_end_of_the_stream_does_not_delay_the_end(subject: ServerSubject) -> None:
    """Nor is it moved when the client has nothing more to send, and doesn't read what waits to be written."""
    seconds = 20 * SHORT
    log = Log()

    def close_behind_much(ws: Any) -> Generator[Any, Any, None]:
        yield ws.send(bytes(UPLOAD))
        yield from log.close(ws)

    with (
        subject.serving(close_behind_much, close_timeout=seconds) as server,
        client_of(server.port, buffer=4096) as peer,
    ):
        began = time.monotonic()
        dribble(peer, UNFINISHED[:16], seconds / 20)
        peer.half_close()
        assert log.wait() == 1006
        assert time.monotonic() - began < 1.5 * seconds


# ---- no file descriptors left ----


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@servers
def test_no_descriptors_left(subject: ServerSubject) -> None:
    """A server goes on when there are some again, and has leaked none."""
    with program(str(Path(__file__).with_name("adapter_short_of_files.py")), subject.name) as (process, port):
        files = Path(f"/proc/{process.pid}/fd")
        before = len(list(files.iterdir()))
        with ExitStack() as stack:
            peers = [stack.enter_context(client_of(int(port), opened=False)) for _ in range(MANY)]
            for peer in peers:
                peer.write(handshake())
            assert peers[0].sock.recv(1 << 16).startswith(b"HTTP/1.1 101 ")
            # A connection of threads takes three, all or none.
            until(lambda: len(list(files.iterdir())) > FEW - 3)
        with client_of(int(port)) as peer:
            peer.send(text("still there"), CloseConnection(code=1000))
            assert peer.read_to_end() == ["still there", 1000]
        until(lambda: len(list(files.iterdir())) <= before)
