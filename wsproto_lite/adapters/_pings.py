"""The Pings that a user has sent and that wait for their Pong. Knows payloads and times, not who waits, or how."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..errors import LocalProtocolError

Waiter = TypeVar("Waiter")


class Pings(Generic[Waiter]):
    """Pings on their way, in the order in which they were sent."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[Waiter, float]] = {}

    def check(self, payload: bytes) -> bytes:
        """Return the payload as bytes. Raises LocalProtocolError if a Pong could not be told from another by it."""
        if not isinstance(payload, (bytes, bytearray, memoryview)):
            raise LocalProtocolError(f"payload is {type(payload).__name__}; it must be bytes, bytearray or memoryview")
        payload = bytes(payload)
        if payload in self._sent:
            raise LocalProtocolError(f"a ping with payload {payload!r} is on its way already")
        return payload

    def add(self, payload: bytes, waiter: Waiter, now: float) -> None:
        """Take note of a Ping that is sent now."""
        self._sent[payload] = waiter, now

    def forget(self, payload: bytes) -> None:
        """Let nobody wait for a Pong any more."""
        self._sent.pop(payload, None)

    def answer(self, payload: bytes, now: float) -> list[tuple[Waiter, float]]:
        """Give whom a Pong answers, with the seconds it took.

        RFC 6455 section 5.5.3: a Pong may answer the latest Ping alone, so all before it are answered as well.
        """
        answered: list[tuple[Waiter, float]] = []
        if payload not in self._sent:
            return answered
        latest = None
        while latest != payload:
            latest = next(iter(self._sent))
            waiter, sent_at = self._sent.pop(latest)
            answered.append((waiter, now - sent_at))
        return answered

    def clear(self) -> list[Waiter]:
        """Give who waits in vain, as the connection has ended."""
        waiters = [waiter for waiter, _ in self._sent.values()]
        self._sent.clear()
        return waiters
