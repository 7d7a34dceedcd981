"""UTF-8 in C (RFC 6455 section 8.1): wsl_utf8 alone, and what wsl_decode makes of it, against RFC 3629."""

from __future__ import annotations

import itertools

import pytest
import slow_codec
from c_codec import INPUT, KEY, Decoded, assert_like_slow, byte_by_byte
from hypothesis import given
from hypothesis import strategies as st

from wsproto_lite._codec import lib

EDGES = bytes.fromhex("00 41 7F 80 8F 90 9F A0 BF C0 C1 C2 DF E0 E1 EC ED EE EF F0 F1 F3 F4 F5 FF")

INVALID = {
    "lone tail": b"\x80",
    "last lone tail": b"\xbf",
    "overlong slash": b"\xc0\xaf",
    "overlong C1": b"\xc1\xbf",
    "overlong 3": b"\xe0\x80\xaf",
    "overlong 3, last": b"\xe0\x9f\xbf",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "overlong 4": b"\xf0\x80\x80\xaf",
    "overlong 4, last": b"\xf0\x8f\xbf\xbf",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "F5": b"\xf5\x80\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "two bytes cut": b"\xc3\x41",
    "three bytes cut after one": b"\xe2\x41",
    "three bytes cut after two": b"\xe2\x82\x41",
    "four bytes cut after one": b"\xf0\x41",
    "four bytes cut after two": b"\xf0\x9f\x41",
    "four bytes cut after three": b"\xf0\x9f\x98\x41",
    "lead after lead": b"\xe2\xe2",
    "lead after tail": b"\xf0\x9f\xc3",
}


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def utf8(data: bytes, state: int = 0) -> int:
    return int(lib.wsl_utf8(state, INPUT.holding(data), len(data)))


def outcome(data: bytes) -> str:
    """Tell what the slow codec says of a whole or unfinished text."""
    fault, whole = slow_codec.utf8(data)
    return "invalid" if fault is not None else "whole" if whole == len(data) else "unfinished"


def told(state: int) -> str:
    return {0: "whole", lib.WSL_UTF8_INVALID: "invalid"}.get(state, "unfinished")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_utf8_edges(length: int) -> None:
    """RFC 3629 section 4, decided at the earliest byte."""
    for octets in itertools.product(EDGES, repeat=length):
        data = bytes(octets)
        assert (data, told(utf8(data))) == (data, outcome(data))


def test_utf8_edges_of_four_bytes() -> None:
    """Python's own decoder is the judge of whole texts."""
    for octets in itertools.product(EDGES, repeat=4):
        data = bytes(octets)
        assert (data, lib.wsl_utf8(0, data, 4) == 0) == (data, is_text(data))


def test_all_pairs_of_bytes() -> None:
    for number in range(1 << 16):
        data = number.to_bytes(2, "big")
        assert (data, told(utf8(data))) == (data, outcome(data))


def test_every_code_point() -> None:
    """All of Unicode is valid but for the surrogates."""
    every = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF).encode()
    assert lib.wsl_utf8(0, every, len(every)) == 0
    for surrogate in range(0xD800, 0xE000):
        assert utf8(chr(surrogate).encode("utf-8", "surrogatepass")[:2]) == lib.WSL_UTF8_INVALID


@pytest.mark.parametrize("sequence", INVALID.values(), ids=INVALID)
def test_invalid_text_wherever_it_stands(sequence: bytes) -> None:
    """In and across the blocks of the fast path, split at every byte: invalid as soon as nothing can mend it."""
    for before, after in itertools.product((0, 1, 7, 8, 31, 32, 252, 253, 254, 255, 256, 257, 511, 513), (0, 1, 300)):
        data = b"a" * before + sequence + b"z" * after
        for cut in (0, *range(max(0, before - 3), before + len(sequence) + 3), len(data)):
            state = utf8(data[:cut])
            assert (cut, told(state)) == (cut, outcome(data[:cut]))
            assert utf8(data[cut:], state) == lib.WSL_UTF8_INVALID


@given(
    text=st.text("az\N{DEGREE SIGN}\N{EURO SIGN}\N{GRINNING FACE}", max_size=100),
    before=st.sampled_from([0, 1, 31, 250, 255, 256, 500]),
)
def test_valid_text_wherever_it_is_split(text: str, before: int) -> None:
    data = b"a" * before + text.encode()
    assert {utf8(data[cut:], utf8(data[:cut])) for cut in range(len(data) + 1)} == {0}


def test_invalid_stays_invalid() -> None:
    for octet in range(256):
        for size in (1, 32, 255, 256, 257):
            assert utf8(bytes([octet]) * size, lib.WSL_UTF8_INVALID) == lib.WSL_UTF8_INVALID


@pytest.mark.parametrize("sequence", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("cut", range(7))
def test_text_in_fragments_fails_at_the_earliest_byte(sequence: bytes, cut: int) -> None:
    """Section 8.1, across frames and with a Ping in the middle of a code point."""
    text = b"abc" + sequence + b"xyz"
    parts = [
        slow_codec.frame(0x01, text[: 3 + cut], KEY),
        slow_codec.frame(0x89, b"\xff", KEY),
        slow_codec.frame(0x80, text[3 + cut :], KEY),
    ]
    data = b"".join(parts)
    for chunks in ([data], parts, byte_by_byte(data)):
        assert_like_slow(data, chunks, masked=True)


UNFINISHED = {
    "one frame": slow_codec.frame(0x81, b"\xe2\x82"),
    "last fragment": slow_codec.frame(0x01, b"\xe2") + slow_codec.frame(0x80, b"\x82"),
    "empty last fragment": slow_codec.frame(0x01, b"\xe2\x82") + slow_codec.frame(0x80),
    "next message": slow_codec.frame(0x81, b"ok") + slow_codec.frame(0x81, b"\xf0\x9f\x98"),
}


@pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED)
def test_text_that_ends_within_a_code_point(data: bytes) -> None:
    for chunks in ([data], byte_by_byte(data)):
        assert_like_slow(data, chunks, masked=False)
        assert Decoded(chunks, masked=False).fault == "invalid_utf8"


NOT_TEXT = {
    "binary": slow_codec.frame(0x82, b"\xff"),
    "continued binary": slow_codec.frame(0x02, b"\xff") + slow_codec.frame(0x80, b"\xff"),
    "ping": slow_codec.frame(0x89, b"\xff"),
    "compressed text": slow_codec.frame(0x41, b"\xff") + slow_codec.frame(0x80, b"\xff"),
    "binary after text": slow_codec.frame(0x81, b"ok") + slow_codec.frame(0x82, b"\xff"),
    "binary within text": slow_codec.frame(0x01, b"\xe2") + slow_codec.frame(0x82, b"\xff"),
}


@pytest.mark.parametrize("data", NOT_TEXT.values(), ids=NOT_TEXT)
def test_only_text_is_validated(data: bytes) -> None:
    assert_like_slow(data, [data], masked=False, reserved_bits=0x40)
    assert Decoded([data], masked=False, reserved_bits=0x40).fault is None
