"""wsl_remaining and wsl_decode_payload: a large frame's payload, decoded to where it stays."""

from __future__ import annotations

import pytest
import slow_codec
from c_codec import KEY, Decoded
from slow_codec import Frame

from wsproto_lite._codec import lib

REMAINING = {
    "nothing yet": (b"", 0),
    "half a header": (slow_codec.header(0x82, 300)[:3], 0),
    "header": (slow_codec.header(0x82, 300), 300),
    "some payload": (slow_codec.header(0x81, 300) + b"abc", 297),
    "all payload": (slow_codec.frame(0x01, b"abc"), 0),
    "continuation": (slow_codec.frame(0x01, b"abc") + slow_codec.header(0x80, 2**40), 2**40),
    "empty frame": (slow_codec.header(0x82, 0), 0),
    "ping": (slow_codec.header(0x89, 5), 0),
    "ping within a message": (slow_codec.frame(0x01, b"abc") + slow_codec.header(0x89, 5), 0),
    "marked by an extension": (slow_codec.header(0xC2, 5), 0),
    "continuation of it": (slow_codec.frame(0x42, b"abc") + slow_codec.header(0x80, 5), 0),
}


@pytest.mark.parametrize(("data", "expected"), REMAINING.values(), ids=REMAINING)
def test_remaining(data: bytes, expected: int) -> None:
    """Only the payload of a plain data frame may be decoded directly."""
    assert lib.wsl_remaining(Decoded([data], masked=False, reserved_bits=0x40).decoder) == expected


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("cut", [1, 3, 16383, 16384, 16385, 32768, 65535])
@pytest.mark.parametrize("text", ["a\N{EURO SIGN}", "ascii", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("first", [0x81, 0x82], ids=["text", "binary"])
@pytest.mark.parametrize("in_place", [False, True], ids=["elsewhere", "in place"])
def test_large_payloads_directly(text: str, cut: int, key: bytes | None, first: int, in_place: bool) -> None:
    """In pieces of any size, code points across their ends; then decoding goes on with the next header."""
    payload = (text * 25_000).encode()[:70_000].decode(errors="ignore").encode()
    wire = slow_codec.frame(first, payload, key)
    start = len(wire) - len(payload)
    chunks = [
        wire[:start],
        *(wire[at : at + cut] for at in range(start, start + 3 * cut, cut)),
        wire[start + 3 * cut :],
    ]
    chunks = [chunk for chunk in chunks if chunk] + [slow_codec.frame(0x8A, b"pong", key)]
    decoded = Decoded(chunks, directly=True, in_place=in_place, masked=key is not None)
    assert decoded.frames == [Frame(first, payload), Frame(0x8A, b"pong")]


@pytest.mark.parametrize("at", [0, 1, 16382, 16383, 16384, 40_000])
@pytest.mark.parametrize("in_place", [False, True], ids=["elsewhere", "in place"])
def test_large_invalid_text_directly(at: int, in_place: bool) -> None:
    payload = b"a" * at + b"\xed\xa0" + b"a" * 1000
    chunks = [slow_codec.header(0x81, len(payload)), payload]
    assert Decoded(chunks, directly=True, in_place=in_place, masked=False).fault == "invalid_utf8"
