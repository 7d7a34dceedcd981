"""The rules that hold always: 1, any split; 2, the order on the wire; 3, nothing is raised.

The other seven stand in test_rules_end.py, test_rules_send.py and test_rules_limits.py, one class each. Expected events
come from the slow codec, an oracle that sees the whole stream at once and knows no chunks.
"""

from __future__ import annotations

from typing import Any

import pytest
import slow_codec
from helpers import (
    OTHER,
    RESPONSE,
    ROLES,
    UPGRADE,
    all_cuts,
    both_roles,
    byte_by_byte,
    close,
    connect,
    cut,
    expected,
    feed,
    frame,
    frames_from,
    handshake,
    header,
    ping,
    plain,
    rfc_nonce,
    text,
)
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT
from streams import positions, role_and_stream, roles, settings, texts

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    LocalProtocolError,
    Ping,
    Pong,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.extensions import PerMessageDeflate

COMPRESSED = Settings(extensions=(PerMessageDeflate(),))


FIXTURES = {
    "hello": lambda role: text(role, "Hello"),
    "all kinds of frames": lambda role: b"".join(
        [
            frame(role, TEXT, "κόσ".encode()[:5]),
            ping(role, b"?"),
            frame(role, CONTINUATION, "κόσ".encode()[5:]),
            frame(role, FIN | CONTINUATION, "με".encode()),
            frame(role, FIN | BINARY, bytes(126)),
            frame(role, FIN | PONG, b"!"),
            close(role, 1001, "tschüß".encode()),
            b"whatever follows",
        ]
    ),
    "20 small messages": lambda role: b"".join(text(role, str(number)) for number in range(20)),
    "text that breaks off": lambda role: text(role, "good") + frame(role, FIN | TEXT, b"\xce\xba\xe1\xbd"),
    "surrogate": lambda role: frame(role, TEXT, b"\xed\xa0") + frame(role, FIN | CONTINUATION, b"\x80"),
    "wrong mask direction": lambda role: text(role, "good") + text(OTHER[role], "bad"),
    "interrupted message": lambda role: frame(role, TEXT, b"a") + ping(role) + frame(role, FIN | BINARY, b"b"),
    "nothing to continue": lambda role: text(role, "good") + frame(role, CONTINUATION, b"b"),
    "long control frame": lambda role: ping(role) + header(role, FIN | PING, 126),
    "close with one byte": lambda role: ping(role) + frame(role, FIN | CLOSE, b"\x03"),
    "length that is not minimal": lambda role: text(role, "good") + header(role, FIN | BINARY, 125, 2),
}


class TestRule1AnySplit:
    """Any split of the input gives the same stream of events (delivery "message" and "frame").

    Output may differ only in which Pongs were dropped under a flood, never below 17 unanswered Pings.
    """

    @both_roles
    @pytest.mark.parametrize("delivery", ["message", "frame"])
    @pytest.mark.parametrize("fixture", FIXTURES.values(), ids=FIXTURES)
    def test_fixture_at_every_position(self, fixture: Any, delivery: Any, role: Role) -> None:
        data, asked = fixture(role), Settings(delivery=delivery)
        told = expected(data, role, asked)
        for chunks in all_cuts(data):
            assert [plain(event) for event in feed(Connection.established(role, asked), *chunks)] == told

    @given(role_and_stream, settings, positions)
    def test_random_stream(self, role_and_stream: tuple[Role, bytes], settings: Settings, positions: list[int]) -> None:
        role, data = role_and_stream
        told = expected(data, role, settings)
        for chunks in ([data], cut(data, *positions), byte_by_byte(data)):
            assert [plain(event) for event in feed(Connection.established(role, settings), *chunks)] == told

    @given(role_and_stream, settings, positions)
    def test_output(self, role_and_stream: tuple[Role, bytes], settings: Settings, positions: list[int]) -> None:
        role, data = role_and_stream
        outputs, pings = [], 0
        for chunks in ([data], cut(data, *positions), byte_by_byte(data)):
            connection, output = Connection.established(role, settings), b""
            for chunk in chunks:
                pings += sum(isinstance(event, Ping) for event in feed(connection, chunk))
                output += connection.data_to_send()
            outputs.append(output)
        if pings <= 3 * 16:
            assert outputs == [outputs[0]] * 3

    @both_roles
    @pytest.mark.parametrize("pings", [15, 16, 17, 100])
    def test_pongs_dropped_under_a_flood(self, role: Role, pings: int) -> None:
        """At most 16 Pongs wait, the newest."""
        data = b"".join(ping(role, b"%d" % number) for number in range(pings))
        whole, dribbled = connect(role), connect(role)
        assert feed(whole, data) == feed(dribbled, *byte_by_byte(data))
        answers = [(FIN | PONG, b"%d" % number) for number in range(max(0, pings - 16), pings)]
        assert frames_from(role, whole.data_to_send()) == answers
        assert frames_from(role, dribbled.data_to_send()) == answers

    @given(
        events=st.lists(texts.map(TextMessage) | st.binary(max_size=300).map(BytesMessage), max_size=4),
        fragment_size=st.integers(1, 50),
        positions=positions,
        sender=roles,
    )
    def test_compressed_stream(self, events: list[Any], fragment_size: int, positions: list[int], sender: Role) -> None:
        pair = dict(zip(ROLES, handshake(COMPRESSED, COMPRESSED)))
        data = b"".join(pair[sender].send(part) for event in events for part in fragments(event, fragment_size))
        for chunks in ([data], cut(data, *positions), byte_by_byte(data)):
            pair = dict(zip(ROLES, handshake(COMPRESSED, COMPRESSED)))
            assert feed(pair[OTHER[sender]], *chunks) == events

    def test_handshake_and_first_frames(self) -> None:
        """The server accepts when it gets the Request, wherever the bytes were cut."""
        for chunks in all_cuts(UPGRADE + text(SERVER, "Hello") + close(SERVER)):
            server, events = Connection(SERVER), []
            for chunk in chunks:
                for event in feed(server, chunk):
                    events.append(event)
                    if isinstance(event, Request):
                        server.send(AcceptConnection())
                        events += feed(server, b"")
            assert events[1:] == [TextMessage("Hello"), CloseConnection(1000)]

    def test_response_and_first_frames(self) -> None:
        for chunks in all_cuts(RESPONSE + text(CLIENT, "Hello") + close(CLIENT)):
            client = Connection(CLIENT, Settings(random_bytes=rfc_nonce))
            client.send(Request("/chat", "server.example.com"))
            events = feed(client, *chunks)
            assert isinstance(events[0], AcceptConnection)
            assert events[1:] == [TextMessage("Hello"), CloseConnection(1000)]

    @given(role_and_stream, settings, positions)
    def test_pieces_join_to_messages(
        self, role_and_stream: tuple[Role, bytes], settings: Settings, positions: list[int]
    ) -> None:
        """Delivery "piece": text ends on a code point, and no piece is empty but one that finishes a frame."""
        role, data = role_and_stream
        asked = Settings(delivery="piece", max_message_size=settings.max_message_size)
        told = expected(data, role, Settings(max_message_size=settings.max_message_size))
        for chunks in ([data], cut(data, *positions), byte_by_byte(data)):
            events = feed(Connection.established(role, asked), *chunks)
            for event in events:
                if isinstance(event, (TextMessage, BytesMessage)):
                    assert event.data or event.frame_finished
            assert joined(events) == [event for event in told if event[0] in ("text", "bytes")]


def fragments(event: Any, size: int) -> list[Any]:
    """Cut a message into events of `size` characters or bytes."""
    kind, data = type(event), event.data
    starts = range(0, len(data), size) or [0]
    return [kind(data[start : start + size], True, start == starts[-1]) for start in starts]


def joined(events: list[Event]) -> list[Any]:
    """Join pieces to messages, in the oracle's words; leave out what isn't finished, and all else."""
    whole, parts = [], []
    for event in events:
        if isinstance(event, (TextMessage, BytesMessage)):
            parts.append(event)
            if event.message_finished:
                kind, *_ = plain(event)
                whole.append((kind, parts[0].data[:0].join(part.data for part in parts), True))
                parts = []
    return whole


SENDS = {
    "text": TextMessage("text"),
    "first": BytesMessage(b"1", message_finished=False),
    "last": BytesMessage(b"2"),
    "ping": Ping(b"!"),
    "pong": Pong(b"?"),
    "close": CloseConnection(1001),
}


PEER = {
    "text": lambda role: text(role, "text"),
    "ping": lambda role: ping(role, b"*"),
    "two pings": lambda role: ping(role, b"1") + ping(role, b"2"),
    "close": close,
    "violation": lambda role: frame(role, 0xFF),
}


steps = st.lists(
    st.tuples(st.just("send"), st.sampled_from(sorted(SENDS)))
    | st.tuples(st.just("peer"), st.sampled_from(sorted(PEER)))
    | st.just(("write", "")),
    max_size=15,
)


class TestRule2WireOrder:
    """The join of all that send, send_buffers and data_to_send return, in that order, is the wire stream.

    `send` drains queued replies first. Pongs owed when our Close is sent go before it; later Pings are still answered
    until the peer's Close arrives; nothing follows once both have passed.
    """

    @given(role=roles, steps=steps, buffers=st.booleans())
    def test_random_conversation(self, role: Role, steps: list[tuple[str, str]], buffers: bool) -> None:
        connection, wire, owed = connect(role), b"", []
        for kind, name in steps:
            if kind == "peer":
                for event in feed(connection, PEER[name](role)):
                    if isinstance(event, Ping):
                        owed.append(event.payload)
            elif kind == "write":
                wire += connection.data_to_send()
            else:
                try:
                    parts = connection.send_buffers(SENDS[name]) if buffers else [connection.send(SENDS[name])]
                except LocalProtocolError:
                    continue
                wire += b"".join(parts)
        wire += connection.data_to_send()
        assert connection.data_to_send() == b""
        sent, fault = slow_codec.decode(wire, masked=role is CLIENT, sequence=True)
        assert fault is None
        firsts = [each.first for each in sent]
        if FIN | CLOSE in firsts:
            assert set(firsts[firsts.index(FIN | CLOSE) + 1 :]) <= {FIN | PONG}
            assert firsts.count(FIN | CLOSE) == 1
        pongs = [each.payload for each in sent if each.first == FIN | PONG and each.payload != b"?"]
        # Only Pings that were not answered yet when all was over may stay without an answer.
        assert pongs == (owed[: len(pongs)] if connection.state is State.CLOSED else owed)

    @both_roles
    def test_send_drains_first(self, role: Role) -> None:
        connection = connect(role)
        feed(connection, ping(role, b"1") + ping(role, b"2"))
        sent = frames_from(role, connection.send(TextMessage("after")))
        assert sent == [(FIN | PONG, b"1"), (FIN | PONG, b"2"), (FIN | TEXT, b"after")]
        feed(connection, ping(role, b"3"))
        sent = frames_from(role, b"".join(connection.send_buffers(TextMessage("after"))))
        assert sent == [(FIN | PONG, b"3"), (FIN | TEXT, b"after")]

    @both_roles
    def test_pongs_around_the_closing_handshake(self, role: Role) -> None:
        connection = connect(role)
        feed(connection, ping(role, b"owed"))
        sent = frames_from(role, connection.send(CloseConnection(1000)))
        assert sent == [(FIN | PONG, b"owed"), (FIN | CLOSE, b"\x03\xe8")]
        feed(connection, ping(role, b"later"))
        assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"later")]
        feed(connection, ping(role, b"too late") + close(role))
        assert connection.data_to_send() == b""

    @both_roles
    def test_pongs_before_the_answer_to_a_close(self, role: Role) -> None:
        connection = connect(role)
        feed(connection, ping(role, b"owed") + close(role, 1001))
        assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"owed"), (FIN | CLOSE, b"\x03\xe9")]


class TestRule3NothingIsRaised:
    """receive_data and receive_eof raise nothing but TypeError for a wrong argument type."""

    @pytest.mark.parametrize("data", [None, "text", 7, [1, 2], object()], ids=lambda data: type(data).__name__)
    @both_roles
    def test_wrong_type(self, role: Role, data: Any) -> None:
        for connection in (Connection(role), connect(role)):
            with pytest.raises(TypeError, match=f"data is {type(data).__name__}; it must be bytes"):
                connection.receive_data(data)
            assert connection.bytes_received == 0

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, type("Bytes", (bytes,), {})])
    @both_roles
    def test_right_types(self, role: Role, kind: Any) -> None:
        connection = connect(role)
        assert connection.receive_data(kind(text(role, "Hello"))) == [TextMessage("Hello")]

    @given(role=roles, opened=st.booleans(), chunks=st.lists(st.binary(max_size=40), max_size=5))
    def test_noise(self, role: Role, opened: bool, chunks: list[bytes]) -> None:
        connection = connect(role) if opened else Connection(role)
        feed(connection, *chunks)
        assert isinstance(connection.receive_eof(), list)

    @given(at=st.integers(0, len(UPGRADE) - 1), noise=st.binary(max_size=3), rest=st.binary(max_size=20))
    def test_noise_in_a_request(self, at: int, noise: bytes, rest: bytes) -> None:
        connection = Connection(SERVER)
        feed(connection, UPGRADE[:at] + noise + UPGRADE[at + len(noise) :], rest)
        assert isinstance(connection.receive_eof(), list)

    @given(at=st.integers(0, len(RESPONSE) - 1), noise=st.binary(max_size=3), rest=st.binary(max_size=20))
    def test_noise_in_a_response(self, at: int, noise: bytes, rest: bytes) -> None:
        connection = Connection(CLIENT, Settings(random_bytes=rfc_nonce))
        connection.send(Request("/chat", "server.example.com"))
        feed(connection, RESPONSE[:at] + noise + RESPONSE[at + len(noise) :], rest)
        assert isinstance(connection.receive_eof(), list)
