"""What has gone wrong in WebSocket libraries, and holds here: what lives too short or too long. One class a row."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import Any

import pytest
from helpers import (
    LIMITS_OFF,
    MIB,
    OTHER,
    RESPONSE,
    UPGRADE,
    both_roles,
    byte_by_byte,
    connect,
    deflating,
    feed,
    frame,
    frames_from,
    header,
    only_code,
    ping,
    rfc_nonce,
    text,
)
from hypothesis import given
from hypothesis import strategies as st
from memory import kept_memory, peak_memory
from slow_codec import BINARY, CLOSE, FIN, PONG, TEXT
from streams import role_and_stream, settings

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    Connection,
    Ping,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)


class TestOneByteReads:
    """wsproto makes one event per byte: here state survives any split, and nothing piles up."""

    @both_roles
    def test_calls_of_our_own(self, role: Role) -> None:
        """The work is counted, not timed: as many calls for the last bytes as for the first, but to make room."""
        conn = connect(role)
        feed(conn, header(role, FIN | BINARY, 50_000))
        counts = []

        def count(*_: Any) -> None:
            counts[-1] += 1

        for _ in range(3):
            counts.append(0)
            sys.setprofile(count)
            try:
                for _ in range(10_000):
                    conn.receive_data(b"x")
            finally:
                sys.setprofile(None)
        assert counts[2] < counts[0] + 100

    @pytest.mark.parametrize(("role", "opcode"), [(CLIENT, TEXT), (SERVER, BINARY)], ids=["text", "binary"])
    def test_mebibyte(self, role: Role, opcode: int) -> None:
        """It costs what 16 messages with a sixteenth of it cost; with a copy of what has come at each, 16 times."""

        def cost(size: int, count: int) -> float:
            conn = connect(role)
            chunks = byte_by_byte(frame(role, FIN | opcode, b"x" * size)) * count
            begun = time.process_time()
            sizes = [len(event.data) for chunk in chunks for event in conn.receive_data(chunk)]
            spent = time.process_time() - begun
            assert sizes == [size] * count
            return spent

        of_parts = cost(MIB // 16, 16)
        assert cost(MIB, 1) < 4 * of_parts


class TestLostClose:
    """Closing TCP with unread input makes it send RST: half-close, drain, then close (section 7.1.1)."""

    def test_failure_during_an_upload(self) -> None:
        """A server goes on reading and discarding until the client's EOF."""
        server = connect(SERVER)
        feed(server, header(SERVER, FIN | BINARY, 16 * MIB))
        assert frames_from(SERVER, server.data_to_send())[0][0] == FIN | CLOSE
        assert (server.should_shutdown, server.should_close) == (True, False)
        for _ in range(16 * MIB // 65536):
            assert server.receive_data(bytes(65536)) == []
        assert not server.should_close
        server.receive_eof()
        assert server.should_close


class TestLifeAfterFailure:
    """wsproto stays open and buffers for ever: here failure is final, and input is dropped."""

    @both_roles
    def test_100_mb_after_a_violation(self, role: Role) -> None:
        conn = connect(role)
        feed(conn, frame(role, 0xFF))
        chunk = frame(role, FIN | BINARY, bytes(50)) * 1000

        def read() -> None:
            for _ in range(100 * MIB // len(chunk)):
                assert conn.receive_data(chunk) == []

        assert peak_memory(read) < 10_000
        assert conn.state is State.CLOSED


class TestLostEarlyEvents:
    """h2 loses events that came before a fault in the same call: here events come first, the fault last and alone."""

    @both_roles
    def test_ping_and_bad_frame(self, role: Role) -> None:
        conn = connect(role)
        assert conn.receive_data(ping(role, b"!") + frame(role, 0xFF)) == [Ping(b"!")]
        assert frames_from(role, conn.send(TextMessage("an answer"))) == [
            (FIN | PONG, b"!"),
            (FIN | TEXT, b"an answer"),
        ]
        assert only_code(conn.receive_data(b"")) == 1002


class TestEarlyData:
    """wsproto drops frames that come with the request, h2o lost the first: kept, and parsed after accept."""

    def test_every_cut(self) -> None:
        data = UPGRADE + text(SERVER, "early") + ping(SERVER, b"!")
        for at in range(len(UPGRADE), len(data) + 1):
            server = Connection(SERVER)
            assert len(server.receive_data(data[:at])) == 1
            assert server.receive_data(data[at : at + 1]) == []
            server.send(AcceptConnection())
            assert feed(server, data[at + 1 :]) == [TextMessage("early"), Ping(b"!")]

    def test_byte_by_byte(self) -> None:
        server = Connection(SERVER)
        assert len(feed(server, *byte_by_byte(UPGRADE))) == 1
        assert feed(server, *byte_by_byte(text(SERVER, "early") + ping(SERVER, b"!"))) == []
        server.send(AcceptConnection())
        assert feed(server, b"") == [TextMessage("early"), Ping(b"!")]

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_client(self, size: int) -> None:
        """What follows the 101 in one read is parsed at once, and nothing of it is lost however it is cut."""
        client = Connection(CLIENT, Settings(random_bytes=rfc_nonce))
        client.send(Request("/chat", "server.example.com"))
        data = RESPONSE + text(CLIENT, "early") + ping(CLIENT, b"!")
        events = feed(client, *(data[at : at + size] for at in range(0, len(data), size)))
        assert events[1:] == [TextMessage("early"), Ping(b"!")]

    def test_second_request_is_taken_for_frames(self) -> None:
        """There is one request to a connection: what looks like another is a frame with reserved bits (0x47)."""
        server = Connection(SERVER)
        assert len(server.receive_data(UPGRADE + UPGRADE)) == 1
        server.send(AcceptConnection())
        assert only_code(feed(server, b"")) == 1002


class TestUninitialisedMemory:
    """ws CVE-2026-45736, libsoup CVE-2026-0716: "no limit" takes the same path; all that is handed out was written."""

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 65521, 65535, 65536, 65537, 200_000, 3 * MIB])
    @pytest.mark.parametrize("cut", [1 << 30, 65536, 16384, 5000])
    @both_roles
    def test_round_trip_without_limits(self, role: Role, size: int, cut: int) -> None:
        payload = os.urandom(size)
        conn, peer = connect(role, **LIMITS_OFF), connect(OTHER[role], **LIMITS_OFF)
        for parts in ([payload], [payload[: size // 3], payload[size // 3 :]]):
            last = len(parts) - 1
            data = b"".join(peer.send(BytesMessage(part, True, at == last)) for at, part in enumerate(parts))
            events = feed(conn, *(data[at : at + cut] for at in range(0, len(data), cut)))
            assert events == [BytesMessage(payload)]

    @given(role_and_stream, st.integers(1, 40))
    def test_random_stream_without_limits(self, role_and_stream: tuple[Role, bytes], cut: int) -> None:
        """The same as with limits that are out of reach."""
        role, data = role_and_stream
        chunks = [data[at : at + cut] for at in range(0, len(data), cut)]
        assert feed(connect(role, **LIMITS_OFF), *chunks) == feed(connect(role, max_message_size=2**62), *chunks)


class TestEndlessLoop:
    """curl CVE-2025-5399, Tomcat: every call makes progress or returns."""

    @given(role_and_stream, settings)
    def test_step_budget(self, role_and_stream: tuple[Role, bytes], settings: Settings) -> None:
        role, data = role_and_stream
        conn = Connection.established(role, settings)
        conn.receive_data(data)
        for _ in range(2):
            conn.receive_data(b"")
        assert not conn.has_pending

    @both_roles
    def test_pending_compressed_data(self, role: Role) -> None:
        conn, peer = deflating(role, **LIMITS_OFF)
        data = b"".join(peer.send(BytesMessage(bytes(MIB))) for _ in range(20))
        steps = [conn.receive_data(data)]
        while conn.has_pending:
            steps.append(conn.receive_data(b""))
        assert [len(events) for events in steps] == [1] * 20


class TestRetainedMemory:
    """Jetty 13029: input and the last message are released at once; an idle connection holds next to nothing."""

    @both_roles
    @pytest.mark.parametrize("size", [30_000, 70_000], ids=["in one chunk", "in several"])
    def test_idle_connection(self, role: Role, size: int) -> None:
        """Under 1 KB, before it was used and after."""
        shared, connections = Settings(), []
        data = text(role, "x") + ping(role) + frame(role, BINARY) + frame(role, FIN, bytes(size))

        def use() -> None:
            for _ in range(100):
                conn = Connection.established(role, shared)
                feed(conn, data)
                conn.data_to_send()
                conn.send(TextMessage("x" * 1000))
                connections.append(conn)

        use()
        assert kept_memory(use) < 100 * 1000
        assert len(connections) == 200

    @both_roles
    @pytest.mark.parametrize("first", [FIN | 3, FIN], ids=["of a frame", "of the order of frames"])
    def test_last_event(self, role: Role, first: int) -> None:
        """Its error holds on to no input, nor to the connection, and leaves nothing for the collector."""
        data = frame(role, FIN | BINARY, bytes(60_000)) + frame(role, first)
        kept: list[Any] = []

        def fail() -> None:
            conn = connect(role)
            conn.receive_data(bytes(bytearray(data)))
            kept.extend(conn.receive_data(b""))

        assert kept_memory(fail) < 10_000
        assert kept[0].error.__traceback__ is None
        fail()
        kept.clear()
        assert not gc.collect()

    @pytest.mark.parametrize(
        "head", [b"GET / HTTP/1.1\r\nx: ", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["431", "405"]
    )
    def test_refused_request(self, head: bytes) -> None:
        """What came with it and after it is dropped with it."""
        server = Connection(SERVER)
        assert kept_memory(lambda: server.receive_data(head + bytes(1_000_000))) < 10_000

    def test_early_data(self) -> None:
        """It is there once."""
        server = Connection(SERVER)
        assert kept_memory(lambda: server.receive_data(UPGRADE + bytes(1_000_000))) < 1_020_000

    def test_early_data_over_the_limit(self) -> None:
        server = Connection(SERVER)
        assert kept_memory(lambda: feed(server, UPGRADE + bytes(1_000_000))) < 20_000
        assert server.state is State.CLOSED
