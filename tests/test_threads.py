"""Threads: a connection belongs to one at a time, and what all of them share stands any number of threads."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers import byte_by_byte, feed

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    PerMessageDeflate,
    Ping,
    Request,
    Settings,
    TextMessage,
)
from wsproto_lite.codec import CHUNK, check_utf8, mask

THREADS = 8
ROUNDS = 6

MESSAGES = [
    TextMessage("small"),
    BytesMessage(bytes(range(256)) * 3),
    TextMessage("a€😀" * 5000),
    BytesMessage(b"large" * CHUNK),
    Ping(b"?"),
    TextMessage("fragment, ", message_finished=False),
    TextMessage("its end"),
]


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """Have the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def constant(size: int) -> bytes:
    """Give keys that are the same for every connection."""
    return bytes(range(1, 5)) * (size // 4)


def in_threads(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """Run work(0), work(1), ... each in its own thread, all begun at once."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def converse(settings: Settings, number: int) -> tuple[bytes, list[Event], bytes, list[Event]]:
    """Have a client and a server talk; return the bytes and events of each."""
    client, server = Connection(CLIENT, settings), Connection(SERVER, settings)
    to_server = client.send(Request("/", "localhost"))
    server_events = server.receive_data(to_server)
    to_client = server.send(AcceptConnection())
    client_events = client.receive_data(to_client)
    for turn in range(ROUNDS):
        # Each connection has a stream of its own, so that a buffer that two of them write shows.
        frames = b"".join(client.send(event) for event in [*MESSAGES, BytesMessage(bytes([number, turn]) * 40_000)])
        to_server += frames
        server_events += feed(server, frames[: 1000 * turn], *byte_by_byte(frames[1000 * turn :][:50]))
        server_events += feed(server, frames[1000 * turn + 50 :])
        answer = server.send(TextMessage(f"{number} {turn} " * 3000))
        to_client += answer
        client_events += feed(client, answer)
    last = client.send(CloseConnection())
    return to_server + last, [*server_events, *feed(server, last)], to_client + server.data_to_send(), client_events


@pytest.mark.parametrize("extensions", [(), (PerMessageDeflate(),)], ids=["plain", "compressed"])
def test_connections_in_threads_do_as_they_do_alone(extensions: tuple[Any, ...]) -> None:
    """Design section 4: threads may run during a call into C, so a scratch buffer belongs to one call at a time."""
    settings = Settings(extensions=extensions, random_bytes=constant)
    alone = [converse(settings, number) for number in range(THREADS)]
    assert in_threads(lambda number: converse(settings, number)) == alone
    assert all(isinstance(events[-1], CloseConnection) for _, events, _, _ in alone)


def test_masking_and_validation_in_threads() -> None:
    """They have buffers in common with connections."""
    inputs = [bytes([number]) * (CHUNK - 3 * number) for number in range(THREADS)]
    expected = [mask(data, b"key!") for data in inputs]

    def work(number: int) -> bool:
        results = [mask(inputs[number], b"key!") == expected[number] for _ in range(200)]
        return all(results) and check_utf8(0, inputs[number]) == 0

    assert in_threads(work) == [True] * THREADS


def test_masking_keys_are_used_once() -> None:
    """RFC 6455 section 5.3: a fresh key for every frame, whichever thread sends it."""
    counter = itertools.count()
    lock = threading.Lock()

    def numbered(size: int) -> bytes:
        with lock:
            return b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))

    settings = Settings(random_bytes=numbered)

    def work(_: int) -> list[bytes]:
        client = Connection.established(CLIENT, settings)
        return [client.send(event)[2:6] for _ in range(1000) for event in (TextMessage("x"), Ping(b"y"))]

    keys = [key for keys in in_threads(work) for key in keys]
    assert len(keys) == len(set(keys)) == THREADS * 2000
