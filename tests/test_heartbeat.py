"""Heartbeat while a connection opens and is open, on a clock that only the tests move."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers import (
    UPGRADE,
    both_roles,
    connect,
    feed,
    frames_from,
    ping,
    pong,
    text,
)
from slow_codec import CLOSE, FIN, PING

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    LocalProtocolError,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Role,
    State,
)
from wsproto_lite.heartbeat import Heartbeat

START = 1000.0


def ping_from(conn: Connection) -> bytes:
    """Take the output, which is one Ping; return its payload."""
    ((first, payload),) = frames_from(conn.role, conn.data_to_send())
    assert first == FIN | PING
    return payload


class TestOpening:
    """Design: the open deadline is absolute; when it passes the last event is 1006 with an error."""

    @both_roles
    def test_deadline_is_the_construction_plus_the_timeout(self, role: Role) -> None:
        assert Heartbeat(Connection(role), START).deadline() == START + 10

    @both_roles
    def test_late_opening_fails(self, role: Role) -> None:
        conn = Connection(role)
        heartbeat = Heartbeat(conn, START, open_timeout=5)
        assert heartbeat.tick(START + 4.9) == []
        error = RemoteProtocolError("the opening handshake took too long", 1006)
        assert heartbeat.tick(START + 5) == [CloseConnection(1006, str(error), error)]
        assert (conn.state, conn.should_shutdown, conn.should_close) == (State.CLOSED, True, True)
        assert conn.close_info == CloseInfo(cause="closed 1006: the opening handshake took too long")
        assert conn.data_to_send() == b""
        assert heartbeat.deadline() is None
        assert heartbeat.tick(START + 100) == []

    def test_server_that_never_gets_a_request(self) -> None:
        """An idle transport is given up, and so is one that dribbles a head: bytes don't move this deadline."""
        conn = Connection(SERVER)
        heartbeat = Heartbeat(conn, START)
        for second in range(1, 10):
            assert conn.receive_data(UPGRADE[second - 1 : second]) == []
            assert heartbeat.tick(START + second) == []
            assert heartbeat.deadline() == START + 10
        (event,) = heartbeat.tick(START + 10)
        assert isinstance(event, CloseConnection)
        assert event.code == 1006
        assert conn.receive_data(UPGRADE) == []

    def test_server_that_never_answers_the_request(self) -> None:
        conn = Connection(SERVER)
        heartbeat = Heartbeat(conn, START)
        (request,) = conn.receive_data(UPGRADE)
        assert isinstance(request, Request)
        assert heartbeat.deadline() == START + 10
        assert len(heartbeat.tick(START + 10)) == 1
        with pytest.raises(LocalProtocolError):
            conn.send(AcceptConnection())

    def test_client_that_is_never_answered(self) -> None:
        conn = Connection(CLIENT)
        conn.send(Request("/", "localhost"))
        heartbeat = Heartbeat(conn, START)
        assert conn.receive_data(b"HTTP/1.1 101") == []
        assert len(heartbeat.tick(START + 10)) == 1
        assert conn.should_close

    def test_opening_in_time(self) -> None:
        """From then on it is the Pings that count, from the last time known before."""
        conn = Connection(SERVER)
        heartbeat = Heartbeat(conn, START)
        conn.receive_data(UPGRADE)
        heartbeat.tick(START + 2)
        conn.send(AcceptConnection())
        assert heartbeat.deadline() == START + 22
        assert heartbeat.tick(START + 9) == []
        assert heartbeat.deadline() == START + 22

    @both_roles
    def test_none_waits_for_ever(self, role: Role) -> None:
        conn = Connection(role)
        heartbeat = Heartbeat(conn, START, open_timeout=None)
        assert heartbeat.deadline() is None
        assert heartbeat.tick(START + 1e9) == []
        assert conn.state is State.CONNECTING

    def test_refusal_is_a_closing(self) -> None:
        """A server that refused waits for the client's EOF as after a Close."""
        conn = Connection(SERVER)
        heartbeat = Heartbeat(conn, START)
        conn.receive_data(UPGRADE)
        conn.send(RejectConnection(403))
        assert heartbeat.tick(START + 1) == []
        assert heartbeat.deadline() == START + 11
        assert heartbeat.tick(START + 11) == []
        assert conn.should_close


class TestPings:
    """Design: a Ping every ping_interval, while the connection is open."""

    @both_roles
    def test_ping_after_the_interval(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_interval=7)
        assert heartbeat.deadline() == START + 7
        assert heartbeat.tick(START + 6.9) == []
        assert conn.data_to_send() == b""
        assert heartbeat.tick(START + 7) == []
        assert ping_from(conn) == b"heartbeat 1"

    @both_roles
    def test_answered_pings_follow_each_other(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        payloads = []
        for number in range(1, 4):
            heartbeat.tick(START + 20 * number)
            payloads.append(ping_from(conn))
            feed(conn, pong(role, payloads[-1]))
            assert heartbeat.deadline() == START + 20 * number + 20
        assert payloads == [b"heartbeat 1", b"heartbeat 2", b"heartbeat 3"]

    def test_traffic_does_not_replace_pings(self) -> None:
        """They also keep middleboxes from forgetting the connection, and measure latency."""
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        feed(conn, text(SERVER, "busy"))
        heartbeat.tick(START + 19)
        heartbeat.tick(START + 20)
        assert ping_from(conn) == b"heartbeat 1"

    def test_no_second_ping_while_one_is_unanswered(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=5, ping_timeout=60)
        heartbeat.tick(START + 5)
        assert ping_from(conn)
        assert heartbeat.deadline() == START + 65
        assert heartbeat.tick(START + 10) == []
        assert conn.data_to_send() == b""

    def test_late_pong_is_followed_by_the_ping_that_is_overdue(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=5, ping_timeout=60)
        heartbeat.tick(START + 5)
        feed(conn, pong(SERVER, ping_from(conn)))
        assert heartbeat.deadline() == START + 10
        heartbeat.tick(START + 12)
        assert ping_from(conn) == b"heartbeat 2"
        assert heartbeat.latency == 7

    def test_without_interval_no_pings(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=None)
        assert heartbeat.deadline() is None
        assert heartbeat.tick(START + 1e9) == []
        assert conn.data_to_send() == b""

    def test_output_that_nobody_takes_does_not_grow(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START, ping_interval=1, ping_timeout=None)
        for second in range(1, 100):
            heartbeat.tick(START + second)
        assert ping_from(conn) == b"heartbeat 1"
        assert conn.output_size == 0

    @both_roles
    def test_ping_goes_out_with_the_pongs_that_are_owed(self, role: Role) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START)
        feed(conn, ping(role, b"mine"))
        heartbeat.tick(START + 20)
        size = conn.output_size
        output = conn.data_to_send()
        assert size == len(output)
        assert sorted(payload for _, payload in frames_from(role, output)) == [b"heartbeat 1", b"mine"]

    @both_roles
    def test_close_goes_after_a_ping_that_waits(self, role: Role) -> None:
        """Section 5.5.1: nothing but Pongs may follow a Close."""
        conn = connect(role)
        Heartbeat(conn, START).tick(START + 20)
        firsts = [first for first, _ in frames_from(role, conn.send(CloseConnection()))]
        assert firsts == [FIN | PING, FIN | CLOSE]

    def test_ping_inside_a_message_of_ours(self) -> None:
        """Section 5.4: control frames may come in the middle of a fragmented message."""
        conn = connect(CLIENT)
        server = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        output = conn.send(BytesMessage(b"first", message_finished=False))
        heartbeat.tick(START + 20)
        output += conn.data_to_send() + conn.send(BytesMessage(b"last"))
        assert len(feed(server, output)) == 2


class TestLatency:
    """`latency`: seconds of the last completed Ping and Pong."""

    def test_none_before_the_first(self) -> None:
        assert Heartbeat(connect(SERVER), START).latency is None

    @both_roles
    @pytest.mark.parametrize("ping_timeout", [20.0, None])
    def test_from_ping_to_the_tick_that_sees_the_pong(self, role: Role, ping_timeout: float | None) -> None:
        conn = connect(role)
        heartbeat = Heartbeat(conn, START, ping_timeout=ping_timeout)
        heartbeat.tick(START + 20)
        feed(conn, pong(role, ping_from(conn)))
        assert heartbeat.latency is None
        heartbeat.tick(START + 20.25)
        assert heartbeat.latency == 0.25
        heartbeat.tick(START + 30)
        assert heartbeat.latency == 0.25

    def test_it_is_the_last(self) -> None:
        conn = connect(CLIENT)
        heartbeat = Heartbeat(conn, START)
        for number, latency in enumerate((0.5, 0.125), 1):
            heartbeat.tick(START + 20 * number)
            feed(conn, pong(CLIENT, ping_from(conn)))
            heartbeat.tick(START + 20 * number + latency)
        assert heartbeat.latency == 0.125

    def test_of_another_pong_tells_nothing(self) -> None:
        conn = connect(SERVER)
        heartbeat = Heartbeat(conn, START)
        heartbeat.tick(START + 20)
        feed(conn, pong(SERVER, b"unasked"))
        heartbeat.tick(START + 21)
        assert heartbeat.latency is None


TIMEOUTS = ("open_timeout", "ping_interval", "ping_timeout", "close_timeout")


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, pytest.param(10**400, id="huge"), True, "10", b"1"])
def test_timeouts_are_positive(name: str, value: object) -> None:
    """Nought would be a busy loop, not a way to switch off."""
    with pytest.raises(LocalProtocolError, match=f"{name} is .*; it is a positive number of seconds or None"):
        Heartbeat(connect(SERVER), START, **{name: value})


HUGE = pytest.param(10**400, id="huge")


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, HUGE, None, True, "10", b"1"], ids=repr)
def test_time_is_a_number(now: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"now is .*; it is a number of seconds"):
        Heartbeat(connect(SERVER), now)
    heartbeat = Heartbeat(connect(SERVER), START)
    before = heartbeat.deadline()
    with pytest.raises(LocalProtocolError, match=r"now is .*; it is a number of seconds"):
        heartbeat.tick(now)
    assert heartbeat.deadline() == before
