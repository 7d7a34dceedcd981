"""compat.wsdatautil, frames: WsDataUtil 1.1's names, fields and values, and none of its faults."""

from __future__ import annotations

import pickle
from typing import Any, Callable

import pytest
import slow_codec
from hypothesis import given
from hypothesis import strategies as st

from wsproto_lite import LocalProtocolError, RemoteProtocolError, frames
from wsproto_lite.compat import wsdatautil
from wsproto_lite.compat.wsdatautil import (
    CLOSECODES,
    OPCODES,
    CloseCode,
    Frame,
    FrameFactory,
    InvalidArgument,
    InvalidData,
    ProgressiveStreamReader,
    StreamReader,
    _wsframecoder,
    get_close_code_and_message_from_frame,
)

KEY = b"\x01\x02\x03\x04"
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70_000]


def payload_of(size: int) -> bytes:
    return bytes(at * 7 & 0xFF for at in range(size))


# ---- Frame ----


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("size", SIZES)
def test_there_and_back(size: int, key: bytes | None) -> None:
    wire = slow_codec.frame(0x82, payload_of(size), key)
    frame = Frame.from_streamdata(wire)
    spec = size if size < 126 else 126 if size < 65536 else 127
    assert frame == Frame(payload_of(size), OPCODES.BINARY, key, 1, 0, 0, 0, spec, size)
    assert frame.to_streamdata() == wire


@pytest.mark.parametrize("first", range(256), ids="{:#04x}".format)
def test_every_first_byte(first: int) -> None:
    wire = slow_codec.frame(first, b"ab", KEY)
    assert Frame.from_streamdata(wire).to_streamdata() == wire


def test_fields_are_plain() -> None:
    """What is printed or stored shows numbers, as it always has."""
    expected = "Frame(payload=b'a', opcode=1, mask=None, fin=1, rsv1=0, rsv2=0, rsv3=0, amount_spec={0}, amount={0})"
    assert repr(Frame(b"a")) == expected.format(None)
    assert repr(Frame.from_streamdata(b"\x81\x01a")) == expected.format(1)
    assert type(Frame.from_streamdata(b"\x81\x01a").opcode) is int


def test_frames_stay_frames() -> None:
    frame = Frame.from_streamdata(b"\x81\x01a")
    assert type(frame._replace(payload=b"b")) is Frame
    assert type(pickle.loads(pickle.dumps(frame))) is Frame
    assert isinstance(frame, frames.Frame)
    frame.validate()


def test_the_payload_stays_masked_if_asked() -> None:
    wire = slow_codec.frame(0x81, b"Hello", KEY)
    frame = Frame.from_streamdata(wire, auto_demask=False)
    assert (frame.payload, frame.mask) == (wire[6:], KEY)
    assert frame.masked_payload() == b"Hello"


def test_bits_are_whatever_is_true() -> None:
    frame = Frame(b"", OPCODES.TEXT, b"", fin=5, rsv1="yes", rsv2=None, rsv3=[])  # type: ignore[arg-type]  # as before
    assert frame.to_streamdata() == b"\xc1\x00"


WIRES = [slow_codec.frame(0x82, payload_of(size), key) for size in (0, 5, 126, 65536) for key in (None, KEY)]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: f"{len(wire)} bytes")
def test_data_that_is_not_one_frame(wire: bytes) -> None:
    """Nothing is read behind the end, wherever the data is cut."""
    for size in (*range(15), len(wire) - 1, len(wire) + 1):
        if size != len(wire):
            with pytest.raises(InvalidData, match=f"^frame is {size} bytes; it"):
                Frame.from_streamdata((wire + b"!" * 15)[:size])


FAULTS: dict[str, Callable[[], object]] = {
    "key of 3 bytes": lambda: Frame(b"12", mask=b"123").to_streamdata(),
    "key of 5 bytes": lambda: Frame(b"12", mask=b"12345").masked_payload(),
    "no key": lambda: Frame(b"12").masked_payload(),
    "opcode 16": lambda: Frame(b"", 16).to_streamdata(),
    "opcode -1": lambda: Frame(b"", -1).to_streamdata(),
    "text": lambda: Frame("text").to_streamdata(),  # type: ignore[arg-type]  # the point
    "close code 65536": lambda: CloseCode(65536).to_payload(),
    "close code -1": lambda: CloseCode(-1).to_payload(),
    "header of 1 byte": lambda: StreamReader(True).progressive_read(b"1"),
    "header of 3 bytes": lambda: _wsframecoder.read_header(b"123"),
    "length of 1 byte": lambda: _wsframecoder.read_header_continuation(b"1", 126, False),
    "length of 7 bytes": lambda: _wsframecoder.read_header_continuation(b"1234567", 127, False),
    "masking key cut": lambda: _wsframecoder.read_header_continuation(b"123", 5, True),
    "something behind the masking key": lambda: _wsframecoder.read_header_continuation(b"12345", 5, True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_callers_faults(fault: Callable[[], object]) -> None:
    """ValueErrors as ever, and of this library's family too."""
    with pytest.raises(InvalidArgument) as caught:
        fault()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, LocalProtocolError)


PEERS_FAULTS: dict[str, Callable[[], object]] = {
    "empty": lambda: Frame.from_streamdata(b""),
    "short": lambda: _wsframecoder.parse(b"\x81\x05abc", True),
    "top bit": lambda: _wsframecoder.read_header_continuation(b"\x80" + bytes(7), 127, False),
    "not masked": lambda: ProgressiveStreamReader(True).progressive_read(b"\x81\x00"),
}


@pytest.mark.parametrize("fault", PEERS_FAULTS.values(), ids=PEERS_FAULTS)
def test_peers_faults(fault: Callable[[], object]) -> None:
    with pytest.raises(InvalidData) as caught:
        fault()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RemoteProtocolError)
    assert caught.value.code == 1002


# ---- the C functions ----


def test_read_header() -> None:
    assert _wsframecoder.read_header(b"\xd1\xfe") == (1, 1, 0, 1, 1, 1, 126, 6)
    assert _wsframecoder.read_header(b"\x02\x05") == (0, 0, 0, 0, 2, 0, 5, 0)
    assert _wsframecoder.read_header(b"\x82\xff") == (1, 0, 0, 0, 2, 1, 127, 12)


def test_read_header_continuation() -> None:
    assert _wsframecoder.read_header_continuation(b"\x01\x00" + KEY, 126, True) == (KEY, 256)
    assert _wsframecoder.read_header_continuation(KEY, 5, True) == (KEY, 5)
    assert _wsframecoder.read_header_continuation(b"", 5, False) == (bytes(4), 5)


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32, 2**63 - 1])
def test_sizes_do_not_overflow(length: int) -> None:
    continuation = slow_codec.header(0x82, length, KEY, 8)[2:]
    assert _wsframecoder.read_header_continuation(continuation, 127, True) == (KEY, length)
    with pytest.raises(InvalidData, match=f"its header claims {length + 14}$"):
        Frame.from_streamdata(b"\x82\xff" + continuation)


def test_parse_and_build() -> None:
    wire = slow_codec.frame(0xD1, b"Hello", KEY)
    assert _wsframecoder.parse(wire, True) == (1, 1, 0, 1, 1, 1, 5, 5, KEY, b"Hello")
    assert _wsframecoder.parse(wire, False) == (1, 1, 0, 1, 1, 1, 5, 5, KEY, wire[6:])
    assert _wsframecoder.build(1, 1, 0, 1, 1, KEY, b"Hello") == wire


def test_a_key_that_is_not_there_is_zeros() -> None:
    """Not whatever memory held."""
    assert _wsframecoder.parse(b"\x82\x02ab", True) == (1, 0, 0, 0, 2, 0, 2, 2, bytes(4), b"ab")
    assert _wsframecoder.build(1, 0, 0, 0, 2, b"", b"ab") == b"\x82\x02ab"


@given(payload=st.binary(max_size=100), key=st.binary(min_size=4, max_size=4))
def test_masking(payload: bytes, key: bytes) -> None:
    assert _wsframecoder.masking(payload, key) == slow_codec.mask(payload, key)


# ---- readers ----


def read_all(reader: StreamReader, wire: bytes) -> list[Frame]:
    frames, at = [], 0
    while at < len(wire):
        step: int | Frame = 2
        while isinstance(step, int):
            at, data = at + step, wire[at : at + step]
            step = reader.progressive_read(data)
        frames.append(step)
    return frames


def test_both_names_are_one() -> None:
    assert StreamReader is ProgressiveStreamReader


@pytest.mark.parametrize("payloads_masked", [True, "auto", 1], ids=repr)
def test_reading_masked_frames(payloads_masked: Any) -> None:
    wires = [slow_codec.frame(0x82, payload_of(size), KEY) for size in SIZES]
    frames = read_all(StreamReader(payloads_masked), b"".join(wires))
    assert [repr(frame) for frame in frames] == [repr(Frame.from_streamdata(wire)) for wire in wires]


@pytest.mark.parametrize("payloads_masked", [False, "auto", 0, None], ids=repr)
def test_reading_plain_frames(payloads_masked: Any) -> None:
    wires = [slow_codec.frame(0x82, payload_of(size)) for size in SIZES]
    frames = read_all(StreamReader(payloads_masked), b"".join(wires))
    assert [repr(frame) for frame in frames] == [repr(Frame.from_streamdata(wire)) for wire in wires]


def test_reading_masked_payloads_as_they_are() -> None:
    wire = slow_codec.frame(0x81, b"Hello", KEY)
    assert read_all(StreamReader(False), wire) == [Frame.from_streamdata(wire, auto_demask=False)]


def test_steps_by_name() -> None:
    reader = ProgressiveStreamReader(payloads_masked=True)
    assert reader.read_header(b"\x52\xfe") == 6
    assert (reader.opcode, reader.masked, reader.amount_spec, reader.header_continuation) == (2, True, 126, 6)
    assert reader.read_header_continuation(b"\x00\x7e" + KEY) == 126
    assert (reader.mask, reader.amount) == (KEY, 126)
    frame = reader.make_frame(slow_codec.mask(bytes(126), KEY))
    assert frame == Frame(bytes(126), 2, KEY, 0, 1, 0, 1, 126, 126)
    assert type(frame) is Frame


# ---- the factory, codes ----


@pytest.mark.parametrize(
    ("fragment", "opcode", "fin"),
    [(None, None, 1), ("first", None, 0), ("continue", OPCODES.CONTINUE, 0), ("final", OPCODES.CONTINUE, 1)],
)
def test_data_frames(fragment: Any, opcode: int | None, fin: int) -> None:
    text = FrameFactory.TextDataFrame(b"abc", KEY, fragment)
    binary = FrameFactory.BinaryDataFrame(b"abc", fragment=fragment)
    assert text == Frame(b"abc", OPCODES.TEXT if opcode is None else opcode, KEY, fin)
    assert binary == Frame(b"abc", OPCODES.BINARY if opcode is None else opcode, None, fin)


def test_control_frames() -> None:
    assert FrameFactory.PingFrame() == Frame(b"", OPCODES.PING)
    assert FrameFactory.PongFrame() == Frame(b"", OPCODES.PONG)
    assert FrameFactory.CloseFrame(CLOSECODES.GOING_AWAY, b"bye") == Frame(b"\x03\xe9bye", OPCODES.CLOSE)


REASONS = {
    "123 bytes": (b"x" * 123, b"x" * 123),
    "124 bytes": (b"x" * 124, b"x" * 123),
    "cut between code points": ("\u20ac".encode() * 50, "\u20ac".encode() * 41),
    "cut within a code point": (b"x" + "\u20ac".encode() * 50, b"x" + "\u20ac".encode() * 40),
    "whole, but no text": (b"\xe2\x82", b"\xe2\x82"),
}


@pytest.mark.parametrize(("reason", "sent"), REASONS.values(), ids=REASONS)
def test_a_long_close_reason_is_cut(reason: bytes, sent: bytes) -> None:
    """Section 5.5: 125 bytes; section 8.1: what is left is text if it was."""
    assert FrameFactory.CloseFrame(CLOSECODES.NORMAL_CLOSURE, reason).payload == b"\x03\xe8" + sent


def test_close_codes() -> None:
    assert (CLOSECODES.INVALID_DATA, CLOSECODES.TLS_HANDSHAKE, CLOSECODES.TIMEOUT) == (1007, 1015, 3008)
    assert CLOSECODES.NORMAL_CLOSURE.to_payload(b"bye") == b"\x03\xe8bye"
    assert 999 in CLOSECODES._0to999_UNUSED


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"\x03\xe8bye", (1000, b"bye")), (b"\x03\xe8", (1000, b"")), (b"", (0, b""))],
    ids=["reason", "code", "empty"],
)
def test_close_payloads_apart(payload: bytes, expected: tuple[int, bytes]) -> None:
    assert get_close_code_and_message_from_frame(Frame(payload, OPCODES.CLOSE)) == expected


def test_every_name_is_there() -> None:
    assert wsdatautil.__version__ == "1.1"
    assert [name for name in wsdatautil.__all__ if not hasattr(wsdatautil, name)] == []


def test_the_c_functions_are_a_module_of_their_own() -> None:
    """As in WsDataUtil: programs import from it."""
    from wsproto_lite.compat.wsdatautil._wsframecoder import build, masking, parse, read_header_continuation

    assert parse(build(1, 0, 0, 0, 1, KEY, b"Hello"), True)[-1] == b"Hello"
    assert (masking(b"\0", KEY), read_header_continuation(b"", 5, False)) == (KEY[:1], (bytes(4), 5))
