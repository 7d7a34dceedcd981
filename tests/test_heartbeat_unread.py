"""Heartbeat while what the peer has sent waits unread: that silence is no fault of the peer's."""

from __future__ import annotations

import pytest
from helpers import both_roles, close, connect, feed, frames_from, handshake, pong, text
from slow_codec import FIN, PING

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    PerMessageDeflate,
    Role,
    Settings,
    State,
)
from wsproto_lite.heartbeat import Heartbeat

START = 1000.0


def pings_from(conn: Connection) -> list[bytes]:
    """Take the output, which is Pings only; return their payloads."""
    frames = frames_from(conn.role, conn.data_to_send())
    assert {first for first, _ in frames} <= {FIN | PING}
    return [payload for _, payload in frames]


class TestNotReading:
    """`tick(now, is_reading=False)`: the caller hasn't read for a time since the last tick."""

    @both_roles
    def test_pings_go_on(self, role: Role) -> None:
        """Who writes to a peer that is gone learns of it. One Ping at each pong deadline, none in between."""
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_interval=20, ping_timeout=5)
        assert heartbeat.tick(START + 20, is_reading=False) == []
        assert pings_from(conn) == [b"heartbeat 1"]
        for number in range(2, 100):
            deadline = heartbeat.deadline()
            assert deadline == START + 20 + 5 * (number - 1)
            assert heartbeat.tick(deadline, is_reading=False) == []
            assert pings_from(conn) == [b"heartbeat %d" % number]
        assert conn.state is State.OPEN

    @both_roles
    @pytest.mark.parametrize("is_reading", [True, False], ids=["reading", "paused"])
    def test_stuck(self, role: Role, is_reading: bool) -> None:
        """Who waits for the peer to read is not why it is silent: what is unread or held back excuses nothing."""
        conn = connect(role)
        conn.receive_data(text(role, "a") + close(role))
        assert conn.has_pending
        heartbeat = Heartbeat(conn, START, ping_timeout=5)
        heartbeat.tick(START + 20)
        (event,) = heartbeat.tick(START + 25, is_reading=is_reading, is_stuck=True)
        assert isinstance(event, CloseConnection)
        assert event.code == 1011

    def test_tick_before_the_deadline_moves_it(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        pings_from(conn)
        assert heartbeat.tick(START + 39, is_reading=False) == []
        assert (heartbeat.deadline(), pings_from(conn)) == (START + 59, [])

    @both_roles
    def test_silence_counts_from_the_last_ping_on(self, role: Role) -> None:
        """Who reads again has to read for all of the ping timeout before the peer is given up."""
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_timeout=5)
        heartbeat.tick(START + 20)
        heartbeat.tick(START + 25, is_reading=False)
        assert pings_from(conn) != []
        assert heartbeat.tick(START + 29.9) == []
        assert heartbeat.deadline() == START + 30
        (event,) = heartbeat.tick(START + 30)
        assert isinstance(event, CloseConnection)
        assert event.code == 1011
        assert event.reason == "keepalive ping timeout: nothing came for 5 seconds after a ping"

    def test_pongs_that_are_read_at_last(self) -> None:
        """Latency is that of the last Ping, however many there were."""
        conn = connect(CLIENT)
        heartbeat = Heartbeat(conn, START, ping_timeout=5)
        heartbeat.tick(START + 20)
        heartbeat.tick(START + 25, is_reading=False)
        feed(conn, pong(CLIENT, b"heartbeat 1") + pong(CLIENT, b"heartbeat 2"))
        assert heartbeat.tick(START + 27, is_reading=False) == []
        assert heartbeat.latency == 2
        assert heartbeat.deadline() == START + 45

    def test_pong_of_an_earlier_ping(self) -> None:
        """Is life, but tells no latency."""
        conn = connect(CLIENT)
        heartbeat = Heartbeat(conn, START, ping_timeout=5)
        heartbeat.tick(START + 20)
        heartbeat.tick(START + 25, is_reading=False)
        feed(conn, pong(CLIENT, b"heartbeat 1"))
        assert heartbeat.tick(START + 27) == []
        assert heartbeat.latency is None
        assert heartbeat.deadline() == START + 45

    @pytest.mark.parametrize("ping_timeout", [5.0, None])
    def test_output_that_nobody_takes_does_not_grow(self, ping_timeout: float | None) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=5, ping_timeout=ping_timeout)
        for number in range(1, 100):
            assert heartbeat.deadline() == START + 5 * number
            assert heartbeat.tick(START + 5 * number, is_reading=False) == []
        assert len(pings_from(conn)) == 1

    @both_roles
    def test_other_deadlines_stay(self, role: Role) -> None:
        """A caller who doesn't read opens nothing, and closes nothing."""
        opening = Heartbeat(Connection(role), START)
        assert len(opening.tick(START + 10, is_reading=False)) == 1
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        conn.send(CloseConnection())
        heartbeat.tick(START + 1, is_reading=False)
        assert len(heartbeat.tick(START + 11, is_reading=False)) == 1
        assert conn.should_close


def test_pings_go_on_while_something_is_held_back() -> None:
    """What is in the connection was read, and may have the Pong behind it."""
    settings = Settings(extensions=(PerMessageDeflate(),))
    client, server = handshake(settings, settings)
    heartbeat = Heartbeat(server, START, ping_timeout=5)
    data = b"".join([client.send(BytesMessage(bytes(900_000))) for _ in range(2)])
    heartbeat.tick(START + 20)
    assert pings_from(server) == [b"heartbeat 1"]
    events: list[Event] = server.receive_data(data)
    assert server.has_pending
    heartbeat.tick(START + 21)
    for number, late in enumerate((26, 31, 36), 2):
        assert heartbeat.deadline() == START + late
        assert heartbeat.tick(START + late) == []
        assert pings_from(server) == [b"heartbeat %d" % number]
    while server.has_pending:
        events += server.receive_data(b"")
    assert len(events) == 2
    assert heartbeat.tick(START + 40) == []
    (end,) = heartbeat.tick(START + 41)
    assert isinstance(end, CloseConnection)
    assert end.code == 1011
