"""compat.wsproto's extensions: permessage-deflate as wsproto negotiates it, and those that users write."""

from __future__ import annotations

import pytest

from wsproto_lite import Settings
from wsproto_lite.compat.wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto_lite.compat.wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto_lite.compat.wsproto.extensions import SUPPORTED_EXTENSIONS, Extension, PerMessageDeflate
from wsproto_lite.compat.wsproto.frame_protocol import (
    Buffer,
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
from wsproto_lite.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError


class Case(Extension):
    """Marks text with RSV3 and swaps its case, adds a byte to each message, and tells of what it sees."""

    name = "case"

    def __init__(self) -> None:
        self.seen: list[tuple[str, Opcode, RsvBits, int]] = []
        self.answer: object = None
        self.is_text = self.is_control = False

    def offer(self) -> bool:
        return True

    def enabled(self) -> bool:
        return True

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        self.seen.append(("header", opcode, rsv, payload_length))
        if isinstance(self.answer, CloseReason):
            return self.answer
        self.is_control = opcode.iscontrol()
        if not self.is_control:
            self.is_text = rsv.rsv3 or (self.is_text and opcode is Opcode.CONTINUATION)
        return RsvBits(False, False, not opcode.iscontrol())

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        return (
            CloseReason.POLICY_VIOLATION
            if data == b"no"
            else data.swapcase()
            if self.is_text and not self.is_control
            else data
        )

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        return self.answer  # type: ignore[return-value]  # a test sets what it returns

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        if opcode is Opcode.TEXT:
            return RsvBits(rsv.rsv1, rsv.rsv2, True), data.swapcase()
        return rsv, data * 2 if opcode is Opcode.PING else data


class Plain(PerMessageDeflate):
    """A subclass with a hook of its own, so that each frame goes through all of them."""

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        return super().frame_inbound_complete(proto, fin)


def enabled(kind: type[PerMessageDeflate] = Plain, **parameters: int) -> PerMessageDeflate:
    """Give an extension that is agreed on."""
    extension = kind(**parameters)  # type: ignore[arg-type]  # bool is an int
    extension.finalize("permessage-deflate")
    return extension


def received(connection: Connection, data: bytes) -> list[Event]:
    """Feed data, give the events."""
    connection.receive_data(data)
    return list(connection.events())


# ---- negotiation ----


def test_supported() -> None:
    assert {"permessage-deflate": PerMessageDeflate} == SUPPORTED_EXTENSIONS


@pytest.mark.parametrize("bits", [8, 16])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ValueError, match="9 to 15"):
        PerMessageDeflate(client_max_window_bits=bits)
    with pytest.raises(ValueError, match="9 to 15"):
        PerMessageDeflate(server_max_window_bits=bits)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("", ""),
        ("; client_max_window_bits", "client_max_window_bits=15"),
        ('; server_max_window_bits="10"', "server_max_window_bits=10"),
        (
            "; server_no_context_takeover; client_no_context_takeover",
            "client_no_context_takeover; server_no_context_takeover",
        ),
        ("; client_max_window_bits=8", None),
        ("; client_max_window_bits=x", None),
        ("; client_no_context_takeover=1", None),
        ("; client_no_context_takeoverX", None),
        ("; client_no_context_takeover; client_no_context_takeover", None),
        ("; server_max_window_bits=10; server_max_window_bits=9", None),
        ("; unknown", None),
    ],
)
def test_accept(params: str, expected: str | None) -> None:
    """RFC 7692 section 7.1: what isn't valid is declined. wsproto takes the last five, and raises for the third."""
    extension = PerMessageDeflate()
    assert extension.accept("permessage-deflate" + params) == expected
    assert extension.enabled() is (expected is not None)


@pytest.mark.parametrize(
    "params", ["client_max_window_bits", "server_max_window_bits=x", "client_max_window_bits=16", "unknown"]
)
def test_an_answer_that_is_not_valid(params: str) -> None:
    """wsproto raises IndexError or ValueError."""
    for kind in (RemoteProtocolError, ValueError):
        with pytest.raises(kind):
            PerMessageDeflate().finalize(f"permessage-deflate; {params}")


def test_parameters_after_another_name_are_read_for_what_they_have() -> None:
    extension = PerMessageDeflate()
    extension.finalize("client_max_window_bits=10; server_max_window_bits=11; whatever")
    assert (extension.client_max_window_bits, extension.server_max_window_bits) == (15, 11)


def test_repr_and_offer() -> None:
    extension = PerMessageDeflate(True, 10, True, 11)
    parameters = "client_max_window_bits=10; client_no_context_takeover; server_max_window_bits=11"
    assert repr(extension) == f"<PerMessageDeflate {parameters}; server_no_context_takeover>"
    assert repr(PerMessageDeflate()) == "<PerMessageDeflate client_max_window_bits=15; server_max_window_bits=15>"
    bits = "client_max_window_bits=10; server_max_window_bits=11"
    assert extension.offer() == f"{bits}; client_no_context_takeover; server_no_context_takeover"


def test_the_base_class_does_nothing() -> None:
    class Least(Extension):
        def offer(self) -> bool:
            return True

    extension, decoder = Least(), FrameDecoder(True)
    assert (extension.enabled(), extension.accept(""), extension.core_codec(True)) == (False, None, None)
    extension.finalize("")
    bits = RsvBits(False, False, False)
    assert extension.frame_inbound_header(decoder, Opcode.TEXT, bits, 0) == bits
    assert extension.frame_inbound_payload_data(decoder, b"a") == b"a"
    assert extension.frame_inbound_complete(decoder, True) is None
    assert extension.frame_outbound(decoder, Opcode.TEXT, bits, b"a", True) == (bits, b"a")
    assert FrameProtocol(True, [extension]).extensions == []


# ---- extensions that users write ----


@pytest.mark.parametrize("client_sends", [True, False])
def test_an_extension_sees_and_rewrites_frames(client_sends: bool) -> None:
    kinds = (CLIENT, SERVER) if client_sends else (SERVER, CLIENT)
    extension = Case()
    sender, receiver = Connection(kinds[0], [Case()]), Connection(kinds[1], [extension])
    wire = sender.send(TextMessage("aB", True, False)) + sender.send(Ping(b"p")) + sender.send(TextMessage("cD"))
    assert received(receiver, wire) == [TextMessage("aB", True, False), Ping(b"pp"), TextMessage("Cd")]
    off, on = RsvBits(False, False, False), RsvBits(False, False, True)
    assert extension.seen == [
        ("header", Opcode.TEXT, on, 2),
        ("header", Opcode.PING, off, 2),
        ("header", Opcode.CONTINUATION, off, 2),
    ]
    assert received(receiver, sender.send(CloseConnection(1000, "bye"))) == [CloseConnection(1000, "bye")]
    assert receiver.state is ConnectionState.REMOTE_CLOSING
    assert received(receiver, wire) == []
    assert next(receiver.events(), None) is None


def test_pieces_through_an_extension() -> None:
    client = Connection(CLIENT, [Case()])
    assert received(client, b"\x91\x04a") == [TextMessage("A", False, False)]
    assert received(client, b"b") == [TextMessage("B", False, False)]
    assert received(client, b"cd\x82\x00") == [TextMessage("CD"), BytesMessage(b"")]
    large = b"\x82\x7f" + (200_000).to_bytes(8, "big") + bytes(200_000)
    assert received(client, large) == [BytesMessage(bytes(200_000))]


def test_an_extension_adds_at_the_end_of_a_frame() -> None:
    extension = Case()
    extension.answer = b"!"
    assert received(Connection(CLIENT, [extension]), b"\x82\x01a") == [BytesMessage(b"a!")]


def test_an_extension_refuses_at_the_end_of_a_frame() -> None:
    extension = Case()
    client = Connection(CLIENT, [extension])
    assert received(client, b"\x82\x02a") == [BytesMessage(b"a", False, False)]
    extension.answer = CloseReason.INTERNAL_ERROR
    assert received(client, b"b") == [CloseConnection(1011, "error in extension")]


@pytest.mark.parametrize(
    ("wire", "answer", "expected"),
    [
        (b"\x82\x00", CloseReason.MESSAGE_TOO_BIG, CloseConnection(1009, "error in extension")),
        (b"\x82\x02no", None, CloseConnection(1008, "error in extension")),
        (b"\x99\x00", None, CloseConnection(1002, "Reserved bit set unexpectedly")),
        (b"\xc2\x00", None, CloseConnection(1002, "Reserved bit set unexpectedly")),
        (b"\x80\x00", None, CloseConnection(1002, "unexpected CONTINUATION")),
        (b"\x91\x01\xff", None, CloseConnection(1007, "text is not valid UTF-8")),
    ],
)
def test_faults_with_an_extension(wire: bytes, answer: object, expected: CloseConnection) -> None:
    extension = Case()
    extension.answer = answer
    client = Connection(CLIENT, [extension])
    client.receive_data(b"" if answer else b"\x82\x00")
    assert received(client, wire)[-1] == expected
    assert client.state is ConnectionState.REMOTE_CLOSING


def test_a_text_that_goes_wrong_after_its_first_chunk() -> None:
    """The core takes a large piece in chunks: what was good comes before the fault."""
    client = Connection(CLIENT, [Case()])
    size = 100_000
    wire = b"\x81\x7f" + size.to_bytes(8, "big") + b"a" * (size - 1) + b"\xff"
    *good, fault = received(client, wire)
    assert fault == CloseConnection(1007, "text is not valid UTF-8")
    assert all(set(event.data) == {"a"} for event in good)  # type: ignore[attr-defined]


def test_an_extension_that_makes_a_control_frame_too_long() -> None:
    with pytest.raises(LocalProtocolError, match="126 bytes after extensions"):
        Connection(SERVER, [Case()]).send(Ping(bytes(63)))


@pytest.mark.parametrize("takeover", [False, True], ids=["context kept", "context dropped"])
def test_deflate_with_another_extension(takeover: bool) -> None:
    parameters = {"server_no_context_takeover": takeover}
    server = Connection(SERVER, [Case(), enabled(**parameters)])
    client = Connection(CLIENT, [enabled(**parameters), Case()])
    for _ in range(2):
        wire = server.send(BytesMessage(bytes(70_000), True, False)) + server.send(Ping(b"p"))
        wire += server.send(BytesMessage(b"b"))
        events = received(client, wire)
        assert b"".join(event.data for event in events if isinstance(event, BytesMessage)) == bytes(70_000) + b"b"
        assert received(client, b"\x82\x01a") == [BytesMessage(b"a")]


@pytest.mark.parametrize(
    ("wire", "code"),
    [(b"\xc9\x00", 1002), (b"\x42\x00\xc0\x00", 1002), (b"\xc2\x02\xff\xff", 1007)],
    ids=["control", "continuation", "corrupt"],
)
def test_faults_of_deflate_frame_by_frame(wire: bytes, code: int) -> None:
    assert received(Connection(CLIENT, [enabled()]), wire)[-1] == CloseConnection(code, "error in extension")


def test_a_bomb_frame_by_frame() -> None:
    bomb = Connection(SERVER, [enabled()]).send(BytesMessage(bytes(200_000)))
    client = Connection(CLIENT, [enabled()], settings=Settings(max_message_size=100_000))
    assert received(client, bomb) == [CloseConnection(1009, "error in extension")]


# ---- the stages of decoding ----


def test_buffer() -> None:
    buffer = Buffer(b"abc")
    assert (buffer.consume_exactly(4), buffer.consume_exactly(2), len(buffer)) == (None, b"ab", 3)
    buffer.rollback()
    assert buffer.consume_at_most(9) == b"abc"
    buffer.commit()
    assert len(buffer) == 0


def test_maskers() -> None:
    masker = XorMaskerSimple(b"\1\2\3\4")
    assert (masker.process(b"\0\0\0"), masker.process(b"\0\0")) == (b"\1\2\3", b"\4\1")
    assert XorMaskerNull().process(bytearray(b"a")) == b"a"


def test_message_decoder() -> None:
    decoder = MessageDecoder()
    assert decoder.process_frame(Frame(Opcode.TEXT, b"\xc3", True, False)) == Frame(Opcode.TEXT, "", True, False)
    with pytest.raises(ParseFailed, match=r"expected CONTINUATION, got <Opcode\.TEXT: 1>"):
        decoder.process_frame(Frame(Opcode.TEXT, b"", True, True))
    assert decoder.process_frame(Frame(Opcode.CONTINUATION, b"\xa9", True, True)) == Frame(Opcode.TEXT, "é", True, True)
    binary = Frame(Opcode.BINARY, b"\xff", True, True)
    assert decoder.process_frame(binary) == binary
    with pytest.raises(ParseFailed) as caught:
        decoder.process_frame(Frame(Opcode.TEXT, b"\xff", True, True))
    assert caught.value.code is CloseReason.INVALID_FRAME_PAYLOAD_DATA


def test_frame_decoder_byte_by_byte() -> None:
    decoder, frames = FrameDecoder(False), []
    for byte in b"\x81\x82abcd\x19\x1b\x89\x81\0\0\0\0p":
        decoder.receive_bytes(bytes((byte,)))
        frames.append(decoder.process_buffer())
    assert [frame for frame in frames if frame] == [
        Frame(Opcode.TEXT, b"x", False, True),
        Frame(Opcode.CONTINUATION, b"y", True, True),
        Frame(Opcode.PING, b"p", True, True),
    ]


def test_frame_decoder_keeps_nothing_after_a_fault() -> None:
    decoder = FrameDecoder(True, settings=Settings(max_frame_size=5))
    decoder.receive_bytes(b"\x82\x06")
    with pytest.raises(ParseFailed, match="frame is 6 bytes; the limit is 5"):
        decoder.process_buffer()
    decoder.receive_bytes(b"\x82\x01a")
    assert decoder.process_buffer() is None
    assert len(decoder.buffer) == 0
