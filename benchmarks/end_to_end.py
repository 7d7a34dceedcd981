"""Throughput of echo servers over loopback TCP, each in a process of its own, under load from this one.

The load is raw sockets that write prepared bytes and compare what comes back with prepared bytes; its share of CPU is
part of the result, so that a reader sees that it was not what limits.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Callable

from . import wire
from .echo_servers import SERVERS
from .workloads import READ_SIZE, REQUEST, make_texts

CONNECTIONS = 16
IN_FLIGHT = 16
"""Messages of a connection on their way, there and back."""

REQUEST_END = b"\r\n\r\n"
CYCLE = 64
"""Different messages before they repeat: more than are in flight, so that a lost or doubled one shows."""

TEXTS = [text.encode() for text in make_texts(CYCLE)]
KEY = b"\x37\xfa\x21\x3d"
SENT = [wire.encode_frame(wire.FIN | wire.TEXT, text, KEY) for text in TEXTS]
RETURNED = [wire.encode_frame(wire.FIN | wire.TEXT, text) for text in TEXTS]
SENT_SIZE = len(SENT[0])
RETURNED_SIZE = len(RETURNED[0])
REPEAT = READ_SIZE // (CYCLE * RETURNED_SIZE) + 2
SENT_STREAM = b"".join(SENT) * 2
RETURNED_STREAM = b"".join(RETURNED) * REPEAT

Progress = Callable[[str], None]


class _Connection:
    """One client: keeps IN_FLIGHT messages on their way and checks every byte that comes back."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(REQUEST)
        response = b""
        while not response.endswith(REQUEST_END):
            response += self.socket.recv(1)
        if not response.startswith(b"HTTP/1.1 101 "):
            raise AssertionError(f"the server answered {response!r}")
        self._at = 0  # in the cycle of bytes that come back
        self._owed = 0  # bytes of a message that is back in part
        self._next = 0  # in the cycle of messages to send

    def send(self, count: int) -> None:
        start = self._next * SENT_SIZE
        # Never blocks: what is in flight fits any socket buffer.
        self.socket.sendall(SENT_STREAM[start : start + count * SENT_SIZE])
        self._next = (self._next + count) % CYCLE

    def receive(self) -> int:
        """Take what is there; return how many messages it completes."""
        data = self.socket.recv(READ_SIZE)
        expected = RETURNED_STREAM[self._at : self._at + len(data)]
        if not data or data != expected:
            raise AssertionError("the server returned something else than was sent")
        self._at = (self._at + len(data)) % (CYCLE * RETURNED_SIZE)
        count, self._owed = divmod(self._owed + len(data), RETURNED_SIZE)
        return count


class _Server:
    """An echo server in a process of its own, with its connections."""

    def __init__(self, name: str, stack: ExitStack) -> None:
        command = [sys.executable, "-m", "benchmarks.echo_servers", name]
        self.name = name
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
        stack.callback(self._end)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start")
        self.connections = [_Connection(int(line)) for _ in range(CONNECTIONS)]
        for connection in self.connections:
            stack.callback(connection.socket.close)
        self.rounds: list[dict[str, float]] = []

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def cpu_seconds(self) -> float:
        """Return what the server has used of a CPU so far."""
        with suppress(OSError):
            # In nanoseconds; the usual counters tick 100 times a second.
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1e9
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def round(self, seconds: float) -> None:
        """Put the server under load for `seconds`, then wait until nothing is in flight."""
        cpu, load, start = self.cpu_seconds(), time.process_time(), time.perf_counter()
        messages = self._drive(start + seconds)
        elapsed = time.perf_counter() - start
        used = self.cpu_seconds() - cpu
        self.rounds.append(
            {
                "rate": messages / elapsed,
                "server_us": used / messages * 1e6,
                "load_busy": (time.process_time() - load) / elapsed,
                "server_busy": used / elapsed,
            }
        )

    def _drive(self, until: float) -> int:
        messages = 0
        in_flight = 0
        with selectors.DefaultSelector() as selector:
            for connection in self.connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send(IN_FLIGHT)
                in_flight += IN_FLIGHT
            while in_flight:
                is_over = time.perf_counter() >= until
                for key, _ in selector.select():
                    count = key.data.receive()
                    messages += count
                    if is_over:
                        in_flight -= count
                    elif count:
                        key.data.send(count)
        return messages

    def result(self) -> dict[str, Any]:
        middle = {name: statistics.median(each[name] for each in self.rounds) for name in self.rounds[0]}
        return {"server": self.name, **middle, "best": max(each["rate"] for each in self.rounds)}


def measure_end_to_end(*, quick: bool = False, progress: Progress = lambda text: None) -> list[dict[str, Any]]:
    """Measure all servers that can be started, round by round in turn. Returns medians of the rounds."""
    rounds, seconds = (3, 0.3) if quick else (9, 0.7)
    missing: list[dict[str, Any]] = []
    with ExitStack() as stack:
        servers = []
        for name in SERVERS:
            progress(f"end to end: starting {name}")
            try:
                servers.append(_Server(name, stack))
            except RuntimeError as error:
                missing.append({"server": name, "error": str(error)})
        stack.enter_context(_apart([server._process.pid for server in servers]))
        for server in servers:
            server.round(0.3)
            server.rounds.clear()
        for number in range(rounds):
            for server in servers:
                progress(f"end to end: round {number + 1} of {rounds}: {server.name}")
                server.round(seconds)
        return [*(server.result() for server in servers), *missing]


@contextmanager
def _apart(pids: list[int]) -> Iterator[None]:
    """Keep the servers on one CPU and the load on another, where there are two and the system lets us."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        yield
        return
    ours = os.sched_getaffinity(0)
    first, second, *_ = sorted(ours)
    for pid in pids:
        os.sched_setaffinity(pid, {first})
    os.sched_setaffinity(0, {second})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)
