"""A WebSocket over a trio stream: tasks that move bytes and keep the time, and what a user holds.

Knows streams and waiting. What is done with the bytes is the session's. Must not know how a connection comes about.
"""

from __future__ import annotations

import math
from typing import Any, Callable, cast

import trio

from ..constants import CloseCode, Role
from ..errors import ConnectionClosed
from ..events import Pong
from ._closing import Step
from ._facts import Data, Sendable, to_event
from ._options import READ_SIZE, WRITE_SIZE, Options
from ._session import Session

STREAM_ERRORS = (trio.BrokenResourceError, trio.ClosedResourceError)
"""What a stream raises that the peer has broken, or that a user who made it has closed."""


class WebSocket(Session):
    """A WebSocket over trio. Made by `connect` and `serve`, which close it, too.

    Messages are str or bytes, or bytes for text, too, where the settings have text_as_bytes. Any number of tasks may
    send, one at a time may receive. All that is awaited here is a checkpoint, and cancelling it loses nothing: a
    message is sent as a whole or not at all, and one that has come stays for the next.
    """

    __slots__ = ("_addresses", "_changed", "_in_flight", "_is_over", "_scope", "_stream", "_timer")

    def __init__(self, stream: trio.abc.Stream, role: Role, options: Options) -> None:
        super().__init__(role, options, trio.current_time)
        self._stream = stream
        self._addresses = _addresses_of(stream)
        self._changed = trio.lowlevel.ParkingLot()
        self._in_flight = 0
        self._is_over = trio.Event()
        self._timer = trio.CancelScope()
        self._scope = trio.CancelScope()

    # ---- the tasks behind it ----

    async def run(self) -> None:
        """Move bytes both ways until the transport is closed, and close it."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    nursery.start_soon(self._keep_time)
                    await self._write()
                    self._scope.cancel()
        finally:
            try:
                await trio.aclose_forcefully(self._stream)
            finally:
                self._lose()
                self._is_over.set()

    async def _read(self) -> None:
        while not self._has_eof:
            await self._wait_until(lambda: self._wants_input)
            try:
                self._receive(bytes(await self._stream.receive_some(READ_SIZE)))
            except STREAM_ERRORS:
                self._lose()

    async def _write(self) -> None:
        can_half_close = isinstance(self._stream, trio.abc.HalfCloseableStream)
        has_half_closed = False
        try:
            while True:
                data = self._take_output()
                step = self._next_step(can_half_close=can_half_close)
                if data:
                    self._in_flight = len(data)
                    await self._stream.send_all(data)
                    self._in_flight = 0
                    self._changed.unpark_all()
                elif step is Step.CLOSE:
                    return
                elif step is Step.HALF_CLOSE and not has_half_closed:
                    has_half_closed = True
                    await cast(trio.abc.HalfCloseableStream, self._stream).send_eof()
                else:
                    await self._changed.park()
        except STREAM_ERRORS:
            self._lose()

    async def _keep_time(self) -> None:
        is_over = False
        while not is_over:
            with trio.CancelScope() as self._timer:
                self._set_timer()
                await trio.sleep_forever()
            is_over = self._expire()
        self._scope.cancel()

    def _set_timer(self) -> None:
        self._timer.deadline = math.inf if self._deadline is None else self._deadline

    def _notify(self) -> None:
        """Let all tasks see what has changed."""
        self._set_timer()
        self._changed.unpark_all()

    async def _wait_until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            await self._changed.park()

    # ---- messages ----

    async def send(self, message: Sendable, *, text: bool = False) -> None:
        """Send a message: str as text, bytes as binary, or as text in UTF-8 if `text` is set.

        Waits while the peer reads too slowly. Raises ConnectionClosed when it is too late, LocalProtocolError for what
        is no message. If it is cancelled, the message is not sent.
        """
        await self._wait_for_room()
        self._put_message(self.conn.send(to_event(message, text=text)))
        # By trio's rules: what is done can't be cancelled any more.
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def recv(self) -> Data:
        """Return the next message. Raises ConnectionClosed when there are no more.

        If it is cancelled, no message is lost. Raises LocalProtocolError if another task is waiting already.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._has_message():
            self._check_nobody_receives()
            self._is_receiving = True
            try:
                await self._wait_until(self._has_message)
            finally:
                self._is_receiving = False
        message = self._take_message()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return message

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> Data:
        """Return the next message; stop after a normal closing, raise ConnectionClosed after any other."""
        try:
            return await self.recv()
        except ConnectionClosed:
            if self.has_ended_normally():
                raise StopAsyncIteration from None
            raise

    async def _wait_for_room(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._wait_until(lambda: self.unsent <= WRITE_SIZE or self.is_ended())
        self._check_can_send()

    # ---- Pings ----

    async def ping(self, payload: bytes | None = None) -> float:
        """Send a Ping, and return the seconds until its Pong (RFC 6455 section 5.5.2).

        Raises ConnectionClosed if the connection ends first. A `payload` must differ from those on their way.
        """
        await self._wait_for_room()
        payload, answer = self._put_ping(payload)
        try:
            await self._wait_until(lambda: self._is_answered(answer))
        finally:
            self._pings.forget(payload)
        return cast(float, answer.latency)

    async def pong(self, payload: bytes = b"") -> None:
        """Send a Pong that nobody asked for (RFC 6455 section 5.5.3). Pings are answered without it."""
        await self._wait_for_room()
        self._put(Pong(payload))
        await trio.lowlevel.cancel_shielded_checkpoint()

    # ---- the end ----

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection, if it isn't closed, and wait until it is, for the close timeout at most.

        Messages that arrive meanwhile can still be received. If it is cancelled, the closing goes on.
        """
        self.begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by whomever."""
        self._come_back()
        await self._is_over.wait()

    def abort(self) -> None:
        self._scope.cancel()

    # ---- the opening handshake ----

    async def wait_opened(self) -> None:
        """Wait for the server's consent. Raises what has become of it otherwise."""
        await self._wait_until(self._is_opened)

    async def wait_asked(self) -> None:
        """Wait for a client's request, or the end."""
        await self._wait_until(self._is_asked)

    # ---- for the user ----

    @property
    def unsent(self) -> int:
        """Bytes that wait to be written."""
        return self._output_size + self._in_flight

    @property
    def local_address(self) -> Any:
        """Our end, as socket.getsockname() tells it; None for a stream without a socket."""
        return self._addresses[0]

    @property
    def remote_address(self) -> Any:
        """The peer's end, as socket.getpeername() tells it; None for a stream without a socket."""
        return self._addresses[1]


def _addresses_of(stream: Any) -> tuple[Any, Any]:
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    try:
        return stream.socket.getsockname(), stream.socket.getpeername()
    except (AttributeError, OSError):
        return None, None  # no socket, or one whose peer is gone already
