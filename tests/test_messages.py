"""Incoming frames into events: the receiver up to the end of its stream."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
import slow_codec
from helpers import KEY, byte_by_byte, close, expected, frame, header, messages, ping, plain, pong, text
from slow_codec import BINARY, CONTINUATION, FIN, PING, TEXT
from toy_codecs import Repeat

from wsproto_lite import (
    CLIENT,
    BytesMessage,
    CloseConnection,
    EncodedTextMessage,
    Event,
    Ping,
    Pong,
    RemoteProtocolError,
    Settings,
    TextMessage,
)
from wsproto_lite.codec import CHUNK
from wsproto_lite.messages import BULK, MIN_INFLATED, Receiver

RSV1, RSV2 = 0x40, 0x20
DELIVERIES = pytest.mark.parametrize("delivery", ["message", "frame", "piece"])


def receiver(*codecs: Any, masked: bool = False, **settings: Any) -> Receiver:
    """Give the receiver of a client, whose peer doesn't mask."""
    return Receiver(Settings(**settings), masked=masked, codecs=codecs)


def receive(one: Receiver, *chunks: bytes) -> list[Event]:
    """Give chunks, and take what is pending after each."""
    events = []
    for chunk in chunks:
        events += one.receive(chunk)
        while one.has_pending:
            events += one.receive(b"")
    return events


def data_frame(first: int, payload: bytes) -> bytes:
    return frame(CLIENT, first, payload)


class TestMessages:
    """Delivery "message": whole ones, however they come."""

    @pytest.mark.parametrize("as_bytes", [False, True])
    @pytest.mark.parametrize("count", [1, 2, 8, 9, 50])
    @pytest.mark.parametrize("data", ["text", "Grüße", ""])
    def test_texts_in_a_chunk(self, count: int, data: str, as_bytes: bool) -> None:
        """Many ASCII texts in a chunk are decoded at once; others one by one."""
        kind = EncodedTextMessage if as_bytes else TextMessage
        events = receive(receiver(text_as_bytes=as_bytes), text(CLIENT, data) * count)
        assert events == [kind(data.encode() if as_bytes else data)] * count

    @pytest.mark.parametrize("count", [1, 2, 50])
    def test_texts_and_bytes_in_a_chunk(self, count: int) -> None:
        chunk = text(CLIENT, "text") + data_frame(FIN | BINARY, b"bytes") + ping(CLIENT, b"!") + pong(CLIENT, b"?")
        events = [TextMessage("text"), BytesMessage(b"bytes"), Ping(b"!"), Pong(b"?")]
        assert receive(receiver(), chunk * count) == events * count

    @pytest.mark.parametrize("parts", [["a"], ["a", "b"], ["a", "", "b"], [""] * 30])
    def test_fragments(self, parts: list[str]) -> None:
        chunk = messages(CLIENT, [part.encode() for part in parts], TEXT)
        for chunks in ([chunk], byte_by_byte(chunk)):
            assert receive(receiver(), *chunks) == [TextMessage("".join(parts))]

    def test_control_frames_between_fragments(self) -> None:
        chunk = data_frame(TEXT, b"a") + ping(CLIENT, b"!") + data_frame(CONTINUATION, b"b") + pong(CLIENT)
        chunk += data_frame(FIN | CONTINUATION, b"c")
        assert receive(receiver(), chunk) == [Ping(b"!"), Pong(), TextMessage("abc")]

    def test_control_frame_in_pieces(self) -> None:
        one = receiver()
        assert receive(one, data_frame(TEXT, b"a"), *byte_by_byte(ping(CLIENT, b"1234"))) == [Ping(b"1234")]
        assert receive(one, data_frame(FIN | CONTINUATION, b"b")) == [TextMessage("ab")]

    def test_more_frames_than_a_call_of_c_takes(self) -> None:
        assert receive(receiver(), ping(CLIENT) * 10_000) == [Ping()] * 10_000

    def test_nothing(self) -> None:
        one = receiver()
        assert one.receive(b"") == []
        assert (one.has_pending, one.held, one.ending) == (False, None, None)

    @pytest.mark.parametrize("held", [b"", text(CLIENT, "early"), text(CLIENT, "early")[:3]])
    def test_early_bytes(self, held: bytes) -> None:
        one = receiver()
        one.hold(held)
        assert one.has_pending is bool(held)
        rest = (text(CLIENT, "early") + text(CLIENT, "late"))[len(held) :]
        assert one.receive(rest) == [TextMessage("early"), TextMessage("late")]

    def test_much_early_data(self) -> None:
        one = receiver()
        one.hold(text(CLIENT, "early"))
        assert one.receive(b"") == [TextMessage("early")]


LARGE = {
    "bulk": [BULK],
    "less than bulk": [BULK - 1],
    "chunk": [CHUNK],
    "chunks": [5 * CHUNK + 3],
    "fragments": [BULK, 10, 3 * CHUNK, 0, BULK + 1],
}


class TestLargeMessages:
    """Large frames go straight into their message; that shows nowhere."""

    @pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
    @pytest.mark.parametrize("sizes", LARGE.values(), ids=LARGE)
    @pytest.mark.parametrize("cut", [1000, BULK, CHUNK, CHUNK + 1, 1 << 30])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @DELIVERIES
    def test_any_chunks(self, delivery: Any, opcode: int, cut: int, sizes: list[int], masked: bool) -> None:
        parts = [("aä€😀" * size).encode()[:size] for size in sizes]
        whole = b"".join(parts).decode(errors="ignore").encode() if opcode == TEXT else b"".join(parts)
        parts = [whole[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))]
        data = b"".join(
            header_of(opcode if at == 0 else CONTINUATION, at == len(parts) - 1, len(part), masked)
            + (fast_mask(part) if masked else part)
            for at, part in enumerate(parts)
        )
        data += frame_tail(masked)
        one = receiver(masked=masked, delivery=delivery)
        events = receive(one, *(data[at : at + cut] for at in range(0, len(data), cut)))
        assert events[-1] == Ping(b"!")
        joined = "".join if opcode == TEXT else b"".join
        assert joined(event.data for event in events[:-1]) == (whole.decode() if opcode == TEXT else whole)
        assert len(events) - 1 == {"message": 1, "frame": len(sizes)}.get(delivery, len(events) - 1)
        assert one.held is None

    @pytest.mark.parametrize("bad", [0, 20_000, 60_000])
    @pytest.mark.parametrize("cut", [1000, 1 << 30])
    def test_invalid_text(self, cut: int, bad: int) -> None:
        payload = b"a" * bad + b"\xff" + b"a" * (70_000 - bad)
        data = ping(CLIENT) + data_frame(FIN | TEXT, payload) + ping(CLIENT)
        one = receiver()
        events = [event for at in range(0, len(data), cut) for event in one.receive(data[at : at + cut])]
        assert events == [Ping()]
        assert one.ending == RemoteProtocolError("text is not valid UTF-8", 1007)
        assert (one.receive(b"more"), one.has_pending) == ([], False)

    def test_text_that_breaks_off(self) -> None:
        one = receiver()
        assert receive(one, data_frame(FIN | TEXT, b"a" * 70_000 + b"\xe2\x82")) == []
        assert isinstance(one.ending, RemoteProtocolError)

    def test_control_frames_between_large_fragments(self) -> None:
        data = data_frame(BINARY, bytes(BULK)) + ping(CLIENT) + data_frame(FIN | CONTINUATION, bytes(BULK))
        for cut in (100, 1 << 30):
            chunks = [data[at : at + cut] for at in range(0, len(data), cut)]
            assert receive(receiver(), *chunks) == [Ping(), BytesMessage(bytes(2 * BULK))]

    def test_without_limits(self) -> None:
        one = receiver(max_message_size=None)
        data = data_frame(BINARY, b"x" * 100_000) + data_frame(FIN | CONTINUATION, b"y" * 100_000)
        chunks = [data[at : at + 5000] for at in range(0, len(data), 5000)]
        assert receive(one, *chunks) == [BytesMessage(b"x" * 100_000 + b"y" * 100_000)]


def header_of(opcode: int, final: bool, size: int, masked: bool) -> bytes:
    return slow_codec.header(opcode | (FIN if final else 0), size, KEY if masked else None)


def fast_mask(payload: bytes) -> bytes:
    """XOR as numbers: the slow codec is too slow for this much."""
    size = len(payload)
    key = (KEY * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def frame_tail(masked: bool) -> bytes:
    return header_of(PING, True, 1, masked) + (slow_codec.mask(b"!", KEY) if masked else b"!")


class TestDelivery:
    """By frame and by piece: text ends on a code point, no piece is empty but one that finishes a frame."""

    def test_frames(self) -> None:
        chunk = data_frame(TEXT, "aä".encode()[:2]) + data_frame(CONTINUATION, b"") + data_frame(FIN, "ä".encode()[1:])
        events = [TextMessage("a", True, False), TextMessage("", True, False), TextMessage("ä", True, True)]
        for chunks in ([chunk], byte_by_byte(chunk)):
            assert receive(receiver(delivery="frame"), *chunks) == events

    def test_pieces(self) -> None:
        data = data_frame(TEXT, "aä".encode()[:2]) + data_frame(FIN, "ä".encode()[1:] + b"bcd")
        one = receiver(delivery="piece")
        events = receive(one, data[:3], data[3:4], data[4:6], data[6:8], data[8:])
        assert events == [
            TextMessage("a", False, False),
            TextMessage("", True, False),
            TextMessage("äb", False, False),
            TextMessage("cd", True, True),
        ]

    def test_pieces_of_bytes(self) -> None:
        data = data_frame(FIN | BINARY, b"abc")
        events = receive(receiver(delivery="piece"), data[:2], data[2:4], data[4:])
        assert events == [BytesMessage(b"ab", False, False), BytesMessage(b"c", True, True)]

    def test_empty_frames(self) -> None:
        for delivery in ("frame", "piece"):
            events = receive(receiver(delivery=delivery), data_frame(BINARY, b"") + data_frame(FIN, b""))
            assert events == [BytesMessage(b"", True, False), BytesMessage(b"", True, True)]

    @pytest.mark.parametrize("as_bytes", [False, True])
    @pytest.mark.parametrize("delivery", ["message", "frame"])
    def test_as_the_oracle_says(self, delivery: Any, as_bytes: bool) -> None:
        chunk = messages(CLIENT, [b"a\xe2", b"\x82", b"", b"\xac", b"b"], TEXT) + messages(CLIENT, [b"\xff", b""])
        settings = Settings(delivery=delivery, text_as_bytes=as_bytes)
        events = receive(Receiver(settings, masked=False), *byte_by_byte(chunk))
        assert [plain(event) for event in events] == expected(chunk, CLIENT, settings)


class TestControlFrames:
    """Pings to answer, the last Pong, and the Close that ends the stream."""

    def test_pings_are_kept_for_an_answer(self) -> None:
        one = receiver()
        assert one.pings is None
        receive(one, b"".join(ping(CLIENT, b"%d" % number) for number in range(20)))
        assert one.pings == deque([b"%d" % number for number in range(4, 20)])

    def test_pings_without_automatic_replies(self) -> None:
        one = receiver(auto_reply=False)
        assert receive(one, ping(CLIENT)) == [Ping()]
        assert one.pings is None

    def test_last_pong(self) -> None:
        one = receiver()
        assert one.last_pong is None
        receive(one, pong(CLIENT, b"1") + pong(CLIENT, b"2"))
        assert one.last_pong == b"2"

    @pytest.mark.parametrize("before", [b"", text(CLIENT, "x"), data_frame(TEXT, b"x")])
    def test_close(self, before: bytes) -> None:
        """It comes as `ending`, and what follows is discarded."""
        one = receiver()
        receive(one, before + close(CLIENT, 4000, b"bye") + text(CLIENT, "more"))
        assert one.ending == CloseConnection(4000, "bye")
        assert one.receive(text(CLIENT, "more")) == []

    @pytest.mark.parametrize("size", [4, 5, 9])
    def test_bad_close(self, size: int) -> None:
        """The earliest byte decides, whether the rest comes or not."""
        one = receiver()
        chunk = close(CLIENT, 999, b"reason")
        assert receive(one, chunk[:3]) == []
        assert one.ending is None
        receive(one, chunk[3:size])
        assert one.ending == RemoteProtocolError("close frame has code 999, which may not be sent")

    def test_close_byte_by_byte(self) -> None:
        one = receiver()
        receive(one, *byte_by_byte(close(CLIENT, 1000, "tschüß".encode())))
        assert one.ending == CloseConnection(1000, "tschüß")


class TestFaults:
    """The end comes at the first fault, and good events before it."""

    @pytest.mark.parametrize(
        ("chunk", "words"),
        [
            (data_frame(CONTINUATION, b""), "continuation frame between messages"),
            (data_frame(TEXT, b"") + data_frame(FIN | BINARY, b""), "binary frame inside a fragmented text message"),
            (data_frame(BINARY, b"") + data_frame(FIN | TEXT, b""), "text frame inside a fragmented binary message"),
            (data_frame(BINARY, b"") + data_frame(BINARY, b""), "binary frame inside a fragmented binary message"),
        ],
        ids=["nothing to continue", "bytes in text", "text in bytes", "bytes in bytes"],
    )
    def test_sequence(self, chunk: bytes, words: str) -> None:
        """Section 5.4, by the table of flow.py."""
        for chunks in ([ping(CLIENT) + chunk], byte_by_byte(ping(CLIENT) + chunk)):
            one = receiver()
            assert receive(one, *chunks) == [Ping()]
            assert one.ending == RemoteProtocolError(words)

    @pytest.mark.parametrize("payload", [b"", b"\xff", bytes(BULK)])
    def test_sequence_before_payload(self, payload: bytes) -> None:
        """Whatever is wrong with a frame that may not come at all."""
        one = receiver()
        receive(one, data_frame(BINARY, b"x") + data_frame(FIN | TEXT, payload))
        assert one.ending == RemoteProtocolError("text frame inside a fragmented binary message")

    @DELIVERIES
    def test_message_under_way_is_let_go(self, delivery: Any) -> None:
        one = receiver(delivery=delivery)
        receive(one, data_frame(BINARY, b"x"), header(CLIENT, 0x70, 0))
        assert isinstance(one.ending, RemoteProtocolError)
        assert one._message is None


class TestCodecs:
    """Messages that an extension marked."""

    @DELIVERIES
    @pytest.mark.parametrize("cut", [1, 3, 1000])
    def test_marked_and_plain(self, cut: int, delivery: Any) -> None:
        chunk = (
            data_frame(RSV1 | BINARY, b"ab")
            + ping(CLIENT)
            + data_frame(FIN, b"c")
            + data_frame(FIN | BINARY, b"plain")
            + data_frame(FIN | RSV1 | TEXT, b"d")
        )
        one = receiver(Repeat(3), delivery=delivery)
        events = receive(one, *(chunk[at : at + cut] for at in range(0, len(chunk), cut)))
        whole = b"".join(event.data for event in events if isinstance(event, BytesMessage))
        assert whole == b"aaabbbccc" + b"plain"
        assert "".join(event.data for event in events if isinstance(event, TextMessage)) == "ddd"

    @pytest.mark.parametrize("as_bytes", [False, True])
    @pytest.mark.parametrize("limit", [5, 6, 7, None])
    def test_small_whole_ones(self, limit: int | None, as_bytes: bool) -> None:
        """They take a short way, which shows nowhere."""
        chunk = b"".join(data_frame(FIN | RSV1 | opcode, b"abc") for opcode in (BINARY, TEXT, BINARY))
        text = EncodedTextMessage(b"aabbcc") if as_bytes else TextMessage("aabbcc")
        events = [BytesMessage(b"aabbcc"), text, BytesMessage(b"aabbcc")]
        for chunks in ([chunk], byte_by_byte(chunk)):
            one = receiver(Repeat(2), max_message_size=limit, text_as_bytes=as_bytes)
            assert receive(one, *chunks) == ([] if limit == 5 else events)
            assert isinstance(one.ending, RemoteProtocolError) is (limit == 5)

    @pytest.mark.parametrize("payload", [b"a\xff", b"\xc3"])
    def test_small_whole_ones_of_invalid_text(self, payload: bytes) -> None:
        chunk = data_frame(FIN | RSV1 | TEXT, payload)
        for chunks in ([chunk], byte_by_byte(chunk)):
            one = receiver(Repeat(1))
            assert receive(one, *chunks) == []
            assert one.ending == RemoteProtocolError("text is not valid UTF-8", 1007)

    def test_unmarked_bit(self) -> None:
        one = receiver(Repeat(3))
        receive(one, data_frame(FIN | RSV2 | BINARY, b"x"))
        assert isinstance(one.ending, RemoteProtocolError)

    @pytest.mark.parametrize(
        ("mark", "data"), [(RSV1, b"aa"), (RSV2, b"aaa"), (RSV1 | RSV2, b"aaaaaa"), (0, b"a")], ids=str
    )
    def test_two(self, mark: int, data: bytes) -> None:
        one = receiver(Repeat(2, RSV1), Repeat(3, RSV2))
        assert receive(one, data_frame(FIN | mark | BINARY, b"a")) == [BytesMessage(data)]

    @DELIVERIES
    @pytest.mark.parametrize("after", [b"", ping(CLIENT), data_frame(FIN | BINARY, b"x") * 3])
    def test_one_call_gives_a_bounded_amount(self, delivery: Any, after: bytes) -> None:
        """It stops after a message, or within one that comes in pieces, and goes on when asked."""
        one = receiver(Repeat(MIN_INFLATED // 2), delivery=delivery)
        calls = [one.receive(data_frame(FIN | RSV1 | BINARY, b"ab") * 3 + after)]
        while one.has_pending:
            calls.append(one.receive(b""))
        inflated = [sum(len(event.data) for event in events if hasattr(event, "data")) for events in calls]
        assert inflated[:3] == [MIN_INFLATED] * 3
        assert sum(inflated) == 3 * MIN_INFLATED + (3 if b"x" in after else 0)
        assert one.held is None

    def test_pieces_are_bounded_within_one_message(self) -> None:
        one = receiver(Repeat(CHUNK), delivery="piece", max_message_size=None)
        calls = [one.receive(data_frame(FIN | RSV1 | BINARY, bytes(40)) + text(CLIENT, "after"))]
        while one.has_pending:
            calls.append(one.receive(b""))
        assert [len(events) for events in calls] == [16, 16, 9]
        assert calls[-1][-1] == TextMessage("after")

    def test_input_while_there_is_more_to_give(self) -> None:
        """It waits its turn."""
        one = receiver(Repeat(MIN_INFLATED))
        one.receive(data_frame(FIN | RSV1 | BINARY, b"a") * 2)
        assert one.has_pending
        (event,) = one.receive(text(CLIENT, "later"))
        assert isinstance(event, BytesMessage)
        assert one.receive(b"") == [TextMessage("later")]

    def test_limit(self) -> None:
        one = receiver(Repeat(100), max_message_size=250)
        receive(one, data_frame(FIN | RSV1 | BINARY, b"aaa"))
        assert one.ending == RemoteProtocolError("message inflates to more than 250 bytes", 1009)

    def test_fault_within_what_is_left(self) -> None:
        """Pieces that were good are given first."""
        one = receiver(Repeat(MIN_INFLATED), delivery="piece", max_message_size=MIN_INFLATED + 10)
        calls = [one.receive(data_frame(FIN | RSV1 | BINARY, b"aa"))]
        while one.has_pending:
            calls.append(one.receive(b""))
        assert one.ending == RemoteProtocolError(f"message inflates to more than {MIN_INFLATED + 10} bytes", 1009)
        assert sum(len(event.data) for events in calls for event in events) <= MIN_INFLATED + 10

    def test_small_whole_ones_are_bounded_in_one_call(self) -> None:
        """Rule 8: one call gives at most 1 MiB beyond its first message, however many messages that is."""
        one = receiver(Repeat(1000))
        calls = [one.receive(data_frame(FIN | RSV1 | BINARY, bytes(50)) * 50)]
        while one.has_pending:
            calls.append(one.receive(b""))
        assert [len(events) for events in calls] == [21, 21, 8]

    def test_marked_message_within_another(self) -> None:
        """Section 5.4: fragments of one message are never mixed with another's, marked or not."""
        one = receiver(Repeat(3))
        assert receive(one, data_frame(TEXT, b"a") + data_frame(FIN | RSV1 | TEXT, b"b")) == []
        assert one.ending == RemoteProtocolError("text frame inside a fragmented text message")

    @pytest.mark.parametrize(("delivery", "finished"), [("frame", [True]), ("piece", [False, False, True])])
    def test_flags_of_an_inflated_frame(self, delivery: Any, finished: list[bool]) -> None:
        """However many slices it inflates to, it ends once."""
        one = receiver(Repeat(CHUNK), delivery=delivery)
        events = receive(one, data_frame(FIN | RSV1 | BINARY, b"abc"))
        assert [(event.frame_finished, event.message_finished) for event in events] == [(end, end) for end in finished]
