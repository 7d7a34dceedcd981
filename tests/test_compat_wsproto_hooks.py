"""compat.wsproto and the hooks of extensions that users write: what they see, and what they may do."""

from __future__ import annotations

import enum
import zlib
from typing import Any, Callable

import pytest

from wsproto_lite import Settings
from wsproto_lite.compat.wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto_lite.compat.wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto_lite.compat.wsproto.extensions import Extension, PerMessageDeflate
from wsproto_lite.compat.wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    MessageDecoder,
    Opcode,
    ParseFailed,
    RsvBits,
    XorMaskerNull,
    XorMaskerSimple,
)
from wsproto_lite.compat.wsproto.utilities import LocalProtocolError

HEADER, PAYLOAD, COMPLETE = "frame_inbound_header", "frame_inbound_payload_data", "frame_inbound_complete"
OUTBOUND = "frame_outbound"
NO_BITS = RsvBits(False, False, False)


class Hooked(Extension):
    """Has the hooks that a test gives it."""

    name = "hooked"

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        vars(self).update(hooks)

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True


class Duck:
    """No Extension, but all that a connection asks for."""

    name = "duck"

    def enabled(self) -> bool:
        return True

    def frame_inbound_header(self, proto: object, opcode: Opcode, rsv: RsvBits, payload_length: int) -> RsvBits:
        return NO_BITS

    def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes:
        return data.upper()

    def frame_inbound_complete(self, proto: object, fin: bool) -> None:
        return None

    def frame_outbound(
        self, proto: object, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        return rsv, data.lower()


def received(connection: Connection, data: bytes) -> list[Event]:
    """Feed data, give the events."""
    connection.receive_data(data)
    return list(connection.events())


def once(error: Exception, then: Callable[..., Any]) -> Callable[..., Any]:
    """Give a hook that raises when it is called for the first time."""
    errors = [error]

    def hook(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return then(*arguments)

    return hook


def agreed(extension: PerMessageDeflate) -> PerMessageDeflate:
    """Give an extension that is agreed on."""
    extension.finalize("permessage-deflate")
    return extension


def deflated(data: bytes) -> bytes:
    """Compress as a peer does."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


# ---- hooks that raise, or refuse ----


@pytest.mark.parametrize(
    ("name", "then"),
    [
        (HEADER, lambda proto, opcode, rsv, size: NO_BITS),
        (PAYLOAD, lambda proto, data: data),
        (COMPLETE, lambda proto, fin: None),
    ],
)
def test_nothing_is_received_after_a_hook_that_raised(name: str, then: Callable[..., Any]) -> None:
    """Part of a frame is used up by then: what follows would be read from the wrong place."""
    client = Connection(CLIENT, [Hooked(**{name: once(RuntimeError("hook"), then)})])
    client.receive_data(b"\x82\x04PAYL")
    with pytest.raises(RuntimeError, match="hook"):
        list(client.events())
    for _ in range(3):
        assert received(client, b"\x82\x02hi\x82\x01x") == []
    assert client._proto.pending == []
    assert client.state is ConnectionState.OPEN
    assert client.send(CloseConnection(1011))
    assert client.state is ConnectionState.LOCAL_CLOSING


CLOSE = CloseConnection(1000)
FRAGMENT = TextMessage("a", message_finished=False)


@pytest.mark.parametrize(
    ("event", "wire"), [(CLOSE, b"\x88\x02\x03\xe8"), (FRAGMENT, b"\x01\x01a"), (Ping(b"p"), b"\x89\x01p")], ids=repr
)
def test_an_event_can_be_sent_again_after_a_hook_that_raised(event: Event, wire: bytes) -> None:
    """A send that raises has changed nothing."""
    hook = once(RuntimeError("hook"), lambda proto, opcode, rsv, data, fin: (rsv, data))
    server = Connection(SERVER, [Hooked(frame_outbound=hook)])
    with pytest.raises(RuntimeError, match="hook"):
        server.send(event)
    assert server.state is ConnectionState.OPEN
    assert server.send(event) == wire


def test_a_close_that_an_extension_makes_too_long() -> None:
    """Whatever an extension makes of it, it can be sent again, and so can all else."""
    factors = [100, 1, 1]
    hook = lambda proto, opcode, rsv, data, fin: (rsv, data * factors.pop(0))  # noqa: E731  a hook in a line
    server = Connection(SERVER, [Hooked(frame_outbound=hook)])
    with pytest.raises(LocalProtocolError, match="200 bytes after extensions; the limit is 125"):
        server.send(CLOSE)
    assert server.state is ConnectionState.OPEN
    assert server.send(TextMessage("a")) == b"\x81\x01a"
    assert server.send(CLOSE) == b"\x88\x02\x03\xe8"
    assert server.state is ConnectionState.LOCAL_CLOSING


def test_what_is_sent_through_extensions_keeps_the_order_of_frames() -> None:
    """Fragments go on, a Close ends it, and a peer's Close leaves one of ours to send."""
    protocol = FrameProtocol(False, [Hooked()])
    frames = [protocol.send_data("a", False), protocol.ping(), protocol.send_data("b"), protocol.close(1000)]
    assert frames == [b"\x01\x01a", b"\x89\x00", b"\x80\x01b", b"\x88\x02\x03\xe8"]
    for send in (protocol.close, protocol.ping, protocol.send_data):
        with pytest.raises(LocalProtocolError):
            send()  # type: ignore[operator]  # all have defaults
    protocol = FrameProtocol(True, [Hooked()])
    protocol.receive_bytes(b"\x88\x00")
    assert [frame.opcode for frame in protocol.received_frames()] == [Opcode.CLOSE]
    with pytest.raises(LocalProtocolError, match="closed"):
        protocol.ping()
    assert protocol.close()[:2] == b"\x88\x80"
    with pytest.raises(LocalProtocolError, match="closed"):
        protocol.close()


@pytest.mark.parametrize("name", [HEADER, PAYLOAD, COMPLETE])
@pytest.mark.parametrize("code", [1000, 1005, 1006, 1015, 1011])
def test_an_extension_refuses_with_any_code(name: str, code: int) -> None:
    """A Close can be sent after it, even where the code is one that no Close may have."""
    client = Connection(CLIENT, [Hooked(**{name: lambda *arguments: CloseReason(code)})])
    assert received(client, b"\x81\x01a") == [CloseConnection(code, "error in extension")]
    assert client.state is ConnectionState.REMOTE_CLOSING
    assert client.send(CloseConnection(1002))[0] == 0x88


def test_a_refusal_in_the_words_of_another_module() -> None:
    """An extension that was imported before install() has wsproto's own CloseReason."""
    other = enum.IntEnum("CloseReason", {"POLICY_VIOLATION": 1008})  # type: ignore[misc]  # it stands for another's
    client = Connection(CLIENT, [Hooked(frame_inbound_payload_data=lambda proto, data: other(1008))])
    (event,) = received(client, b"\x81\x01a")
    assert event == CloseConnection(1008, "error in extension")
    assert isinstance(event, CloseConnection)
    assert event.code is CloseReason.POLICY_VIOLATION


@pytest.mark.parametrize("bits", [[True], (True, False), [1, 0, 0], RsvBits(True, False, False)], ids=repr)
def test_reserved_bits_in_any_sequence(bits: Any) -> None:
    client = Connection(CLIENT, [Hooked(frame_inbound_header=lambda *arguments: bits)])
    assert received(client, b"\xc1\x01a") == [TextMessage("a")]
    assert received(client, b"\xe1\x01a") == [CloseConnection(1002, "Reserved bit set unexpectedly")]


def test_two_extensions_share_the_reserved_bits() -> None:
    first = Hooked(frame_inbound_header=lambda *arguments: (True, False, False))
    second = Hooked(frame_inbound_header=lambda *arguments: (False, True, False))
    client = Connection(CLIENT, [first, second])
    assert received(client, b"\xe1\x01a\xa1\x01b\x81\x01c") == [TextMessage("a"), TextMessage("b"), TextMessage("c")]
    assert received(client, b"\xd1\x01a") == [CloseConnection(1002, "Reserved bit set unexpectedly")]


# ---- what a hook sees ----


def test_a_hook_sees_how_far_the_payload_is() -> None:
    """As in wsproto: what it is shown counts already."""
    seen: list[tuple[int, object]] = []

    def look(proto: FrameDecoder, data: bytes) -> bytes:
        seen.append((proto.payload_consumed, proto.effective_opcode))
        return data

    client = Connection(CLIENT, [Hooked(frame_inbound_payload_data=look)])
    received(client, b"\x81\x03a")
    received(client, b"bc\x82\x01d")
    assert seen == [(1, Opcode.TEXT), (3, Opcode.CONTINUATION), (1, Opcode.BINARY)]


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"\x89\xfe", "Control frame with payload len > 125"),
        (b"\x81\x05", "server received unexpected unmasked frame"),
        (b"\x83\x85", "Invalid opcode 0x3"),
        (b"\x09\x80", "Invalid attempt to fragment control frame"),
        (b"\x82\xfe\0\x7d", "payload length is not in its shortest form"),
        (b"\x82\xff\0\0\0\0\0\0\xff\xff", "payload length is not in its shortest form"),
        (b"\x82\xff\x80" + bytes(6) + b"\1", "8-byte payload length with non-zero MSB"),
        (b"\x82\xfe\x01\x00", "frame is 256 bytes; the limit is 255"),
        (b"\xc1\x85", "Reserved bit set unexpectedly"),
    ],
)
def test_a_fault_shows_before_the_masking_key(wire: bytes, reason: str) -> None:
    """As soon as wsproto finds it, whatever the extensions."""
    server = Connection(SERVER, [Hooked()], settings=Settings(max_frame_size=255))
    events = [event for byte in wire for event in received(server, bytes((byte,)))]
    assert [getattr(event, "reason", None) for event in events] == [reason]


def test_a_fault_within_a_frame() -> None:
    """A piece of text that can't go on to be UTF-8."""
    client = Connection(CLIENT, [Hooked()])
    assert received(client, b"\x81\x05ab") == [TextMessage("ab", False, False)]
    assert received(client, b"\xff") == [CloseConnection(1007, "text is not valid UTF-8")]


def test_a_header_is_shown_once() -> None:
    """wsproto shows it again for each byte of the masking key."""
    seen: list[int] = []

    def look(proto: FrameDecoder, opcode: Opcode, rsv: RsvBits, size: int) -> RsvBits:
        seen.append(size)
        return rsv

    server = Connection(SERVER, [Hooked(frame_inbound_header=look)])
    for byte in b"\x81\xfe\0\x7e" + bytes(4) + b"a" * 126:
        server.receive_data(bytes((byte,)))
        list(server.events())
    assert seen == [126]


# ---- extensions that aren't Extension ----


def test_an_extension_of_no_base_class() -> None:
    client, server = Connection(CLIENT, [Duck()]), Connection(SERVER, [Duck()])  # type: ignore[list-item]
    assert server.send(TextMessage("Ab")) == b"\x81\x02ab"
    assert received(client, b"\x81\x02ab") == [TextMessage("AB")]


# ---- permessage-deflate ----


class Renamed(PerMessageDeflate):
    """A subclass that overrides no hook."""

    name = "permessage-deflate"


class Outbound(PerMessageDeflate):
    """A subclass with a hook."""

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        return super().frame_outbound(proto, opcode, rsv, data, fin)


@pytest.mark.parametrize("method", ["offer", "accept", "finalize", HEADER, PAYLOAD, COMPLETE, OUTBOUND])
def test_subclasses_may_be_annotated_as_those_of_the_base_class(method: str) -> None:
    """mypy takes an override whose result is wider for an error."""
    assert getattr(PerMessageDeflate, method).__annotations__ == getattr(Extension, method).__annotations__


def test_the_core_does_the_work_where_no_hook_is_replaced() -> None:
    replaced = Renamed()
    vars(replaced)[PAYLOAD] = lambda proto, data: data
    made = [extension.core_codec(True) is not None for extension in (Renamed(), Outbound(), replaced)]
    assert made == [True, False, False]


@pytest.mark.parametrize("kind", [Renamed, Outbound], ids=["core", "hooks"])
@pytest.mark.parametrize("takeover", [False, True], ids=["context kept", "context dropped"])
def test_subclasses_compress_both_ways(kind: type[PerMessageDeflate], takeover: bool) -> None:
    client, server = (
        Connection(side, [agreed(kind(client_no_context_takeover=takeover, server_no_context_takeover=takeover))])
        for side in (CLIENT, SERVER)
    )
    for sender, receiver in ((client, server), (server, client)):
        for event in (TextMessage("é" * 1000), BytesMessage(b""), BytesMessage(b""), TextMessage("a" * 70_000)):
            wire = sender.send(event)
            assert received(receiver, wire) == [event]
            wire = sender.send(event)
            pieces = received(receiver, wire[:-1]) + received(receiver, wire[-1:])
            assert event.data[:0].join(piece.data for piece in pieces) == event.data  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [PerMessageDeflate, Outbound], ids=["core", "hooks"])
@pytest.mark.parametrize("takeover", [False, True], ids=["context kept", "context dropped"])
@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"\xc1\x00", [TextMessage("")]),
        (b"\xc2\x00", [BytesMessage(b"")]),
        (b"\x41\x00\x80\x00", [TextMessage("", message_finished=False), TextMessage("")]),
    ],
)
def test_empty_messages_without_an_octet(
    kind: type[PerMessageDeflate], takeover: bool, wire: bytes, expected: list[Event]
) -> None:
    """RFC 7692 section 7.2.3.6 has one octet, but zlib gives some senders none. wsproto takes both, and so do we."""
    client = Connection(CLIENT, [agreed(kind(server_no_context_takeover=takeover))])
    compressed = deflated(b"hello")
    for _ in range(2):
        assert received(client, wire) == expected
        assert received(client, bytes((0xC1, len(compressed))) + compressed) == [TextMessage("hello")]


@pytest.mark.parametrize("takeover", [False, True], ids=["context kept", "context dropped"])
def test_the_hooks_of_deflate_need_no_connection(takeover: bool) -> None:
    """A program that calls them itself has a `proto` with `client`, as wsproto needs no more."""

    class Proto:
        client = False

    proto: Any = Proto
    extension = agreed(PerMessageDeflate(client_no_context_takeover=takeover))
    bits, data = RsvBits(True, False, False), deflated(b"hello" * 9)
    for _ in range(2):
        assert extension.frame_inbound_header(proto, Opcode.TEXT, bits, len(data)) == bits
        parts = [extension.frame_inbound_payload_data(proto, part) for part in (data[:5], data[5:])]
        parts.append(extension.frame_inbound_complete(proto, True) or b"")
        assert b"".join(parts) == b"hello" * 9  # type: ignore[arg-type]  # no CloseReason is among them
    assert extension.frame_outbound(proto, Opcode.TEXT, NO_BITS, b"hello", True) == (bits, deflated(b"hello"))


def test_a_hook_may_add_to_what_the_last_piece_inflates_to() -> None:
    """frame_inbound_complete() gives bytes at the end of a compressed message."""

    class Adds(PerMessageDeflate):
        def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
            result = super().frame_inbound_complete(proto, fin)
            assert isinstance(result, bytes)
            return result + b"!"

    data = deflated(b"hello")
    client = Connection(CLIENT, [agreed(Adds())])
    wire = bytes((0xC1, len(data))) + data
    assert received(client, wire) == [TextMessage("hello!")]
    assert "".join(event.data for byte in wire for event in received(client, bytes((byte,)))) == "hello!"  # type: ignore[attr-defined]


# ---- the stages of decoding ----


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde", None], ids=repr)
def test_a_masking_key_has_four_bytes(key: Any) -> None:
    with pytest.raises(ValueError, match="masking key"):
        XorMaskerSimple(key)


def test_maskers_take_bytes_too() -> None:
    assert (XorMaskerSimple(b"\1\2\3\4").unmask(b"\0\0"), XorMaskerNull().unmask(b"a")) == (b"\1\2", b"a")


def test_a_message_decoder_takes_no_control_frame() -> None:
    with pytest.raises(LocalProtocolError, match=r"<Opcode\.PING: 9> is a control frame"):
        MessageDecoder().process_frame(Frame(Opcode.PING, b"", True, True))


def test_the_steps_of_a_frame_decoder() -> None:
    """wsproto's public attributes and methods."""
    decoder = FrameDecoder(False)
    assert (decoder.masker, decoder.payload_required, decoder.parse_header()) == (None, 0, False)
    for byte in b"\x89\x82abc":
        decoder.receive_bytes(bytes((byte,)))
        assert decoder.parse_header() is False
    decoder.receive_bytes(b"d")
    assert decoder.parse_header() is True
    assert decoder.header is not None
    assert (decoder.header.opcode, decoder.payload_required) == (Opcode.PING, 2)
    assert isinstance(decoder.masker, XorMaskerSimple)
    assert decoder.process_buffer() is None
    decoder.receive_bytes(b"ab")
    assert decoder.process_buffer() == Frame(Opcode.PING, b"\0\0", True, True)
    assert (decoder.masker, decoder.header, decoder.effective_opcode) == (None, None, None)


def test_the_parts_of_a_header() -> None:
    decoder = FrameDecoder(True)
    assert decoder.parse_extended_payload_length(Opcode.TEXT, 125) == 125
    assert decoder.parse_extended_payload_length(Opcode.TEXT, 126) is None
    decoder.receive_bytes(b"\x01\x00")
    assert decoder.parse_extended_payload_length(Opcode.TEXT, 126) == 256
    decoder.extension_processing(Opcode.TEXT, NO_BITS, 5)
    with pytest.raises(ParseFailed, match="Reserved bit set unexpectedly"):
        decoder.extension_processing(Opcode.TEXT, RsvBits(False, False, True), 5)


def test_control_frames_may_come_and_go() -> None:
    client = Connection(CLIENT, [Hooked()])
    assert received(client, b"\x8a\x01p\x89\x00") == [Pong(b"p"), Ping()]
