"""What the tests of what goes wrong between two ends share: peers that misbehave, limits, and what may be left."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from adapter_peers import Peer
from asyncio_helpers import text
from patience import PATIENCE
from wsproto.events import BytesMessage

LIMIT = 5.0
"""Seconds that a connection may take to end, whatever deadline was set: far less than the default ones."""

UNLIMITED: dict[str, Any] = dict.fromkeys(["open_timeout", "ping_interval", "ping_timeout", "close_timeout"])


def threads_and_files() -> tuple[int, int]:
    gc.collect()
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    return threading.active_count(), files


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if there are more threads or descriptors at the end. Tasks are watched by the subjects."""
    before = threads_and_files()
    yield
    assert threads_and_files() == before


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LIMIT


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, "it hangs"
        time.sleep(0.01)


# ---- peers ----


def silent(peer: Peer) -> None:
    """It has said nothing since the handshake."""


def in_a_frame(peer: Peer) -> None:
    peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])


def in_a_message(peer: Peer) -> None:
    peer.send(BytesMessage(data=b"first fragment", message_finished=False))


MOMENTS = [silent, in_a_frame, in_a_message]


def dribble(peer: Peer, data: bytes, seconds: float) -> None:
    """Write a byte at a time, until all is written or the other end has gone."""
    for byte in data:
        try:
            peer.write(bytes([byte]))
        except OSError:
            return
        time.sleep(seconds)
