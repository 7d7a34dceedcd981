"""RFC 6455 sections 5.5.1 and 7, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import KEY, OTHER, RESPONSE, UPGRADE, both_roles, close, connect, feed, frame, frames_from, ping, text
from slow_codec import BINARY, CLOSE, FIN, PONG, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    ConnectionClosed,
    Heartbeat,
    LocalProtocolError,
    RejectConnection,
    Request,
    Role,
    State,
    TextMessage,
)

VIOLATION = 0x83  # an unknown opcode


def closes(role: Role, output: bytes) -> list[bytes]:
    """Give the payloads of the Close frames among what a connection of `role` sent."""
    return [payload for first, payload in frames_from(role, output) if first == FIN | CLOSE]


@both_roles
@pytest.mark.parametrize("size", [1, 2])
def test_5_5_1_body_begins_with_a_code(role: Role, size: int) -> None:
    """Section 5.5.1: if there is a body, its first two bytes MUST be a code."""
    connection = connect(role)
    (event,) = feed(connection, frame(role, FIN | CLOSE, b"\x03\xe8"[:size]))
    assert isinstance(event, CloseConnection)
    assert event.code == (1002 if size == 1 else 1000)


@both_roles
def test_5_5_1_code_in_network_byte_order(role: Role) -> None:
    """Section 5.5.1: the code is a 2-byte unsigned integer in network byte order, what follows is the reason."""
    assert closes(role, connect(role).send(CloseConnection(3001, "why"))) == [b"\x0b\xb9why"]
    with pytest.raises(LocalProtocolError, match="may not be sent with a reason"):
        connect(role).send(CloseConnection(1005, "a reason without a code"))
    assert feed(connect(role), close(role, 3001, b"why")) == [CloseConnection(3001, "why")]


@both_roles
@pytest.mark.parametrize(("kind", "late", "name"), [(TextMessage, "late", "text"), (BytesMessage, b"late", "binary")])
@pytest.mark.parametrize("begun", [False, True], ids=["another message", "the rest of a message"])
def test_5_5_1_no_data_after_our_close(role: Role, kind: Any, late: Any, name: str, begun: bool) -> None:
    """Section 5.5.1: the application MUST NOT send any more data frames after a Close."""
    connection = connect(role)
    if begun:
        connection.send(kind(late, message_finished=False))
    connection.send(CloseConnection(1000))
    for finished in (False, True):
        with pytest.raises(LocalProtocolError, match=f"{name} message after a close frame"):
            connection.send(kind(late, message_finished=finished))


@both_roles
@pytest.mark.parametrize("code", [1000, 3001, None], ids=["1000", "3001", "none"])
def test_5_5_1_close_is_answered(role: Role, code: int | None) -> None:
    """Section 5.5.1: on a Close an endpoint that sent none MUST send one in response, with the code that came."""
    connection = connect(role)
    feed(connection, close(role, code))
    answer = b"" if code is None else code.to_bytes(2, "big")
    assert closes(role, connection.data_to_send()) == [answer]
    waiting = connect(role, auto_reply=False)
    feed(waiting, close(role, code))
    assert waiting.data_to_send() == b""
    assert closes(role, waiting.send(CloseConnection(code or 1005))) == [answer]


@both_roles
@pytest.mark.parametrize("auto_reply", [True, False])
def test_5_5_1_answer_is_no_second_close(role: Role, auto_reply: bool) -> None:
    """Section 5.5.1: an endpoint that did send a Close answers none: there is one Close in each direction."""
    connection = connect(role, auto_reply=auto_reply)
    connection.send(CloseConnection(1000))
    feed(connection, close(role))
    assert (connection.data_to_send(), connection.state) == (b"", State.CLOSED)


@both_roles
@pytest.mark.parametrize("ours", [None, TextMessage, BytesMessage], ids=["none", "text", "bytes"])
@pytest.mark.parametrize("theirs", [None, TEXT, BINARY], ids=["none", "text", "bytes"])
def test_5_5_1_answer_as_soon_as_practical(role: Role, theirs: int | None, ours: Any) -> None:
    """Section 5.5.1: the answer SHOULD come as soon as practical: with the event, whatever message is unfinished."""
    connection = connect(role)
    if ours is not None:
        connection.send(ours("unfinished" if ours is TextMessage else b"unfinished", message_finished=False))
    if theirs is not None:
        connection.receive_data(frame(role, theirs, b"unfinished"))
    assert feed(connection, close(role)) == [CloseConnection(1000)]
    assert closes(role, connection.data_to_send()) == [b"\x03\xe8"]
    assert (connection.state, connection.close_info.sent) == (State.CLOSED, (1000, ""))


def test_5_5_1_client_masks_its_close() -> None:
    """Section 5.5.1: Close frames from client to server must be masked, answers among them."""
    client = connect(CLIENT, random_bytes=lambda size: KEY * (size // 4))
    feed(client, close(CLIENT))
    masked = close(SERVER)  # as a server gets it
    assert client.data_to_send() == masked
    client = connect(CLIENT, random_bytes=lambda size: KEY * (size // 4))
    assert client.send(CloseConnection(1000)) == masked


@both_roles
def test_5_5_1_tcp_is_closed_after_both(role: Role) -> None:
    """Section 5.5.1: after sending and receiving a Close an endpoint MUST close the TCP connection."""
    for ours_first in (True, False):
        connection = connect(role)
        if ours_first:
            connection.send(CloseConnection(1000))
        feed(connection, close(role))
        connection.receive_eof()
        assert (connection.state, connection.should_close) == (State.CLOSED, True)
    # The EOF may come with the Close, before this is taken.
    connection = connect(role)
    assert connection.receive_data(text(role, "a") + close(role)) == [TextMessage("a")]
    assert (connection.receive_eof(), connection.should_close) == ([CloseConnection(1000)], True)


@pytest.mark.parametrize("auto_reply", [True, False])
def test_5_5_1_server_closes_at_once(auto_reply: bool) -> None:
    """Sections 5.5.1 and 7.1.1: the server MUST close immediately: it shuts its side down first."""
    server, told = connect(SERVER, auto_reply=auto_reply), connect(SERVER)
    feed(server, close(SERVER))
    assert server.should_shutdown is auto_reply
    if not auto_reply:
        server.send(CloseConnection(1000))
    told.send(CloseConnection(1000))
    assert not told.should_shutdown
    feed(told, close(SERVER))
    assert (server.should_shutdown, told.should_shutdown) == (True, True)


def test_5_5_1_client_waits_for_the_server() -> None:
    """Sections 5.5.1 and 7.1.1: the client SHOULD wait for the server to close the TCP connection."""
    client = connect(CLIENT)
    feed(client, close(CLIENT))
    assert (client.should_shutdown, client.should_close) == (False, False)
    client.receive_eof()
    assert client.should_close
    waiting = connect(CLIENT)
    feed(waiting, close(CLIENT))
    heartbeat = Heartbeat(waiting, 0, close_timeout=10)
    for now, is_over in ((0, False), (9, False), (10, True)):
        heartbeat.tick(now)
        assert waiting.should_close is is_over
    late = connect(CLIENT)
    late.receive_data(text(CLIENT, "a") + close(CLIENT))
    assert (late.receive_eof(), late.should_close) == ([CloseConnection(1000)], True)


def test_7_1_1_trailing_bytes() -> None:
    """Section 7.1.1: an endpoint SHOULD close cleanly, and discard trailing bytes: it reads on up to the EOF."""
    server = connect(SERVER)
    feed(server, close(SERVER))
    assert (server.should_shutdown, server.should_close) == (True, False)
    assert server.receive_data(b"trailing") == []
    assert not server.should_close
    server.receive_eof()
    assert server.should_close


@both_roles
def test_7_1_2_start(role: Role) -> None:
    """Section 7.1.2: to start the closing handshake an endpoint MUST send a Close with the code and reason given."""
    connection = connect(role)
    output = connection.send(CloseConnection(1001, "going"))
    assert closes(role, output) == [b"\x03\xe9going"]
    assert (connection.state, connection.close_info.sent) == (State.LOCAL_CLOSING, (1001, "going"))


@both_roles
@pytest.mark.parametrize(("ours_first", "auto_reply"), [(True, True), (True, False), (False, True), (False, False)])
def test_7_1_2_end(role: Role, ours_first: bool, auto_reply: bool) -> None:
    """Section 7.1.2: once both Closes are through an endpoint SHOULD close the connection."""
    connection = connect(role, auto_reply=auto_reply)
    if ours_first:
        connection.send(CloseConnection(1000))
    feed(connection, close(role))
    if not ours_first and not auto_reply:
        assert (connection.state, connection.should_shutdown) == (State.REMOTE_CLOSING, False)
        connection.send(CloseConnection(1000))
    assert connection.state is State.CLOSED
    assert (connection.should_shutdown, connection.should_close) == (role is SERVER, False)
    connection.receive_eof()
    assert (connection.state, connection.should_shutdown, connection.should_close) == (State.CLOSED, True, True)
    if auto_reply:
        # The end of the stream is known before the Close is taken, as there was a message to answer first.
        held = connect(role)
        held.receive_data(text(role, "a") + close(role))
        assert held.receive_eof() == [CloseConnection(1000)]
        assert (held.state, held.should_shutdown, held.should_close) == (State.CLOSED, True, True)


@both_roles
def test_7_1_7_fail_closes(role: Role) -> None:
    """Section 7.1.7: to fail, an endpoint MUST close the connection: the server after the drain, the client at once."""
    connection = connect(role)
    feed(connection, frame(role, VIOLATION))
    assert (connection.state, connection.should_shutdown) == (State.CLOSED, True)
    assert connection.should_close is (role is CLIENT)
    connection.receive_eof()
    assert connection.should_close


@both_roles
def test_7_1_7_problem_for_the_log(role: Role) -> None:
    """Section 7.1.7: a server SHOULD log the problem: `cause` is the line for that, `error` the exception."""
    connection = connect(role)
    (event,) = feed(connection, frame(role, VIOLATION))
    assert isinstance(event, CloseConnection)
    assert str(event.error) == "opcode 0x3 is unknown"
    assert connection.close_info.cause == "closed 1002 by us: opcode 0x3 is unknown"


@both_roles
@pytest.mark.parametrize(
    ("first", "payload", "code"),
    [(VIOLATION, b"", 1002), (FIN | TEXT, b"\xff", 1007), (FIN | TEXT, b"a" * 11, 1009)],
    ids=["opcode", "text", "size"],
)
def test_7_1_7_close_with_a_code(role: Role, first: int, payload: bytes, code: int) -> None:
    """Section 7.1.7: an endpoint that is established SHOULD send a Close with an appropriate code when it fails."""
    connection = connect(role, max_message_size=10)
    feed(connection, frame(role, first, payload))
    (sent,) = closes(role, connection.data_to_send())
    assert int.from_bytes(sent[:2], "big") == code


@both_roles
@pytest.mark.parametrize("first", [FIN | TEXT, FIN | PONG, FIN | CLOSE])
def test_7_1_7_nothing_is_processed_after_failing(role: Role, first: int) -> None:
    """Section 7.1.7: an endpoint MUST NOT process data after it failed, not even a Close."""
    connection = connect(role)
    feed(connection, frame(role, VIOLATION))
    before = connection.close_info
    assert connection.receive_data(frame(role, first)) == []
    assert connection.receive_data(ping(role)) == []
    assert closes(role, connection.data_to_send()) == [b"\x03\xeaopcode 0x3 is unknown"]
    assert connection.close_info == before


@both_roles
def test_7_1_7_no_close_of_our_own(role: Role) -> None:
    """Sections 7.1.7, 7.2.1 and 7.3: clients SHOULD NOT close but as told here or by the application."""
    connection = connect(role)
    feed(connection, text(role, "a") + ping(role) + frame(role, FIN | PONG, b"unasked") + frame(role, FIN | TEXT))
    assert connection.receive_data(b"") == []
    assert (connection.state, connection.should_shutdown, connection.should_close) == (State.OPEN, False, False)
    assert closes(role, connection.data_to_send()) == []


@pytest.mark.parametrize(
    "response",
    [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"SSH-2.0-x\r\n", RESPONSE],
    ids=["no fields", "no HTTP", "another key"],
)
def test_7_2_1_client_fails_the_handshake(response: bytes) -> None:
    """Section 7.2.1: where the opening handshake asks for it the client MUST fail the connection."""
    client = Connection(CLIENT)
    client.send(Request("/", "localhost"))
    (event,) = client.receive_data(response)
    assert isinstance(event, CloseConnection)
    assert (event.code, event.error is None) == (1006, False)
    assert (client.state, client.should_close, client.data_to_send()) == (State.CLOSED, True, b"")


@both_roles
def test_7_2_1_lost_transport(role: Role) -> None:
    """Section 7.2.1: if the transport is lost the client MUST fail the connection; nothing can be sent any more."""
    connection = connect(role)
    (event,) = connection.receive_eof()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.error is None) == (1006, False)
    assert (connection.state, connection.should_close, connection.data_to_send()) == (State.CLOSED, True, b"")
    with pytest.raises(ConnectionClosed):
        connection.send(TextMessage("late"))


@pytest.mark.parametrize("received", [None, b"", RESPONSE[:40]], ids=["not asked", "no response", "part of it"])
def test_7_2_1_transport_lost_in_the_handshake(received: bytes | None) -> None:
    """Section 7.2.1: if the transport is lost the client MUST fail the connection, in the handshake as well."""
    client = Connection(CLIENT)
    if received is not None:
        client.send(Request("/", "localhost"))
        assert client.receive_data(received) == []
    (event,) = client.receive_eof()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.error is None) == (1006, False)
    assert (client.state, client.should_close, client.data_to_send()) == (State.CLOSED, True, b"")


@both_roles
@pytest.mark.parametrize("code", [1005, 1006, 1015])
def test_7_4_1_codes_that_are_never_received(role: Role, code: int) -> None:
    """Section 7.4.1: 1005, 1006 and 1015 MUST NOT be in a Close frame: the peer that sends one breaks a rule."""
    connection = connect(role)
    (event,) = feed(connection, close(role, code))
    assert isinstance(event, CloseConnection)
    assert (event.code, str(event.error)) == (1002, f"close frame has code {code}, which may not be sent")


@both_roles
@pytest.mark.parametrize(("code", "reason"), [(1005, "why"), (1006, ""), (1015, "")], ids=["1005", "1006", "1015"])
def test_7_4_1_codes_that_are_never_sent(role: Role, code: int, reason: str) -> None:
    """Section 7.4.1: 1005, 1006 and 1015 MUST NOT be set in a Close frame; 1005 means an empty one here."""
    connection = connect(role)
    with pytest.raises(LocalProtocolError, match=str(code)):
        connection.send(CloseConnection(code, reason))
    assert closes(role, connection.send(CloseConnection(1005))) == [b""]


def test_7_4_1_missing_extension() -> None:
    """Section 7.4.1: the extensions that are needed SHOULD be in the reason of a 1010, which a client may give."""
    sent = closes(CLIENT, connect(CLIENT).send(CloseConnection(1010, "permessage-deflate")))
    assert sent == [b"\x03\xf2permessage-deflate"]


def test_7_2_2_server_aborts_the_handshake() -> None:
    """Section 7.2.2: to abort during the handshake the server MUST simply close the connection."""
    server = Connection(SERVER)
    server.receive_data(UPGRADE)
    assert server.send(RejectConnection(403)).startswith(b"HTTP/1.1 403 ")
    assert (server.state, server.should_shutdown, server.data_to_send()) == (State.CLOSED, True, b"")


@both_roles
def test_both_close_frames_are_understood_by_the_other_end(role: Role) -> None:
    """The whole of section 7 at once: what one end sends, the other answers, and both end in good order."""
    one, other = connect(role), connect(OTHER[role])
    assert feed(other, one.send(CloseConnection(1000, "bye"))) == [CloseConnection(1000, "bye")]
    assert feed(one, other.data_to_send()) == [CloseConnection(1000)]
    assert (one.close_info.initiator, other.close_info.initiator) == (role, role)
