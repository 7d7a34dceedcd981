"""Bytes of one direction, taken apart into frames to show."""

from __future__ import annotations

import pytest

from wsproto_lite import Frame, Opcode, RemoteProtocolError
from wsproto_lite.dissect import PREVIEW, Dissector, SeenFrame

KEY = bytes.fromhex("37fa213d")

FRAMES = {
    "empty": Frame(b""),
    "text": Frame(b"Hello"),
    "masked": Frame(b"Hello", mask=KEY),
    "zero_key": Frame(b"Hello", mask=bytes(4)),
    "control": Frame(b"", Opcode.PING, mask=KEY),
    "compressed": Frame(b"\xf2H\xcd\xc9\xc9\x07\x00", rsv1=1),
    "fragment": Frame(b"He", fin=0),
    "unknown_opcode": Frame(b"?", 0xF, rsv2=1, rsv3=1),
    "shown_in_full": Frame(b"x" * PREVIEW),
    "cut": Frame(b"x" * (PREVIEW + 1), Opcode.BINARY),
    "length_of_two_bytes": Frame(b"x" * 65535, Opcode.BINARY, mask=KEY),
    "length_of_eight_bytes": Frame(b"x" * 65536, Opcode.BINARY, mask=KEY),
}

ALL = b"".join(frame.to_bytes() for frame in FRAMES.values())


def expected(frame: Frame) -> SeenFrame:
    """Say by other means what is seen of a frame."""
    wire = frame.to_bytes()
    payload = frame.masked_payload() if frame.mask else frame.payload
    header = wire[: len(wire) - len(payload) - len(frame.mask or b"")]
    bits = frame.fin, frame.rsv1, frame.rsv2, frame.rsv3
    return SeenFrame(*bits, int(frame.opcode), header, frame.mask, len(payload), payload[:PREVIEW])


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_one_frame(frame: Frame) -> None:
    assert list(Dissector().feed(frame.to_bytes())) == [expected(frame)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, len(ALL)])
def test_any_portions(size: int) -> None:
    dissector = Dissector()
    seen = [frame for start in range(0, len(ALL), size) for frame in dissector.feed(ALL[start : start + size])]
    assert seen == [expected(frame) for frame in FRAMES.values()]


def test_length_out_of_range() -> None:
    dissector = Dissector()
    with pytest.raises(RemoteProtocolError):
        list(dissector.feed(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"))
