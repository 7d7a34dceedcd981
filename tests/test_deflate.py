"""The payloads of permessage-deflate (RFC 7692 section 7.2): decompression and what peers may do to it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from deflate_backends import BACKENDS, decode, deflate, every_backend, make_codec, noise, only_with_tracemalloc, payload
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import peak_memory

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError

FINAL_HELLO = "f348cdc9c90700"

EXAMPLES = {
    "one block, 7.2.3.1": (["f248cdc9c90700"], b"Hello"),
    "two fragments, 7.2.3.1": (["f248cd", "c9c90700"], b"Hello"),
    "no compression, 7.2.3.3": (["000500faff48656c6c6f00"], b"Hello"),
    "final block, 7.2.3.4": ([FINAL_HELLO + "00"], b"Hello"),
    "two blocks, 7.2.3.5": (["f248050000 00ffff cac9c90700"], b"Hello"),
    "empty, 7.2.3.6": (["00"], b""),
    "empty, without the octet 00": ([""], b""),
    "nothing in several fragments": (["", "", ""], b""),
    "empty fragments only": (["", "", "00"], b""),
    "empty fragments": (["", "f248cdc9c9", "", "0700", ""], b"Hello"),
    "final block, octet 00 in the next fragment": ([FINAL_HELLO, "00"], b"Hello"),
    "final block, octet 00 missing": ([FINAL_HELLO], b"Hello"),
    "final block, octet 00 missing, an empty fragment": ([FINAL_HELLO, ""], b"Hello"),
    "final block in the first fragment": ([FINAL_HELLO, "f248cdc9c90700"], b"HelloHello"),
    "final block in the middle": (["f248cdc9c907000000ffff", FINAL_HELLO, "f248cdc9c90700"], b"HelloHelloHello"),
    "final blocks only": ([FINAL_HELLO * 3 + "00"], b"HelloHelloHello"),
    "final empty blocks": (["0300" * 5000 + FINAL_HELLO + "0300" * 5000 + "00"], b"Hello"),
    "final empty stored block": (["f248cdc9c907000000ffff01"], b"Hello"),
    "empty blocks": (["000000ffff" * 5000 + "00"], b""),
    "stored block that the tail completes, 7.2.2": (["000900f6ff48656c6c6f"], b"Hello\x00\x00\xff\xff"),
}


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


@every_backend
@pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
@pytest.mark.parametrize(("pieces", "expected"), EXAMPLES.values(), ids=EXAMPLES)
class TestExamples:
    """RFC 7692 section 7.2.3, and what else section 7.2.2 allows."""

    def test_decode(self, backend: ModuleType, takeover: bool, pieces: list[str], expected: bytes) -> None:
        codec = make_codec(backend, takeover=takeover)
        for _ in range(3):
            assert decode(codec, *map(unhex, pieces)) == expected

    def test_byte_by_byte(self, backend: ModuleType, takeover: bool, pieces: list[str], expected: bytes) -> None:
        codec = make_codec(backend, takeover=takeover)
        data = unhex("".join(pieces))
        assert decode(codec, *(data[i : i + 1] for i in range(len(data))), max_length=1) == expected
        assert decode(codec, unhex("f248cdc9c90700")) == b"Hello"


@every_backend
def test_shares_the_window(backend: ModuleType) -> None:
    """RFC 7692 section 7.2.3.2: the second Hello is a reference to the first."""
    codec = make_codec(backend)
    assert [decode(codec, unhex("f248cdc9c90700")), decode(codec, unhex("f200110000"))] == [b"Hello", b"Hello"]


MALFORMED = {
    "block type 3": "07",
    "stored length": "0001020304",
    "tail not cut off": "f248cdc9c907000000ffff",
    "no empty stored block": "4a040000",
    "within a stored block": "000500faff48656c",
    "within a fixed block": "f248cdc9",
    "within a header": "f248cdc9c90700000500",
    "within a final block": "f348cdc9",
    "too much after a final block": FINAL_HELLO + "0000",
    "before the beginning": "f200110000",
}


@every_backend
@pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
class TestMalformed:
    """1007: data that isn't what section 7.2.1 makes. A shortened message is never delivered."""

    def test_whole(self, backend: ModuleType, takeover: bool, data: str) -> None:
        codec = make_codec(backend, takeover=takeover)
        with pytest.raises(RemoteProtocolError, match="compressed message") as caught:
            decode(codec, unhex(data))
        assert caught.value.code == 1007
        assert not codec.has_pending

    def test_byte_by_byte(self, backend: ModuleType, takeover: bool, data: str) -> None:
        codec = make_codec(backend, takeover=takeover)
        with pytest.raises(RemoteProtocolError, match="compressed message") as caught:
            decode(codec, *(bytes([byte]) for byte in unhex(data)), b"", max_length=1)
        assert caught.value.code == 1007


@every_backend
class TestWindow:
    """What back-references may reach (RFC 7692 sections 7.1.1 and 7.1.2)."""

    @pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
    def test_not_another_connection(self, backend: ModuleType, takeover: bool) -> None:
        secret = noise(100)
        assert decode(make_codec(backend, takeover=takeover), payload(secret)) == secret
        with pytest.raises(RemoteProtocolError) as caught:
            decode(make_codec(backend, takeover=takeover), payload(secret, secret))
        assert caught.value.code == 1007

    @pytest.mark.parametrize("first", [payload(noise(100)), deflate(noise(100), final=True)], ids=["block", "final"])
    def test_not_an_earlier_message_without_takeover(self, backend: ModuleType, first: bytes) -> None:
        for pieces in ([first], [first[:50], first[50:]]):
            codec = make_codec(backend, takeover=False)
            assert decode(codec, *pieces) == noise(100)
            with pytest.raises(RemoteProtocolError) as caught:
                decode(codec, payload(noise(100), noise(100)))
            assert caught.value.code == 1007

    @pytest.mark.parametrize("bits", range(8, 15))
    def test_its_size_between_messages(self, backend: ModuleType, bits: int) -> None:
        """2 to the power of the bits, however the earlier messages came; one byte farther there is nothing."""
        history = noise(1 << bits)
        for start in (0, 1, 100):
            codec = make_codec(backend, bits=bits)
            decode(codec, payload(b"before" + history[:start]), max_length=77)
            middle = payload(history[start:])
            assert decode(codec, middle[:70], middle[70:]) == history[start:]
            assert decode(codec, payload(history[:100], b"--" + history)) == history[:100]
        codec = make_codec(backend, bits=bits)
        decode(codec, payload(b"x" + history))
        with pytest.raises(RemoteProtocolError) as caught:
            decode(codec, payload(b"x" + history[:99], b"--x" + history))
        assert caught.value.code == 1007

    @pytest.mark.parametrize("size", [1, 1000, 1 << 16])
    def test_its_size_within_a_message(self, backend: ModuleType, size: int) -> None:
        """A peer that goes beyond the agreed window fares alike however the message is split and taken."""
        message = noise(20_000) + noise(300)
        data = payload(message)
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert decode(make_codec(backend, bits=9), *pieces, max_length=max(size, 100)) == message

    @pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
    def test_reaches_over_final_blocks(self, backend: ModuleType, takeover: bool) -> None:
        """RFC 7692 section 7.2.3.4: nothing ends with a final block but itself."""
        codec = make_codec(backend, bits=9, takeover=takeover)
        words, near = noise(200), noise(512)
        for _ in range(2):
            pieces = [
                deflate(words, final=True),
                deflate(words, words, final=True) + b"\x03\x00" + deflate(near, words, final=True),
                deflate(near[:150], near),
                deflate(b"", final=True),
                payload(words + near),
            ]
            for size in (1, 7, 1 << 16):
                expected = words * 2 + near + near[:150] + words + near
                assert decode(codec, *pieces, max_length=size) == expected
                whole = b"".join(pieces)
                assert decode(codec, *(whole[i : i + size] for i in range(0, len(whole), size))) == expected
            if takeover:
                assert decode(codec, payload(near[:100], near)) == near[:100]

    def test_a_final_block_hides_what_is_beyond_it(self, backend: ModuleType) -> None:
        words = noise(600)
        codec = make_codec(backend, bits=9)
        with pytest.raises(RemoteProtocolError) as caught:
            decode(codec, deflate(words, final=True), payload(words[:80], words))
        assert caught.value.code == 1007


@every_backend
class TestBombs:
    """Inflation is bounded while it runs."""

    @only_with_tracemalloc
    @pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
    @pytest.mark.parametrize("split", [1, 3], ids=["whole", "fragmented"])
    def test_memory(self, backend: ModuleType, takeover: bool, split: int) -> None:
        import tracemalloc

        data = payload(bytes(8 << 20))
        step = len(data) // split + 1
        pieces = [data[i : i + step] for i in range(0, len(data), step)]
        codec = make_codec(backend, takeover=takeover)
        decode(codec, b"\x00")
        size = 0
        tracemalloc.start()
        for piece in pieces:
            is_last = piece is pieces[-1]
            size += len(codec.decode(piece, final=is_last, max_length=65_536))
            while codec.has_pending:
                size += len(codec.decode(b"", final=is_last, max_length=65_536))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size == 8 << 20
        assert peak < 512 << 10

    @pytest.mark.parametrize("size", [1, 2, 99, 100, 101, 65_536])
    def test_exactly_as_much_as_asked_for(self, backend: ModuleType, size: int) -> None:
        for message in (bytes(100), noise(100), noise(1)):
            assert decode(make_codec(backend), payload(message), max_length=size) == message
            assert decode(make_codec(backend), deflate(message, final=True), max_length=size) == message
            assert decode(make_codec(backend), deflate(message, final=True) + b"\x00", max_length=size) == message

    def test_more_input_before_all_is_taken(self, backend: ModuleType) -> None:
        codec = make_codec(backend)
        data = payload(noise(50) + bytes(5000) + noise(50, 2))
        message = codec.decode(data[:70], final=False, max_length=10)
        message += codec.decode(data[70:], final=True, max_length=10)
        while codec.has_pending:
            message += codec.decode(b"", final=False, max_length=1000)
        assert message == noise(50) + bytes(5000) + noise(50, 2)

    @pytest.mark.parametrize("size", [0, -1])
    def test_no_unlimited_inflation(self, backend: ModuleType, size: int) -> None:
        with pytest.raises(LocalProtocolError, match=f"max_length is {size}"):
            make_codec(backend).decode(b"\x00", final=True, max_length=size)


class Counting(ModuleType):
    """A backend that counts decompressors, and the bytes that go into them."""

    def __init__(self, backend: Any) -> None:
        super().__init__("counting")
        self.error = backend.error
        self._backend = backend
        self.made = 0
        self.size = 0

    def decompressobj(self, *args: Any) -> Any:
        self.made += 1
        return _CountingDecompressor(self, self._backend.decompressobj(*args))


class _CountingDecompressor:
    def __init__(self, counting: Counting, decompressor: Any) -> None:
        self._counting = counting
        self._decompressor = decompressor

    def decompress(self, data: bytes, max_length: int) -> Any:
        self._counting.size += len(data)
        return self._decompressor.decompress(data, max_length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decompressor, name)


FLOODS = {
    "empty stored blocks": ("000000ffff", 0),
    "empty fixed blocks": ("0208208000", 0),
    "final empty blocks": ("0300", 4096),
    "final stored blocks": ("010000ffff", 4096),
    "final blocks of a byte": ("4b0400", 4096),
}


@every_backend
@pytest.mark.parametrize(("block", "tried_again"), FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("step", [1, 1000, 65_536])
def test_input_without_output(backend: ModuleType, block: str, tried_again: int, step: int) -> None:
    """Time is linear: each block has a limited amount of input tried again, however much there is."""
    counting = Counting(backend)
    codec = make_codec(counting, level=6)
    blocks = (6_000 if step == 1 else 60_000) * 2 // len(block)
    data = bytes.fromhex(block) * blocks
    decode(codec, *(data[i : i + step] for i in range(0, len(data), step)), b"\x00")
    assert counting.made <= blocks + 1
    assert counting.size <= len(data) + 10 + blocks * tried_again


@every_backend
@pytest.mark.parametrize("block", ["0300", "03fc", "010000ffff", "f90000ffff"])
def test_final_empty_blocks_are_passed_over(backend: ModuleType, block: str) -> None:
    """A decompressor for each would take 1 s for 400 KB."""
    counting = Counting(backend)
    flood = unhex(FINAL_HELLO) + unhex(block) * 100_000
    assert decode(make_codec(counting, level=6), flood[:65_536], flood[65_536:] + b"\x00") == b"Hello"
    assert counting.made <= 5


@only_with_tracemalloc
def test_final_empty_blocks_take_no_memory() -> None:
    """They are passed over by a pattern that notes each until it has matched."""
    flood = unhex("0300") * 32_000 + b"\x00"
    assert peak_memory(lambda: decode(make_codec(), flood)) < 10 * len(flood)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Draw window bits, and messages with payloads: of several blocks, some final, that refer to what came before."""
    bits = draw(st.integers(9, 15))
    history = b""
    stream = []
    for _ in range(draw(st.integers(1, 4))):
        message = data = b""
        for _ in range(draw(st.integers(0, 3))):
            words = draw(st.lists(st.sampled_from([b"ab", b"wsproto", bytes(300), noise(40), noise(700)]), max_size=5))
            part = b"".join(words)
            data += deflate(part, history, final=draw(st.booleans()), level=draw(st.sampled_from([0, 1, 9])))
            message += part
            history = (history + part)[-(1 << bits) :]
        stream.append((message, data + b"\x00"))
    return bits, stream


@settings(deadline=None)
@given(st.sampled_from(BACKENDS), streams(), st.data())
def test_any_split(backend: ModuleType, drawn: tuple[int, list[tuple[bytes, bytes]]], data: st.DataObject) -> None:
    """However a payload is split and taken, the message is the same."""
    bits, stream = drawn
    codec = make_codec(backend, bits=bits)
    for message, encoded in stream:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=4)))
        pieces = [encoded[start:end] for start, end in zip([0, *cuts], [*cuts, len(encoded)])]
        assert decode(codec, *pieces, max_length=data.draw(st.sampled_from([3, 100, 65_536]))) == message


@settings(deadline=None)
@given(st.sampled_from(BACKENDS), st.booleans(), st.binary(max_size=200), st.integers(0, 200), st.integers(1, 50))
def test_any_input(backend: ModuleType, takeover: bool, garbage: bytes, position: int, size: int) -> None:
    """Whatever comes decodes or gives 1007, and fares alike in pieces."""
    good = payload(noise(30) + b"wsproto lite " * 20)
    data = good[:position] + garbage
    outcomes: list[bytes | int] = []
    for step in (len(data) + 1, size):
        codec = make_codec(backend, takeover=takeover)
        try:
            outcomes.append(decode(codec, *(data[i : i + step] for i in range(0, len(data), step)), b""))
        except RemoteProtocolError as error:
            outcomes.append(error.code)
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], bytes) or outcomes[0] == 1007
