"""Fuzz Connection, both roles, with the rules of design.md section 3 as the oracle.

    python fuzz/fuzz_connection.py [--seconds N] [--seed N] [FILE ...]       run.py says more

Each case: settings, a handshake or none, traffic of a peer, sends in between. It is run with the traffic whole, cut at
random, and with sends, and each of that is held against the rules.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from driver import main
from source import Source
from traffic import Peer, draw_settings, slow_codec, text_of

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    EncodedTextMessage,
    Event,
    LocalProtocolError,
    PerMessageDeflate,
    Ping,
    Pong,
    RejectConnection,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)

OTHER = {CLIENT: SERVER, SERVER: CLIENT}
LAST = (CloseConnection, RejectConnection)
MESSAGES = (TextMessage, EncodedTextMessage, BytesMessage)
MIB = 1 << 20
STEPS = 10_000


def counting_bytes() -> Callable[[int], bytes]:
    """Give a source of keys that are all different, the same in every run."""
    counter = itertools.count(1)
    return lambda size: b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))


class Run:
    """One connection under test, held against the rules at each step."""

    def __init__(self, role: Role, settings: Settings) -> None:
        self.role = role
        self.connection = Connection(role, settings)
        self.events: list[Event] = []
        self.wire = b""
        self.sent: list[Event] = []
        self.last: Event | None = None
        self.fed = 0
        self.on_event: Callable[[Event], None] = lambda event: None

    def feed(self, data: bytes) -> None:
        """Receive a chunk and all that is held back after it."""
        self.fed += len(data)
        self._take(self.connection.receive_data(data))
        assert self.connection.bytes_received == self.fed
        self._drain()

    def end(self) -> None:
        """Receive the end of the stream. Rule 4: then there has been a last event."""
        self._take(self.connection.receive_eof())
        self._drain()
        assert self.last is not None or self.refused, "no last event"
        assert self.connection.should_close, "should_close after EOF"
        before = self.connection.output_size
        # Rule 7, and once more rule 4.
        assert self.connection.receive_data(b"\x81\x85" * 70_000) == []
        assert self.connection.receive_eof() == []
        assert not self.connection.has_pending
        assert self.connection.output_size == before

    @property
    def refused(self) -> bool:
        """Whether send(RejectConnection) has ended the stream."""
        return any(isinstance(event, RejectConnection) for event in self.sent)

    def _drain(self) -> None:
        for _ in range(STEPS):
            pending = self.connection.has_pending
            events = self.connection.receive_data(b"")
            # Rule 6 and the loop in design.md: nothing is left when it says so, and each step makes progress.
            assert pending or not events, f"not pending, and yet {events}"
            if not pending:
                return
            assert events or not self.connection.has_pending, "a step without progress"
            self._take(events)
        raise AssertionError("too many steps")

    def _take(self, events: list[Event]) -> None:
        connection = self.connection
        assert not (events and (self.last or self.refused)), f"after the last event: {events}"
        self._check_amount(events)
        for event in events:
            if isinstance(event, LAST):
                # Rules 4 and 6.
                assert len(events) == 1, "the last event is not alone"
                self.last = event
                closing = (State.CLOSED, State.REMOTE_CLOSING)
                assert connection.state in closing, f"last event in {connection.state}"
            else:
                assert connection.state in (State.CONNECTING, State.OPEN, State.LOCAL_CLOSING) or self.last, event
            self.events.append(event)
            self.on_event(event)

    def _check_amount(self, events: list[Event]) -> None:
        """Rule 8, as far as events show it."""
        limit = self.connection.settings.max_message_size
        sizes = [len(text_of(event.data)) for event in events if isinstance(event, MESSAGES)]
        if limit is not None:
            assert max(sizes, default=0) <= limit, f"{max(sizes)} bytes; the limit is {limit}"
            assert sum(sizes) <= 2 * max(limit, MIB) + self.fed

    def send(self, event: Event, compress: bool | None, *, buffers: bool) -> bool:
        """Send; rule 5: LocalProtocolError, or the bytes."""
        connection = self.connection
        before = (connection.state, connection.close_info, connection.output_size, connection.should_shutdown)
        try:
            if buffers:
                output = b"".join(connection.send_buffers(event, compress=compress))
            else:
                output = connection.send(event, compress=compress)
        except LocalProtocolError:
            after = (connection.state, connection.close_info, connection.output_size, connection.should_shutdown)
            assert before == after, "a send that failed has changed something"
            return False
        self.wire += output
        self.sent.append(event)
        assert connection.output_size == 0, "send drains what was queued"
        return True

    def flush(self) -> None:
        """Take what the connection queued."""
        size = self.connection.output_size
        output = self.connection.data_to_send()
        assert len(output) == size, f"output_size is {size}, output {len(output)}"
        assert self.connection.output_size == 0
        self.wire += output


def described(event: Event) -> Any:
    """Say all of an event that must not depend on the split."""
    if isinstance(event, MESSAGES):
        return (type(event).__name__, event.data, event.frame_finished, event.message_finished)
    if isinstance(event, (Ping, Pong)):
        return (type(event).__name__, event.payload)
    if isinstance(event, CloseConnection):
        return ("close", event.code, "" if event.error else event.reason, event.error is None)
    if isinstance(event, RejectConnection):
        return ("reject", event.status_code, event.body, str(event.error))
    return type(event).__name__


def summary(info: CloseInfo) -> Any:
    """Say all of it but our own words: of two things wrong with a compressed message either may be told."""
    return info.sent and info.sent[0], info.received, info.initiator


def in_whole_messages(events: list[Event]) -> list[Any]:
    """Join pieces: their number depends on the split, and so does what came of a message that never ended."""
    told: list[Any] = []
    kind, parts = "", b""
    for event in events:
        if isinstance(event, MESSAGES):
            assert event.data or event.frame_finished, "an empty piece"
            kind, parts = type(event).__name__, parts + text_of(event.data)
            if event.message_finished:
                told.append((kind, parts))
                parts = b""
        else:
            told.append(described(event))
    return told


def open_both(role: Role, settings: Settings, source: Source) -> tuple[Run, Peer, bytes]:
    """Begin a handshake: give the connection under test, its peer, and what the peer sends first."""
    run = Run(role, settings)
    lax = Settings(extensions=settings.extensions, random_bytes=counting_bytes())
    other = Connection(OTHER[role], lax)
    if role is SERVER:
        request = other.send(Request("/chat", "example.com", ["a", "b"]))
        # The peer opens by itself, so that it can send at once; what it thinks was agreed is what will be.
        helper = Connection(SERVER, settings)
        helper.receive_data(request)
        other.receive_data(helper.send(AcceptConnection()))
        return run, Peer(source, CLIENT, other), request
    run.send(Request("/chat", "example.com"), None, buffers=False)
    other.receive_data(run.wire)
    run.wire = b""
    return run, Peer(source, SERVER, other), other.send(AcceptConnection())


def accept_at_once(run: Run) -> None:
    """Have a server accept each Request as soon as it is told."""

    def answer(event: Event) -> None:
        if isinstance(event, Request):
            run.send(AcceptConnection(), None, buffers=False)

    run.on_event = answer


def sends(source: Source) -> Iterator[tuple[Event, bool | None]]:
    """Give what a program might send, good and bad, for ever."""
    while True:
        compress = source.choose((None, None, None, True, False))
        finished = not source.one_in(3)
        size = source.choose((3, 0, 125, 126, 5000, 70_000))
        yield (
            source.choose(
                (
                    TextMessage("text €" * (size // 6), True, finished),
                    BytesMessage(bytes(size), True, finished),
                    EncodedTextMessage("é".encode() * (size // 2), True, finished),
                    EncodedTextMessage(b"\xe2\x82", True, finished),
                    Ping(bytes(size)),
                    Pong(b"unasked"),
                    CloseConnection(source.choose((1000, 1005, 1006, 3000, 70_000)), "reason"),
                    CloseConnection(1005),
                    TextMessage("\ud800"),
                    TextMessage(b"bytes"),  # type: ignore[arg-type] # that is the mistake
                    AcceptConnection(),
                    Request(),
                )
            ),
            compress,
        )


def check_wire(run: Run, peer: Peer) -> None:
    """Rule 2: what was put out is one good stream, and a peer reads from it just what was sent."""
    wire = run.wire
    if run.role is SERVER:
        head, _, wire = wire.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            return
    frames, fault = slow_codec.decode(wire, masked=run.role is CLIENT, reserved_bits=0x40, sequence=True)
    assert fault is None, fault
    assert all(frame.whole for frame in frames)
    firsts = [frame.first for frame in frames]
    if 0x88 in firsts:
        assert set(firsts[firsts.index(0x88) + 1 :]) <= {0x8A}, firsts
    owed = [event.payload for event in run.events if isinstance(event, Ping)]
    pongs = [frame.payload for frame in frames if frame.first == 0x8A and frame.payload != b"unasked"]
    if not run.connection.settings.auto_reply:
        assert not pongs
    remaining = iter(owed)
    assert all(pong in remaining for pong in pongs), "Pongs are not in the order of the Pings"
    assert messages(peer.connection.receive_data(wire)) == messages(run.sent), "the peer reads something else"


def messages(events: list[Event]) -> list[Any]:
    """Join fragments to whole messages, as bytes."""
    told: list[Any] = []
    parts = b""
    for event in events:
        if isinstance(event, MESSAGES):
            parts += text_of(event.data)
            if event.message_finished:
                told.append((isinstance(event, BytesMessage), parts))
                parts = b""
    return told


def check_split(role: Role, settings: Settings, data: bytes, chunkings: list[list[bytes]], begin: Any) -> None:
    """Rule 1."""
    told = []
    for chunks in chunkings:
        run = begin()
        accept_at_once(run)
        for chunk in chunks:
            run.feed(chunk)
        run.end()
        run.flush()
        told.append((run.connection.close_info, run.connection.state, run.events))
    for info, state, events in told[1:]:
        assert (summary(info), state) == (summary(told[0][0]), told[0][1]), f"{(info, state)} and {told[0][:2]}"
        describe: Callable[[list[Event]], list[Any]] = in_whole_messages
        if settings.delivery == "message" or (settings.delivery == "frame" and not keeps_bytes(settings)):
            describe = lambda events: [described(event) for event in events]  # noqa: E731 # one line
        assert describe(events) == describe(told[0][2]), f"split matters: {short(events)} and {short(told[0][2])}"


def keeps_bytes(settings: Settings) -> bool:
    """Tell whether a fragment's last bytes may come with the next: ISA-L keeps some, depending on the split."""
    backends = [extension.backend for extension in settings.extensions if isinstance(extension, PerMessageDeflate)]
    return any(backend.__name__ == "isal.isal_zlib" for backend in backends)


def short(events: list[Event]) -> str:
    """Show events, cut."""
    return ", ".join(repr(described(event))[:60] for event in events[:8]) + f" ({len(events)})"


def run_case(data: bytes) -> None:
    """Run one case. Raises AssertionError where a rule is broken, and whatever leaks."""
    source = Source(data)
    settings = draw_settings(source, counting_bytes())
    role = source.choose((SERVER, CLIENT))
    run, peer, opening = open_both(role, settings, source)
    stream = opening + peer.traffic()
    if source.one_in(16):
        stream = peer.damage(stream)
    chunkings = [[stream], source.cut(stream)]
    if len(stream) < 500:
        chunkings.append([stream[at : at + 1] for at in range(len(stream))])

    def begin() -> Run:
        again = Run(role, settings)
        if role is CLIENT:
            # The nonce has to be the one that the response answers.
            again = Run(role, Settings(**{**vars_of(settings), "random_bytes": counting_bytes()}))
            again.send(Request("/chat", "example.com"), None, buffers=False)
            again.wire = b""
        return again

    check_split(role, settings, stream, chunkings, begin)
    converse(run, peer, stream, source)


def vars_of(settings: Settings) -> dict[str, Any]:
    """Give what Settings was made with."""
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name != "masking_keys"}


def converse(run: Run, peer: Peer, stream: bytes, source: Source) -> None:
    """Feed the stream with sends in between, and look at all that was put out."""
    to_send = sends(source)
    answers = source.choose(("accept", "accept", "accept", "reject", "late"))
    if answers == "accept":
        accept_at_once(run)
    for chunk in source.cut(stream):
        run.feed(chunk)
        for _ in range(source.number(3)):
            event, compress = next(to_send)
            run.send(event, compress, buffers=source.one_in(2))
        if answers == "reject" and run.connection.state is State.CONNECTING:
            run.send(RejectConnection(403, body=b"no"), None, buffers=False)
        if source.one_in(2):
            run.flush()
    run.end()
    run.flush()
    check_wire(run, peer)


if __name__ == "__main__":
    sys.exit(main(run_case, "connection"))
