"""A WebSocket over a plain socket: a thread that reads, writes what is left and keeps the time, and what a user holds.

Knows sockets, locks and waiting. What is done with the bytes is the session's. Must not know how a connection comes
about.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_WR, socket
from time import monotonic
from types import TracebackType
from typing import Any, Callable, cast

from ..constants import CloseCode, Role
from ..errors import ConnectionClosed
from ..events import AcceptConnection, Message, Pong, RejectConnection, Request
from ._closing import Step
from ._facts import Data, Sendable, to_event
from ._options import READ_SIZE, WRITE_SIZE, Options
from ._session import Session
from ._threads_poll import READ, WRITE, Poller

NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WebSocket(Session):
    """A WebSocket over a socket, for threads. Made by `connect` and `serve`; `with` closes it at the end.

    Messages are str or bytes, or bytes for text, too, where the settings have text_as_bytes. Any number of threads may
    send, one at a time may receive. A thread of its own answers Pings and keeps deadlines, whatever its users do. It
    ends when the connection is closed; one that nobody closes keeps it, but not the interpreter.

    Timeouts are in seconds, None for none. Where one passes TimeoutError is raised, and nothing is sent or lost.
    """

    __slots__ = (
        "_addresses",
        "_changed",
        "_has_half_closed",
        "_is_aborted",
        "_is_over",
        "_lock",
        "_poller",
        "_sock",
        "_thread",
        "_unsent",
        "_waits_for",
    )

    def __init__(self, sock: socket, role: Role, options: Options) -> None:
        super().__init__(role, options, monotonic)
        # Covers all of the session and the socket, but never waiting. One thread may take it twice.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sock = sock
        self._sock.setblocking(False)
        self._addresses = _addresses_of(sock)
        self._unsent = memoryview(b"")
        self._has_half_closed = False
        self._is_aborted = False
        self._is_over = False
        self._poller = Poller([sock])
        self._waits_for: object = None  # what the thread behind it waits for, None while it doesn't wait
        self._thread = threading.Thread(target=self._run, name="wsproto_lite connection", daemon=True)

    # ---- the thread behind it ----

    def start(self) -> None:
        """Begin to read. What can't begin is closed."""
        try:
            self._thread.start()
        except BaseException:
            self._end()
            raise

    def _run(self) -> None:
        try:
            while self._work():
                pass
        finally:
            self._end()

    def _work(self) -> bool:
        """Wait for what comes first, and see to it. Tell whether to go on."""
        with self._lock:
            events, deadline, step = wanted = self._wanted()
            if step is not Step.WAIT:
                return self._take_step(step)
            self._waits_for = wanted
        ready = self._poller.wait(events, deadline)
        with self._lock:
            self._waits_for = None
            if ready.get(self._sock, 0) & READ:
                self._read()
            self._notify()
            return not self._expire()

    def _wanted(self) -> tuple[int, float | None, Step]:
        """Tell what to wait for: readiness of the socket, a deadline, or nothing as there is a step to be taken."""
        events = (READ if self._wants_input else 0) | (WRITE if self._unsent else 0)
        step = Step.WAIT if self._unsent else self._next_step(can_half_close=not isinstance(self._sock, ssl.SSLSocket))
        if step is Step.HALF_CLOSE and self._has_half_closed:
            step = Step.WAIT
        if self._is_aborted:
            step = Step.CLOSE
        return events, self._deadline, step

    def _take_step(self, step: Step) -> bool:
        if step is Step.CLOSE:
            return False
        self._has_half_closed = True
        try:
            self._sock.shutdown(SHUT_WR)
        except OSError:
            self._lose()  # the peer has reset the connection
        return True

    def _read(self) -> None:
        try:
            # Larger than any record of TLS, of which nothing may stay behind: for that no socket becomes ready.
            data = self._sock.recv(READ_SIZE)
        except NOT_NOW:
            return
        except OSError:
            self._lose()
        else:
            self._receive(data)

    def _flush(self) -> None:
        """Write as much as the socket takes now; the thread behind us sees to the rest."""
        try:
            while True:
                if not self._unsent:
                    self._unsent = memoryview(self._take_output())
                if not self._unsent:
                    return
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except NOT_NOW:
            return
        except OSError:
            self._unsent = memoryview(b"")
            self._lose()

    def _notify(self) -> None:
        self._flush()
        self._changed.notify_all()
        if self._waits_for is not None and self._waits_for != self._wanted():
            self._waits_for = None
            self._poller.wake()

    def _end(self) -> None:
        with self._lock:
            if isinstance(self._sock, ssl.SSLSocket):
                with suppress(OSError, ValueError):
                    self._sock.unwrap()  # says that TLS ends, and doesn't wait for an answer
            self._sock.close()
            self._poller.close()
            self._unsent = memoryview(b"")
            self._is_over = True
            self._lose()

    # ---- waiting ----

    @contextmanager
    def _when(self, is_true: Callable[[], bool], timeout: float | None) -> Iterator[None]:
        """Hold the lock from when something is true on. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(is_true, timeout):
                raise TimeoutError(f"waited for {timeout} s")
            yield

    def _has_room(self) -> bool:
        return self.unsent <= WRITE_SIZE or self.is_ended()

    # ---- messages ----

    def send(self, message: Sendable, *, text: bool = False, timeout: float | None = None) -> None:
        """Send a message: str as text, bytes as binary, or as text in UTF-8 if `text` is set.

        Waits while the peer reads too slowly. Raises ConnectionClosed when it is too late, LocalProtocolError for what
        is no message.
        """
        with self._when(self._has_room, timeout):
            self._check_can_send()
            self._put_message(self.conn.send(to_event(message, text=text)))

    def send_now(self, event: Message, frame: bytes | None) -> None:
        with self._lock:
            super().send_now(event, frame)

    def recv(self, timeout: float | None = None) -> Data:
        """Return the next message. Raises ConnectionClosed when there are no more.

        Raises LocalProtocolError if another thread is waiting already.
        """
        with self._lock:
            if not self._has_message():
                self._check_nobody_receives()
                self._is_receiving = True
                try:
                    with self._when(self._has_message, timeout):
                        pass
                finally:
                    self._is_receiving = False
            return self._take_message()

    def __iter__(self) -> WebSocket:
        return self

    def __next__(self) -> Data:
        """Return the next message; stop after a normal closing, raise ConnectionClosed after any other."""
        try:
            return self.recv()
        except ConnectionClosed:
            if self.has_ended_normally():
                raise StopIteration from None
            raise

    # ---- Pings ----

    def ping(self, payload: bytes | None = None, *, timeout: float | None = None) -> float:
        """Send a Ping, and return the seconds until its Pong (RFC 6455 section 5.5.2).

        Raises ConnectionClosed if the connection ends first. A `payload` must differ from those on their way.
        """
        with self._when(self._has_room, timeout):
            payload, answer = self._put_ping(payload)
            try:
                with self._when(lambda: self._is_answered(answer), timeout):
                    return cast(float, answer.latency)
            finally:
                self._pings.forget(payload)

    def pong(self, payload: bytes = b"", *, timeout: float | None = None) -> None:
        """Send a Pong that nobody asked for (RFC 6455 section 5.5.3). Pings are answered without it."""
        with self._when(self._has_room, timeout):
            self._check_can_send()
            self._put(Pong(payload))

    # ---- the end ----

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection, if it isn't closed, and wait until it is, for the close timeout at most.

        Messages that arrive meanwhile can still be received.
        """
        self.begin_close(code, reason)
        self.wait_closed()

    def begin_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        with self._lock:
            super().begin_close(code, reason)

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until the connection is closed, by whomever."""
        with self._lock:
            self._come_back()
            with self._when(lambda: self._is_over, timeout):
                pass

    def abort(self) -> None:
        with self._lock:
            self._is_aborted = True
            self._notify()

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = CloseCode.NORMAL_CLOSURE
        if kind is not None:
            code = CloseCode.INTERNAL_ERROR if issubclass(kind, Exception) else CloseCode.GOING_AWAY
        try:
            self.close(code)
        except BaseException:
            self.abort()
            raise

    # ---- the opening handshake ----

    def begin(self, request: Request) -> None:
        with self._lock:
            super().begin(request)

    def wait_opened(self, timeout: float | None) -> None:
        """Wait for the server's consent. Raises what has become of it otherwise."""
        with self._when(self._is_opened, timeout):
            pass

    def wait_asked(self) -> None:
        """Wait for a client's request, or the end."""
        with self._when(self._is_asked, None):
            pass

    def hold_refusal(self, *, is_held: bool) -> None:
        with self._lock:
            super().hold_refusal(is_held=is_held)

    def accept(self, response: AcceptConnection) -> None:
        with self._lock:
            super().accept(response)

    def refuse(self, rejection: RejectConnection) -> None:
        with self._lock:
            super().refuse(rejection)

    def go_away(self, code: int, reason: str) -> None:
        with self._lock:
            super().go_away(code, reason)

    # ---- for the user ----

    @property
    def unsent(self) -> int:
        """Bytes that wait to be written."""
        return self._output_size + len(self._unsent)

    @property
    def local_address(self) -> Any:
        """Our end, as socket.getsockname() tells it."""
        return self._addresses[0]

    @property
    def remote_address(self) -> Any:
        """The peer's end, as socket.getpeername() tells it."""
        return self._addresses[1]


def _addresses_of(sock: socket) -> tuple[Any, Any]:
    try:
        return sock.getsockname(), sock.getpeername()
    except OSError:
        return None, None  # the peer is gone already
