"""Heartbeat when a connection dies or closes, on a clock that only the tests move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers import (
    ROLES,
    UPGRADE,
    both_roles,
    close,
    connect,
    feed,
    frame,
    frames_from,
    handshake,
    header,
    is_last,
    ping,
    pong,
    text,
)
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import BINARY, CLOSE, FIN, PING

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    Event,
    PerMessageDeflate,
    RemoteProtocolError,
    Role,
    Settings,
    State,
)
from wsproto_lite.heartbeat import Heartbeat

START = 1000.0


def deflating_pair() -> tuple[Connection, Connection]:
    """Give a client and a server that compress."""
    settings = Settings(extensions=(PerMessageDeflate(),))
    return handshake(settings, settings)


def ping_from(conn: Connection) -> bytes:
    """Take the output, which is one Ping; return its payload."""
    ((first, payload),) = frames_from(conn.role, conn.data_to_send())
    assert first == FIN | PING
    return payload


class TestPongs:
    """Design: the pong deadline is moved by any inbound byte; when it passes, Close 1011 with an error."""

    @both_roles
    def test_silence_after_a_ping_is_death(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_interval=20, ping_timeout=5)
        heartbeat.tick(START + 20)
        conn.data_to_send()
        assert heartbeat.deadline() == START + 25
        assert heartbeat.tick(START + 24.9) == []
        error = RemoteProtocolError("keepalive ping timeout: nothing came for 5 seconds after a ping", 1011)
        assert heartbeat.tick(START + 25) == [CloseConnection(1011, str(error), error)]
        assert frames_from(role, conn.data_to_send()) == [(FIN | CLOSE, b"\x03\xf3" + str(error).encode())]
        assert conn.state is State.CLOSED
        assert conn.close_info == CloseInfo((1011, str(error)), None, role, f"closed 1011 by us: {error}")

    def test_close_deadline_runs_from_there(self) -> None:
        """A server waits for the client's EOF (section 7.1.1), but not for ever."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        heartbeat.tick(START + 40)
        assert (conn.should_shutdown, conn.should_close) == (True, False)
        assert heartbeat.deadline() == START + 50
        assert heartbeat.tick(START + 50) == []
        assert conn.should_close
        assert heartbeat.deadline() is None

    def test_client_gives_up_at_once(self) -> None:
        conn = connect(CLIENT)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        heartbeat.tick(START + 40)
        assert conn.should_close
        assert heartbeat.deadline() is None

    def test_large_slow_frame_is_life(self) -> None:
        """aiohttp issue 12030: a large frame still arriving was taken for death."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=20, ping_timeout=5)
        heartbeat.tick(START + 20)
        assert conn.receive_data(header(SERVER, FIN | BINARY, 1000)) == []
        for second in range(1000):
            now = START + 21 + second
            assert conn.receive_data(b"x") == [] or second == 999
            assert heartbeat.tick(now) == []
            assert heartbeat.deadline() == now + 5
        assert len(heartbeat.tick(START + 1020 + 5)) == 1

    def test_what_is_held_back_is_life(self) -> None:
        """The Pong came, behind messages that a slow caller is yet to take."""
        client, conn = deflating_pair()
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        data = b"".join(client.send(BytesMessage(bytes(1 << 20))) for _ in range(3))
        assert len(conn.receive_data(data + pong(SERVER, ping_from(conn)))) == 1
        events: list[Event] = []
        now = START + 20
        while conn.has_pending:
            now += 30
            assert heartbeat.tick(now) == []
            assert heartbeat.deadline() == now + 20
            events += conn.receive_data(b"")
        assert [type(event).__name__ for event in events] == ["BytesMessage", "BytesMessage", "Pong"]
        assert heartbeat.tick(now) == []
        assert conn.state is State.OPEN

    @both_roles
    def test_close_that_is_held_back_is_life(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        assert len(conn.receive_data(text(role, "last words") + close(role))) == 1
        heartbeat.tick(START + 21)
        assert heartbeat.tick(START + 100) == []
        assert conn.receive_data(b"") == [CloseConnection(1000)]

    def test_unwritten_ping_has_a_deadline(self) -> None:
        """A Pong that nobody asked for answers one Ping, not those after it, even if none of them was written."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        feed(conn, pong(SERVER, b"unasked"))
        assert heartbeat.tick(START + 40) == []
        assert heartbeat.deadline() == START + 60
        (event,) = heartbeat.tick(START + 60)
        assert isinstance(event, CloseConnection)
        assert event.code == 1011

    def test_bytes_count_without_a_tick_in_between(self) -> None:
        """When exactly they came is not known: the deadline is moved from when they are seen."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        feed(conn, text(SERVER, "alive"))
        assert heartbeat.tick(START + 40) == []
        assert heartbeat.deadline() == START + 60
        assert len(heartbeat.tick(START + 60)) == 1

    def test_bytes_before_the_ping_do_not_count(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        feed(conn, text(SERVER, "early"))
        heartbeat.tick(START + 20)
        assert len(heartbeat.tick(START + 40)) == 1

    @pytest.mark.parametrize("payload", [b"heartbeat 1", b"", b"another's"])
    def test_any_pong_is_an_answer(self, payload: bytes) -> None:
        """Section 5.5.3: of several Pings the peer may answer the latest alone, and ours need not be that."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        feed(conn, pong(SERVER, payload))
        heartbeat.tick(START + 21)
        assert heartbeat.deadline() == START + 40

    def test_pong_before_the_ping_is_no_answer(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        feed(conn, pong(SERVER, b"heartbeat 1"))
        heartbeat.tick(START + 20)
        assert heartbeat.latency is None
        assert len(heartbeat.tick(START + 40)) == 1

    def test_without_timeout_pings_go_on(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_timeout=None)
        for number in range(1, 4):
            assert heartbeat.tick(START + 20 * number) == []
            assert ping_from(conn) == b"heartbeat %d" % number
            assert heartbeat.deadline() == START + 20 * number + 20

    def test_without_automatic_replies_the_caller_sends_the_close(self) -> None:
        conn = connect(SERVER, auto_reply=False)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        conn.data_to_send()
        assert len(heartbeat.tick(START + 40)) == 1
        assert (conn.state, conn.data_to_send()) == (State.REMOTE_CLOSING, b"")
        assert frames_from(SERVER, conn.send(CloseConnection(1011))) == [(FIN | CLOSE, b"\x03\xf3")]
        assert conn.should_shutdown

    def test_last_event_that_was_held_back_is_replaced(self) -> None:
        """There is one last event, whichever comes first."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        conn.send(CloseConnection())
        heartbeat.tick(START + 1)
        conn.receive_data(text(SERVER, "x") + close(SERVER))
        assert len(heartbeat.tick(START + 11)) == 1
        assert conn.receive_data(b"") == []


def we_close(conn: Connection) -> list[Event]:
    if conn.state is State.OPEN:
        conn.send(CloseConnection())
    return []


def peer_closes(conn: Connection) -> list[Event]:
    return feed(conn, close(conn.role))


def peer_breaks_a_rule(conn: Connection) -> list[Event]:
    return feed(conn, frame(conn.role, 0xFF))


def opens(conn: Connection) -> list[Event]:
    if conn.state is not State.CONNECTING:
        return []
    events = feed(conn, UPGRADE)
    conn.send(AcceptConnection())
    return events


def writes(conn: Connection) -> list[Event]:
    conn.data_to_send()
    return []


class TestClosing:
    """Design: the close deadline is absolute and always armed; when it passes, 1006 and should_close."""

    @both_roles
    def test_peer_that_does_not_answer_our_close(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        we_close(conn)
        assert heartbeat.tick(START + 3) == []
        assert heartbeat.deadline() == START + 13
        error = RemoteProtocolError("the closing handshake took too long", 1006)
        assert heartbeat.tick(START + 13) == [CloseConnection(1006, str(error), error)]
        assert (conn.state, conn.should_shutdown, conn.should_close) == (State.CLOSED, True, True)
        assert heartbeat.deadline() is None

    @both_roles
    def test_it_is_absolute(self, role: Role) -> None:
        """Neither bytes nor the peer's Close move it."""
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        we_close(conn)
        heartbeat.tick(START)
        feed(conn, text(role, "still talking"))
        heartbeat.tick(START + 5)
        assert heartbeat.deadline() == START + 10
        peer_closes(conn)
        heartbeat.tick(START + 9)
        assert heartbeat.deadline() == START + 10
        assert heartbeat.tick(START + 10) == []
        assert conn.should_close

    @pytest.mark.parametrize(
        ("role", "begin"),
        [
            pytest.param(SERVER, peer_closes, id="server, closed by the peer"),
            pytest.param(CLIENT, peer_closes, id="client, closed by the peer"),
            pytest.param(SERVER, peer_breaks_a_rule, id="server, failed"),
        ],
    )
    def test_transport_that_does_not_end(self, role: Role, begin: Callable[[Connection], object]) -> None:
        """The stream has ended: no event, but the transport is given up."""
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        begin(conn)
        assert not conn.should_close
        heartbeat.tick(START + 1)
        assert heartbeat.deadline() == START + 11
        assert heartbeat.tick(START + 11) == []
        assert (conn.state, conn.should_shutdown, conn.should_close) == (State.CLOSED, True, True)

    def test_caller_who_does_not_answer_the_close(self) -> None:
        conn = connect(SERVER, auto_reply=False)
        heartbeat = Heartbeat(conn, START)
        peer_closes(conn)
        assert conn.state is State.REMOTE_CLOSING
        heartbeat.tick(START + 1)
        assert heartbeat.tick(START + 11) == []
        assert (conn.state, conn.should_shutdown, conn.should_close) == (State.CLOSED, True, True)

    @both_roles
    def test_deadline_before_the_tick_is_at_once(self, role: Role) -> None:
        """When the closing began only a tick can tell: deadline() asks for one, once."""
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 5)
        we_close(conn)
        assert heartbeat.deadline() == START + 5
        heartbeat.tick(START + 15)
        assert heartbeat.deadline() == START + 25

    @both_roles
    def test_no_ping_while_closing(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_interval=1)
        we_close(conn)
        for second in range(1, 10):
            heartbeat.tick(START + second)
        assert conn.data_to_send() == b""

    def test_pong_deadline_ends_with_our_close(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_timeout=5)
        heartbeat.tick(START + 20)
        we_close(conn)
        assert heartbeat.tick(START + 24) == []
        assert heartbeat.tick(START + 25) == []
        assert heartbeat.deadline() == START + 34

    @both_roles
    def test_already_closing_at_construction(self, role: Role) -> None:
        conn = connect(role)
        we_close(conn)
        assert Heartbeat(conn, START).deadline() == START + 10

    @both_roles
    def test_end_of_the_transport_ends_all(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        conn.receive_eof()
        assert heartbeat.deadline() is None
        assert heartbeat.tick(START + 100) == []

    def test_none_waits_for_ever(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, close_timeout=None)
        we_close(conn)
        assert heartbeat.tick(START + 1) == []
        assert heartbeat.deadline() is None
        assert heartbeat.tick(START + 1e9) == []
        assert not conn.should_close


def test_arguments_by_position() -> None:
    """The order of the contract: open, interval, pong, close."""
    conn = connect(CLIENT)
    heartbeat = Heartbeat(conn, START, None, 3, 4, 5)
    heartbeat.tick(START + 3)
    assert heartbeat.deadline() == START + 7
    we_close(conn)
    heartbeat.tick(START + 4)
    assert heartbeat.deadline() == START + 9


ACTIONS = {
    "nothing": lambda conn: [],
    "text": lambda conn: feed(conn, text(conn.role, "x")),
    "part of a frame": lambda conn: feed(conn, header(conn.role, FIN | BINARY, 9)),
    "ping": lambda conn: feed(conn, ping(conn.role)),
    "pong": lambda conn: feed(conn, pong(conn.role)),
    "peer closes": peer_closes,
    "peer breaks a rule": peer_breaks_a_rule,
    "we close": we_close,
    "opens": opens,
    "transport ends": lambda conn: conn.receive_eof(),
    "writes": writes,
}


seconds = st.none() | st.sampled_from([1.0, 2.5, 10.0, 30.0])


@given(
    role=st.sampled_from(ROLES),
    opened=st.booleans(),
    auto_reply=st.booleans(),
    timeouts=st.tuples(seconds, seconds, seconds, seconds),
    steps=st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from([0.0, 0.5, 7.0])), max_size=12),
)
def test_no_busy_loop_and_one_last_event(
    role: Role, opened: bool, auto_reply: bool, timeouts: tuple[float | None, ...], steps: list[tuple[str, float]]
) -> None:
    """After a tick the deadline is in the future, or never; and the stream ends once, whatever happens."""
    conn = connect(role, auto_reply=auto_reply) if opened else Connection(SERVER)
    now = START
    heartbeat = Heartbeat(conn, now, *timeouts)
    events = []
    for action, wait in steps:
        events += ACTIONS[action](conn)
        now += wait
        events += heartbeat.tick(now)
        deadline = heartbeat.deadline()
        assert deadline is None or deadline > now
    while (deadline := heartbeat.deadline()) is not None and now < START + 1000:
        now = deadline
        events += heartbeat.tick(now)
    assert [is_last(event) for event in events[:-1]] == [False] * len(events[:-1])
    if None not in timeouts:
        assert is_last(events[-1])
        assert conn.should_close
