"""The connection closes: every way to the end, and who may still send what."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from helpers import (
    OTHER,
    both_roles,
    close,
    connect,
    feed,
    frame,
    frames_from,
    handshake,
    text,
)
from slow_codec import CLOSE, FIN, PONG

from wsproto_lite import (
    CLIENT,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    ConnectionClosed,
    EncodedTextMessage,
    LocalProtocolError,
    Ping,
    Pong,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.extensions import PerMessageDeflate

CONNECTING, OPEN, CLOSED = State.CONNECTING, State.OPEN, State.CLOSED


LOCAL_CLOSING, REMOTE_CLOSING = State.LOCAL_CLOSING, State.REMOTE_CLOSING


class Point(NamedTuple):
    """Where a connection stands: what the caller of the library acts upon."""

    state: State
    should_shutdown: bool
    should_close: bool
    sent: tuple[int, str] | None
    received: tuple[int, str] | None
    initiator: Role | None
    cause: str
    output: list[tuple[int, bytes]]


def point_of(conn: Connection) -> Point:
    """Take the output, too."""
    output = frames_from(conn.role, conn.data_to_send())
    return Point(conn.state, conn.should_shutdown, conn.should_close, *conn.close_info, output)


def we_close(conn: Connection) -> None:
    ((first, payload),) = frames_from(conn.role, conn.send(CloseConnection(1001, "so long")))
    assert (first, payload) == (FIN | CLOSE, b"\x03\xe9so long")


def peer_closes(conn: Connection) -> None:
    feed(conn, close(conn.role, 4000, b"bye"))


def peer_closes_without_code(conn: Connection) -> None:
    feed(conn, close(conn.role, None))


def peer_breaks_a_rule(conn: Connection) -> None:
    feed(conn, frame(conn.role, FIN | 3))


def ends(conn: Connection) -> None:
    conn.receive_eof()


def gives_up(conn: Connection) -> None:
    conn.fail(RemoteProtocolError("not in time", 1006))


def fails(conn: Connection) -> None:
    conn.fail(RemoteProtocolError("no sign of life", 1011))


OURS, PEERS, EMPTY = (1001, "so long"), (4000, "bye"), (1005, "")


UNKNOWN = "opcode 0x3 is unknown"


LOST = "closed 1006: the transport ended without a close frame"


ME, PEER = "me", "peer"


ECHO = [(FIN | CLOSE, b"\x0f\xa0")]


CLOSE_1002 = [(FIN | CLOSE, b"\x03\xea" + UNKNOWN.encode())]


CLOSE_1011 = [(FIN | CLOSE, b"\x03\xf3no sign of life")]


BY_US, BY_PEER = "closed 1001 by us: so long", "closed 4000 by the peer: bye"


FAILED = f"closed 1002 by us: {UNKNOWN}"


FAILED_LATER = f"failed 1002 after our close 1001: {UNKNOWN}"


GIVEN_UP = "closed 1006: not in time"


# For what happens in turn: the state, then for server and client should_shutdown and should_close, then close_info
# and what the connection sends by itself. Section 7.1.1: a server half-closes first, a client waits for that.
SHUT = ((True, False), (False, False))  # server: nothing more to send; client: waits


SHUT_OR_FAILED = ((True, False), (True, True))  # a client that failed closes at once


WAITS = ((False, False), (False, False))


GONE = ((True, True), (True, True))


ONLY_CLOSE = ((False, True), (False, True))


CLOSING: dict[str, tuple[list[Any], Any]] = {
    "we close": ([we_close], (LOCAL_CLOSING, WAITS, OURS, None, ME, BY_US, [])),
    "we close, peer answers": ([we_close, peer_closes], (CLOSED, SHUT, OURS, PEERS, ME, BY_US, [])),
    "we close, peer answers, end": ([we_close, peer_closes, ends], (CLOSED, GONE, OURS, PEERS, ME, BY_US, [])),
    "we close, end": ([we_close, ends], (CLOSED, GONE, OURS, None, ME, LOST, [])),
    "we close, violation": ([we_close, peer_breaks_a_rule], (CLOSED, SHUT_OR_FAILED, OURS, None, ME, FAILED_LATER, [])),
    "we close, give up": ([we_close, gives_up], (CLOSED, GONE, OURS, None, ME, GIVEN_UP, [])),
    "peer closes": ([peer_closes], (CLOSED, SHUT, (4000, ""), PEERS, PEER, BY_PEER, ECHO)),
    "peer closes without a code": (
        [peer_closes_without_code],
        (CLOSED, SHUT, EMPTY, EMPTY, PEER, "closed 1005 by the peer", [(FIN | CLOSE, b"")]),
    ),
    "peer closes, end": ([peer_closes, ends], (CLOSED, GONE, (4000, ""), PEERS, PEER, BY_PEER, ECHO)),
    "peer closes, give up": ([peer_closes, gives_up], (CLOSED, GONE, (4000, ""), PEERS, PEER, BY_PEER, ECHO)),
    "violation": ([peer_breaks_a_rule], (CLOSED, SHUT_OR_FAILED, (1002, UNKNOWN), None, ME, FAILED, CLOSE_1002)),
    "violation, end": ([peer_breaks_a_rule, ends], (CLOSED, GONE, (1002, UNKNOWN), None, ME, FAILED, CLOSE_1002)),
    "end": ([ends], (CLOSED, GONE, None, None, None, LOST, [])),
    "end, end": ([ends, ends], (CLOSED, GONE, None, None, None, LOST, [])),
    "give up": ([gives_up], (CLOSED, GONE, None, None, None, GIVEN_UP, [])),
    "fail": (
        [fails],
        (CLOSED, SHUT_OR_FAILED, (1011, "no sign of life"), None, ME, "closed 1011 by us: no sign of life", CLOSE_1011),
    ),
}


# With auto_reply off: should_shutdown waits for the caller's one Close.
CLOSING_BY_HAND: dict[str, tuple[list[Any], Any]] = {
    "we close": CLOSING["we close"],
    "we close, peer answers": CLOSING["we close, peer answers"],
    "we close, violation": CLOSING["we close, violation"],
    "end": CLOSING["end"],
    "give up": CLOSING["give up"],
    "peer closes": ([peer_closes], (REMOTE_CLOSING, WAITS, None, PEERS, PEER, BY_PEER, [])),
    "peer closes, we answer": ([peer_closes, we_close], (CLOSED, SHUT, OURS, PEERS, PEER, BY_PEER, [])),
    "peer closes, end": ([peer_closes, ends], (REMOTE_CLOSING, ONLY_CLOSE, None, PEERS, PEER, BY_PEER, [])),
    "peer closes, end, we answer": ([peer_closes, ends, we_close], (CLOSED, GONE, OURS, PEERS, PEER, BY_PEER, [])),
    "peer closes, give up": ([peer_closes, gives_up], (CLOSED, GONE, None, PEERS, PEER, BY_PEER, [])),
    "violation": ([peer_breaks_a_rule], (REMOTE_CLOSING, WAITS, None, None, ME, FAILED, [])),
    "violation, we close": (
        [peer_breaks_a_rule, we_close],
        (CLOSED, SHUT_OR_FAILED, OURS, None, ME, FAILED, []),
    ),
}


class TestClosing:
    """Section 7: every way to the end, for both roles, with and without automatic replies."""

    @both_roles
    @pytest.mark.parametrize(("steps", "point"), CLOSING.values(), ids=CLOSING)
    def test_with_automatic_replies(self, steps: list[Any], point: Any, role: Role) -> None:
        self.check(connect(role), steps, point)

    @both_roles
    @pytest.mark.parametrize(("steps", "point"), CLOSING_BY_HAND.values(), ids=CLOSING_BY_HAND)
    def test_without_automatic_replies(self, steps: list[Any], point: Any, role: Role) -> None:
        self.check(connect(role, auto_reply=False), steps, point)

    def check(self, conn: Connection, steps: list[Any], point: Any) -> None:
        for step in steps:
            step(conn)
        state, flags, sent, received, initiator, cause, output = point
        roles = {ME: conn.role, PEER: OTHER[conn.role], None: None}
        should = flags[conn.role is CLIENT]
        assert point_of(conn) == Point(state, *should, sent, received, roles[initiator], cause, output)

    @both_roles
    def test_data_after_our_close_is_delivered(self, role: Role) -> None:
        """Section 5.5.1: the peer may go on until it sends its Close."""
        conn = connect(role)
        we_close(conn)
        assert feed(conn, text(role, "one more")) == [TextMessage("one more")]
        assert conn.state is LOCAL_CLOSING

    @both_roles
    def test_both_close_at_once(self, role: Role) -> None:
        conn = connect(role)
        conn.receive_data(text(role, "x") + close(role, 1000))
        we_close(conn)
        assert conn.receive_data(b"") == [CloseConnection(1000)]
        assert conn.close_info == CloseInfo(OURS, (1000, ""), role, BY_US)
        assert conn.data_to_send() == b""

    @both_roles
    def test_long_words_are_cut_to_fit_a_close(self, role: Role) -> None:
        """Our own words, at a code point: 123 bytes."""
        conn = connect(role)
        conn.fail(RemoteProtocolError("ä" * 100, 1011))
        assert frames_from(role, conn.data_to_send()) == [(FIN | CLOSE, b"\x03\xf3" + "ä".encode() * 61)]

    @both_roles
    @pytest.mark.parametrize("auto_reply", [True, False], ids=["replies", "by hand"])
    def test_log_lines_are_printable(self, role: Role, auto_reply: bool) -> None:
        """A peer can't forge a line of the log, nor speak to a terminal. What it said is in `received` as it came."""
        conn = connect(role, auto_reply=auto_reply)
        reason = "bye\n12:00 root logged in\r\x1b[31m\x00\x9b\u2028\u202e ok \u20ac"
        assert feed(conn, close(role, 1000, reason.encode())) == [CloseConnection(1000, reason)]
        cause = r"closed 1000 by the peer: bye\n12:00 root logged in\r\x1b[31m\x00\x9b\u2028\u202e ok " + "\u20ac"
        assert (conn.close_info.received, conn.close_info.cause) == ((1000, reason), cause)
        with pytest.raises(ConnectionClosed) as raised:
            conn.send(TextMessage(""))
        assert str(raised.value).isprintable()

    @both_roles
    def test_our_own_words_are_printable_too(self, role: Role) -> None:
        conn = connect(role)
        conn.send(CloseConnection(1001, "a\nb\\c"))
        assert conn.close_info.cause == r"closed 1001 by us: a\nb\c"

    @both_roles
    def test_failure_during_the_handshake_sends_nothing(self, role: Role) -> None:
        conn = Connection(role)
        (event,) = conn.fail(RemoteProtocolError("no more patience", 1008))
        assert isinstance(event, CloseConnection)
        assert (event.code, conn.state, conn.data_to_send()) == (1008, CLOSED, b"")

    @both_roles
    def test_end_of_a_transport_that_nobody_used(self, role: Role) -> None:
        conn = Connection(role)
        (event,) = conn.receive_eof()
        assert isinstance(event, CloseConnection)
        assert (event.code, conn.should_shutdown, conn.should_close) == (1006, True, True)

    def test_end_in_the_middle_of_inflated_data(self) -> None:
        """What came before the end is delivered first."""
        settings = Settings(extensions=(PerMessageDeflate(),))
        client, server = handshake(settings, settings)
        data = b"".join(client.send(BytesMessage(bytes(1 << 20))) for _ in range(3))
        assert len(server.receive_data(data)) == 1
        assert [len(event.data) for event in server.receive_eof()] == [1 << 20]
        assert server.has_pending
        assert [len(event.data) for event in server.receive_data(b"")] == [1 << 20]
        assert [event.code for event in server.receive_data(b"")] == [1006]
        assert not server.has_pending


class TestSendWhileClosing:
    """What may be sent in which state: a mistake is LocalProtocolError, coming too late ConnectionClosed."""

    @pytest.mark.parametrize("auto_reply", [True, False], ids=["replies", "by hand"])
    @both_roles
    def test_after_our_close(self, role: Role, auto_reply: bool) -> None:
        """Sections 5.5.1 and 5.5.3: no data frames any more, and a Pong for a Ping that came."""
        conn = connect(role, auto_reply=auto_reply)
        we_close(conn)
        for event in (TextMessage(""), BytesMessage(b""), EncodedTextMessage(b""), Ping(), CloseConnection()):
            with pytest.raises(LocalProtocolError, match="after a close frame") as raised:
                conn.send(event)
            assert type(raised.value) is LocalProtocolError
        assert frames_from(role, conn.send(Pong(b"!"))) == [(FIN | PONG, b"!")]

    @both_roles
    def test_after_the_peers_close(self, role: Role) -> None:
        """One Close, nothing else."""
        conn = connect(role, auto_reply=False)
        peer_closes(conn)
        for event in (TextMessage(""), BytesMessage(b""), Ping(), Pong(), Request(), AcceptConnection()):
            with pytest.raises(ConnectionClosed, match="closed 4000 by the peer"):
                conn.send(event)
        with pytest.raises(LocalProtocolError, match="close code 999"):
            conn.send(CloseConnection(999))
        conn.send(CloseConnection())
        with pytest.raises(ConnectionClosed):
            conn.send(CloseConnection())

    @both_roles
    def test_answer_to_the_peers_close_in_parts(self, role: Role) -> None:
        conn = connect(role, auto_reply=False)
        peer_closes(conn)
        assert frames_from(role, b"".join(conn.send_buffers(CloseConnection(1001)))) == [(FIN | CLOSE, b"\x03\xe9")]
        assert conn.state is CLOSED

    @both_roles
    @pytest.mark.parametrize("end", [peer_closes, peer_breaks_a_rule, ends, gives_up])
    def test_after_the_end(self, role: Role, end: Any) -> None:
        conn = connect(role)
        end(conn)
        for event in (TextMessage(""), Pong(), CloseConnection(), RejectConnection(), Request()):
            with pytest.raises(ConnectionClosed) as raised:
                conn.send(event)
            assert raised.value.close_info is conn.close_info
            with pytest.raises(ConnectionClosed):
                conn.send_buffers(event)
