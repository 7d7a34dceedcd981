"""StreamReader: frames read in steps, against Frame.from_bytes and the slow codec."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import Any

import pytest
import slow_codec
from hypothesis import given
from hypothesis import strategies as st

from wsproto_lite import LocalProtocolError, Opcode, ProtocolError, RemoteProtocolError
from wsproto_lite.frames import Frame, StreamReader

KEY = bytes.fromhex("37fa213d")
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70_000]
HUGE = [2**31 - 1, 2**31, 2**32, 2**63 - 1]


def refused(kind: type[ProtocolError], message: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def payload_of(size: int) -> bytes:
    return bytes(at * 7 & 0xFF for at in range(size))


def read_all(reader: StreamReader, wire: bytes) -> list[Frame]:
    """Give the reader what it wants, step by step, until the wire ends between two frames."""
    frames = []
    at, wanted = 0, 2
    while at < len(wire) or wanted != 2:
        step = reader.progressive_read(wire[at : at + wanted])
        at += wanted
        if isinstance(step, Frame):
            frames.append(step)
            wanted = 2
        else:
            wanted = step
        assert reader.wanted == wanted
    return frames


@pytest.mark.parametrize("payloads_masked", [True, "auto"], ids=str)
def test_reading_masked_frames(payloads_masked: Any) -> None:
    wires = [slow_codec.frame(0x82, payload_of(size), KEY) for size in SIZES]
    assert read_all(StreamReader(payloads_masked), b"".join(wires)) == [Frame.from_bytes(wire) for wire in wires]


@pytest.mark.parametrize("payloads_masked", [False, "auto"], ids=str)
def test_reading_plain_frames(payloads_masked: Any) -> None:
    wires = [slow_codec.frame(0x82, payload_of(size)) for size in SIZES]
    assert read_all(StreamReader(payloads_masked), b"".join(wires)) == [Frame.from_bytes(wire) for wire in wires]


def test_reading_both_in_turn() -> None:
    wires = [slow_codec.frame(first, b"ab", key) for first, key in itertools.product(range(256), (None, KEY))]
    assert read_all(StreamReader("auto"), b"".join(wires)) == [Frame.from_bytes(wire) for wire in wires]


STEPS: dict[str, tuple[bytes, list[int]]] = {
    "plain": (slow_codec.frame(0x81, b"hey"), [2, 3]),
    "plain and empty": (slow_codec.frame(0x81), [2, 0]),
    "masked": (slow_codec.frame(0x81, b"hey", KEY), [2, 4, 3]),
    "masked and empty": (slow_codec.frame(0x81, b"", KEY), [2, 4, 0]),
    "16 bits": (slow_codec.frame(0x82, bytes(126)), [2, 2, 126]),
    "16 bits, masked": (slow_codec.frame(0x82, bytes(126), KEY), [2, 6, 126]),
    "64 bits": (slow_codec.frame(0x82, bytes(65536)), [2, 8, 65536]),
    "64 bits, masked": (slow_codec.frame(0x82, bytes(65536), KEY), [2, 12, 65536]),
}


@pytest.mark.parametrize(("wire", "sizes"), STEPS.values(), ids=STEPS)
def test_the_steps_of_a_frame(wire: bytes, sizes: list[int]) -> None:
    """All together and each by its name."""
    reader = StreamReader("auto")
    at = 0
    for size, wanted in zip(sizes, sizes[1:]):
        assert reader.progressive_read(wire[at : at + size]) == wanted
        at += size
    assert reader.progressive_read(wire[at:]) == Frame.from_bytes(wire)

    continuation = reader.read_header(wire[:2])
    assert continuation == (sizes[1] if len(sizes) == 3 else 0)
    assert reader.read_header_continuation(wire[2 : 2 + continuation]) == sizes[-1]
    assert reader.make_frame(wire[2 + continuation :]) == Frame.from_bytes(wire)


def test_what_is_known_after_the_header() -> None:
    reader = StreamReader(True)
    reader.read_header(b"\x51\xfe")
    assert (reader.fin, reader.rsv1, reader.rsv2, reader.rsv3, reader.opcode) == (0, 1, 0, 1, Opcode.TEXT)
    assert (reader.masked, reader.mask, reader.amount_spec, reader.header_continuation) == (True, None, 126, 6)
    reader.read_header_continuation(b"\x01\x00" + KEY)
    assert (reader.mask, reader.amount) == (KEY, 256)


@pytest.mark.parametrize("length", HUGE)
def test_sizes_do_not_overflow(length: int) -> None:
    """Section 5.2: lengths have 63 bits. Whether to read so much is for the caller to decide."""
    wire = slow_codec.header(0x82, length, KEY, 8)
    reader = StreamReader(True)
    assert reader.progressive_read(wire[:2]) == 12
    assert reader.progressive_read(wire[2:]) == length


@pytest.mark.parametrize("length", [2**63, 2**64 - 1])
def test_the_top_bit_of_a_length_is_refused(length: int) -> None:
    """Section 5.2: the most significant bit must be 0."""
    reader = StreamReader(False)
    reader.read_header(b"\x82\x7f")
    with refused(RemoteProtocolError, f"payload length {length:#x} has its most significant bit set"):
        reader.read_header_continuation(length.to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("payloads_masked", "second", "message"),
    [(True, 0x00, "frame is not masked"), (False, 0x80, "frame is masked")],
    ids=["plain where masked", "masked where plain"],
)
def test_masking_other_than_promised(payloads_masked: bool, second: int, message: str) -> None:
    """Section 5.1, told by the second byte; the reader still wants a header."""
    reader = StreamReader(payloads_masked)
    with refused(RemoteProtocolError, message):
        reader.progressive_read(bytes([0x81, second]))
    assert reader.progressive_read(bytes([0x81, second ^ 0x80])) == (4 if payloads_masked else 0)


@pytest.mark.parametrize(("wire", "sizes"), STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_data_of_another_size_changes_nothing(wire: bytes, sizes: list[int], wrong: int) -> None:
    """A length field that is cut short is refused, not read beyond."""
    reader = StreamReader("auto")
    at = 0
    for size, name in zip(sizes, ("header", "header continuation" if len(sizes) == 3 else "payload", "payload")):
        if size + wrong >= 0:
            with refused(LocalProtocolError, f"{name} is {size + wrong} bytes; {size} are wanted"):
                reader.progressive_read(bytes(size + wrong))
        step = reader.progressive_read(wire[at : at + size])
        at += size
    assert step == Frame.from_bytes(wire)


def test_steps_out_of_turn() -> None:
    reader = StreamReader("auto")
    with refused(LocalProtocolError, "header continuation is out of turn: header is next"):
        reader.read_header_continuation(b"")
    with refused(LocalProtocolError, "payload is out of turn: header is next"):
        reader.make_frame(b"")
    reader.read_header(b"\x82\x7e")
    with refused(LocalProtocolError, "payload is out of turn: header continuation is next"):
        reader.make_frame(b"")
    reader.read_header_continuation(b"\x00\x7e")
    with refused(LocalProtocolError, "header continuation is out of turn: payload is next"):
        reader.read_header_continuation(b"\x00\x7e")
    # A header may be begun anew at any time.
    assert reader.read_header(b"\x82\x05") == 0


@pytest.mark.parametrize("data", ["xy", 2, None], ids=str)
def test_the_reader_takes_bytes(data: Any) -> None:
    with refused(LocalProtocolError, f"header is of type {type(data).__name__}; it is bytes"):
        StreamReader(True).progressive_read(data)


def test_the_reader_takes_any_buffer() -> None:
    reader = StreamReader(True)
    assert reader.progressive_read(bytearray(b"\x81\x82")) == 4
    assert reader.progressive_read(memoryview(KEY)) == 2
    payload = bytearray(slow_codec.mask(b"hi", KEY))
    frame = reader.progressive_read(payload)
    payload[:] = b"--"
    assert frame == Frame(b"hi", mask=KEY, amount_spec=2, amount=2)


@pytest.mark.parametrize("payloads_masked", [None, "yes", 2, "Auto"], ids=repr)
def test_payloads_masked_is_one_of_three(payloads_masked: Any) -> None:
    with refused(LocalProtocolError, f"payloads_masked is {payloads_masked!r}; it is True, False or 'auto'"):
        StreamReader(payloads_masked)


@given(data=st.binary(max_size=40), payloads_masked=st.sampled_from([True, False, "auto"]))
def test_no_bytes_raise_anything_else(data: bytes, payloads_masked: Any) -> None:
    """Only the ProtocolError family leaves the library."""
    with contextlib.suppress(LocalProtocolError, RemoteProtocolError):
        read_all(StreamReader(payloads_masked), data)
    with contextlib.suppress(RemoteProtocolError):
        Frame.from_bytes(data).validate()
