"""The rules that hold always: 8, limits; 9, early data; 10, linear time."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
import slow_codec
from helpers import (
    OTHER,
    RESPONSE,
    ROLES,
    UPGRADE,
    both_roles,
    byte_by_byte,
    connect,
    feed,
    frame,
    handshake,
    header,
    messages,
    rfc_nonce,
    text,
)
from memory import peak_memory
from slow_codec import BINARY, FIN

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    RemoteProtocolError,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.extensions import PerMessageDeflate

COMPRESSED = Settings(extensions=(PerMessageDeflate(),))


class TestRule8Limits:
    """Buffered bytes stay under max_message_size + one header + one chunk, whatever the peer claims."""

    @both_roles
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 1000])
    @pytest.mark.parametrize("cuts", [1, 2, 5])
    def test_message_at_the_limit_and_over(self, role: Role, size: int, cuts: int) -> None:
        connection = connect(role, max_message_size=max(size, 1))
        parts = [bytes(size // cuts)] * (cuts - 1)
        whole = [*parts, bytes(size - sum(map(len, parts)))]
        assert feed(connection, messages(role, whole)) == [BytesMessage(bytes(size))]
        (event,) = feed(connection, messages(role, [*whole, bytes(max(size, 1) - size + 1)]))
        assert isinstance(event, CloseConnection)
        assert event.code == 1009

    @both_roles
    def test_plain_length_over_the_limit_fails_on_its_header(self, role: Role) -> None:
        connection = connect(role, max_message_size=1000)
        for byte in byte_by_byte(slow_codec.header(FIN | BINARY, 1001, b"" if role is SERVER else None)):
            assert connection.state is State.OPEN
            events = feed(connection, byte)
        assert [event.code for event in events] == [1009]

    @both_roles
    def test_memory_of_a_message_under_way(self, role: Role) -> None:
        connection = connect(role, max_message_size=1 << 20)
        data = header(role, FIN | BINARY, 1 << 20) + bytes((1 << 20) - 1)
        chunks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        assert peak_memory(lambda: feed(connection, *chunks)) < (1 << 20) * 9 // 8 + 4 * 65536

    @both_roles
    @pytest.mark.parametrize("limit", [1, 100, 10_000])
    def test_compressed_message_on_the_wire(self, role: Role, limit: int) -> None:
        """The wire total of a compressed message may reach limit + limit/8 + 1 KiB."""
        on_wire = limit + limit // 8 + 1024
        for size, code in ((on_wire, None), (on_wire + 1, 1009)):
            asked = Settings(max_message_size=limit, extensions=(PerMessageDeflate(),))
            connection = dict(zip(ROLES, handshake(asked, asked)))[role]
            events = feed(connection, header(role, FIN | 0x40 | BINARY, size))
            assert [event.code for event in events] == ([code] if code else [])

    @both_roles
    @pytest.mark.parametrize("limit", [1, 1000, 65536, 70_000])
    def test_compressed_message_inflated(self, role: Role, limit: int) -> None:
        """The inflated total may reach the limit: it passes, one or two bytes more give 1009."""
        for size in (limit, limit + 1, limit + 2):
            asked = Settings(max_message_size=limit, extensions=(PerMessageDeflate(),))
            pair = dict(zip(ROLES, handshake(asked, asked)))
            events = feed(pair[role], pair[OTHER[role]].send(BytesMessage(bytes(size))))
            if size == limit:
                assert events == [BytesMessage(bytes(size))]
            else:
                assert [event.code for event in events] == [1009]

    @both_roles
    def test_inflated_data_of_one_call(self, role: Role) -> None:
        """One call returns at most max(max_message_size, 1 MiB) of inflated data beyond its first message."""
        pair = dict(zip(ROLES, handshake(COMPRESSED, COMPRESSED)))
        sizes = [1 << 20, 1 << 19, 1 << 19, 1 << 19, 10]
        data = b"".join(pair[OTHER[role]].send(BytesMessage(bytes(size))) for size in sizes)
        calls = [pair[role].receive_data(data)]
        while pair[role].has_pending:
            calls.append(pair[role].receive_data(b""))
        assert [[len(event.data) for event in events] for events in calls] == [
            [1 << 20],
            [1 << 19, 1 << 19],
            [1 << 19, 10],
        ]


class TestRule9EarlyData:
    """Bytes that reach a server before it has accepted are kept, up to max_header_size, and parsed after that."""

    def test_with_the_request(self) -> None:
        server = Connection(SERVER)
        (request,) = server.receive_data(UPGRADE + text(SERVER, "early"))
        assert isinstance(request, Request)
        assert not server.has_pending
        server.send(AcceptConnection())
        assert server.has_pending
        assert server.receive_data(b"") == [TextMessage("early")]

    def test_after_the_request(self) -> None:
        server = Connection(SERVER)
        server.receive_data(UPGRADE)
        for byte in byte_by_byte(text(SERVER, "early")):
            assert server.receive_data(byte) == []
        server.send(AcceptConnection())
        assert server.receive_data(text(SERVER, "late")) == [TextMessage("early"), TextMessage("late")]

    def test_at_the_limit_and_over(self) -> None:
        for size, status in ((300, None), (301, 400)):
            server = Connection(SERVER, Settings(max_header_size=300))
            server.receive_data(UPGRADE[:-1])
            server.receive_data(UPGRADE[-1:])
            events = feed(server, *byte_by_byte(bytes(size)))
            assert [event.status_code for event in events] == ([status] if status else [])
        assert server.data_to_send().startswith(b"HTTP/1.1 400 ")

    def test_over_the_limit_in_one_chunk(self) -> None:
        """The Request comes first, and may be accepted still."""
        server = Connection(SERVER, Settings(max_header_size=300))
        (request,) = server.receive_data(UPGRADE + text(SERVER, "early") * 100)
        assert isinstance(request, Request)
        assert server.has_pending
        server.send(AcceptConnection())
        assert feed(server, b"") == [TextMessage("early")] * 100

    def test_over_the_limit_and_not_accepted(self) -> None:
        server = Connection(SERVER, Settings(max_header_size=300))
        server.receive_data(UPGRADE + bytes(301))
        (event,) = server.receive_data(b"")
        assert event.error == RemoteProtocolError("301 bytes came before the request was answered; the limit is 300")
        assert not server.has_pending

    def test_client_parses_what_follows_the_101_at_once(self) -> None:
        client = Connection(CLIENT, Settings(random_bytes=rfc_nonce))
        client.send(Request("/chat", "server.example.com"))
        events = client.receive_data(RESPONSE + text(CLIENT, "Hello"))
        assert events[1:] == [TextMessage("Hello")]


class TestRule10LinearTime:
    """Time is linear in bytes received: no earlier byte is looked at again when new ones arrive."""

    @both_roles
    @pytest.mark.parametrize(
        "shape",
        [
            pytest.param(lambda role, size: frame(role, FIN | BINARY, bytes(size)), id="one frame"),
            pytest.param(lambda role, size: text(role, "a€" * (size // 4)), id="text"),
            pytest.param(lambda role, size: messages(role, [b"x"] * (size // 8)), id="fragments"),
        ],
    )
    def test_byte_by_byte(self, shape: Any, role: Role) -> None:
        """Eight times the bytes take eight times as long; a second look at all of them would take 64 times."""
        small, large = (shape(role, size) for size in (1 << 13, 1 << 16))

        def new() -> Connection:
            return connect(role, max_fragments=1 << 20)

        assert time_to_read(large, new) < 24 * time_to_read(small, new)

    def test_request_head(self) -> None:
        head = UPGRADE[:-2] + b"X: y\r\n"
        small, large = (head + b"Y: " + b"z" * size for size in (2_000, 16_000))
        assert time_to_read(large, lambda: Connection(SERVER)) < 24 * time_to_read(small, lambda: Connection(SERVER))


def time_to_read(data: bytes, connect: Callable[[], Connection]) -> float:
    """Give the least of three, since a busy machine only adds."""
    return min(time_of(connect(), data) for _ in range(3))


def time_of(connection: Connection, data: bytes) -> float:
    chunks = byte_by_byte(data)
    start = time.process_time()
    for chunk in chunks:
        connection.receive_data(chunk)
    return time.process_time() - start
