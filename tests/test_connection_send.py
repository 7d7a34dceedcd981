"""The connection at work: what it sends, its figures, and what it keeps in memory."""

from __future__ import annotations

import sys
from typing import Any, Callable

import pytest
from helpers import (
    OTHER,
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
    ping,
    pong,
    text,
)
from memory import kept_memory
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PONG, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    EncodedTextMessage,
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

CONNECTING, OPEN, CLOSED = State.CONNECTING, State.OPEN, State.CLOSED


LOCAL_CLOSING, REMOTE_CLOSING = State.LOCAL_CLOSING, State.REMOTE_CLOSING


class TestSending:
    """send and send_buffers, in each state."""

    @both_roles
    @pytest.mark.parametrize(
        ("event", "first", "payload"),
        [
            pytest.param(TextMessage("Grüße"), FIN | TEXT, "Grüße".encode(), id="text"),
            pytest.param(TextMessage(""), FIN | TEXT, b"", id="empty text"),
            pytest.param(TextMessage("x" * 126), FIN | TEXT, b"x" * 126, id="126 bytes of text"),
            pytest.param(TextMessage("x" * 70000), FIN | TEXT, b"x" * 70000, id="70,000 bytes of text"),
            pytest.param(EncodedTextMessage(b"\xc3\xbc"), FIN | TEXT, b"\xc3\xbc", id="encoded text"),
            pytest.param(BytesMessage(b"\xff" * 200), FIN | BINARY, b"\xff" * 200, id="bytes"),
            pytest.param(BytesMessage(b"\xff" * 70000), FIN | BINARY, b"\xff" * 70000, id="70,000 bytes"),
            pytest.param(TextMessage("part", message_finished=False), TEXT, b"part", id="first fragment"),
            pytest.param(Ping(b"!"), FIN | 9, b"!", id="ping"),
            pytest.param(Pong(b"?"), FIN | 10, b"?", id="pong"),
            pytest.param(CloseConnection(4000, "wegen Umbau"), FIN | CLOSE, b"\x0f\xa0wegen Umbau", id="close"),
            pytest.param(CloseConnection(1005), FIN | CLOSE, b"", id="empty close"),
        ],
    )
    def test_frame(self, event: Event, first: int, payload: bytes, role: Role) -> None:
        assert frames_from(role, connect(role).send(event)) == [(first, payload)]
        assert frames_from(role, b"".join(connect(role).send_buffers(event))) == [(first, payload)]
        one, other = connect(role, random_bytes=bytes), connect(role, random_bytes=bytes)
        assert one.send(event) == b"".join(other.send_buffers(event))
        assert (one.state, one.close_info) == (other.state, other.close_info)

    @both_roles
    @pytest.mark.parametrize(
        ("data", "words"),
        [("\ud800", "text has a lone surrogate at 0"), (b"x", "text is bytes; it must be str")],
        ids=["surrogate", "bytes"],
    )
    def test_text_that_is_none(self, data: Any, words: str, role: Role) -> None:
        with pytest.raises(LocalProtocolError, match=words):
            connect(role).send(TextMessage(data))

    @both_roles
    def test_subclass_of_an_event(self, role: Role) -> None:
        class Hello(TextMessage):
            def __init__(self) -> None:
                super().__init__("Hello")

        class Bye(CloseConnection):
            pass

        conn = connect(role)
        assert frames_from(role, conn.send(Hello())) == [(FIN | TEXT, b"Hello")]
        assert frames_from(role, conn.send(Bye())) == [(FIN | CLOSE, b"\x03\xe8")]
        assert conn.state is LOCAL_CLOSING

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @both_roles
    def test_kinds_of_payload(self, kind: Callable[[bytes], Any], role: Role) -> None:
        for event, first in ((BytesMessage(kind(b"data")), FIN | BINARY), (Ping(kind(b"data")), FIN | 9)):
            assert frames_from(role, connect(role).send(event)) == [(first, b"data")]

    def test_buffers_alias_the_payload(self) -> None:
        """A server's uncompressed payload is not copied: it must not change until it is written."""
        payload = bytearray(b"data" * 100)
        head, body = connect(SERVER).send_buffers(BytesMessage(payload))
        assert isinstance(body, memoryview)
        assert body.obj is payload
        payload[:4] = b"DATA"
        assert (head, bytes(body[:8])) == (b"\x82\x7e\x01\x90", b"DATAdata")

    def test_buffers_of_a_client_do_not(self) -> None:
        payload = bytearray(b"data" * 100)
        parts = connect(CLIENT).send_buffers(BytesMessage(payload))
        outputs = [(role, connect(role).send(BytesMessage(payload))) for role in (CLIENT, SERVER)]
        payload[:] = b"x" * 400
        for role, output in ((CLIENT, b"".join(parts)), *outputs):
            assert frames_from(role, output) == [(FIN | BINARY, b"data" * 100)]

    def test_buffers_without_payload(self) -> None:
        assert connect(SERVER).send_buffers(BytesMessage(b"")) == [b"\x82\x00"]

    def test_buffers_of_the_handshake(self) -> None:
        client = Connection(CLIENT)
        (output,) = client.send_buffers(Request("/", "localhost"))
        assert bytes(output).startswith(b"GET / HTTP/1.1\r\n")

    @both_roles
    @pytest.mark.parametrize("compress", [None, True, False])
    def test_compress(self, role: Role, compress: bool | None) -> None:
        """It overrides what the extension would decide: here, that small messages stay plain."""
        settings = Settings(extensions=(PerMessageDeflate(threshold=100),))
        pair = dict(zip(ROLES, handshake(settings, settings)))
        for payload, by_default in ((b"x" * 50, False), (b"x" * 150, True)):
            output = pair[role].send(BytesMessage(payload), compress=compress)
            assert bool(output[0] & 0x40) is (by_default if compress is None else compress)
            assert feed(pair[OTHER[role]], output) == [BytesMessage(payload)]

    @both_roles
    def test_text_compressed(self, role: Role) -> None:
        settings = Settings(extensions=(PerMessageDeflate(),))
        pair = dict(zip(ROLES, handshake(settings, settings)))
        for event in (TextMessage("ü" * 100), EncodedTextMessage(b"x" * 100)):
            output = b"".join(pair[role].send_buffers(event))
            assert output[0] == FIN | 0x40 | TEXT
            (received,) = feed(pair[OTHER[role]], output)
            assert isinstance(received, TextMessage)

    @both_roles
    def test_received_events_can_be_forwarded(self, role: Role) -> None:
        """A proxy that keeps fragmentation: on send each event is one frame with FIN = message_finished."""
        data = b"".join(
            [
                frame(role, TEXT, b"zerr"),
                ping(role, b"between"),
                frame(role, CONTINUATION, b"issen"),
                frame(role, FIN | CONTINUATION, b""),
                frame(role, FIN | BINARY, b"whole"),
            ]
        )
        proxy = connect(role, delivery="frame", auto_reply=False)
        onward = connect(OTHER[role])
        output = b"".join(onward.send(event) for event in feed(proxy, data))
        assert [first for first, _ in frames_from(OTHER[role], output)] == [TEXT, FIN | 9, 0, FIN, FIN | BINARY]


def we_close(conn: Connection) -> None:
    ((first, payload),) = frames_from(conn.role, conn.send(CloseConnection(1001, "so long")))
    assert (first, payload) == (FIN | CLOSE, b"\x03\xe9so long")


def ends(conn: Connection) -> None:
    conn.receive_eof()


def peer_breaks_a_rule(conn: Connection) -> None:
    feed(conn, frame(conn.role, FIN | 3))


class TestAccounts:
    """The figures a caller can read."""

    @both_roles
    def test_bytes_received_counts_every_byte(self, role: Role) -> None:
        conn = connect(role)
        conn.receive_data(text(role, "Hello"))
        total = len(text(role, "Hello"))
        assert conn.bytes_received == total
        conn.receive_data(b"")
        feed(conn, close(role), b"discarded")
        assert conn.bytes_received == total + len(close(role)) + 9

    def test_bytes_received_counts_the_handshake(self) -> None:
        server = Connection(SERVER)
        feed(server, UPGRADE, b"12345")
        assert server.bytes_received == len(UPGRADE) + 5

    @both_roles
    @pytest.mark.parametrize("pings", [0, 1, 16, 20])
    def test_output_size_is_what_data_to_send_returns(self, role: Role, pings: int) -> None:
        conn = connect(role)
        feed(conn, *(ping(role, bytes(number)) for number in range(pings)))
        for end in (None, close(role)):
            if end:
                feed(conn, ping(role, b"!"), end)
            assert conn.output_size == len(conn.data_to_send())
            assert conn.output_size == 0

    def test_nothing_else_is_received(self) -> None:
        with pytest.raises(TypeError, match="data is str; it must be bytes, bytearray or memoryview"):
            connect(SERVER).receive_data("text")  # type: ignore[arg-type]  # the point

    @both_roles
    def test_pending(self, role: Role) -> None:
        conn = connect(role)
        assert conn.receive_data(header(role, FIN | BINARY, 10)) == []
        assert not conn.has_pending
        conn.receive_data(bytes(10) + close(role))
        assert conn.has_pending
        assert len(conn.receive_data(b"")) == 1
        assert not conn.has_pending

    @both_roles
    def test_queue_ping(self, role: Role) -> None:
        """What timers need: one Ping that waits for data_to_send(), and the last Pong since."""
        conn = connect(role)
        feed(conn, pong(role, b"before"))
        conn.queue_ping(b"1")
        conn.queue_ping(b"2")
        assert conn.last_pong is None
        feed(conn, ping(role, b"peer's"))
        size = conn.output_size
        output = conn.data_to_send()
        assert (len(output), frames_from(role, output)) == (size, [(FIN | 9, b"1"), (FIN | PONG, b"peer's")])
        feed(conn, pong(role, b"1"))
        assert conn.last_pong == b"1"

    def test_queue_ping_while_one_waits(self) -> None:
        """It is the same Ping, but a Pong that came before is no answer to it."""
        conn = connect(SERVER)
        conn.queue_ping(b"1")
        feed(conn, pong(SERVER, b"unasked"))
        conn.queue_ping(b"2")
        assert conn.last_pong is None
        assert frames_from(SERVER, conn.data_to_send()) == [(FIN | 9, b"1")]

    @both_roles
    def test_queued_ping_goes_before_what_is_sent(self, role: Role) -> None:
        """Rule 2: what is returned, in the order returned, is the wire stream."""
        for event, sent in ((TextMessage("x"), (FIN | TEXT, b"x")), (BytesMessage(b"x"), (FIN | BINARY, b"x"))):
            conn = connect(role)
            conn.queue_ping(b"1")
            assert frames_from(role, conn.send(event)) == [(FIN | 9, b"1"), sent]
            assert conn.data_to_send() == b""

    @pytest.mark.parametrize("state", [CONNECTING, LOCAL_CLOSING, CLOSED], ids=lambda state: state.name)
    def test_queue_ping_when_not_open(self, state: State) -> None:
        conn = Connection(SERVER) if state is CONNECTING else connect(SERVER)
        if state is not CONNECTING:
            {LOCAL_CLOSING: we_close, CLOSED: ends}[state](conn)
        assert conn.state is state
        conn.queue_ping(b"")
        assert (conn.output_size, conn.last_pong) == (0, None)


class TestMemory:
    """What a connection keeps alive, and what it lets go."""

    def test_slots(self) -> None:
        """No instance dictionaries: a server has a great many connections."""
        conn = connect(SERVER)
        for each in (conn, conn._receiver, conn._sender):
            assert not hasattr(each, "__dict__")
            if sys.implementation.name == "cpython":
                assert sys.getsizeof(each) < 250

    def test_ended_connection_lets_go(self) -> None:
        settings = Settings(extensions=(PerMessageDeflate(),))
        _, server = handshake(settings, settings)
        assert server._receiver is not None
        peer_breaks_a_rule(server)
        assert (server._receiver, server._upgrade, server._early) == (None, None, None)

    @both_roles
    def test_input_is_released(self, role: Role) -> None:
        """Events never alias the caller's input, which may be used again at once."""
        for data in (text(role, "Hello"), ping(role, b"Hello"), frame(role, BINARY, b"Hello"), text(role, "Hello")[:3]):
            buffer = bytearray(data)
            events = connect(role).receive_data(buffer)
            buffer.clear()  # a BufferError if anybody had an eye on it
            assert "Hello" in repr(events) or not events

    @both_roles
    def test_last_message_is_released(self, role: Role) -> None:
        """Only buffers of a chunk are kept, and all connections share those."""
        conn = connect(role)
        data = frame(role, FIN | BINARY, bytes(1 << 20))
        payload = bytes(1 << 20)
        assert kept_memory(lambda: conn.receive_data(data)) < 300_000
        assert kept_memory(lambda: conn.receive_data(data[:-1]) + conn.receive_data(data[-1:])) < 300_000
        assert kept_memory(lambda: conn.send(BytesMessage(payload))) < 300_000
