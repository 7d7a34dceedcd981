"""The deadlines of one connection: opening, pings, pongs, closing.

Knows the state of a connection and how many bytes it has received. Must not know where time comes from, or who waits.
"""

from __future__ import annotations

import sys

from .connection import Connection
from .constants import CloseCode, State
from .errors import LocalProtocolError, RemoteProtocolError
from .events import Event

_LONGEST = sys.float_info.max  # an int may be more, and adding a float to it fails


class Heartbeat:
    """Timers for a connection, without a clock: the caller has one, of any origin, that only goes forward.

    All times are in seconds; None switches a timeout off. Raises LocalProtocolError for a timeout that is not positive,
    and for a time that is no number.

    now: the time, here and in `tick`.
    open_timeout: from here until the connection is open, a server's own answer included.
    ping_interval: between Pings, while the connection is open and no Ping is unanswered.
    ping_timeout: from a Ping to its Pong. Any byte that comes begins it anew: a large frame under way is life, too. So
        is what has come and waits in the connection for the caller, see its `has_pending`, or in the transport, see
        `tick`. Then there are further Pings, as who writes to a peer that is gone learns of it.
    close_timeout: from the first tick that finds the connection closing until should_close.

    Wait for input until deadline(), which may change whenever the connection does. Feed what has come to the connection
    first; then, when the deadline has passed, call tick(), handle its events like those of receive_data, and write
    data_to_send(). Without ticks nothing here ends anything.

    `latency` is how long the last Ping that was answered took, None before there is one. It ends at the tick that finds
    the Pong: for an exact one, tick on every Pong event.
    """

    __slots__ = (
        "_close_deadline",
        "_close_timeout",
        "_connection",
        "_next_ping",
        "_now",
        "_open_deadline",
        "_ping_interval",
        "_ping_timeout",
        "_pings",
        "_pong_deadline",
        "_received",
        "_unanswered",
        "latency",
    )

    def __init__(
        self,
        conn: Connection,
        now: float,
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float | None = 10.0,
    ) -> None:
        _check_time(now)
        _check("open_timeout", open_timeout)
        _check("ping_interval", ping_interval)
        _check("ping_timeout", ping_timeout)
        _check("close_timeout", close_timeout)
        self._connection = conn
        self._now = now
        self._open_deadline = _after(now, open_timeout)
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._close_timeout = close_timeout
        self._next_ping: float | None = None
        self._pings = 0
        self._unanswered: tuple[bytes, float] | None = None
        self._pong_deadline: float | None = None
        self._received = 0
        self._close_deadline: float | None = None
        self.latency: float | None = None
        self.tick(now)

    def deadline(self) -> float | None:
        """Return when to call `tick` next, None for never. A time that has passed means at once."""
        conn = self._connection
        if conn.should_close:
            return None
        if conn.state is State.CONNECTING:
            return self._open_deadline
        if conn.state is State.OPEN:
            if self._pong_deadline is not None and conn.last_pong is None:
                return self._pong_deadline
            return _after(self._now, self._ping_interval) if self._next_ping is None else self._next_ping
        if self._close_timeout is None:
            return None
        # When the closing began is not known yet; the tick that finds it says so.
        return self._now if self._close_deadline is None else self._close_deadline

    def tick(self, now: float, *, is_reading: bool = True, is_stuck: bool = False) -> list[Event]:
        """Do what is due, and return the last event if that ends the connection. deadline() then is after `now`.

        `is_reading` is False where the caller hasn't read for a time since the last tick: a Pong may lie unread.
        `is_stuck` is True where he waits to write, and the peer has taken nothing since the last tick: then it is the
        peer who is slow, whatever waits for the caller.
        A Ping, or the Close after a Pong that did not come (code 1011), is in data_to_send(). When the handshake takes
        too long, and when the peer does not close, the last event has code 1006 and should_close is set.
        """
        _check_time(now)
        previous, self._now = self._now, now
        conn = self._connection
        events: list[Event] = []
        if conn.state is State.CONNECTING:
            events = self._tick_opening(now)
        elif conn.state is State.OPEN:
            events = self._tick_open(now, previous, may_be_ours=not is_stuck, is_reading=is_reading)
        # Not an else: a Pong that did not come begins the closing.
        if conn.state not in (State.CONNECTING, State.OPEN) and not conn.should_close:
            events += self._tick_closing(now)
        return events

    def _tick_opening(self, now: float) -> list[Event]:
        if self._open_deadline is None or now < self._open_deadline:
            return []
        return self._give_up("the opening handshake took too long")

    def _tick_open(self, now: float, previous: float, *, may_be_ours: bool, is_reading: bool) -> list[Event]:
        if self._next_ping is None:
            self._next_ping = _after(previous, self._ping_interval)
        conn = self._connection
        if self._unanswered is not None and conn.last_pong is not None:
            payload, sent_at = self._unanswered
            # Section 5.5.3 lets a peer answer the latest of several Pings alone, so that any Pong is an answer.
            self._unanswered = self._pong_deadline = None
            if conn.last_pong == payload:
                self.latency = now - sent_at
        if self._pong_deadline is not None:
            is_late = now >= self._pong_deadline
            # What is held back or unread may be the Pong, or the peer's Close: then it is the caller who is slow.
            is_ours = may_be_ours and (conn.has_pending or not is_reading)
            if is_late and is_ours:
                # Who writes to a peer that is gone learns of it.
                self._send_ping(now)
            elif is_ours or conn.bytes_received != self._received:
                self._pong_deadline = _after(now, self._ping_timeout)
            elif is_late:
                text = f"keepalive ping timeout: nothing came for {self._ping_timeout} seconds after a ping"
                return conn.fail(RemoteProtocolError(text, CloseCode.INTERNAL_ERROR))
        elif self._next_ping is not None and now >= self._next_ping:
            self._send_ping(now)
        self._received = conn.bytes_received
        return []

    def _send_ping(self, now: float) -> None:
        self._pings += 1
        # Readable in a packet capture, and unlike what an application would send.
        payload = b"heartbeat %d" % self._pings
        self._connection.queue_ping(payload)
        self._unanswered = payload, now
        self._pong_deadline = _after(now, self._ping_timeout)
        self._next_ping = _after(now, self._ping_interval)

    def _tick_closing(self, now: float) -> list[Event]:
        if self._close_deadline is None:
            self._close_deadline = _after(now, self._close_timeout)
        elif now >= self._close_deadline:
            return self._give_up("the closing handshake took too long")
        return []

    def _give_up(self, text: str) -> list[Event]:
        return self._connection.fail(RemoteProtocolError(text, CloseCode.ABNORMAL_CLOSURE))


def _after(now: float, seconds: float | None) -> float | None:
    return None if seconds is None else now + seconds


def _check_time(now: float) -> None:
    if not (_is_number(now) and -_LONGEST <= now <= _LONGEST):
        raise LocalProtocolError(f"now is {now!r}; it is a number of seconds")


def _check(name: str, seconds: float | None) -> None:
    if seconds is not None and not (_is_number(seconds) and 0 < seconds <= _LONGEST):
        raise LocalProtocolError(f"{name} is {seconds!r}; it is a positive number of seconds or None")


def _is_number(seconds: float) -> bool:
    # A NaN is one; comparisons let none pass.
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
