"""A WebSocket without I/O and without waiting: messages, Pings, output and deadlines of one connection.

What the adapters for trio and threads have in common. Knows the core. Must not know tasks, threads or transports.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Callable

from ..connection import Connection
from ..constants import CloseCode, Role
from ..errors import LocalProtocolError
from ..events import AcceptConnection, CloseConnection, Event, Message, Ping, Pong, RejectConnection, Request
from ..heartbeat import Heartbeat
from ._closing import Step, next_step
from ._facts import CONNECTING, LOCAL_CLOSING, MESSAGES, OPEN, Data, Facts
from ._options import ANSWER_TIME, WRITE_SIZE, Options
from ._pings import Pings
from ._service import log_problem
from ._shared import HandshakeRejected


class Answer:
    """What somebody who has sent a Ping waits for: `latency` is in seconds, None while there is no Pong."""

    __slots__ = ("latency",)

    def __init__(self) -> None:
        self.latency: float | None = None


class Session(Facts, ABC):
    """Drives a Connection, but for the transport. Not to be used by two threads at once.

    A subclass reads into `_receive` while `_wants_input` is true, writes what `_take_output` gives, then does what
    `_next_step` says, and calls `_expire` at `_deadline`. `_lose` tells that the transport is gone. When any of that
    has changed, or what a user may wait for, `_notify` is called.
    """

    __slots__ = (
        "_clock",
        "_cut",
        "_ending",
        "_has_eof",
        "_has_throttled",
        "_heartbeat",
        "_held_until",
        "_holds_refusal",
        "_is_answering",
        "_is_eof_due",
        "_is_lost",
        "_is_overdue",
        "_is_receiving",
        "_max_queue",
        "_messages",
        "_output",
        "_output_size",
        "_pings",
        "_seen_state",
        "_seen_unsent",
        "_timeouts",
        "_timer_deadline",
        "_wants_input",
        "conn",
        "request",
        "response",
    )

    def __init__(self, role: Role, options: Options, clock: Callable[[], float]) -> None:
        self.conn = Connection(role, options.settings)
        self.request: Request | None = None
        self.response: AcceptConnection | None = None
        self._ending: CloseConnection | RejectConnection | None = None
        self._messages: deque[Data] = deque()
        self._max_queue = math.inf if options.max_queue is None else options.max_queue
        self._is_receiving = False  # somebody waits for a message
        self._pings: Pings[Answer] = Pings()
        self._output: list[bytes] = []
        self._output_size = 0
        self._clock = clock
        self._timeouts = options.timeouts
        self._heartbeat = Heartbeat(self.conn, clock(), *options.timeouts)
        self._timer_deadline = self._heartbeat.deadline()
        self._held_until: float | None = None  # when what is held back has waited long enough for the user
        self._is_overdue = False  # that time has passed
        self._is_answering = False  # the last message was taken, and its taker has neither sent any nor come back
        self._cut: float | None = None  # when to give up the transport, once the core is done with it
        self._seen_state = self.conn.state
        self._seen_unsent = 0
        self._wants_input = True
        self._has_throttled = False  # since the last tick
        self._has_eof = False
        self._is_eof_due = False  # the core is yet to be told
        self._is_lost = False
        self._holds_refusal = False  # the connection's own answer to a request waits for a better one

    # ---- for the subclass ----

    @abstractmethod
    def _notify(self) -> None:
        """Let everybody look again at what has changed."""

    @abstractmethod
    def abort(self) -> None:
        """Give the transport up at once, with what isn't written yet."""

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Bytes that wait to be written."""

    # ---- input ----

    def _receive(self, data: bytes) -> None:
        """Take what was read, b"" at the end of the stream."""
        if data:
            self._take(self.conn.receive_data(data, hold_end=True))
        else:
            self._has_eof = self._is_eof_due = True
        self._advance()

    def _lose(self) -> None:
        """Take note that the transport is gone, or of no use any more."""
        self._is_lost = True
        self._output.clear()
        self._output_size = 0
        self._has_eof = True
        self._is_eof_due = False
        self._take(self.conn.receive_eof())
        self._advance()

    def _take(self, events: Sequence[Event]) -> None:
        messages = self._messages
        waiting = len(messages)
        for event in events:
            if isinstance(event, MESSAGES):
                messages.append(event.data)
            else:
                self._take_other(event)
        if self.conn.state is LOCAL_CLOSING:
            # Reading goes on until the peer's Close comes, and perhaps nobody receives any more.
            while len(messages) > max(waiting, self._max_queue):
                messages.pop()

    def _take_other(self, event: Event) -> None:
        if isinstance(event, Pong):
            self._tick()
            for answer, seconds in self._pings.answer(event.payload, self._clock()):
                answer.latency = seconds
        elif isinstance(event, Request):
            self.request = event
        elif isinstance(event, AcceptConnection):
            self.response = event
        elif isinstance(event, (CloseConnection, RejectConnection)):
            self._ending = event
            log_problem(self.conn, event)

    def _advance(self) -> None:
        """Do what follows from any change."""
        conn = self.conn
        # A Close has to wait until the messages before it are taken and answered, for after it that is too late. So has
        # the end of the stream.
        while self._holds_input() and (
            conn.state is not OPEN or self._is_overdue or not (self._messages or self._is_answering)
        ):
            self._is_overdue = False
            if conn.has_pending:
                self._take(conn.receive_data(b""))
            else:
                self._is_eof_due = False
                self._take(conn.receive_eof())
        if not (self._holds_input() and (conn.is_ending or self._is_eof_due or self._is_answering)):
            self._held_until = None
        elif self._held_until is None:
            self._held_until = self._clock() + ANSWER_TIME
        if conn.state is not self._seen_state:
            self._seen_state = conn.state
            self._tick()
        # When the connection is closing all is read, for nothing is kept.
        self._wants_input = not self._has_eof and not (conn.state is OPEN and self._is_full())
        if not self._wants_input:
            self._has_throttled = True
        if self._cut is None and self._timeouts.close_timeout is not None and self._is_closing():
            # Absolute, as the heartbeat's deadline is, which ends when the core is done.
            self._cut = self._clock() + self._timeouts.close_timeout
        if self._cut is not None and self._is_core_done():
            self._timer_deadline = self._cut
        self._notify()

    def _holds_input(self) -> bool:
        return self._is_eof_due or self.conn.has_pending

    def _is_full(self) -> bool:
        return len(self._messages) > (self._max_queue if self._wants_input else self._max_queue // 4)

    def _is_closing(self) -> bool:
        return self.conn.state is not CONNECTING and self.conn.state is not OPEN and not self._is_holding()

    def _is_core_done(self) -> bool:
        """Tell whether nobody but us watches the transport, which may have output left, or input to wait for."""
        return self.conn.should_close and not self._is_holding()

    def _is_holding(self) -> bool:
        return self._holds_refusal and self.request is None

    # ---- output ----

    def _put(self, event: Event) -> None:
        """Send an event, soon. Raises LocalProtocolError and ConnectionClosed, and then nothing has changed."""
        self._put_bytes(self.conn.send(event))
        self._advance()

    def _put_bytes(self, data: bytes) -> None:
        self._output.append(data)
        self._output_size += len(data)

    def _put_message(self, data: bytes) -> None:
        """Send an encoded message, soon: the answer to what was taken, as far as we can tell."""
        self._put_bytes(data)
        self._is_answering = False
        if self._held_until is None:
            self._notify()
        else:
            self._advance()

    def _take_output(self) -> bytes:
        """Give all that is to be written. To be called when it can be: meanwhile the core bounds its own output."""
        if self._is_lost or self._is_holding():
            return b""
        own = self.conn.data_to_send()
        if own:
            self._output.append(own)
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        return data

    def _next_step(self, *, can_half_close: bool) -> Step:
        """Say what to do with the transport, now that all output is written."""
        if self._is_lost:
            return Step.CLOSE
        if self._is_holding():
            return Step.WAIT
        return next_step(self.conn, has_eof=self._has_eof, can_half_close=can_half_close)

    # ---- deadlines ----

    @property
    def _deadline(self) -> float | None:
        """When to call _expire, None for never."""
        if self._held_until is None or self._timer_deadline is None:
            return self._held_until or self._timer_deadline
        return min(self._held_until, self._timer_deadline)

    def _expire(self) -> bool:
        """Do what is due at the deadline, if it has passed, and tell whether to give the transport up."""
        conn = self.conn
        now = self._clock()
        if self._held_until is not None and self._held_until <= now:
            self._held_until = None
            self._is_answering = False
            if conn.is_ending or not conn.has_pending:
                self._is_overdue = True
            elif self._is_eof_due:
                return True  # what came compressed is held back, the end behind it, and nobody takes it
            self._advance()
        if self._timer_deadline is None or now < self._timer_deadline:
            return False
        if not self._is_core_done():
            self._tick()
            self._advance()
        return conn.should_close

    def _is_stuck(self) -> bool:
        """Tell whether senders wait, and the peer has read nothing since the last tick: see Heartbeat.tick."""
        return WRITE_SIZE < self._seen_unsent <= self.unsent

    def _tick(self) -> None:
        is_reading, is_stuck = not self._has_throttled, self._is_stuck()
        self._has_throttled = not self._wants_input
        self._seen_unsent = self.unsent
        self._take(self._heartbeat.tick(self._clock(), is_reading=is_reading, is_stuck=is_stuck))
        self._timer_deadline = self._heartbeat.deadline()

    # ---- what a user does, but for the waiting ----

    def _come_back(self) -> None:
        """Take note that the last message, if it was to be answered, is."""
        if self._is_answering:
            self._is_answering = False
            self._advance()

    def _has_message(self) -> bool:
        """Tell whether there is no need to wait for a message. Raises ConnectionClosed when there will be none."""
        self._come_back()
        if not self._messages and self._ending is not None:
            raise self._closed()
        return bool(self._messages)

    def _check_nobody_receives(self) -> None:
        if self._is_receiving:
            raise LocalProtocolError("somebody else is waiting for a message already")

    def _take_message(self) -> Data:
        message = self._messages.popleft()
        self._is_answering = not self._messages
        if self._holds_input() or not self._wants_input:
            self._held_until = None
            self._advance()
        return message

    def _check_can_send(self) -> None:
        """Raise ConnectionClosed if it is too late to send, LocalProtocolError if it is too early."""
        if self._is_lost or self.conn.state is LOCAL_CLOSING:
            # To the core a message after our own Close is a mistake. Here another may have sent that Close.
            raise self._closed()

    def _put_ping(self, payload: bytes | None) -> tuple[bytes, Answer]:
        self._check_can_send()
        if payload is None:
            payload = self.conn.settings.random_bytes(8)
        payload = self._pings.check(payload)
        self._put(Ping(payload))
        answer = Answer()
        self._pings.add(payload, answer, self._clock())
        return payload, answer

    def _is_answered(self, answer: Answer) -> bool:
        """Tell whether there is no need to wait for a Pong. Raises ConnectionClosed when there will be none."""
        if answer.latency is None and (self._ending is not None or self._is_lost):
            raise self._closed()
        return answer.latency is not None

    def send_now(self, event: Message, frame: bytes | None) -> None:
        """Send a message without waiting, as `frame` if it is encoded already. For `broadcast`."""
        if not self.is_ended():
            self._put_message(self.conn.send(event) if frame is None else frame)

    def begin_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send a Close if that isn't too late, and don't wait. Raises LocalProtocolError for what can't be sent."""
        self._come_back()
        if self.conn.state is OPEN:
            self._put(CloseConnection(code, reason))
        elif self.conn.state is CONNECTING:
            self.abort()

    # ---- the opening handshake ----

    def begin(self, request: Request) -> None:
        """Send a client's request."""
        self.request = request
        self._put(request)

    def _is_opened(self) -> bool:
        """Tell whether a client's handshake is over. Raises what has become of it otherwise."""
        if isinstance(self._ending, RejectConnection):
            raise HandshakeRejected(self._ending)
        if self.response is None and self._ending is not None:
            # Until it is open, a connection ends in no other way than with an error.
            raise self._ending.error or AssertionError(self._ending)
        return self.response is not None

    def hold_refusal(self, *, is_held: bool) -> None:
        """Keep back what the connection refuses by itself, for process_request may know a better answer."""
        self._holds_refusal = is_held
        self._advance()

    def _is_asked(self) -> bool:
        """Tell whether there is something for a server to answer, or the end."""
        return self.request is not None or self._ending is not None

    def accept(self, response: AcceptConnection) -> None:
        """Answer a client's request with consent."""
        self.response = response
        self._put(response)

    def refuse(self, rejection: RejectConnection) -> None:
        """Answer a client's request with anything else."""
        self._put(rejection)

    def go_away(self, code: int, reason: str) -> None:
        """End, because the server does."""
        if self.conn.state is CONNECTING and self.request is not None:
            self._put(RejectConnection(503))
        else:
            self.begin_close(code, reason)

    # ---- for the user ----

    def is_ended(self) -> bool:
        """Tell whether nothing can be sent any more, or nothing yet."""
        return self.conn.state is not OPEN or self._is_lost

    def waiting(self) -> int:
        """Tell how many messages nobody has taken."""
        return len(self._messages)
