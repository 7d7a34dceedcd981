"""wsl_decode against the slow codec: headers, limits, records, whole streams, however they are split."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import slow_codec
from c_codec import KEY, Decoded, assert_like_slow, byte_by_byte
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import Frame

from wsproto_lite._codec import lib

BOUNDARIES = [0, 1, 125, 126, 127, 65535, 65536]

# ---- headers ----

LENGTH_FIELDS = [0, 1, 125, 126, 127]


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "plain"])
@pytest.mark.parametrize("reserved_bits", [bits << 4 for bits in range(8)], ids="{:#04x}".format)
def test_every_pair_of_first_bytes(reserved_bits: int, masked: bool) -> None:
    """Every reserved bit, opcode, mask bit and kind of length, in both directions."""
    for first, length, mask_bit in itertools.product(range(256), LENGTH_FIELDS, (0, 0x80)):
        data = bytes([first, mask_bit | length])
        for chunks in ([data], byte_by_byte(data)):
            assert_like_slow(data, chunks, masked=masked, reserved_bits=reserved_bits)


FORMS = [
    (length, extended)
    for length in BOUNDARIES
    for extended in (0, 2, 8)
    if length <= {0: 125, 2: 65535, 8: 2**63}[extended]
]


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
@pytest.mark.parametrize("first", [0x82, 0x89], ids=["binary", "ping"])
@pytest.mark.parametrize(("length", "extended"), FORMS)
def test_every_length_in_every_form(length: int, extended: int, first: int, key: bytes | None) -> None:
    """Section 5.2: the minimal number of bytes must be used to encode the length; section 5.5: 125 for control."""
    data = slow_codec.header(first, length, key, extended) + bytes(length)
    assert_like_slow(data, [data], masked=key is not None)
    assert_like_slow(data[:20], byte_by_byte(data[:20]), masked=key is not None)


HUGE = {"2^31": 2**31, "2^32": 2**32, "2^63-1": 2**63 - 1, "2^63": 2**63, "2^64-1": 2**64 - 1}


@pytest.mark.parametrize("limits", [{}, {"max_frame_size": 2**20}, {"max_message_size": 2**20}], ids=str)
@pytest.mark.parametrize("length", HUGE.values(), ids=HUGE)
def test_64_bit_lengths(length: int, limits: dict[str, int]) -> None:
    """Section 5.2: the most significant bit must be 0. Anything below it is a length like any other."""
    data = slow_codec.header(0x82, length, KEY) + b"some"
    for chunks in ([data], byte_by_byte(data)):
        assert_like_slow(data, chunks, masked=True, **limits)


@pytest.mark.parametrize("length", [2**31, 2**63 - 1])
def test_lengths_do_not_add_up_past_64_bits(length: int) -> None:
    """A message's declared size plus the next frame's length must not wrap."""
    data = slow_codec.frame(0x02, b"x") + slow_codec.header(0x00, length)
    assert_like_slow(data, [data], masked=False, max_message_size=length)
    assert_like_slow(data, [data], masked=False, max_message_size=length + 1)
    assert_like_slow(data, [data], masked=False)


# ---- limits ----

LIMITS = {
    "frame": ({"max_frame_size": 5}, "frame_too_big"),
    "message": ({"max_message_size": 5}, "message_too_big"),
    "encoded": ({"max_encoded_size": 5, "max_message_size": 1, "reserved_bits": 0x40}, "message_too_big"),
}


@pytest.mark.parametrize(("limits", "fault"), LIMITS.values(), ids=LIMITS)
def test_a_limit_holds_exactly(limits: dict[str, int], fault: str) -> None:
    """The limit passes, one byte more fails on the header."""
    first = 0xC2 if "reserved_bits" in limits else 0x82
    assert Decoded([slow_codec.frame(first, b"12345")], masked=False, **limits).fault is None
    over = Decoded([slow_codec.header(first, 6)], masked=False, **limits)
    assert (over.fault, over.frames, over.bytes_fed) == (fault, [], 2)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [0, 5, 0], [1] * 5], ids=str)
@pytest.mark.parametrize("extra", [0, 1])
def test_a_message_limit_counts_all_frames(sizes: list[int], extra: int) -> None:
    """Control frames in between don't count, and the next message starts anew."""
    sizes = [*sizes[:-1], sizes[-1] + extra]
    message = [
        slow_codec.frame((0 if at else 2) | (0x80 if at + 1 == len(sizes) else 0), bytes(size))
        + slow_codec.frame(0x89, b"!" * 9)
        for at, size in enumerate(sizes)
    ]
    data = b"".join(message * 2)
    assert_like_slow(data, [data], masked=False, max_message_size=5)
    assert Decoded([data], masked=False, max_message_size=5).fault == ("message_too_big" if extra else None)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_limit_on_encoded_messages_grows_with_their_fragments(extra: int) -> None:
    """By 8 bytes for each but the first, as what doesn't compress does."""
    data = slow_codec.frame(0x42, b"12345") + slow_codec.frame(0x00, b"12345678") + slow_codec.header(0x80, 8 + extra)
    limits = {"max_encoded_size": 5, "max_message_size": 1, "reserved_bits": 0x40}
    assert_like_slow(data, [data], masked=False, **limits)
    assert Decoded([data], masked=False, **limits).fault == ("message_too_big" if extra else None)


@pytest.mark.parametrize("coalesce", [False, True], ids=["apart", "coalesced"])
def test_fragments_are_counted_even_if_empty(coalesce: bool) -> None:
    """Section 10.4: a message of endless empty fragments is an attack too."""
    data = slow_codec.frame(0x01) + 3 * slow_codec.frame(0x00)
    for limit, fault in ((4, None), (3, "too_many_fragments")):
        assert Decoded([data], masked=False, max_fragments=limit, coalesce=coalesce).fault == fault


def test_limits_leave_control_frames_alone() -> None:
    """Section 5.5 limits them to 125 bytes as it is."""
    data = slow_codec.frame(0x89, bytes(125))
    limits = {"max_frame_size": 0, "max_message_size": 0, "max_fragments": 0}
    assert Decoded([data], masked=False, **limits).frames == [Frame(0x89, bytes(125))]


# ---- records ----

SEVERAL = b"".join(
    [
        slow_codec.frame(0x81, "h\N{LATIN SMALL LETTER E WITH ACUTE}llo".encode(), KEY),
        slow_codec.frame(0x01, b"a\xe2\x82", b"1234"),
        slow_codec.frame(0x89, b"ping", b"\xff\xfe\xfd\xfc"),
        slow_codec.frame(0x00, b"", KEY),
        slow_codec.frame(0x80, b"\xac", KEY),
        slow_codec.frame(0x82, bytes(range(130)), KEY),
        slow_codec.frame(0x02, b"x", KEY),
        slow_codec.frame(0x00, b"yz", KEY),
        slow_codec.frame(0x80, b"", KEY),
        slow_codec.frame(0x88, b"\x03\xe8", KEY),
    ]
)


def joined(frames: list[Frame]) -> list[Frame]:
    """Join each continuation with the fragment that it directly follows."""
    result: list[Frame] = []
    for frame in frames:
        last = result[-1] if result else Frame(0x80, b"")
        if frame.first & 15 == 0 and last.whole and not last.first & 0x88:
            result[-1] = Frame(last.first | frame.first & 0x80, last.payload + frame.payload, frame.whole)
        else:
            result.append(frame)
    return result


@pytest.mark.parametrize("coalesce", [False, True], ids=["apart", "coalesced"])
def test_every_split_gives_the_same(coalesce: bool) -> None:
    """However the input is cut, the frames are the same."""
    frames, _ = slow_codec.decode(SEVERAL, masked=True)
    for cut in range(len(SEVERAL) + 1):
        decoded = Decoded([SEVERAL[:cut], SEVERAL[cut:]], masked=True, coalesce=coalesce)
        assert joined(decoded.frames) == joined(frames)
        if not coalesce:
            assert decoded.frames == frames
    assert Decoded(byte_by_byte(SEVERAL), masked=True, coalesce=coalesce).frames == frames


@pytest.mark.parametrize("extra", [-1, 0, 1, 5000])
@pytest.mark.parametrize("first", [0x82, 0x8A], ids=["messages", "pongs"])
@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
def test_more_frames_than_records(payload: bytes, first: int, extra: int) -> None:
    """Decoding stops when the records are full and goes on where it stopped."""
    frames = lib.WSL_MAX_RECORDS + extra
    data = slow_codec.frame(first, payload, KEY) * frames
    decoded = Decoded([data], masked=True)
    assert decoded.frames == [Frame(first, payload)] * frames
    assert len(decoded.returned) == -(-frames // lib.WSL_MAX_RECORDS)


@pytest.mark.parametrize("behind", [1, 2, 5, 6], ids="{} bytes".format)
def test_records_full_within_a_frame(behind: int) -> None:
    """What follows the last record's frame is left for the next call, to its first byte."""
    data = slow_codec.frame(0x89, b"", KEY) * lib.WSL_MAX_RECORDS + slow_codec.frame(0x8A, b"", KEY)[:behind]
    decoded = Decoded([data], masked=True)
    assert decoded.bytes_fed == len(data)
    assert len(decoded.returned) == 2
    assert len(decoded.frames) == lib.WSL_MAX_RECORDS + (behind == 6)


def test_fragments_share_a_record_up_to_the_last() -> None:
    """Coalescing needs one record for a message of any number of fragments."""
    data = slow_codec.frame(0x01, b"a") + slow_codec.frame(0x00, b"b") * 9000 + slow_codec.frame(0x80, b"c")
    decoded = Decoded([data], masked=False, coalesce=True)
    assert decoded.frames == [Frame(0x81, b"a" + b"b" * 9000 + b"c")]
    assert decoded.returned == [9002]


def test_a_full_chunk() -> None:
    """A chunk of the largest size, payload from its first byte to its last."""
    header = slow_codec.header(0x82, 3 * lib.WSL_CHUNK, KEY)
    payload = bytes(at * 7 & 0xFF for at in range(3 * lib.WSL_CHUNK))
    body = slow_codec.mask(payload, KEY)
    chunks = [header, *(body[at : at + lib.WSL_CHUNK] for at in range(0, len(body), lib.WSL_CHUNK))]
    assert Decoded(chunks, masked=True).frames == [Frame(0x82, payload)]


def test_more_than_a_chunk_is_left_for_the_next_call() -> None:
    data = slow_codec.frame(0x82, bytes(100_000)) + slow_codec.frame(0x8A, b"pong")
    decoded = Decoded([data], masked=False)
    assert decoded.frames == [Frame(0x82, bytes(100_000)), Frame(0x8A, b"pong")]
    assert decoded.returned == [lib.WSL_STOPPED - 1, -3]


def test_a_continuation_in_the_same_chunk_shares_the_record() -> None:
    """A message in many fragments costs one record; a control frame in between parts it."""
    data = slow_codec.frame(0x02, b"a") + 9 * slow_codec.frame(0x00, b"b") + slow_codec.frame(0x80, b"c")
    assert Decoded([data], masked=False, coalesce=True).frames == [Frame(0x82, b"abbbbbbbbbc")]
    parted = slow_codec.frame(0x02, b"a") + slow_codec.frame(0x8A) + slow_codec.frame(0x80, b"b")
    assert len(Decoded([parted], masked=False, coalesce=True).frames) == 3


def test_what_does_not_continue_a_fragment_is_not_joined() -> None:
    """Stray continuations stay visible for the rules of section 5.4, held elsewhere."""
    data = slow_codec.frame(0x82, b"a") + slow_codec.frame(0x80, b"b") + slow_codec.frame(0x89) + slow_codec.frame(0x00)
    assert len(Decoded([data], masked=False, coalesce=True).frames) == 4


PING = slow_codec.frame(0x89)

WHOLE = {
    "text": (slow_codec.frame(0x81, b"hey"), 3),
    "empty text": (slow_codec.frame(0x81), 0),
    "binary": (slow_codec.frame(0x82, b"hey"), 3 + lib.WSL_WHOLE_BINARY),
    "full chunk": (slow_codec.frame(0x82, bytes(65526)), 65526 + lib.WSL_WHOLE_BINARY),
    "nothing": (b"", -1),
    "half a header": (b"\x81", -1),
    "header": (b"\x81\x03", -2),
    "first fragment": (slow_codec.frame(0x01, b"hey"), -2),
    "last fragment": (slow_codec.frame(0x80, b"hey"), -2),
    "ping": (slow_codec.frame(0x89, b"hey"), -2),
    "close": (slow_codec.frame(0x88), -2),
    "marked by an extension": (slow_codec.frame(0xC1, b"hey"), -2),
    "two messages": (slow_codec.frame(0x81, b"hey") * 2, -3),
    "next header begins": (slow_codec.frame(0x81, b"hey") + b"\x81", 3),
    "next header is wrong": (slow_codec.frame(0x81, b"hey") + b"\x83", lib.WSL_STOPPED - 1),
    "invalid text": (slow_codec.frame(0x81, b"\xff"), lib.WSL_STOPPED - 1),
    "seven messages": (slow_codec.frame(0x81, b"hey") * 7, -8),
    "eight messages": (slow_codec.frame(0x81, b"hey") * 8, lib.WSL_RUN - 8),
    "a run between others": (PING + slow_codec.frame(0x81, b"hey") * 6 + PING, lib.WSL_RUN - 8),
    "a run and two others": (slow_codec.frame(0x81, b"hey") * 6 + PING * 2, -9),
    "a run and a fault": (slow_codec.frame(0x81, b"hey") * 8 + b"\x83", lib.WSL_STOPPED - 8),
}


@pytest.mark.parametrize(("data", "expected"), WHOLE.values(), ids=WHOLE)
def test_what_is_returned(data: bytes, expected: int) -> None:
    """A chunk that is one whole plain message is told by its size, all else by the number of records."""
    assert Decoded([data], masked=False, reserved_bits=0x40).returned == [expected]


def test_whole_text_is_reported_if_asked_for() -> None:
    data = slow_codec.frame(0x81, b"hey")
    assert Decoded([data], masked=False, report_whole_text=False).returned == [-2]


@pytest.mark.parametrize("first", [0x81, 0x82], ids=["text", "binary"])
def test_a_message_within_a_message_is_not_reported_as_whole(first: int) -> None:
    """Section 5.4 forbids it, and whoever holds that section has to see the record."""
    chunks = [slow_codec.frame(0x01, b"a"), slow_codec.frame(first, b"hey")]
    assert Decoded(chunks, masked=False).returned == [-2, -2]


# ---- whole streams ----


@st.composite
def streams(draw: st.DrawFn, masked: bool) -> bytes:
    """Frames that follow each other as they like, some with what is forbidden, cut short or scrambled."""
    frames = []
    for _ in range(draw(st.integers(0, 6))):
        first = draw(
            st.sampled_from([0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x41, 0xC0, 0x09, 0x83])
        )
        text = st.text("az\N{DEGREE SIGN}\N{EURO SIGN}\N{GRINNING FACE}\ud800", max_size=20).map(
            lambda text: text.encode("utf-8", "surrogatepass")
        )
        payload = draw(st.one_of(text, st.binary(max_size=140)))
        key = draw(st.binary(min_size=4, max_size=4)) if masked else None
        frames.append(slow_codec.frame(first, payload, key))
    data = bytearray(b"".join(frames))
    for at in draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=2)) if data else []:
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


LIMIT = st.none() | st.integers(0, 150)


@given(data=st.data(), masked=st.booleans())
def test_streams_decode_as_the_slow_codec_decodes_them(data: st.DataObject, masked: bool) -> None:
    """Any frames, any faults, any limits, any split: the same frames, then the same fault at the same byte."""
    stream = data.draw(streams(masked))
    asked: dict[str, Any] = {
        "masked": masked,
        "reserved_bits": data.draw(st.sampled_from([0, 0x40])),
        "max_frame_size": data.draw(LIMIT),
        "max_message_size": data.draw(LIMIT),
        "max_encoded_size": data.draw(LIMIT),
        "max_fragments": data.draw(st.none() | st.integers(1, 4)),
    }
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)])]
    for each in ([stream], byte_by_byte(stream), chunks):
        assert_like_slow(stream, each, **asked)
    frames, fault = slow_codec.decode(stream, **asked)
    together = Decoded(chunks, coalesce=True, **asked)
    assert together.fault == (fault and fault.name)
    if fault is None:
        assert joined(together.frames) == joined(frames)


@given(data=st.binary(max_size=64), masked=st.booleans())
def test_any_bytes(data: bytes, masked: bool) -> None:
    for chunks in ([data], byte_by_byte(data)):
        assert_like_slow(data, chunks, masked=masked)


def test_a_fault_leaves_what_came_before() -> None:
    """The records before a fault are good, and a faulty payload's frame has begun."""
    good = slow_codec.frame(0x82, b"good") + slow_codec.frame(0x89, b"ping")
    decoded = Decoded([good + slow_codec.frame(0x81, b"bad\xff")], masked=False)
    assert decoded.fault == "invalid_utf8"
    assert decoded.frames[:2] == [Frame(0x82, b"good"), Frame(0x89, b"ping")]
    assert decoded.frames[2].first == 0x81
    assert not decoded.frames[2].whole
