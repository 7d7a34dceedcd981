"""The rules that hold always: 4, one last event; 6, which comes alone; 7, and no life after it."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    OTHER,
    RESPONSE,
    UPGRADE,
    both_roles,
    close,
    connect,
    cut,
    feed,
    frame,
    frames_from,
    header,
    is_last,
    ping,
    rfc_nonce,
    text,
)
from hypothesis import given
from memory import kept_memory
from slow_codec import BINARY, CLOSE, FIN, PING, PONG, TEXT
from streams import positions, role_and_stream, settings

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    Ping,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)

ENDS = {
    "close": (lambda role: close(role, 1001, b"bye"), 1001, False),
    "empty close": (lambda role: close(role, None), 1005, False),
    "application's close": (lambda role: close(role, 4999), 4999, False),
    "reserved bit": (lambda role: frame(role, 0xC1), 1002, True),
    "unknown opcode": (lambda role: frame(role, FIN | 3), 1002, True),
    "fragmented ping": (lambda role: frame(role, PING), 1002, True),
    "wrong mask direction": (lambda role: text(OTHER[role], "x"), 1002, True),
    "invalid close code": (lambda role: close(role, 1005), 1002, True),
    "invalid text": (lambda role: frame(role, FIN | TEXT, b"\xff"), 1007, True),
    "invalid close reason": (lambda role: close(role, 1000, b"\xff"), 1007, True),
    "large message": (lambda role: header(role, FIN | BINARY, (1 << 20) + 1), 1009, True),
}


class TestRule4OneLastEvent:
    """Every stream of events ends with exactly one last event, CloseConnection or RejectConnection; nothing follows.

    The code is the peer's if its Close arrived validly, 1005 if that was empty; on a violation the RFC's; 1006 if the
    transport ended first. `error` is None only for a proper close.
    """

    @given(role_and_stream, settings, positions)
    def test_random_stream(self, role_and_stream: tuple[Role, bytes], settings: Settings, positions: list[int]) -> None:
        role, data = role_and_stream
        connection = Connection.established(role, settings)
        events = feed(connection, *cut(data, *positions))
        events += connection.receive_eof()
        assert [is_last(event) for event in events] == [False] * (len(events) - 1) + [True]
        assert connection.receive_data(text(role, "more")) == []
        assert connection.receive_eof() == []
        assert not connection.has_pending

    @both_roles
    @pytest.mark.parametrize(("ending", "code", "is_fault"), ENDS.values(), ids=ENDS)
    def test_code(self, ending: Any, code: int, is_fault: bool, role: Role) -> None:
        (event,) = feed(connect(role), ending(role))
        assert isinstance(event, CloseConnection)
        assert (event.code, event.error is not None) == (code, is_fault)
        if event.error is not None:
            assert event.error.code == code

    @both_roles
    def test_end_of_the_transport(self, role: Role) -> None:
        error = RemoteProtocolError("the transport ended without a close frame", 1006)
        assert connect(role).receive_eof() == [CloseConnection(1006, str(error), error)]

    @both_roles
    def test_end_of_the_transport_during_the_handshake(self, role: Role) -> None:
        connection = Connection(role)
        if role is CLIENT:
            connection.send(Request("/", "localhost"))
        error = RemoteProtocolError("the transport ended during the handshake", 1006)
        assert connection.receive_eof() == [CloseConnection(1006, str(error), error)]

    def test_server_that_refuses_by_itself(self) -> None:
        server = Connection(SERVER)
        (event,) = feed(server, UPGRADE.replace(b"Version: 13", b"Version: 12"))
        assert isinstance(event, RejectConnection)
        assert event.status_code == 426
        assert event.error is not None
        assert server.data_to_send().startswith(b"HTTP/1.1 426 ")
        assert server.receive_eof() == []

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            (b"s3pP", b"S3pP", 1002),
            (b"Upgrade: websocket", b"Upgrade: h2c", 1002),
            (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x-unasked\r\n\r\n", 1010),
            (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: unasked\r\n\r\n", 1002),
        ],
        ids=["wrong key", "wrong upgrade", "extension not offered", "subprotocol not offered"],
    )
    def test_client_given_an_invalid_101(self, old: bytes, new: bytes, code: int) -> None:
        """It reports 1006 with an error, and sends nothing."""
        client = Connection(CLIENT, Settings(random_bytes=rfc_nonce))
        client.send(Request("/chat", "server.example.com"))
        (event,) = feed(client, RESPONSE.replace(old, new))
        assert isinstance(event, CloseConnection)
        assert event.error is not None
        assert (event.code, event.error.code) == (1006, code)
        assert (client.data_to_send(), client.should_close) == (b"", True)

    def test_refusal_that_we_send(self) -> None:
        """send(RejectConnection) ends the stream with no further event."""
        server = Connection(SERVER)
        feed(server, UPGRADE)
        assert server.send(RejectConnection(403)).startswith(b"HTTP/1.1 403 ")
        assert (server.state, server.should_shutdown) == (State.CLOSED, True)
        assert feed(server, text(SERVER, "x")) == server.receive_eof() == []


class TestRule6LastEventAlone:
    """The last event comes alone; what came before it in its chunk is delivered first, with the connection open."""

    @both_roles
    @pytest.mark.parametrize(("ending", "code", "is_fault"), ENDS.values(), ids=ENDS)
    def test_good_message_before_the_end(self, ending: Any, code: int, is_fault: bool, role: Role) -> None:
        """Strict Autobahn asks for it: the answer to the message goes out before our Close."""
        connection = connect(role)
        events = connection.receive_data(text(role, "Hello") + ping(role) + ending(role))
        assert events == [TextMessage("Hello"), Ping()]
        assert (connection.state, connection.has_pending) == (State.OPEN, True)
        output = connection.send(TextMessage("Hello back"))
        (last,) = connection.receive_data(b"")
        output += connection.data_to_send()
        assert isinstance(last, CloseConnection)
        assert (last.code, last.error is not None) == (code, is_fault)
        assert connection.has_pending is False
        assert [first for first, _ in frames_from(role, output)] == [FIN | PONG, FIN | TEXT, FIN | CLOSE]

    @both_roles
    @pytest.mark.parametrize(("ending", "code", "is_fault"), ENDS.values(), ids=ENDS)
    def test_end_held_back_on_request(self, ending: Any, code: int, is_fault: bool, role: Role) -> None:
        """With hold_end the end comes for a call of its own, so that messages of earlier calls can be answered."""
        connection = connect(role)
        assert connection.receive_data(ending(role), hold_end=True) == []
        assert (connection.state, connection.has_pending, connection.is_ending) == (State.OPEN, True, True)
        assert connection.receive_data(text(role, "discarded"), hold_end=True) == []
        assert connection.send(TextMessage("late answer")) != b""
        (last,) = connection.receive_data(b"")
        assert isinstance(last, CloseConnection)
        assert (last.code, last.error is not None) == (code, is_fault)
        assert (connection.has_pending, connection.is_ending) == (False, False)

    def test_end_of_the_stream_held_back_on_request(self) -> None:
        """The same where it is the transport that has ended, behind a message that came early."""
        client, connection = Connection(CLIENT), Connection(SERVER)
        connection.receive_data(client.send(Request("/", "example.com")) + text(SERVER, "early"))
        connection.send(AcceptConnection())
        assert connection.receive_eof() == [TextMessage("early")]
        assert connection.receive_data(b"", hold_end=True) == []
        assert (connection.has_pending, connection.is_ending) == (True, True)
        (last,) = connection.receive_data(b"")
        assert isinstance(last, CloseConnection)
        assert (last.code, connection.has_pending, connection.is_ending) == (1006, False, False)

    @both_roles
    def test_what_is_no_end_is_not_held_back(self, role: Role) -> None:
        connection = connect(role)
        assert not connection.is_ending
        assert connection.receive_data(text(role, "Hello"), hold_end=True) == [TextMessage("Hello")]
        assert (connection.has_pending, connection.is_ending) == (False, False)

    @given(role_and_stream, settings, positions)
    def test_random_stream(self, role_and_stream: tuple[Role, bytes], settings: Settings, positions: list[int]) -> None:
        """While an event other than the last is handled, the state is the one in which it was sent."""
        role, data = role_and_stream
        connection = Connection.established(role, settings)
        for chunk in [*cut(data, *positions), b"", b""]:
            events = connection.receive_data(chunk)
            if any(is_last(event) for event in events):
                assert len(events) == 1
                assert connection.state is not State.OPEN
            else:
                assert connection.state is State.OPEN or not events

    @both_roles
    def test_end_of_the_transport_with_something_held_back(self, role: Role) -> None:
        """receive_eof gives it, and no second end."""
        connection = connect(role)
        connection.receive_data(text(role, "Hello") + close(role, 1001))
        assert connection.receive_eof() == [CloseConnection(1001)]
        assert connection.should_close
        assert connection.receive_eof() == []

    @both_roles
    def test_more_input_does_not_overtake_it(self, role: Role) -> None:
        connection = connect(role)
        connection.receive_data(text(role, "Hello") + close(role, 1001))
        assert connection.receive_data(text(role, "too late")) == [CloseConnection(1001)]


class TestRule7NoLifeAfterTheEnd:
    """After failure or close, input is discarded at no cost; memory never grows."""

    @both_roles
    @pytest.mark.parametrize(("ending", "code", "is_fault"), ENDS.values(), ids=ENDS)
    def test_input_after_the_end(self, ending: Any, code: int, is_fault: bool, role: Role) -> None:
        connection = connect(role)
        feed(connection, ending(role))
        connection.data_to_send()
        chunk = ping(role) * 1000 + header(role, FIN | BINARY, 1000)
        assert kept_memory(lambda: [connection.receive_data(chunk) for _ in range(100)]) < 65536
        assert connection.data_to_send() == b""
        assert (connection.output_size, connection.has_pending) == (0, False)

    def test_input_after_a_refusal(self) -> None:
        server = Connection(SERVER)
        feed(server, b"\x16\x03\x01 a TLS client")
        chunk = bytes(65536)
        assert kept_memory(lambda: [server.receive_data(chunk) for _ in range(100)]) < 65536

    @both_roles
    def test_input_while_the_end_is_held_back(self, role: Role) -> None:
        """The next call gives it, whatever comes with it."""
        connection = connect(role)
        connection.receive_data(text(role, "x") + frame(role, 0xFF))
        chunk = bytes(65536)
        assert kept_memory(lambda: [connection.receive_data(chunk) for _ in range(100)]) < 65536
