"""One incoming message: what codecs make of its pieces, within its limit, and in which events it comes."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

import pytest
from memory import peak_memory
from toy_codecs import Repeat

from wsproto_lite import BytesMessage, EncodedTextMessage, LocalProtocolError, RemoteProtocolError, TextMessage
from wsproto_lite.assembly import PARTS, IncomingMessage, decode_parts
from wsproto_lite.codec import CHUNK


def message(*codecs: Any, text: bool = False, as_bytes: bool = False, limit: int | None = None) -> IncomingMessage:
    """Begin a message."""
    return IncomingMessage(text=text, as_bytes=as_bytes, codecs=codecs, limit=limit)


class TestDecode:
    """Pieces come in bounded slices, True with the last of each."""

    def test_plain(self) -> None:
        """The decoder has held them against limit and UTF-8 already."""
        assert list(message(text=True, limit=1).decode(b"\xffpiece", final=True)) == [(b"\xffpiece", True)]

    def test_one_slice(self) -> None:
        assert list(message(Repeat(3)).decode(b"ab", final=False)) == [(b"aaabbb", True)]

    def test_nothing(self) -> None:
        assert list(message(Repeat(3)).decode(b"", final=True)) == [(b"", True)]

    def test_many_slices(self) -> None:
        """None is larger than a chunk, without a limit too."""
        codec = Repeat(CHUNK)
        slices = list(message(codec).decode(b"abc", final=True))
        assert slices == [(letter * CHUNK, letter == b"c") for letter in (b"a", b"b", b"c")]
        assert [final for _, final, _ in codec.calls] == [True] * 3

    @pytest.mark.parametrize("size", [1, 10, 1000])
    def test_rest(self, size: int) -> None:
        """A whole message of which somebody else has decoded a first slice."""
        codec = Repeat(1000)
        first = codec.decode(b"a", final=True, max_length=size)
        slices = list(message(codec).decode_rest(first, has_more=codec.has_pending))
        assert b"".join(data for data, _ in slices) == b"a" * 1000
        assert [is_last for _, is_last in slices] == [False] * (len(slices) - 1) + [True]

    def test_two_codecs(self) -> None:
        """The last that was applied is undone first."""
        inner, outer = Repeat(2), Repeat(CHUNK)
        slices = list(message(inner, outer).decode(b"ab", final=True))
        assert b"".join(data for data, _ in slices) == b"a" * (2 * CHUNK) + b"b" * (2 * CHUNK)
        assert [is_last for _, is_last in slices] == [False, False, False, True]
        assert inner.calls == [(b"ab", True, CHUNK)]

    def test_final_reaches_a_codec_with_the_last_slice_alone(self) -> None:
        inner, outer = Repeat(CHUNK + 1), Repeat(1)
        list(message(inner, outer).decode(b"a", final=True))
        assert [final for _, final, _ in inner.calls] == [True, True]
        assert [final for _, final, _ in outer.calls] == [False, True]

    @pytest.mark.parametrize("limit", [1, 10, CHUNK + 5])
    @pytest.mark.parametrize("pieces", [1, 3])
    def test_limit(self, limit: int, pieces: int) -> None:
        """Bounded while it inflates by what is left of the message; never 0, which is unlimited to zlib."""
        codec = Repeat(limit)
        one = message(codec, limit=limit)
        assert sum(len(data) for data, _ in one.decode(b"a", final=False)) == limit
        for _ in range(pieces):
            assert list(one.decode(b"", final=False)) == [(b"", True)]
        with pytest.raises(RemoteProtocolError, match=f"message inflates to more than {limit} bytes") as raised:
            list(one.decode(b"b", final=True))
        assert raised.value.code == 1009
        assert [most for _, _, most in codec.calls][-1] == 1
        assert all(0 < most <= CHUNK for _, _, most in codec.calls)

    @pytest.mark.parametrize(
        ("pieces", "valid"),
        [
            ([b"ok"], True),
            ([b"\xc3", b"\xa4"], True),
            ([b"\xc3", b""], False),
            ([b"\xc3"], False),
            ([b"a\xff", b""], False),
            ([b"a", b"\xa4"], False),
        ],
        ids=repr,
    )
    def test_text(self, pieces: list[bytes], valid: bool) -> None:
        """Section 8.1, on what comes out of the codec."""
        one = message(Repeat(1), text=True)
        *first, last = pieces
        with nullcontext() if valid else pytest.raises(RemoteProtocolError, match="text is not valid UTF-8"):
            told = [data for piece in first for data, _ in one.decode(piece, final=False)]
            assert told + [data for data, _ in one.decode(last, final=True)] == pieces

    @pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), LocalProtocolError("bad")], ids=repr)
    def test_codec_that_raises(self, error: Exception) -> None:
        """A codec of the user's own: whatever it raises, receive_data doesn't."""

        class Broken(Repeat):
            def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
                raise error

        with pytest.raises(RemoteProtocolError, match="message can't be decoded") as raised:
            list(message(Broken(1)).decode(b"x", final=True))
        assert (raised.value.code, raised.value.__cause__) == (1007, error)

    @pytest.mark.parametrize("output", [None, "text", 5, [1]], ids=repr)
    def test_codec_that_gives_no_bytes(self, output: object) -> None:
        """The same as if it had raised."""

        class Broken(Repeat):
            def decode(self, data: bytes, *, final: bool, max_length: int) -> Any:
                return output

        with pytest.raises(RemoteProtocolError, match="message can't be decoded: TypeError") as raised:
            list(message(Broken(1)).decode(b"x", final=True))
        assert raised.value.code == 1007

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_codec_that_gives_another_buffer(self, kind: Any) -> None:
        class Other(Repeat):
            def decode(self, data: bytes, *, final: bool, max_length: int) -> Any:
                return kind(data)

        ((data, _),) = message(Other(1)).decode(b"x", final=True)
        assert (data, type(data)) == (b"x", bytes)

    def test_codec_without_has_pending(self) -> None:
        class Broken:
            rsv = 0x40

            def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
                return data

        with pytest.raises(RemoteProtocolError, match="has_pending") as raised:
            list(message(Broken()).decode(b"x", final=True))
        assert raised.value.code == 1007

    def test_codec_that_finds_a_fault(self) -> None:
        fault = RemoteProtocolError("corrupt", 1007)

        class Strict(Repeat):
            def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
                raise fault

        with pytest.raises(RemoteProtocolError) as raised:
            list(message(Strict(1)).decode(b"x", final=True))
        assert raised.value is fault

    def test_text_that_breaks_off_between_slices(self) -> None:
        """Not the end of the message yet."""
        euro = "€".encode()
        one = message(Repeat(1), text=True, limit=CHUNK * 2)
        data = b"a" * (CHUNK - 1) + euro
        assert b"".join(data for data, _ in one.decode(data, final=True)) == data


class TestTake:
    """What is here becomes an event, less a code point that isn't complete."""

    @pytest.mark.parametrize("finished", [(True, True), (True, False), (False, False)])
    def test_flags(self, finished: tuple[bool, bool]) -> None:
        for asked, event in (
            ({}, BytesMessage(b"data", *finished)),
            ({"text": True}, TextMessage("data", *finished)),
            ({"text": True, "as_bytes": True}, EncodedTextMessage(b"data", *finished)),
        ):
            one = message(**asked)
            one.add(b"da")
            one.add(b"ta")
            assert one.take(*finished) == event

    @pytest.mark.parametrize("as_bytes", [False, True])
    def test_text_ends_on_a_code_point(self, as_bytes: bool) -> None:
        """Held-back bytes lead the next event."""
        one = message(text=True, as_bytes=as_bytes)
        told = []
        for byte in "aä€😀".encode():
            one.add(bytes([byte]))
            told.append(one.take(False, False).data)
        parts = ["a", "", "ä", "", "", "€", "", "", "", "😀"]
        assert told == ([part.encode() for part in parts] if as_bytes else parts)

    def test_bytes_are_never_held_back(self) -> None:
        one = message()
        one.add(b"\xe2\x82")
        assert one.take(True, False) == BytesMessage(b"\xe2\x82", True, False)

    def test_nothing(self) -> None:
        assert message(text=True).take(True, True) == TextMessage("")
        assert message().take(True, True) == BytesMessage(b"")


class TestLongText:
    """Inflated text becomes characters part by part, so that it isn't there as bytes and characters at the end."""

    TEXT = "caf\u00e9 \u20ac\r\n\U0001f600 " * 20_000

    @pytest.mark.parametrize("size", [1000, CHUNK - 1, CHUNK, CHUNK + 1])
    @pytest.mark.parametrize("as_bytes", [False, True])
    def test_pieces(self, size: int, as_bytes: bool) -> None:
        one = message(Repeat(1), text=True, as_bytes=as_bytes)
        data = self.TEXT.encode()
        for start in range(0, len(data), size):
            one.add(data[start : start + size])
        taken = one.take(True, True)
        assert taken.data == (data if as_bytes else self.TEXT)
        assert type(taken) is (EncodedTextMessage if as_bytes else TextMessage)

    def test_in_parts(self) -> None:
        """What was taken does not come again."""
        one = message(Repeat(1), text=True)
        data = self.TEXT.encode()
        one.add(data[:100_001])
        first = one.take(False, False)
        one.add(data[100_001:])
        assert first.data + one.take(True, True).data == self.TEXT

    @pytest.mark.skipif(sys.gettrace() is not None, reason="the interpreter does not append in place under a tracer")
    def test_memory(self) -> None:
        """As much as the text, and a few pieces."""
        one = message(Repeat(1), text=True)

        def use() -> None:
            for _ in range(32):
                one.add(b"a" * CHUNK)
            assert len(one.take(True, True).data) == 32 * CHUNK

        assert peak_memory(use) < 36 * CHUNK

    @pytest.mark.parametrize("letter", ["\u00e9", "\u20ac", "\U0001f600"])
    def test_memory_of_wide_text_under_way(self, letter: str) -> None:
        """Bytes, until all is there: one such letter makes all the characters of a part as wide as itself."""
        one = message(Repeat(1), text=True)
        encoded = letter.encode()

        def use() -> None:
            for _ in range(32):
                one.add(b"a" * (CHUNK - len(encoded)) + encoded)

        assert peak_memory(use) < 36 * CHUNK

    def test_few_parts(self) -> None:
        """Where the interpreter doesn't append in place, the copying is linear nevertheless."""
        one = message(Repeat(1), text=True)
        count = 40 * PARTS
        for _ in range(count):
            for data, _ in one.decode(b"a" * CHUNK, final=False):
                one.add(data)
        assert one._parts is not None
        assert PARTS < len(one._parts) < 6 * PARTS
        assert one.take(True, True) == TextMessage("a" * CHUNK * count)

    def test_parts(self) -> None:
        parts = ["a", "\u20ac", "b"]
        assert decode_parts([part.encode() for part in parts]) == "".join(parts)
