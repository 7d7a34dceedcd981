"""One connection between an asyncio transport and the core: bytes both ways, back-pressure, deadlines, the closing.

Knows transports, the core's Connection and its Heartbeat. Must not know what is done with the events.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from ..connection import Connection
from ..constants import Role
from ..errors import ConnectionClosed
from ..events import Event
from ..heartbeat import Heartbeat
from ._closing import Step, next_step
from ._facts import CONNECTING, OPEN
from ._options import ANSWER_TIME, READ_SIZE, Options

# All connections of a loop read into the same buffer, one after the other: what is found in it is copied at once.
_read_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


def _read_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    buffer = _read_buffers.get(loop)
    if buffer is None:
        buffer = _read_buffers[loop] = memoryview(bytearray(READ_SIZE))
    return buffer


class Link(asyncio.BufferedProtocol, ABC):
    """Drives a Connection over a transport. A subclass takes the events, and says when there are too many.

    What follows a burst of input or output is done once for all of it, by `_work`, which runs in the next turn of the
    loop: behind the tasks that the input has woken, so that it writes all their answers at once.
    """

    __slots__ = (
        "_buffer",
        "_cut",
        "_give_up_at",
        "_has_eof",
        "_has_throttled",
        "_heartbeat",
        "_info",
        "_is_answering",
        "_is_eof_due",
        "_is_fresh",
        "_is_holding",
        "_is_overdue",
        "_is_paused",
        "_is_reading",
        "_is_scheduled",
        "_output",
        "_output_size",
        "_patience",
        "_seen_state",
        "_seen_unsent",
        "_timeouts",
        "_timer",
        "_transport",
        "_writers",
        "conn",
        "holds_refusal",
        "loop",
        "lost",
    )

    def __init__(self, role: Role, options: Options) -> None:
        self.loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self.loop.create_future()
        self.conn = Connection(role, options.settings)
        self.holds_refusal = False  # the connection's own answer to a request waits for a better one
        self._timeouts = options.timeouts
        self._heartbeat = Heartbeat(self.conn, self.loop.time(), *options.timeouts)
        self._timer: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._give_up_at: float | None = None  # the transport, whatever is left to read or write
        self._patience: asyncio.TimerHandle | None = None  # for a user who has yet to take what came before the end
        self._transport: asyncio.Transport | None = None  # None again when it is lost
        self._info: asyncio.Transport | None = None
        self._buffer = _read_buffer(self.loop)
        self._output: list[bytes] = []
        self._output_size = 0
        self._writers: list[asyncio.Future[None]] = []
        self._seen_state = self.conn.state
        self._seen_unsent = 0
        self._is_scheduled = False
        self._is_fresh = False  # nothing was written since there was input, or another turn of the loop
        self._is_paused = False  # writing
        self._is_reading = True
        self._is_answering = False  # the last message was taken, and its taker has neither sent any nor come back
        self._is_holding = False  # input is held back until the user has taken and answered what is there
        self._is_overdue = False  # the end has waited long enough for that
        self._has_throttled = False  # since the last tick
        self._has_eof = False
        self._is_eof_due = False  # the core is yet to be told

    # ---- for the subclass ----

    @abstractmethod
    def take(self, events: Sequence[Event]) -> None:
        """Take what has come in. Calls `schedule` for anything but messages."""

    @abstractmethod
    def waiting(self) -> int:
        """Tell how many messages the user hasn't taken."""

    @abstractmethod
    def is_full(self) -> bool:
        """Tell whether they are so many that no more should be read."""

    # ---- what the transport calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._info = self._transport = cast(asyncio.Transport, transport)
        self._set_timer(self._heartbeat.deadline())
        self.schedule()

    def get_buffer(self, sizehint: int) -> memoryview:
        # For a protocol without a buffer asyncio allocates 256 KiB for each read.
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.feed(bytes(self._buffer[:nbytes]))

    def feed(self, data: bytes) -> None:
        """Take bytes from the transport: all that come in come through here."""
        self._is_fresh = True
        self.take(self.conn.receive_data(data, hold_end=True))
        if self.conn.has_pending:
            self.schedule()

    def eof_received(self) -> bool:
        self._has_eof = self._is_eof_due = True
        self.schedule()
        # The transport stays open for what there is to write, except over TLS, where that is impossible.
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._transport.close()  # in CPython 3.9 one over TLS takes itself for open, and warns
        self._transport = None
        self._is_paused = True  # whoever wants to send takes the way on which that is noticed
        self._output.clear()
        for timer in (self._timer, self._cut, self._patience):
            if timer is not None:
                timer.cancel()
        self._is_eof_due = False
        self.take(self.conn.receive_eof())
        self._wake_writers()
        self.schedule()
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake_writers()
        self.schedule()

    # ---- output ----

    def write(self, data: bytes) -> None:
        """Write what Connection.send has returned: at once if it is likely to be all, else with what follows."""
        if self._is_fresh and not self._output and not self.waiting() and not self._is_holding:
            # A single answer to a single message. Another run of _work would add a tenth to what an echo costs.
            self._is_fresh = False
            self.emit(data)
            return
        self._output.append(data)
        self._output_size += len(data)
        self.schedule()

    def put(self, event: Event) -> None:
        """Send an event by which more may change than what is to write: anything but a message."""
        self.write(self.conn.send(event))
        self.schedule()

    def emit(self, data: bytes) -> None:
        """Hand bytes to the transport: all that go out go through here."""
        if self._transport is not None:
            self._transport.write(data)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing() or self.holds_refusal:
            return
        output = self._output
        # While the peer doesn't read, Pongs stay in the core, which bounds their number.
        if not self._is_paused or self.conn.state is not OPEN:
            own = self.conn.data_to_send()
            if own:
                output.append(own)
        if output:
            data = output[0] if len(output) == 1 else b"".join(output)
            output.clear()
            self._output_size = 0
            self.emit(data)

    async def wait_writable(self) -> None:
        """Wait until the transport takes more. Raises ConnectionClosed if there is none any more."""
        self._flush()
        # While the peer reads fast the transport never makes us pause. Others must have their turn nevertheless.
        await asyncio.sleep(0)
        while self._is_paused and self._transport is not None and self.conn.state is OPEN:
            writer = self.loop.create_future()
            self._writers.append(writer)
            try:
                await writer
            finally:
                self._writers.remove(writer)
        if self._transport is None:
            info = self.conn.close_info
            # The core doesn't know while messages are held back in it.
            raise ConnectionClosed(f"the connection is lost: {info.cause or 'messages are yet to be taken'}", info)

    def _wake_writers(self) -> None:
        for writer in self._writers:
            if not writer.done():
                writer.set_result(None)

    # ---- once for each burst of input or output ----

    def schedule(self) -> None:
        """Do what is due, soon."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._work)

    def _work(self) -> None:
        self._is_scheduled = False
        self._is_fresh = True
        conn = self.conn
        # A Close has to wait until the messages before it are taken and answered, for after it that is too late. So has
        # the end of the stream.
        if self._holds_input() and (
            conn.state is not OPEN or self._is_overdue or not (self._is_answering or self.waiting())
        ):
            self._is_overdue = False
            if conn.has_pending:
                self.take(conn.receive_data(b""))
            else:
                self._is_eof_due = False
                self.take(conn.receive_eof())
            self.schedule()
        if conn.state is not self._seen_state:
            self._seen_state = conn.state
            self._wake_writers()
            self.tick()
        self._flush()  # behind the tick, which may fail the connection: nothing can be written after a half-close
        self._throttle()
        holds_input = self._holds_input()
        self._is_holding = holds_input or not self._is_reading
        may_wait = conn.is_ending or self._is_eof_due or self._is_answering
        if holds_input and may_wait and self._patience is None and self._transport is not None:
            self._patience = self.loop.call_later(ANSWER_TIME, self._lose_patience)
        if conn.state is not CONNECTING and conn.state is not OPEN:
            self._shut_down()

    def _holds_input(self) -> bool:
        return self._is_eof_due or self.conn.has_pending

    def _lose_patience(self) -> None:
        """Go on, as the user has neither taken nor answered anything for a time."""
        self._patience = None
        self._is_answering = False
        if self.conn.is_ending or (self._is_eof_due and not self.conn.has_pending):
            self._is_overdue = True
        elif self._is_eof_due:
            self.abort()  # what came compressed is held back, the end behind it, and nobody takes it
        self.schedule()

    def make_progress(self) -> None:
        """Take note that while input was held back a message was taken or answered."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.schedule()

    def come_back(self) -> None:
        """Take note that the last message that was taken, if it was to be answered, is."""
        self._is_answering = False
        if self._is_holding:
            self.make_progress()

    def _throttle(self) -> None:
        """Read as long as the user keeps up. When the connection is closing all is read, for nothing is kept."""
        should_read = self.conn.state is not OPEN or not self.is_full()
        if self._transport is None or should_read is self._is_reading:
            return
        self._is_reading = should_read
        if should_read:
            self._transport.resume_reading()
        else:
            self._has_throttled = True
            self._transport.pause_reading()

    # ---- the end ----

    def _shut_down(self) -> None:
        transport = self._transport
        if transport is None or self.holds_refusal:
            return
        if self._give_up_at is None and self._timeouts.close_timeout is not None:
            # Absolute, as the heartbeat's deadline is, which ends when the core is done.
            self._give_up_at = self.loop.time() + self._timeouts.close_timeout
        step = next_step(self.conn, has_eof=self._has_eof, can_half_close=transport.can_write_eof())
        if step is Step.CLOSE:
            transport.close()
        elif step is Step.HALF_CLOSE:
            try:
                transport.write_eof()
            except OSError:
                transport.abort()  # the peer has reset the connection, and asyncio is yet to tell
        if self._cut is None and self._heartbeat.deadline() is None and self._give_up_at is not None:
            # The core is done with the transport, which may have output left, or input to wait for.
            self._cut = self.loop.call_at(self._give_up_at, self.abort)

    def abort(self) -> None:
        """Give the transport up at once, with what isn't written yet."""
        if self._transport is not None:
            self._transport.abort()

    async def abandon(self) -> None:
        """Give the transport up at once, and wait until it is closed."""
        if self._transport is not None:
            self._transport.abort()
            await asyncio.shield(self.lost)

    # ---- deadlines ----

    def tick(self) -> None:
        """Let the heartbeat do what is due: at its deadline, and when the state has changed or a Pong has come."""
        is_reading, is_stuck = not self._has_throttled, self._is_stuck()
        self._has_throttled = not self._is_reading
        self._seen_unsent = self.unsent if self._is_paused else 0
        self.take(self._heartbeat.tick(self.loop.time(), is_reading=is_reading, is_stuck=is_stuck))
        self.schedule()
        self._set_timer(self._heartbeat.deadline())

    def _is_stuck(self) -> bool:
        """Tell whether senders wait, and the peer has read nothing since the last tick: see Heartbeat.tick."""
        return self._is_paused and 0 < self._seen_unsent <= self.unsent

    def _on_deadline(self) -> None:
        self.tick()
        if self.conn.should_close:
            self.abort()

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None and self._transport is not None:
            self._timer = self.loop.call_at(deadline, self._on_deadline)

    # ---- for the user ----

    @property
    def unsent(self) -> int:
        """Bytes that wait to be written: those before it is tried, and those for which the peer reads too slowly."""
        return self._output_size + (0 if self._transport is None else self._transport.get_write_buffer_size())

    @property
    def local_address(self) -> Any:
        """Our end, as socket.getsockname() tells it."""
        return self._info and self._info.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's end, as socket.getpeername() tells it."""
        return self._info and self._info.get_extra_info("peername")
