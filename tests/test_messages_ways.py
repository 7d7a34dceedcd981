"""Which way incoming messages take: the short ways give what the long one gives, so only a look inside tells."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import RSV1, both_roles, connect, frame, ping, text
from slow_codec import BINARY, CONTINUATION, FIN, TEXT
from toy_codecs import Repeat

from wsproto_lite import CLIENT, SERVER, BytesMessage, EncodedTextMessage, Event, Ping, Role, Settings, TextMessage
from wsproto_lite.codec import CHUNK, Records
from wsproto_lite.messages import BULK, Receiver

LARGE = 3 * CHUNK


class Watched(Receiver):
    """A receiver that writes down which short ways are taken, and for how much."""

    ways: list[tuple[str, int]]

    def _take_run(self, records: Records, start: int, events: list[Event]) -> int:
        count = super()._take_run(records, start, events)
        self.ways.append(("run", count))
        return count

    def _take_large(self, data: bytes, start: int, *rest: Any) -> None:
        self.ways.append(("large", self.remaining()))
        super()._take_large(data, start, *rest)

    def _take_whole_encoded(self, head: int, piece: bytes, events: list[Event]) -> None:
        self.ways.append(("encoded", len(piece)))
        super()._take_whole_encoded(head, piece, events)

    def _take_bulk(self, data: bytes, start: int, size: int) -> None:
        self.ways.append(("bulk", size))
        super()._take_bulk(data, start, size)


def watched(role: Role = CLIENT, *codecs: Any, **settings: Any) -> Watched:
    one = Watched(Settings(**settings), masked=role is SERVER, codecs=codecs)
    one.ways = []
    return one


class TestRuns:
    """All but the first and the last frame of a read, if they are whole small messages of one kind."""

    @pytest.mark.parametrize(
        ("opcode", "payload", "settings", "count"),
        [
            pytest.param(TEXT, b"x", {}, 18, id="text"),
            pytest.param(BINARY, b"\xff", {}, 18, id="bytes"),
            pytest.param(TEXT, "ü".encode(), {}, 0, id="text that is not ASCII"),
            pytest.param(TEXT, b"x", {"text_as_bytes": True}, 0, id="text as bytes"),
        ],
    )
    @both_roles
    def test_run(self, role: Role, opcode: int, payload: bytes, settings: Any, count: int) -> None:
        one = watched(role, **settings)
        assert len(one.receive(frame(role, FIN | opcode, payload) * 20)) == 20
        assert one.ways == [("run", count)]

    @both_roles
    def test_run_within_a_message(self, role: Role) -> None:
        """Section 5.4: control frames may come there, and none of them is lost."""
        one = watched(role)
        data = frame(role, TEXT, b"a") + ping(role, b"?") * 20 + frame(role, FIN | CONTINUATION, b"b")
        assert one.receive(data) == [*[Ping(b"?")] * 20, TextMessage("ab")]
        assert one.ways == []


class TestLarge:
    """A whole message of more than a chunk that has come in one read."""

    @pytest.mark.parametrize("behind", [b"", b"\x89"], ids=["last", "something behind it"])
    @pytest.mark.parametrize("before", [b"", b"x" * 300], ids=["first", "something before it"])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "bytes"])
    @both_roles
    def test_whole(self, role: Role, opcode: int, before: bytes, behind: bytes) -> None:
        one = watched(role)
        data = b"x" * LARGE
        earlier = frame(role, FIN | BINARY, before)
        one.hold(earlier)
        events = one.receive(frame(role, FIN | opcode, data) + behind)
        assert events == [BytesMessage(before), TextMessage(data.decode()) if opcode == TEXT else BytesMessage(data)]
        assert one.ways == [("large", LARGE)]

    @pytest.mark.parametrize("delivery", ["frame", "piece"])
    def test_not_in_parts(self, delivery: Any) -> None:
        one = watched(delivery=delivery)
        assert b"".join(event.data for event in one.receive(frame(CLIENT, FIN | BINARY, bytes(LARGE)))) == bytes(LARGE)
        assert one.ways == []

    def test_text_as_bytes(self) -> None:
        one = watched(text_as_bytes=True)
        assert one.receive(frame(CLIENT, FIN | TEXT, b"x" * LARGE)) == [EncodedTextMessage(b"x" * LARGE)]
        assert one.ways == [("large", LARGE)]

    def test_fragment(self) -> None:
        """It goes into its message, and only the last makes that an event."""
        one = watched()
        assert one.receive(frame(CLIENT, BINARY, bytes(LARGE))) == []
        assert one.receive(frame(CLIENT, FIN | CONTINUATION, bytes(LARGE))) == [BytesMessage(bytes(2 * LARGE))]
        assert "large" not in dict(one.ways)

    @both_roles
    def test_within_a_message(self, role: Role) -> None:
        """Section 5.4: the fragments of one message may not be interleaved with those of another."""
        one = watched(role)
        assert one.receive(frame(role, TEXT, b"a")) == []
        assert one.receive(frame(role, FIN | BINARY, bytes(LARGE))) == []
        assert one.ending is not None
        assert one.ending.code == 1002
        assert one.ways == []

    def test_not_all_there(self) -> None:
        one = watched()
        data = frame(CLIENT, FIN | BINARY, bytes(LARGE))
        assert one.receive(data[:-1]) == []
        assert one.receive(data[-1:]) == [BytesMessage(bytes(LARGE))]
        assert "large" not in dict(one.ways)


class TestEncoded:
    """A whole message that the only extension has marked."""

    @pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "bytes"])
    @both_roles
    def test_whole(self, role: Role, opcode: int) -> None:
        one = watched(role, Repeat(2))
        expected = TextMessage("aabb") if opcode == TEXT else BytesMessage(b"aabb")
        assert one.receive(frame(role, FIN | RSV1 | opcode, b"ab")) == [expected]
        assert one.ways == [("encoded", 2)]

    def test_one_of_two(self) -> None:
        one = watched(CLIENT, Repeat(2), Repeat(3, 0x20))
        assert one.receive(frame(CLIENT, FIN | RSV1 | BINARY, b"a")) == [BytesMessage(b"aa")]
        assert one.ways == []


class TestBulk:
    """What is still to come of a large frame goes straight into its message."""

    @pytest.mark.parametrize(("to_come", "taken"), [(BULK - 1, []), (BULK, [("bulk", BULK)])], ids=["less", "enough"])
    @both_roles
    def test_rest_of_a_frame(self, role: Role, to_come: int, taken: list[Any]) -> None:
        one = watched(role)
        data = frame(role, FIN | BINARY, bytes(2 * BULK))
        assert one.receive(data[: len(data) - to_come]) == []
        assert one.receive(data[len(data) - to_come :]) == [BytesMessage(bytes(2 * BULK))]
        assert one.ways == taken

    @pytest.mark.parametrize("delivery", ["frame", "piece"])
    def test_not_in_parts(self, delivery: Any) -> None:
        one = watched(delivery=delivery)
        data = frame(CLIENT, FIN | BINARY, bytes(4 * BULK))
        one.receive(data[:1000])
        one.receive(data[1000:])
        assert one.ways == []

    @pytest.mark.parametrize(
        ("first", "limit", "most"),
        [
            pytest.param(FIN | BINARY, 1 << 20, 2 * BULK, id="last frame"),
            pytest.param(BINARY, 1 << 20, 1 << 20, id="more to come"),
            pytest.param(BINARY, None, 2 * BULK, id="more to come, no limit"),
            pytest.param(FIN | BINARY, None, 2 * BULK, id="last frame, no limit"),
        ],
    )
    def test_memory_ahead_of_need(self, first: int, limit: int | None, most: int) -> None:
        """To the end of a message whose last frame has begun, else to the limit, and no further."""
        one = watched(max_message_size=limit)
        assert one.receive(frame(CLIENT, first, bytes(2 * BULK))[:100]) == []
        message = one._message
        assert message is not None
        assert message.body.most == most

    @both_roles
    def test_invalid_text_ends_it_at_once(self, role: Role) -> None:
        """Section 8.1, with the read that brought the invalid byte."""
        conn = connect(role)
        data = frame(role, FIN | TEXT, b"x" * 100 + b"\xff" * 4 * BULK)
        assert conn.receive_data(data[:50]) == []
        assert [event.code for event in conn.receive_data(data[50:200])] == [1007]


def test_more_frames_than_a_call_of_c_takes() -> None:
    """One read gives all of them."""
    assert watched().receive(ping(CLIENT) * 10_000) == [Ping()] * 10_000


def test_small_messages_that_came_early() -> None:
    for data, event in ((frame(CLIENT, FIN | BINARY, b"x"), BytesMessage(b"x")), (text(CLIENT, "x"), TextMessage("x"))):
        one = watched()
        one.hold(data)
        assert one.receive(b"") == [event]
