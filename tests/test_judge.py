"""Frames of one direction as an onlooker sees them: what is in them, and the first broken rule with its section."""

from __future__ import annotations

import zlib

import pytest

from wsproto_lite import CLIENT, SERVER, Frame, Opcode, PerMessageDeflate, Role
from wsproto_lite.extensions import Codec
from wsproto_lite.judge import Judge, JudgedFrame
from wsproto_lite.seen_handshake import Violation, codecs_for
from wsproto_lite.testing import FIXED_KEY, every_split, from_hex

PREVIEW = 8
DEFLATE = "permessage-deflate"


def deflate(sender: Role = SERVER) -> tuple[Codec, ...]:
    """Give what decodes permessage-deflate."""
    return codecs_for(sender, [(DEFLATE, ())])


def judged(data: bytes, sender: Role = SERVER, codecs: tuple[Codec, ...] | None = ()) -> list[JudgedFrame]:
    """Give all frames of a direction, the one it ends in included."""
    judge = Judge(sender, codecs, PREVIEW)
    return [*judge.feed(data), *judge.finish()]


def test_frames() -> None:
    data = Frame(b"Hello", mask=FIXED_KEY).to_bytes() + Frame(bytes(300), Opcode.BINARY, mask=FIXED_KEY).to_bytes()
    first, second = judged(data, CLIENT)
    assert first.frame.header == b"\x81\x85"
    assert first.frame.mask == FIXED_KEY
    assert (first.payload, first.offset, first.is_text, first.is_complete) == (b"Hello", 0, True, True)
    assert (second.payload, second.offset, second.is_text) == (bytes(PREVIEW), 11, False)
    assert second.frame.length == 300
    assert first.inflated is second.inflated is first.violation is second.violation is None


def test_any_split() -> None:
    """A violation that shows in a frame's first bytes is told of when the frame is whole."""
    data = from_hex("01 02 4865  89 01 3f  80 03 6c6c6f  82 7e 0080") + bytes(128) + from_hex("83 01 00  8801ff")
    whole = judged(data)
    assert [frame.violation is not None for frame in whole] == [False] * 4 + [True, False]
    for chunks in every_split(data):
        judge = Judge(SERVER, (), PREVIEW)
        assert [frame for chunk in chunks for frame in judge.feed(chunk)] == whole


VIOLATIONS = {
    "reserved_bits": (SERVER, "c1 00", "RFC 6455 section 5.2", 1002),
    "unknown_opcode": (SERVER, "83 00", "RFC 6455 section 5.2", 1002),
    "length_not_minimal": (SERVER, "82 7e 0001 00", "RFC 6455 section 5.2", 1002),
    "length_top_bit": (SERVER, "82 7f ffffffffffffffff", "RFC 6455 section 5.2", 1002),
    "not_masked": (CLIENT, "81 00", "RFC 6455 section 5.1", 1002),
    "masked": (SERVER, "81 80 00000000", "RFC 6455 section 5.1", 1002),
    "fragmented_control": (SERVER, "09 00", "RFC 6455 section 5.5", 1002),
    "long_control": (SERVER, "89 7e 0080" + "00" * 128, "RFC 6455 section 5.5", 1002),
    "nothing_to_continue": (SERVER, "80 00", "RFC 6455 section 5.4", 1002),
    "message_interrupted": (SERVER, "01 00 81 00", "RFC 6455 section 5.4", 1002),
    "close_of_one_byte": (SERVER, "88 01 03", "RFC 6455 section 5.5.1", 1002),
    "close_code": (SERVER, "88 02 03ee", "RFC 6455 section 7.4", 1002),
    "close_reason": (SERVER, "88 03 03e8 ff", "RFC 6455 section 5.5.1", 1007),
    "data_after_close": (SERVER, "88 00 81 00", "RFC 6455 section 5.5.1", 1002),
    "continuation_after_close": (SERVER, "01 00 88 00 80 00", "RFC 6455 section 5.5.1", 1002),
    "utf8": (SERVER, "81 01 ff", "RFC 6455 section 8.1", 1007),
    "utf8_cut": (SERVER, "81 01 c3", "RFC 6455 section 8.1", 1007),
}


@pytest.mark.parametrize(("sender", "text", "section", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_violations(sender: Role, text: str, section: str, code: int) -> None:
    """The last of the frames is the one that is wrong."""
    *before, last = judged(from_hex(text), sender)
    assert [frame.violation for frame in before] == [None] * len(before)
    assert last.violation is not None
    assert (last.violation.section, last.violation.code) == (section, code)


COMPRESSED = {
    "bit_on_a_continuation": ("41 01 00 c0 01 00", "RFC 7692 section 6.1"),
    "bit_on_a_ping": ("c9 00", "RFC 7692 section 6.1"),
    "corrupt": ("c1 01 ff", "RFC 7692 section 7.2.2"),
    "cut": ("c1 02 f248", "RFC 7692 section 7.2.2"),
    "utf8": ("c1 03 fa0f 00", "RFC 6455 section 8.1"),
}


@pytest.mark.parametrize(("text", "section"), COMPRESSED.values(), ids=COMPRESSED)
def test_violations_of_compression(text: str, section: str) -> None:
    violation = judged(from_hex(text), codecs=deflate())[-1].violation
    assert violation is not None
    assert violation.section == section


def test_only_the_first_violation() -> None:
    first, second = judged(from_hex("83 00 84 00"))
    assert first.violation == Violation("opcode 0x3 is unknown", "RFC 6455 section 5.2", 1002)
    assert second.violation is None


@pytest.mark.parametrize("text", ["88 00 89 00", "88 00 8a 00", "88 00 88 00"], ids=["ping", "pong", "close"])
def test_control_frames_after_close(text: str) -> None:
    """Section 5.5.1 forbids data frames alone."""
    assert [frame.violation for frame in judged(from_hex(text))] == [None, None]


def test_unjudged() -> None:
    """Where extensions are unknown anything may be right."""
    assert judged(from_hex("f3 00"), codecs=None)[0].violation is None


def test_lost() -> None:
    """After a length that is out of range nothing can be told apart."""
    judge = Judge(SERVER, (), PREVIEW)
    (frame,) = judge.feed(from_hex("82 7f 8000000000000000 8900"))
    assert frame.violation is not None
    assert (frame.frame.length, judge.is_lost, judge.unfinished_header) == (2**63, True, 0)
    assert list(judge.feed(b"\x89\x00")) == []
    assert list(judge.finish()) == []


def test_inflated() -> None:
    """The examples of RFC 7692 section 7.2.3, with the context taken over, then a plain message."""
    first, second, plain, ping = judged(
        from_hex("c1 07 f248cdc9c90700  c1 05 f200110000  81 02 6869  8900"), codecs=deflate()
    )
    assert [(each.inflated, each.inflated_length) for each in (first, second)] == [(b"Hello", 5)] * 2
    assert first.payload == bytes.fromhex("f248cdc9c90700")
    assert plain.inflated is ping.inflated is None


def test_inflated_fragments() -> None:
    """Each has what comes of it; a Ping in between has nothing, nor a continuation that continues nothing."""
    frames = judged(from_hex("41 03 f248cd  89 00  80 04 c9c90700  80 00"), codecs=deflate())
    assert [frame.inflated for frame in frames] == [b"He", None, b"llo", None]
    assert [frame.is_text for frame in frames] == [True, True, True, False]


def test_inflated_preview() -> None:
    compressor = zlib.compressobj(wbits=-15)
    payload = (compressor.compress(bytes(3_000_000)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    (frame,) = judged(Frame(payload, Opcode.BINARY, rsv1=1).to_bytes(), codecs=deflate())
    assert (frame.inflated, frame.inflated_length, frame.violation) == (bytes(PREVIEW), 3_000_000, None)


@pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no_takeover"])
def test_parameters_of_each_end(takeover: bool) -> None:
    """Those of the client hold for the client, those of the server for the server."""
    codec = PerMessageDeflate().finalize(())
    payloads = [codec.encode(b"Hello" * 9, final=True) for _ in range(2)]
    data = b"".join(Frame(payload, rsv1=1).to_bytes() for payload in payloads)
    params = () if takeover else (("server_no_context_takeover", None), ("server_max_window_bits", "9"))
    codecs = codecs_for(SERVER, [(DEFLATE, params)])
    assert [frame.violation is None for frame in judged(data, codecs=codecs)] == [True, takeover]
    masked = b"".join(Frame(payload, mask=FIXED_KEY, rsv1=1).to_bytes() for payload in payloads)
    swapped = codecs_for(CLIENT, [(DEFLATE, params)])
    assert [frame.violation for frame in judged(masked, CLIENT, swapped)] == [None, None]


def test_ends_within_a_frame() -> None:
    (frame,) = judged(from_hex("81 85 37fa213d 7f9f"), CLIENT)
    assert (frame.payload, frame.is_complete, frame.violation) == (b"He", False, None)


def test_ends_within_a_header() -> None:
    judge = Judge(SERVER, (), PREVIEW)
    assert list(judge.feed(b"\x89\x00\x82\x7e\x01")) == judged(b"\x89\x00")
    assert list(judge.finish()) == []
    assert judge.unfinished_header == 3


def test_no_limits() -> None:
    """How large messages may be is the endpoints' business."""
    data = Frame(bytes(2_000_000), Opcode.BINARY, fin=0).to_bytes() + b"\x00\x00" * 70_000 + b"\x80\x00"
    assert all(frame.violation is None for frame in judged(data))
