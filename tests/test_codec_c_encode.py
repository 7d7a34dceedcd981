"""wsl_encode, wsl_encode_header, wsl_mask_frame and wsl_mask against RFC 6455 and the slow codec."""

from __future__ import annotations

import ctypes
import itertools
import os
import sys

import pytest
import slow_codec
from c_codec import HAS_GUARD_PAGES, INPUT, KEY, OUTPUT, Area, Decoded
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import Frame

from wsproto_lite._codec import ffi, lib

# ---- encoding ----

RFC_EXAMPLES = {
    "unmasked text": (0x81, b"Hello", None, "81 05 48 65 6c 6c 6f"),
    "masked text": (0x81, b"Hello", KEY, "81 85 37 fa 21 3d 7f 9f 4d 51 58"),
    "first fragment": (0x01, b"Hel", None, "01 03 48 65 6c"),
    "last fragment": (0x80, b"lo", None, "80 02 6c 6f"),
    "unmasked ping": (0x89, b"Hello", None, "89 05 48 65 6c 6c 6f"),
    "masked pong": (0x8A, b"Hello", KEY, "8a 85 37 fa 21 3d 7f 9f 4d 51 58"),
    "256 bytes": (0x82, bytes(256), None, "82 7E 01 00" + 256 * " 00"),
    "64 KiB": (0x82, bytes(65536), None, "82 7F 00 00 00 00 00 01 00 00" + 65536 * " 00"),
}

BOUNDARIES = [0, 1, 125, 126, 127, 65535, 65536]


def encode(first: int, payload: bytes, key: bytes | None) -> bytes:
    room = len(payload) + 2 + (0 if len(payload) < 126 else 2 if len(payload) < 65536 else 8) + (4 if key else 0)
    output = OUTPUT.at_end(room)
    size = lib.wsl_encode(output, first, key or ffi.NULL, INPUT.holding(payload), len(payload))
    assert size == room
    return bytes(ffi.buffer(output, size))


@pytest.mark.parametrize(("first", "payload", "key", "expected"), RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
def test_the_examples_of_section_5_7(first: int, payload: bytes, key: bytes | None, expected: str) -> None:
    """Section 5.7 gives frames byte by byte; the slow codec and the C file agree with it, both ways."""
    wire = bytes.fromhex(expected)
    assert slow_codec.frame(first, payload, key) == wire
    assert encode(first, payload, key) == wire
    assert slow_codec.decode(wire, masked=key is not None) == ([Frame(first, payload)], None)
    assert Decoded([wire], masked=key is not None).frames == [Frame(first, payload)]


@pytest.mark.parametrize("key", [None, KEY, bytes(4), b"\xff\x00\x80\x7f"], ids=["plain", "key", "zeros", "other key"])
@pytest.mark.parametrize("size", [*BOUNDARIES, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000])
def test_encode_gives_the_shortest_form(size: int, key: bytes | None) -> None:
    """Section 5.2: the minimal number of bytes must be used to encode the length."""
    payload = bytes(at * 7 & 0xFF for at in range(size))
    assert encode(0x82, payload, key) == slow_codec.frame(0x82, payload, key)


@pytest.mark.parametrize("first", range(256), ids="{:#04x}".format)
def test_encode_takes_any_first_byte(first: int) -> None:
    assert encode(first, b"ab", KEY) == slow_codec.frame(first, b"ab", KEY)


SIZES = [*BOUNDARIES, *(size for size in (2**31 - 1, 2**31, 2**32, 2**63 - 1) if size <= sys.maxsize)]


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("size", SIZES)
def test_encode_header_alone(size: int, key: bytes | None) -> None:
    """No size overflows: the payload is somebody else's to send."""
    expected = slow_codec.header(0x82, size, key)
    output = OUTPUT.at_end(len(expected))
    assert lib.wsl_encode_header(output, 0x82, key or ffi.NULL, size) == len(expected)
    assert bytes(ffi.buffer(output, len(expected))) == expected


# ---- masking ----


@pytest.mark.parametrize("size", [*BOUNDARIES, *range(2, 71), 1000, 65537])
def test_mask_a_frame_where_it_is(size: int) -> None:
    """Section 5.3: all of the payload, nothing before and nothing behind it."""
    payload = bytes(at * 37 & 0xFF for at in range(size))
    unmasked = slow_codec.header(0x82, size, KEY) + payload
    for output in (OUTPUT.at_end(len(unmasked)), OUTPUT.at_start(len(unmasked))):
        ffi.memmove(output, unmasked, len(unmasked))
        lib.wsl_mask_frame(output)
        assert bytes(ffi.buffer(output, len(unmasked))) == slow_codec.frame(0x82, payload, KEY)


@pytest.mark.parametrize("phase", [0, 1, 2, 3, 4, 7, 2**31 + 1])
def test_mask_at_every_alignment_and_size(phase: int) -> None:
    """Section 5.3, wherever input and output lie, and nothing beyond them is touched."""
    data = bytes(at * 37 & 0xFF for at in range(86))
    turned = KEY[phase % 4 :] + KEY[: phase % 4]
    for alignment, size in itertools.product(range(16), range(71)):
        source = INPUT.holding(bytes(16 - alignment) + data[:size] + bytes(alignment))
        output = OUTPUT.at_end(size + 2 * alignment) + alignment
        start = 16 - alignment
        lib.wsl_mask(output, source, start, start + size, KEY, phase)
        expected = bytes(alignment) + slow_codec.mask(data[:size], turned) + bytes(alignment)
        assert bytes(ffi.buffer(output - alignment, size + 2 * alignment)) == expected


@pytest.mark.parametrize("size", [*range(71), 127, 128, 129, 255, 256, 257, 4096, 65535, 65536, 100_001])
def test_mask_up_to_the_edge_of_memory(size: int) -> None:
    """Both buffers end, then begin, at a page that can't be touched."""
    data = bytes(at * 37 & 0xFF for at in range(size))
    expected = slow_codec.mask(data, KEY)
    for output in (OUTPUT.at_end(size), OUTPUT.at_start(size)):
        lib.wsl_mask(output, INPUT.holding(data), 0, size, KEY, 0)
        assert bytes(ffi.buffer(output, size)) == expected


@given(data=st.binary(max_size=200), key=st.binary(min_size=4, max_size=4), cut=st.integers(0, 200))
def test_masking_goes_on_after_a_cut(data: bytes, key: bytes, cut: int) -> None:
    cut = min(cut, len(data))
    source, output = INPUT.holding(data), OUTPUT.at_end(len(data))
    lib.wsl_mask(output, source, 0, cut, key, 0)
    lib.wsl_mask(output + cut, source, cut, len(data), key, cut)
    assert bytes(ffi.buffer(output, len(data))) == slow_codec.mask(data, key)


# ---- the guard itself ----


@pytest.mark.skipif(not HAS_GUARD_PAGES, reason="guard pages need POSIX mmap")
@pytest.mark.parametrize("area", [INPUT, OUTPUT], ids=["input", "output"])
def test_the_guard_pages_are_there(area: Area) -> None:
    """The tests above would prove little without: a system call that is to read there fails, and we live on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    libc.write.restype = ctypes.c_ssize_t
    reader, writer = os.pipe()
    try:
        written = [libc.write(writer, at, 1) for at in (area.start - 1, area.start, area.start + area.size)]
    finally:
        os.close(reader)
        os.close(writer)
    assert written == [-1, 1, -1]
