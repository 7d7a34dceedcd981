"""Compressed messages with a fault: what precedes it counts, and any split has the same outcome, code and text."""

from __future__ import annotations

import zlib
from types import ModuleType
from typing import Any

import pytest
from deflate_backends import BACKENDS, TAIL, deflate, every_backend, make_codec, noise
from helpers import feed, frame
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproto_lite import (
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    PerMessageDeflate,
    RemoteProtocolError,
    Settings,
    TextMessage,
)
from wsproto_lite.handshake import Handshake

RESERVED_TYPE = b"\x07"
"""A block of type 3, which there is not (RFC 1951 section 3.2.3)."""

TEXT_MARKED, BINARY_MARKED = 0xC1, 0xC2

INVALID_TEXT = "text is not valid UTF-8"
CORRUPT = "compressed message is corrupt"
CUT_SHORT = "compressed message ends within a block"


def blocks(data: bytes, *, level: int = 9) -> bytes:
    """Compress into blocks, up to an octet boundary."""
    return deflate(data, level=level)


def outcome(backend: ModuleType, first: int, payload: bytes, step: int, limit: int) -> Any:
    """Give what a server makes of a message, read in steps of so many bytes: its content, or code and reason."""
    accepted = PerMessageDeflate(backend=backend, client_max_window_bits=15).accept([("client_max_window_bits", None)])
    assert accepted is not None
    limits = Settings(max_message_size=limit)
    connection = Connection.established(SERVER, limits, Handshake(101, [], None, (accepted[1],)))
    data = frame(SERVER, first, payload)
    (event,) = feed(connection, *(data[i : i + step] for i in range(0, len(data), step)))
    if isinstance(event, (TextMessage, BytesMessage)):
        return event.data
    assert isinstance(event, CloseConnection)
    return event.code, event.reason


def too_big(limit: int) -> tuple[int, str]:
    return 1009, f"message inflates to more than {limit} bytes"


LONG = b"0123456789" * 4000

# Payload, limit, what comes of it. A fault that comes when 2 bytes too many are there is not seen any more; with only
# one, it may belong to the same octet, and then is what there is.
FAULTS: dict[str, tuple[int, bytes, int, tuple[int, str]]] = {
    "corrupt from the start": (TEXT_MARKED, RESERVED_TYPE, 100, (1007, CORRUPT)),
    "corrupt after some": (TEXT_MARKED, blocks(b"a" * 99) + RESERVED_TYPE, 100, (1007, CORRUPT)),
    "corrupt at the limit": (TEXT_MARKED, blocks(b"a" * 100) + RESERVED_TYPE, 100, (1007, CORRUPT)),
    "corrupt, but too big before": (TEXT_MARKED, blocks(b"a" * 102) + RESERVED_TYPE, 100, too_big(100)),
    "corrupt, but far too big before": (BINARY_MARKED, blocks(LONG) + RESERVED_TYPE, 100, too_big(100)),
    "corrupt, but too big long before": (
        BINARY_MARKED,
        blocks(LONG) + RESERVED_TYPE,
        len(LONG) - 20_000,
        too_big(len(LONG) - 20_000),
    ),
    "corrupt, but bad text before": (
        TEXT_MARKED,
        blocks(b"a\xff" + LONG) + RESERVED_TYPE,
        100_000,
        (1007, INVALID_TEXT),
    ),
    "corrupt before bad text": (TEXT_MARKED, blocks(LONG) + RESERVED_TYPE + b"\xff", 100_000, (1007, CORRUPT)),
    "corrupt, and text not complete": (TEXT_MARKED, blocks(b"a\xe2\x82") + RESERVED_TYPE, 100, (1007, CORRUPT)),
    "corrupt after a final block": (BINARY_MARKED, deflate(b"a" * 9, final=True) + RESERVED_TYPE, 100, (1007, CORRUPT)),
    "corrupt after a great deal": (TEXT_MARKED, blocks(bytes(200_000)) + RESERVED_TYPE, 1 << 20, (1007, CORRUPT)),
    "corrupt, but bad text after a great deal": (
        TEXT_MARKED,
        blocks(bytes(200_000) + b"\xff") + RESERVED_TYPE,
        1 << 20,
        (1007, INVALID_TEXT),
    ),
    "cut short": (BINARY_MARKED, blocks(LONG, level=0)[:-50], 100_000, (1007, CUT_SHORT)),
    "cut short, bad text before": (TEXT_MARKED, blocks(b"\xff" + LONG, level=0)[:-50], 100_000, (1007, INVALID_TEXT)),
    "bad text, then too big": (TEXT_MARKED, blocks(b"\xff" + LONG), 100, (1007, INVALID_TEXT)),
    "too big, then bad text": (TEXT_MARKED, blocks(b"a" * 101 + b"\xff"), 100, too_big(100)),
}


@every_backend
@pytest.mark.parametrize(("first", "payload", "limit", "expected"), FAULTS.values(), ids=FAULTS)
def test_what_comes_first_counts(
    backend: ModuleType, first: int, payload: bytes, limit: int, expected: tuple[int, str]
) -> None:
    for step in (1, 2, 7, 64, 65_536):
        assert outcome(backend, first, payload, step, limit) == expected


@every_backend
@pytest.mark.parametrize("step", [1000, 65_536])
def test_far_into_a_message(backend: ModuleType, step: int) -> None:
    """ISA-L's decompressors can't be copied: so far on, what the library made before the fault gets lost."""
    message = noise(200_000).translate(bytes(range(64)) * 4)
    payload = blocks(message) + blocks(b"\xff") + RESERVED_TYPE
    assert len(payload) > 140_000
    loses = backend.__name__ == "isal.isal_zlib"
    assert outcome(backend, TEXT_MARKED, payload, step, 1 << 20) == (1007, CORRUPT if loses else INVALID_TEXT)


@st.composite
def faulty(draw: st.DrawFn) -> bytes:
    """Draw the payload of a message, cut short or changed in a bit."""
    words = draw(st.lists(st.sampled_from([b"ab", b"wsproto", bytes(3000), noise(40), "\u20ac".encode(), b"\xff"])))
    compressor = zlib.compressobj(draw(st.sampled_from([0, 1, 9])), zlib.DEFLATED, -15)
    data = b"".join(compressor.compress(word) for word in words) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = data[: -len(TAIL)] + draw(st.sampled_from([b"", RESERVED_TYPE]))
    bit = draw(st.integers(0, 8 * len(data)))
    changed = bytearray(data + b"\x00")
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed[: draw(st.integers(max(0, len(data) - 3), len(data)))])


@settings(deadline=None)
@given(st.sampled_from(BACKENDS), faulty(), st.sampled_from([1, 40, 3000, 6050, 100_000]), st.integers(1, 60))
def test_any_split(backend: ModuleType, payload: bytes, limit: int, step: int) -> None:
    """The first rule of a connection, with code and text."""
    whole = outcome(backend, TEXT_MARKED, payload, 100_000, limit)
    assert outcome(backend, TEXT_MARKED, payload, step, limit) == whole


class Fickle(ModuleType):
    """A backend that fails once."""

    error = zlib.error

    def __init__(self) -> None:
        super().__init__("fickle")
        self._has_failed = False

    def decompressobj(self, *args: Any) -> Fickle:
        self._decompressor = zlib.decompressobj(*args)
        return self

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if not self._has_failed:
            self._has_failed = True
            raise zlib.error("out of sorts")
        return self._decompressor.decompress(data, max_length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decompressor, name)


def test_a_fault_that_does_not_repeat_itself() -> None:
    """A message that failed once is not delivered as a whole."""
    codec = make_codec(Fickle(), level=1)
    assert codec.decode(deflate(noise(500)), final=False, max_length=65_536) == noise(500)
    with pytest.raises(RemoteProtocolError, match=CORRUPT):
        codec.decode(b"", final=False, max_length=65_536)


@every_backend
@pytest.mark.parametrize("room", [1, 3, 1000, 65_536])
def test_all_that_precedes_a_fault_is_given(backend: ModuleType, room: int) -> None:
    """In as many calls as it takes; the fault comes when nothing is left."""
    codec = make_codec(backend)
    output = codec.decode(blocks(b"wsproto" * 100) + RESERVED_TYPE, final=False, max_length=room)
    while len(output) < 700:
        assert codec.has_pending
        output += codec.decode(b"", final=False, max_length=room)
    assert output == b"wsproto" * 100
    with pytest.raises(RemoteProtocolError, match=CORRUPT) as caught:
        codec.decode(b"", final=False, max_length=room)
    assert caught.value.code == 1007
    assert not codec.has_pending
