"""compat.wsproto on an open connection: wsproto's pieces, states and bytes, without its faults."""

from __future__ import annotations

import random
import re
import zlib

import pytest

from wsproto_lite import Settings
from wsproto_lite.compat.wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto_lite.compat.wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectData,
    TextMessage,
)
from wsproto_lite.compat.wsproto.extensions import PerMessageDeflate
from wsproto_lite.compat.wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed
from wsproto_lite.compat.wsproto.utilities import LocalProtocolError


def received(connection: Connection, data: bytes) -> list[Event]:
    """Feed data, give the events."""
    connection.receive_data(data)
    return list(connection.events())


def deflated(**parameters: int) -> tuple[Connection, Connection]:
    """Give a client and a server that have agreed on permessage-deflate."""
    pair = []
    for kind in (CLIENT, SERVER):
        extension = PerMessageDeflate(**parameters)  # type: ignore[arg-type]  # bool is an int
        extension.finalize("permessage-deflate")
        pair.append(Connection(kind, [extension]))
    return pair[0], pair[1]


# ---- pieces ----


def test_a_frame_comes_in_the_pieces_of_the_input() -> None:
    client = Connection(CLIENT)
    assert received(client, b"\x82\x06ab") == [BytesMessage(b"ab", False, False)]
    assert received(client, b"cd") == [BytesMessage(b"cd", False, False)]
    assert received(client, b"ef\x81\x01x") == [BytesMessage(b"ef", True, True), TextMessage("x")]


def test_what_comes_between_two_looks_is_one_piece() -> None:
    client = Connection(CLIENT)
    for data in (b"\x82\x06ab", b"cd", b"ef"):
        client.receive_data(data)
    assert list(client.events()) == [BytesMessage(b"abcdef")]


@pytest.mark.parametrize("size", [65_000, 200_000], ids=["one chunk of the core", "several"])
@pytest.mark.parametrize("kind", [TextMessage, BytesMessage])
def test_a_large_frame_in_one_input_is_one_piece(kind: type, size: int) -> None:
    client, server = Connection(CLIENT), Connection(SERVER)
    event = kind("é" * size if kind is TextMessage else b"x" * size)
    wire = client.send(event)
    assert received(server, wire + client.send(Ping(b"p"))) == [event, Ping(b"p")]
    (piece,) = received(server, wire[:-20])
    assert piece == kind(event.data[: len(piece.data)], False, False)  # type: ignore[attr-defined]


def test_events_can_be_left_for_later() -> None:
    client = Connection(CLIENT)
    client.receive_data(b"\x81\x01a\x81\x01b")
    assert next(client.events()) == TextMessage("a")
    assert list(client.events()) == [TextMessage("b")]


def test_input_of_any_bytes_like_type() -> None:
    client = Connection(CLIENT, trailing_data=b"\x81")
    client.receive_data(bytearray(b"\x01"))
    client.receive_data(memoryview(b"a"))
    assert list(client.events()) == [TextMessage("a")]
    for wrong in ("text", 5):
        with pytest.raises(TypeError):
            client.receive_data(wrong)  # type: ignore[arg-type]


def test_events_that_a_program_puts_in_come_first() -> None:
    client = Connection(CLIENT, trailing_data=b"\x81\x01a")
    client._events.append(TextMessage("injected"))
    assert list(client.events()) == [TextMessage("injected"), TextMessage("a")]


# ---- states ----


def test_the_state_changes_with_the_event_not_with_the_bytes() -> None:
    server = Connection(SERVER)
    server.receive_data(b"\x89\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8")
    assert server.state is ConnectionState.OPEN
    stream = server.events()
    assert next(stream) == Ping()
    assert server.send(Pong()) == b"\x8a\x00"
    closing = next(stream)
    assert closing == CloseConnection(1000, "")
    assert isinstance(closing, CloseConnection)
    assert closing.code is CloseReason.NORMAL_CLOSURE
    assert server.state is ConnectionState.REMOTE_CLOSING
    server.receive_data(b"discarded")
    assert list(stream) == []
    assert server.send(closing.response()) == b"\x88\x02\x03\xe8"
    assert server.state is ConnectionState.CLOSED


@pytest.mark.parametrize("event", [TextMessage("a"), Ping(), Pong(), CloseConnection(1000), RejectData(b"")], ids=repr)
def test_nothing_is_sent_after_our_close(event: Event) -> None:
    server = Connection(SERVER)
    server.send(CloseConnection(1000))
    assert server.state is ConnectionState.LOCAL_CLOSING
    with pytest.raises(LocalProtocolError, match=r"cannot be sent in state ConnectionState\.LOCAL_CLOSING"):
        server.send(event)
    assert received(server, b"\x88\x80\0\0\0\0") == [CloseConnection(1005, "")]
    assert server.state is ConnectionState.CLOSED
    with pytest.raises(LocalProtocolError, match="already closed"):
        server.receive_data(b"a")


def test_what_is_no_event_of_a_connection_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="RejectData"):
        Connection(SERVER).send(RejectData(b""))


def test_the_end_of_the_transport_comes_after_what_came_before_it() -> None:
    """wsproto gives the 1006 first, so that a program that stops there has lost the messages."""
    client = Connection(CLIENT, trailing_data=b"\x81\x01a\x88\x00")
    client.receive_data(None)
    assert client.state is ConnectionState.CLOSED
    assert list(client.events()) == [TextMessage("a"), CloseConnection(1005, ""), CloseConnection(1006)]
    assert client.state is ConnectionState.CLOSED


# ---- violations ----


def test_a_violation_is_the_end() -> None:
    """wsproto stays open, and keeps all that comes."""
    server = Connection(SERVER)
    assert received(server, b"\x81\x81\0\0\0\0a\x81\x00") == [
        TextMessage("a"),
        CloseConnection(1002, "server received unexpected unmasked frame"),
    ]
    assert server.state is ConnectionState.REMOTE_CLOSING
    for _ in range(100):
        assert received(server, bytes(10_000)) == []
    assert sum(map(len, server._proto.pending)) <= 1_000_000
    assert server.send(CloseConnection(1002)) == b"\x88\x02\x03\xea"
    assert server.state is ConnectionState.CLOSED


def test_a_violation_after_our_close_closes() -> None:
    client = Connection(CLIENT)
    client.send(CloseConnection(1000))
    assert [type(event) for event in received(client, b"\xff")] == [CloseConnection]
    assert client.state is ConnectionState.CLOSED


@pytest.mark.parametrize(
    ("wire", "code", "reason"),
    [
        (b"\xc1\x00", 1002, "Reserved bit set unexpectedly"),
        (b"\x83\x00", 1002, "Invalid opcode 0x3"),
        (b"\x09\x00", 1002, "Invalid attempt to fragment control frame"),
        (b"\x81\x80\0\0\0\0", 1002, "client received unexpected masked frame"),
        (b"\x89\x7e\0\x80", 1002, "Control frame with payload len > 125"),
        (b"\x82\x7f\x80" + bytes(7), 1002, "8-byte payload length with non-zero MSB"),
        (b"\x80\x00", 1002, "unexpected CONTINUATION"),
        (b"\x01\x00\x82\x00", 1002, "expected CONTINUATION, got <Opcode.BINARY: 2>"),
        (b"\x88\x01a", 1002, "CLOSE with 1 byte payload"),
        (b"\x88\x02\x03\xe7", 1002, "CLOSE with invalid code"),
        (b"\x88\x02\x13\x88", 1002, "CLOSE with invalid code"),
        (b"\x88\x02\x03\xee", 1002, "remote CLOSE with local-only reason"),
        (b"\x88\x02\x03\xec", 1002, "CLOSE with unknown reserved code"),
        (b"\x82\x7e\0\x01", 1002, "payload length is not in its shortest form"),
        (b"\x81\x01\xff", 1007, "text is not valid UTF-8"),
    ],
)
def test_faults_in_wsprotos_words(wire: bytes, code: int, reason: str) -> None:
    """Programs send them on as close reasons. Where wsproto's words tell more or less, they are the core's."""
    assert received(Connection(CLIENT), wire)[-1] == CloseConnection(code, reason)
    protocol = FrameProtocol(True, [])
    protocol.receive_bytes(wire)
    with pytest.raises(ParseFailed) as caught:
        list(protocol.received_frames())
    assert (str(caught.value), caught.value.code) == (reason, CloseReason(code))
    protocol.receive_bytes(b"discarded")
    assert list(protocol.received_frames()) == []


@pytest.mark.parametrize("code", [1014, 3000, 4999])
def test_codes_without_a_name_are_numbers(code: int) -> None:
    """1014 is registered with IANA since; wsproto refuses it."""
    assert received(Connection(CLIENT), b"\x88\x02" + code.to_bytes(2, "big")) == [CloseConnection(code, "")]


def test_limits_can_be_set() -> None:
    client = Connection(CLIENT, settings=Settings(max_message_size=3))
    assert received(client, b"\x82\x04")[0] == CloseConnection(1009, "message is 4 bytes; the limit is 3")


# ---- sending ----


@pytest.mark.parametrize(
    ("code", "reason", "wire"),
    [
        (CloseReason.NO_STATUS_RCVD, None, b"\x88\x00"),
        (1005, None, b"\x88\x02\x03\xe8"),
        (CloseReason.ABNORMAL_CLOSURE, None, b"\x88\x02\x03\xe8"),
        (1000, "é" * 100, b"\x88\x7c\x03\xe8" + "é".encode() * 61),
        (4000, "bye", b"\x88\x05\x0f\xa0bye"),
    ],
)
def test_close_frames_are_wsprotos(code: int, reason: str | None, wire: bytes) -> None:
    assert Connection(SERVER).send(CloseConnection(code, reason)) == wire


@pytest.mark.parametrize(
    "event",
    [
        CloseConnection(999),
        CloseConnection(70_000),
        CloseConnection(1000, "\ud800"),
        CloseConnection(CloseReason.NO_STATUS_RCVD, "why"),
        TextMessage("\ud800"),
        TextMessage(None),  # type: ignore[arg-type]
        Ping(bytes(126)),
    ],
    ids=repr,
)
def test_what_cannot_be_sent_raises_and_changes_nothing(event: Event) -> None:
    """TypeError and ValueError are what wsproto's callers catch, LocalProtocolError what it should be."""
    server = Connection(SERVER)
    for kind in (LocalProtocolError, TypeError, ValueError):
        with pytest.raises(kind):
            server.send(event)
    assert server.state is ConnectionState.OPEN
    assert server.send(TextMessage("a")) == b"\x81\x01a"


def test_the_type_of_the_data_decides() -> None:
    server = Connection(SERVER)
    assert server.send(TextMessage(b"a")) == b"\x82\x01a"  # type: ignore[arg-type]
    assert server.send(BytesMessage(memoryview(b"a"), True, False)) == b"\x02\x01a"  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        server.send(TextMessage("a"))
    assert server.send(BytesMessage(bytearray(b"b"))) == b"\x80\x01b"


def test_frames_out_one_by_one() -> None:
    protocol = FrameProtocol(False, [])
    frames = [
        protocol.ping(b"a"),
        protocol.pong(),
        protocol.send_data("é", fin=False),
        protocol.send_data("a"),
        protocol.close(1000, "b"),
    ]
    assert frames == [b"\x89\x01a", b"\x8a\x00", b"\x01\x02\xc3\xa9", b"\x80\x01a", b"\x88\x03\x03\xe8b"]
    assert {type(frame) for frame in frames} == {bytearray}
    with pytest.raises(LocalProtocolError):
        protocol.send_data(b"after the close")


def test_frames_in_one_by_one() -> None:
    protocol = FrameProtocol(True, [])
    protocol.receive_bytes(b"\x01\x01a\x8a\x01p\x89\x01p\x80\x01b\x02\x01c\x80\x00\x88\x03\x03\xe8r\x81\x01a")
    assert list(protocol.received_frames()) == [
        Frame(Opcode.TEXT, "a", True, False),
        Frame(Opcode.PONG, b"p", True, True),
        Frame(Opcode.PING, b"p", True, True),
        Frame(Opcode.TEXT, "b", True, True),
        Frame(Opcode.BINARY, b"c", True, False),
        Frame(Opcode.BINARY, b"", True, True),
        Frame(Opcode.CLOSE, (CloseReason.NORMAL_CLOSURE, "r"), True, True),
    ]
    with pytest.raises(LocalProtocolError):
        protocol.ping()


# ---- permessage-deflate ----


@pytest.mark.parametrize("takeover", [False, True], ids=["context kept", "context dropped"])
def test_compressed_messages_both_ways(takeover: bool) -> None:
    client, server = deflated(client_no_context_takeover=takeover, server_no_context_takeover=takeover)
    for sender, receiver in ((client, server), (server, client)):
        for event in (TextMessage("é" * 1000), BytesMessage(b""), BytesMessage(b""), TextMessage("a" * 70_000)):
            assert received(receiver, sender.send(event)) == [event]


def test_a_compressed_message_is_one_stream_whatever_its_fragments() -> None:
    """So are wsproto's bytes: nothing comes of a small fragment until the last."""
    server = deflated()[1]
    assert server.send(BytesMessage(b"x" * 12, True, False)) == b"\x42\x00"
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -15)
    payload = (compressor.compress(b"x" * 23) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert server.send(BytesMessage(b"x" * 11)) == bytes((0x80, len(payload))) + payload


def test_a_bomb_comes_in_bounded_events() -> None:
    """wsproto makes one event of it."""
    client, server = deflated()
    sizes = [len(event.data) for event in received(server, client.send(BytesMessage(bytes(8 << 20))))]  # type: ignore[attr-defined]
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= (1 << 20) + (64 << 10)


def test_a_bomb_over_the_limit_is_1009() -> None:
    client = deflated()[0]
    extension = PerMessageDeflate()
    extension.accept("permessage-deflate")
    server = Connection(SERVER, [extension], settings=Settings(max_message_size=1000))
    assert received(server, client.send(BytesMessage(bytes(1001))))[-1] == CloseConnection(
        1009, "message inflates to more than 1000 bytes"
    )


def test_broken_compression() -> None:
    client = deflated()[0]
    assert received(client, b"\xc2\x02\xff\xff") == [CloseConnection(1007, "error in extension")]


# ---- the original, where it is installed ----


def frames_of(seed: int) -> bytes:
    """Make a server's frames: good ones, with text on code points, and a fault or a Close at the end."""
    source = random.Random(seed)
    wire = b""
    for _ in range(source.randrange(6)):
        text = "é€a" * source.randrange(50)
        first, rest = text[: len(text) // 2].encode(), text[len(text) // 2 :].encode()
        kind = source.choice((1, 2))
        wire += source.choice(
            [
                bytes((0x80 | kind, 126)) + len(first * 9 + bytes(126)).to_bytes(2, "big") + first * 9 + bytes(126),
                bytes((kind, 126)) + (len(first) + 126).to_bytes(2, "big") + first + bytes(126) + b"\x89\x01p"
                b"\x80\x7e" + (len(rest) + 126).to_bytes(2, "big") + rest + bytes(126),
                b"\x8a\x00",
            ]
        )
    return wire + source.choice([b"", b"\x88\x00", b"\x88\x05\x03\xe8bye", b"\x83\x00", b"\x80\x00", b"\xf1\x00"])


@pytest.mark.parametrize("seed", range(60))
def test_the_events_of_the_original(seed: int) -> None:
    """The same events with the same fields, for the same chunks. Binary data is cut anywhere, text too."""
    original = pytest.importorskip("wsproto.connection")
    wire, source = frames_of(seed), random.Random(seed)
    ours, theirs = Connection(CLIENT), original.Connection(original.CLIENT)
    seen: dict[int, list[str]] = {id(ours): [], id(theirs): []}
    while wire:
        size = source.choice((1, 7, 100, 1000))
        data, wire = wire[:size], wire[size:]
        for connection in (ours, theirs):
            if connection.state.name in ("OPEN", "LOCAL_CLOSING"):
                connection.receive_data(data)
            # wsproto has an event without text for each piece that ends within a code point.
            events = [event for event in connection.events() if getattr(event, "data", "a") or event.frame_finished]
            # What is a bytearray in wsproto 1.2, the last for Python 3.9, is bytes in 1.3.
            seen[id(connection)] += [re.sub(r"bytearray\((.*?)\)", r"\1", repr(event)) for event in events]
    assert seen[id(ours)] == seen[id(theirs)]
