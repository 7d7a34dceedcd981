"""Waiting for a socket until it is ready, until a deadline, or until another thread says so.

Knows sockets and time. Must not know WebSockets.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

# Unlike epoll, poll() needs no descriptor of its own.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Poller:
    """Lets one thread wait for sockets, and any thread wake it. Owns two descriptors until it is closed."""

    def __init__(self, socks: Iterable[socket.socket]) -> None:
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._selector = _Selector()
        self._selector.register(self._alarm, READ)
        self._socks = list(socks)
        self._events = 0

    def wait(self, events: int, deadline: float | None) -> dict[Any, int]:
        """Wait for any of `events` on any socket, and tell what each is ready for. Ends early when woken."""
        if events != self._events:
            self._register(events)
        timeout = None if deadline is None else max(0.0, deadline - monotonic())
        ready = {key.fileobj: mask for key, mask in self._selector.select(timeout)}
        if ready.pop(self._alarm, 0):
            with suppress(BlockingIOError):
                while True:
                    self._alarm.recv(64)
        return ready

    def _register(self, events: int) -> None:
        for sock in self._socks:
            if self._events:
                self._selector.unregister(sock)
            if events:
                self._selector.register(sock, events)
        self._events = events

    def wake(self) -> None:
        """Let the waiting end now, or the next one at once."""
        # Whoever was woken so often that the buffer is full is awake.
        with suppress(BlockingIOError):
            self._bell.send(b"!")

    def close(self) -> None:
        """Give the descriptors back. Nobody may wait or wake any more."""
        self._selector.close()
        self._alarm.close()
        self._bell.close()
