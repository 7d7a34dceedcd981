"""The Python side of the codec: buffers, limits, faults in words. The C side has tests of its own."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from typing import Any

import pytest
import slow_codec
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import BINARY, CONTINUATION, FIN, PING, TEXT

from wsproto_lite import codec
from wsproto_lite.codec import (
    BEGIN,
    CHUNK,
    END,
    NO_RECORDS,
    UTF8_INVALID,
    UTF8_START,
    Body,
    Decoder,
    check_utf8,
    encode_frame,
    encode_header,
    encode_text,
    incomplete_tail,
    is_utf8,
    mask,
    max_encoded_size,
)
from wsproto_lite.errors import RemoteProtocolError
from wsproto_lite.masking_keys import MaskingKeys

KEY = bytes.fromhex("37fa213d")
KINDS = [bytes, bytearray, memoryview]


def decoder(**asked: Any) -> Decoder:
    """Give a decoder of a server's frames, without limits unless some are asked for."""
    return Decoder(**{"masked": False, **dict.fromkeys(LIMITS), **asked})


LIMITS = ("max_frame_size", "max_message_size", "max_fragments")


needs_address = pytest.mark.skipif(sys.implementation.name == "pypy", reason="a BytesIO has no address on PyPy")


@pytest.fixture(params=[pytest.param(True, marks=needs_address), False], ids=["in place", "by a copy"])
def body_has_address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with and without what PyPy can't do."""
    monkeypatch.setattr(codec, "_BODY_HAS_ADDRESS", request.param)


needs_bytes_as_they_are = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="C is given a copy of bytes, and masks that"
)


@pytest.fixture(params=[pytest.param(True, marks=needs_bytes_as_they_are), False], ids=["in place", "by a copy"])
def masks_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with and without what only CPython can do."""
    if not request.param:
        monkeypatch.setattr(codec, "_LONGEST_IN_PLACE", -1)
        monkeypatch.setattr(codec, "_LONGEST_USUAL_IN_PLACE", -1)
        monkeypatch.setattr(codec, "_LONGEST_COPY", -1)


@pytest.fixture(params=["reused buffers", "new buffers"])
def buffers(request: pytest.FixtureRequest) -> None:
    """Run a test with what an earlier call left, and as the first call of all."""
    if request.param == "new buffers":
        codec._free_scratch.clear()
        codec._free_output.clear()


def pieces(one: Decoder) -> list[tuple[int, bytes]]:
    """Return what the last call decoded: each piece's head and payload."""
    heads, ends, payload, start, _ = one.records
    return [(head, payload[begin:end]) for head, begin, end in zip(heads, [start, *ends], ends)]


@pytest.mark.usefixtures("buffers")
class TestDecode:
    """One call a chunk: exactly one whole message, or records."""

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, CHUNK - 10])
    @pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
    def test_whole_message(self, size: int, masked: bool) -> None:
        for first, whole in ((FIN | TEXT, "x" * size), (FIN | BINARY, b"x" * size)):
            data = slow_codec.frame(first, b"x" * size, KEY if masked else None)
            if len(data) <= CHUNK:
                assert decoder(masked=masked).decode(data, len(data)) == whole

    def test_text_as_bytes(self) -> None:
        """Then it comes as a record, since bytes mean binary."""
        data = slow_codec.frame(FIN | TEXT, b"text")
        one = decoder(text_as_str=False)
        assert one.decode(data, len(data)) is None
        assert pieces(one) == [(BEGIN | END | FIN | TEXT, b"text")]

    def test_records(self) -> None:
        data = (
            slow_codec.frame(FIN | TEXT, b"one") + slow_codec.frame(FIN | PING, b"") + slow_codec.frame(BINARY, b"two")
        )
        one = decoder()
        assert one.decode(data, len(data)) is None
        assert pieces(one) == [
            (BEGIN | END | FIN | TEXT, b"one"),
            (BEGIN | END | FIN | PING, b""),
            (BEGIN | END | BINARY, b"two"),
        ]
        assert (one.consumed(), one.fault()) == (len(data), None)

    def test_pieces(self) -> None:
        data = slow_codec.frame(FIN | BINARY, b"piece")
        one = decoder()
        told = []
        for at in (0, 1, 3, 6):
            chunk = data[at : {0: 1, 1: 3, 3: 6, 6: 9}[at]]
            assert one.decode(chunk, len(chunk)) is None
            told.append(pieces(one))
        assert told == [
            [],
            [(BEGIN | FIN | BINARY, b"p")],
            [(FIN | BINARY, b"iec")],
            [(END | FIN | BINARY, b"e")],
        ]

    def test_before_the_first_chunk(self) -> None:
        one = decoder()
        assert (one.records, one.stopped, one.fault()) == (NO_RECORDS, False, None)

    def test_nothing(self) -> None:
        one = decoder()
        assert one.decode(b"", 0) is None
        assert (pieces(one), one.consumed()) == ([], 0)

    def test_whole_message_only_between_messages(self) -> None:
        """Else flow.py has to see it."""
        one = decoder()
        first = slow_codec.frame(TEXT, b"a")
        one.decode(first, len(first))
        second = slow_codec.frame(FIN | TEXT, b"b")
        assert one.decode(second, len(second)) is None
        assert pieces(one) == [(BEGIN | END | FIN | TEXT, b"b")]

    @pytest.mark.parametrize("asked", [{}, {"coalesce": False}, {"coalesce": True}], ids=["unasked", "no", "yes"])
    def test_fragments_in_a_chunk(self, asked: dict[str, bool]) -> None:
        """They come one by one unless it is asked that they come as one."""
        data = slow_codec.frame(TEXT, b"a") + slow_codec.frame(FIN | CONTINUATION, b"b")
        one, coalesce = decoder(**asked), asked.get("coalesce", False)
        assert one.decode(data, len(data)) == ("ab" if coalesce else None)
        separate = [(BEGIN | END | TEXT, b"a"), (BEGIN | END | FIN | CONTINUATION, b"b")]
        assert pieces(one) == ([] if coalesce else separate)

    @pytest.mark.parametrize("count", [2, 7, 8, 500])
    @pytest.mark.parametrize("first", [FIN | TEXT, FIN | PING], ids=["text", "ping"])
    @pytest.mark.parametrize(
        "last", [b"", slow_codec.frame(FIN | BINARY, b"?"), b"\x81"], ids=["alike", "other", "cut"]
    )
    def test_run(self, count: int, first: int, last: bytes) -> None:
        """All records but the first and the last are alike, and there are 6 of them at least."""
        data = slow_codec.frame(FIN | PING, b"!") + slow_codec.frame(first, b"ab") * count + last
        one = decoder()
        assert one.decode(data, len(data)) is None
        assert [payload for _, payload in pieces(one)] == [b"!"] + [b"ab"] * count + [b"?"] * (len(last) > 1)
        assert {head for head, _ in pieces(one)[1 : count + 1]} == {BEGIN | END | first}
        is_run = one.records[-1]
        assert is_run is (len(pieces(one)) >= 8)

    def test_no_run(self) -> None:
        data = b"".join(slow_codec.frame(FIN | opcode, b"a") for opcode in [TEXT] * 10 + [BINARY] + [TEXT] * 10)
        one = decoder()
        assert one.decode(data, len(data)) is None
        assert (len(pieces(one)), one.records[-1]) == (21, False)

    def test_more_than_a_chunk(self) -> None:
        data = slow_codec.frame(FIN | BINARY, bytes(CHUNK))
        one = decoder()
        assert one.decode(data, len(data)) is None
        assert one.consumed() == CHUNK
        assert one.decode_from(data, CHUNK, len(data) - CHUNK) is None
        assert pieces(one) == [(END | FIN | BINARY, bytes(10))]

    def test_more_records_than_fit(self) -> None:
        data = slow_codec.frame(FIN | PING) * 5000
        one = decoder()
        one.decode(data, len(data))
        assert (len(pieces(one)), one.consumed()) == (4096, 2 * 4096)
        one.decode_from(data, one.consumed(), len(data) - one.consumed())
        assert len(pieces(one)) == 5000 - 4096

    def test_whole_message_from_the_middle(self) -> None:
        data = b"?" + slow_codec.frame(FIN | TEXT, b"text")
        assert decoder().decode_from(data, 1, len(data) - 1) == "text"

    def test_buffer_belongs_to_one_call_at_a_time(self) -> None:
        """Where threads run at once during a call, a shared buffer would be a data race."""
        payloads = [bytes([number]) * 60_000 for number in range(1, 5)]
        wrong: list[bytes] = []

        def work(payload: bytes) -> None:
            one, data = decoder(masked=True), encode_frame(FIN | BINARY, payload, KEY)
            for _ in range(100):
                if one.decode(data, len(data)) != payload or mask(mask(payload, KEY), KEY) != payload:
                    wrong.append(payload)

        threads = [threading.Thread(target=work, args=(payload,)) for payload in payloads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_rules_outlive_their_last_other_user(self) -> None:
        """The C struct points to them, and the cache may drop them."""
        one = decoder(max_message_size=77)
        codec._make_rules.cache_clear()
        gc.collect()
        data = slow_codec.header(FIN | BINARY, 78)
        one.decode(data, len(data))
        assert "the limit is 77" in str(one.fault())


FAULTS: dict[str, tuple[bytes, dict[str, Any], int, str]] = {
    "reserved bits": (b"\xb1", {}, 1002, "reserved bits are set in the first byte 0xb1 of a frame"),
    "reserved bits not negotiated": (
        b"\xe1",
        {"reserved_bits": 0x40},
        1002,
        "reserved bits are set in the first byte 0xe1 of a frame",
    ),
    "unknown opcode": (b"\x8b", {}, 1002, "opcode 0xb is unknown"),
    "fragmented control": (b"\x09", {}, 1002, "control frame with opcode 0x9 is fragmented"),
    "not masked": (b"\x81\x00", {"masked": True}, 1002, "frame from the client is not masked"),
    "masked": (b"\x81\x80", {}, 1002, "frame from the server is masked"),
    "long control": (b"\x89\x7e", {}, 1002, "control frame has length 126; the limit is 125"),
    "length not minimal": (b"\x81\x7e\x00\x7d", {}, 1002, "payload length is not in its shortest form"),
    "length's top bit": (b"\x81\x7f\x80" + bytes(7), {}, 1002, "payload length has its most significant bit set"),
    "large frame": (b"\x82\x0b", {"max_frame_size": 10}, 1009, "frame is 11 bytes; the limit is 10"),
    "large message": (b"\x82\x0b", {"max_message_size": 10}, 1009, "message is 11 bytes; the limit is 10"),
    "large message in fragments": (
        b"\x02\x01x\x80\x0a",
        {"max_message_size": 10},
        1009,
        "message is 11 bytes; the limit is 10",
    ),
    "large compressed message": (
        b"\xc2\x7e\x04\x0c",
        {"max_message_size": 10, "reserved_bits": 0x40},
        1009,
        "compressed message is 1036 bytes; the limit is 1035",
    ),
    "large compressed message in fragments": (
        b"\x42\x01x\x80\x7e\x40\x00",
        {"max_message_size": 10, "reserved_bits": 0x40},
        1009,
        f"compressed message is 16385 bytes; the limit is {1035 + codec.lib.WSL_ENCODED_GROWTH}",
    ),
    "many fragments": (b"\x02\x00\x00\x00\x80\x00", {"max_fragments": 2}, 1009, "message has more than 2 fragments"),
    "invalid text": (b"\x81\x01\xff", {}, 1007, "text is not valid UTF-8"),
}


class TestFaults:
    """What bytes alone can show, in words that name the value and the limit."""

    @pytest.mark.parametrize(("data", "asked", "code", "words"), FAULTS.values(), ids=FAULTS)
    def test_words_and_code(self, data: bytes, asked: dict[str, Any], code: int, words: str) -> None:
        one = decoder(**asked)
        assert one.decode(data, len(data)) is None
        fault = one.fault()
        assert isinstance(fault, RemoteProtocolError)
        assert fault.code == code
        assert str(fault) == words

    def test_what_a_violation_may_name(self) -> None:
        """The first byte, its opcode and the length as the header has it."""
        one = decoder()
        one.decode(b"\x89\x7e", 2)
        assert str(codec._violation("{first} {opcode} {length}")(one._cdata, one._rules)) == "137 9 126"

    @pytest.mark.parametrize(("limit", "encoded"), [(1, 1025), (8, 1033), (1 << 20, (1 << 20) + (1 << 17) + 1024)])
    def test_max_encoded_size(self, limit: int, encoded: int) -> None:
        """limit + limit/8 + 1 KiB."""
        assert max_encoded_size(limit) == encoded


def payload_under_way() -> Decoder:
    """Give a decoder that has read the header of a large frame."""
    one, header = decoder(), slow_codec.header(FIN | BINARY, 1 << 20)
    one.decode(header, len(header))
    return one


class TestBulk:
    """A large frame's payload goes straight into its message."""

    @pytest.mark.parametrize("first", [FIN | TEXT, BINARY])
    @pytest.mark.parametrize("cut", [1000, CHUNK, CHUNK + 1, 200_000])
    @pytest.mark.parametrize("start", [0, 3])
    @pytest.mark.parametrize("in_place", [0, 100_000, 1 << 20], ids="in place from {}".format)
    @pytest.mark.usefixtures("buffers", "body_has_address")
    def test_payload(self, first: int, cut: int, start: int, in_place: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(codec, "_IN_PLACE", in_place)
        payload = ("aä€" * 40_000).encode()
        data = encode_frame(first, payload, KEY)
        one, body = decoder(masked=True), Body(b"before")
        assert one.decode(data, 14) is None
        assert one.remaining() == len(payload)
        assert one.is_final() is bool(first & FIN)
        body.most = len(payload)
        for at in range(14, len(data), cut):
            chunk = data[at : at + cut]
            assert one.decode_payload(b"", 0, 0, body) is None
            assert one.decode_payload(b"???"[:start] + chunk, start, len(chunk), body) is None
        assert (one.remaining(), body.size) == (0, 6 + len(payload))
        assert body.take() == b"before" + payload

    @needs_address
    @pytest.mark.parametrize(
        ("before", "size", "in_place"),
        [
            (0, CHUNK, False),
            (0, CHUNK + 1, True),
            (codec._IN_PLACE - 1, 1, False),
            (codec._IN_PLACE, 1, True),
        ],
        ids=["chunk", "more than a chunk", "end of a message", "end of a large message"],
    )
    def test_place(self, before: int, size: int, in_place: bool) -> None:
        """Decoded to where it stays is what is large, or belongs to what is large: room was made for that."""
        one, body = payload_under_way(), Body(bytes(before))
        assert one.decode_payload(b"x" * size, 0, size, body) is None
        assert (body._capacity > 0) is in_place
        assert body.take() == bytes(before) + b"x" * size

    def test_place_without_an_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then there is no room in a body to decode to: PyPy refuses a pointer to it."""
        monkeypatch.setattr(codec, "_BODY_HAS_ADDRESS", False)
        one, body = payload_under_way(), Body()
        assert one.decode_payload(b"x" * (CHUNK + 1), 0, CHUNK + 1, body) is None
        assert body._capacity == 0
        assert body.take() == b"x" * (CHUNK + 1)

    @pytest.mark.parametrize("first", [FIN | TEXT, FIN | BINARY])
    @pytest.mark.parametrize("size", [CHUNK, CHUNK + 1, 200_001, 256 << 10, (256 << 10) + 1])
    @pytest.mark.usefixtures("masks_in_place")
    def test_whole_payload(self, first: int, size: int) -> None:
        payload = ("aä€".encode() * (size // 6 + 1))[: size - size % 6] + b"x" * (size % 6)
        data = encode_frame(first, payload, KEY) + b"more"
        one, before = decoder(masked=True), bytes(bytearray(data))
        assert one.decode(data, 14) is None
        assert one.decode_large(data, 14, size) == payload
        assert one.is_between_frames()
        assert data == before

    @pytest.mark.usefixtures("masks_in_place")
    def test_whole_payload_is_invalid(self) -> None:
        one = decoder(masked=True)
        data = encode_frame(FIN | TEXT, bytes(CHUNK) + b"\xff" + bytes(CHUNK), KEY)
        one.decode(data, 14)
        assert one.decode_large(data, 14, 2 * CHUNK + 1) == codec.invalid_utf8()

    @pytest.mark.parametrize("size", [100, CHUNK + 1])
    @pytest.mark.usefixtures("body_has_address")
    def test_fault(self, size: int) -> None:
        one = decoder()
        data = slow_codec.header(FIN | TEXT, 100_000)
        one.decode(data, len(data))
        assert one.decode_payload(b"\xff" * size, 0, size, Body()) == codec.invalid_utf8()

    @pytest.mark.parametrize(
        ("first", "header_size", "remaining"),
        [(FIN | BINARY, 10, 70_000), (FIN | BINARY, 9, 0), (FIN | 0x40 | BINARY, 10, 0)],
        ids=["plain", "incomplete header", "marked by an extension"],
    )
    def test_remaining(self, first: int, header_size: int, remaining: int) -> None:
        one = decoder(reserved_bits=0x40)
        one.decode(slow_codec.header(first, 70_000), header_size)
        assert one.remaining() == remaining

    def test_between_frames(self) -> None:
        one, told = decoder(), [True]
        for byte in slow_codec.frame(FIN | PING, b"ab"):
            assert one.is_between_frames() is told[-1]
            one.decode(bytes([byte]), 1)
            told.append(one.is_between_frames())
        assert told == [True, False, False, False, True]

    def test_nothing_remains_in_a_control_frame(self) -> None:
        one = decoder()
        one.decode(slow_codec.header(FIN | PING, 100), 2)
        assert one.remaining() == 0


class TestBody:
    """One buffer, handed over without a copy; its memory grows with what was received."""

    @pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's BytesIO does it")
    def test_one_piece_is_not_copied(self) -> None:
        piece = b"x" * 1000
        assert Body(piece).take() is piece

    @needs_address
    @given(
        st.lists(st.tuples(st.sampled_from(["append", "room"]), st.binary(min_size=1, max_size=50))),
        st.integers(0, 200),
    )
    def test_any_mixture(self, steps: list[tuple[str, bytes]], most: int) -> None:
        body, whole = Body(b"first", most), b"first"
        for kind, piece in steps:
            if kind == "append":
                body.append(piece)
            else:
                codec.ffi.memmove(body.make_room(len(piece)), piece, len(piece))
            whole += piece
            assert body.size == len(whole)
            assert body._capacity <= max(len(whole), most)
        assert body.take() == whole

    def test_empty(self) -> None:
        assert Body().take() == b""

    @needs_address
    def test_dropped_within_a_cycle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The collector may finalize the buffer before the pointer into it: that is no fault (it was from 3.13 on)."""
        complaints: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", complaints.append)
        body = Body()
        body.make_room(100)
        cycle: list[object] = [body]
        cycle.append(cycle)
        del body, cycle
        gc.collect()
        assert complaints == []

    @needs_address
    def test_room(self) -> None:
        """It doubles, but for what goes beyond `most`, and is not made before the last is full."""
        body, rooms = Body(b"x" * 10, most=100), []
        for size in (10, 5, 15, 10, 15, 35, 1):
            body.make_room(size)
            assert body._buffer is not None
            rooms.append((body.size, len(body._buffer.getbuffer())))
        assert rooms == [(20, 20), (25, 40), (40, 40), (50, 80), (65, 80), (100, 100), (101, 101)]

    @needs_address
    def test_room_for_one_byte(self) -> None:
        body = Body()
        codec.ffi.memmove(body.make_room(1), b"x", 1)
        assert body.take() == b"x"

    @needs_address
    @pytest.mark.parametrize("way", ["append", "room"])
    def test_first_piece_is_let_go(self, way: str) -> None:
        """It is in the buffer then, and not kept beside it."""
        body = Body(b"first")
        body.append(b"x") if way == "append" else body.make_room(1)
        assert body._first == b""


class TestPlatform:
    """Which memory C is given when it is given bytes: the shorter ways depend on it."""

    def test_bytes_themselves(self) -> None:
        """PyPy may give C a copy."""
        assert (codec._LONGEST_IN_PLACE > 0) is (codec._LONGEST_COPY > 0) is (sys.implementation.name == "cpython")

    @needs_bytes_as_they_are
    @pytest.mark.parametrize(("size", "count"), [(0, 0), (0xFFFF, 0), (0x10000, 1)])
    def test_no_buffer_is_made_for_what_is_masked_in_place(self, size: int, count: int) -> None:
        codec._free_output.clear()
        encode_frame(FIN | BINARY, bytes(size), KEY)
        assert len(codec._free_output) == count


@pytest.mark.usefixtures("buffers", "masks_in_place")
class TestEncode:
    """Frames as the slow codec makes them, every size and kind."""

    SIZES = (0, 1, 125, 126, 127, 1023, 1024, 65535, 65536, 65537, 3 * CHUNK + 5)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("key", [None, KEY], ids=["plain", "masked"])
    def test_frame(self, size: int, kind: Any, key: bytes | None) -> None:
        payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        for first in (FIN | BINARY, CONTINUATION):
            frame = encode_frame(first, kind(payload), key)
            assert type(frame) is bytes
            assert frame == slow_codec.frame(first, payload, key)

    @pytest.mark.parametrize("size", SIZES)
    def test_header(self, size: int) -> None:
        assert encode_header(FIN | TEXT, size) == slow_codec.header(FIN | TEXT, size)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("batch", ["fresh", "empty"])
    def test_text(self, size: int, batch: str) -> None:
        """A short way to the same."""
        keys = MaskingKeys(lambda size: KEY * (size // 4))
        if batch == "fresh":
            keys.batch.append(keys.draw())
        payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        assert encode_text(payload, keys) == slow_codec.frame(FIN | TEXT, payload, KEY)
        assert encode_text(payload, None) == slow_codec.frame(FIN | TEXT, payload)

    @pytest.mark.parametrize("size", [0, 5, 300])
    def test_payload_of_a_subclass(self, size: int) -> None:
        """C does not write to what is put together from it: the length could be anything, and the sum as well."""

        class Sum(bytes):
            def __radd__(self, other: bytes) -> bytes:
                return b"not a frame"

        payload = b"x" * size
        keys = MaskingKeys(lambda size: KEY * (size // 4))
        assert encode_frame(FIN | TEXT, Sum(payload), KEY) == slow_codec.frame(FIN | TEXT, payload, KEY)
        assert encode_text(Sum(payload), keys) == slow_codec.frame(FIN | TEXT, payload, KEY)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
    def test_mask(self, kind: Any, size: int) -> None:
        """Section 5.3, at any phase and start."""
        data = (b"0123456789abcdef!" * (size // 17 + 1))[:size]
        for phase, start in itertools.product((0, 1, 2, 3, 6), (0, 3)):
            turned = bytes(KEY[(phase + at) % 4] for at in range(4))
            assert mask(kind(data), KEY, phase, start) == slow_codec.mask(data[start:], turned)
        assert mask(kind(data), KEY) == slow_codec.mask(data, KEY)


class TestUtf8:
    """Section 8.1: streaming validation; the C tests have the table of sequences."""

    @given(st.binary(max_size=12), st.integers(0, 12))
    def test_any_bytes_in_two_pieces(self, data: bytes, at: int) -> None:
        fault, whole = slow_codec.utf8(data)
        state = check_utf8(check_utf8(UTF8_START, data[:at]), data[at:])
        assert (state == UTF8_INVALID) is (fault is not None)
        assert is_utf8(data) is (fault is None and whole == len(data))

    @pytest.mark.parametrize("kind", KINDS)
    def test_kinds_of_buffer(self, kind: Any) -> None:
        assert is_utf8(kind("Grüße".encode()))
        assert not is_utf8(kind("Grüße".encode("latin-1")))

    @given(st.text(max_size=5), st.integers(0, 3))
    def test_incomplete_tail(self, text: str, cut: int) -> None:
        data = text.encode()
        data = data[: len(data) - cut]
        for kind in KINDS:
            assert incomplete_tail(kind(data)) == len(data) - slow_codec.utf8(data)[1]

    @pytest.mark.parametrize(
        "character", ["\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff"], ids=ascii
    )
    def test_incomplete_tail_of_each_length(self, character: str) -> None:
        """The first and the last code point of each length (RFC 3629 section 3)."""
        data = character.encode()
        assert [incomplete_tail(b"abc" + data[:size]) for size in range(len(data))] == list(range(len(data)))
        assert incomplete_tail(b"abc" + data) == 0
