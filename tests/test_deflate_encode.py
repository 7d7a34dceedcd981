"""The payloads of permessage-deflate (RFC 7692 section 7.2): compression, memory, and other implementations."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from deflate_backends import TAIL, decode, every_backend, every_level, make_codec, noise, only_with_tracemalloc
from slow_inflate import inflate
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Frame
from websockets.frames import Opcode as WebsocketsOpcode
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import FrameProtocol, RsvBits
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from wsproto_lite.deflate import DeflateCodec
from wsproto_lite.errors import LocalProtocolError

JSON = b"".join(b'{"id": %d, "of": "wsproto"}' % (number * 7919) for number in range(40))

LIMITS = (1, 2, 100, 1023, 65_535, 65_536, 1 << 18)


def encode(codec: DeflateCodec, *pieces: bytes) -> list[bytes]:
    """Compress the pieces of one message."""
    return [codec.encode(piece, final=number == len(pieces)) for number, piece in enumerate(pieces, 1)]


@every_backend
class TestEncode:
    @pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
    @pytest.mark.parametrize("bits", range(8, 16))
    def test_round_trip(self, backend: ModuleType, takeover: bool, bits: int) -> None:
        sender, receiver = (make_codec(backend, bits=bits, takeover=takeover) for _ in range(2))
        for message in (JSON, JSON, b"", noise(5000), JSON * 40, b"a", bytes(70_000), b"", noise(5000) + JSON):
            assert decode(receiver, *encode(sender, message)) == message
            pieces = message[:100], b"", message[100:2000], message[2000:], b""
            assert decode(receiver, *encode(sender, *pieces)) == message

    def test_examples(self, backend: ModuleType) -> None:
        """RFC 7692 sections 7.2.3.1 and 7.2.3.6."""
        codec = make_codec(backend)
        assert encode(codec, b"Hello") == [bytes.fromhex("f248cdc9c90700")]
        assert encode(codec, b"") == [b"\x00"]
        assert encode(codec, b"", b"") == [b"", b"\x00"]

    def test_takes_its_context_over(self, backend: ModuleType) -> None:
        first, second = (len(encode(codec, JSON)[0]) for codec in [make_codec(backend)] * 2)
        assert second < first // 4

    def test_without_takeover_each_message_stands_alone(self, backend: ModuleType) -> None:
        codec = make_codec(backend, takeover=False)
        for pieces in ((JSON,), (JSON[:500], JSON[500:]), (JSON, b""), (JSON,)):
            encoded = b"".join(encode(codec, *pieces))
            assert inflate(encoded + TAIL)[0] == JSON
        assert encode(codec, JSON) == encode(codec, JSON)

    def test_each_fragment_can_be_decoded_when_it_comes(self, backend: ModuleType) -> None:
        sender, receiver = make_codec(backend), make_codec(backend)
        for piece in (JSON[:10], JSON[10:11], b"", JSON[11:]):
            encoded = sender.encode(piece, final=False)
            assert receiver.decode(encoded, final=False, max_length=1 << 16) == piece

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_buffers(self, backend: ModuleType, kind: type) -> None:
        for message in (JSON, noise(100)):
            [encoded] = encode(make_codec(backend), kind(message))
            assert type(encoded) is bytes
            assert decode(make_codec(backend), encoded) == message

    def test_threshold(self, backend: ModuleType) -> None:
        codec = make_codec(backend, threshold=100)
        assert [codec.wants(size) for size in (0, 99, 100, 1 << 40, None)] == [False, False, True, True, True]
        assert make_codec(backend).wants(0)


@every_level
@pytest.mark.parametrize("mem_level", [1, 5, 9])
def test_never_longer_than_stored(backend: ModuleType, level: int, mem_level: int) -> None:
    """A message of the limit passes a peer with the same limit, whose wire limit is an eighth and 1 KiB more.

    By itself ISA-L makes random data a third longer at level 0.
    """
    for size in LIMITS:
        codec = make_codec(backend, level=level, mem_level=mem_level, bits=12)
        message = noise(size)
        [encoded] = encode(codec, message)
        assert len(encoded) <= size + 5 * (size // 65_535 + 1) + 1 <= size + size // 8 + 1024
        [again] = encode(codec, message)
        receiver = make_codec(backend)
        assert [decode(receiver, encoded), decode(receiver, again)] == [message, message]


def repetitive() -> bytes:
    """Give data that repeats itself at distances about the sizes of windows, and as far as zlib reaches in them."""
    output = bytearray(noise(40_000).translate(bytes(range(64)) * 4))
    for distance in sorted((1 << bits) + more for bits in range(9, 16) for more in (-262, -256, -255, -1, 0, 1)):
        start = len(output) - distance
        output += output[start : start + 40] + noise(3, distance)
    return bytes(output)


REPETITIVE = repetitive()


@every_level
@pytest.mark.parametrize("bits", [8, 9, 12, 15])
def test_keeps_to_the_window(backend: ModuleType, level: int, bits: int) -> None:
    """RFC 7692 section 7.1.2: no back-reference goes farther than the window that was agreed.

    For 8 bits libraries are asked for 9: zlib and zlib-ng reach back 250 bytes then; ISA-L 512, and isn't used.
    """
    for mem_level in (1, 9) if bits < 15 else (9,):
        codec = make_codec(backend, bits=bits, level=level, mem_level=mem_level)
        data = REPETITIVE[-5000 - (2 << bits) :]
        message, farthest = inflate(b"".join(encode(codec, data[:1000], data[1000:1001], data[1001:])) + TAIL)
        assert message == data
        assert farthest <= 1 << bits
        is_put_to_use = mem_level == 9 and level != 0 and codec.wants(len(data))
        assert farthest > 1 << bits - 2 or not is_put_to_use


@every_backend
def test_a_window_that_the_library_cannot_keep(backend: ModuleType) -> None:
    """Messages go plain then; one that must be compressed comes in stored blocks."""
    codec = make_codec(backend, bits=8)
    is_fit = backend.__name__ != "isal.isal_zlib"
    assert [codec.wants(size) for size in (0, 1000, None)] == [is_fit] * 3
    [encoded] = encode(codec, JSON)
    assert (len(encoded) < len(JSON)) is is_fit
    assert decode(make_codec(bits=8), encoded) == JSON


class Failing(ModuleType):
    """A backend whose compressors fail on command."""

    error = zlib.error
    DEFLATED = zlib.DEFLATED
    Z_SYNC_FLUSH = zlib.Z_SYNC_FLUSH

    def __init__(self, failure: BaseException) -> None:
        super().__init__("failing")
        self._failure = failure
        self.is_failing = False

    def compressobj(self, *args: Any) -> Failing:
        self._compressor = zlib.compressobj(*args)
        return self

    def compress(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def flush(self, mode: int) -> bytes:
        if self.is_failing:
            raise self._failure
        return self._compressor.flush(mode)


FAILURES = {
    "error of the library": (zlib.error("out of sorts"), LocalProtocolError),
    "no memory": (MemoryError(), MemoryError),
    "interrupted": (KeyboardInterrupt(), KeyboardInterrupt),
}


@pytest.mark.parametrize(("failure", "raised"), FAILURES.values(), ids=FAILURES)
def test_a_compressor_that_failed_is_not_used_again(failure: BaseException, raised: type[BaseException]) -> None:
    """What it swallowed must not come out later. The peer can go on with what a new one makes."""
    backend = Failing(failure)
    codec, receiver = make_codec(backend, level=6), make_codec()
    encoded = encode(codec, JSON, JSON)[:1]
    backend.is_failing = True
    with pytest.raises(raised):
        codec.encode(noise(50), final=True)
    backend.is_failing = False
    encoded = encode(codec, JSON) + encoded
    assert [decode(receiver, encoded[0]), decode(receiver, *encoded[1:], b"\x00")] == [JSON, JSON]


def test_nothing_is_made_before_the_first_use() -> None:
    backend = Failing(MemoryError())
    codec = make_codec(backend, level=6)
    assert (codec.encode(b"", final=True), codec.decode(b"", final=True, max_length=1)) == (b"\x00", b"")
    assert not hasattr(backend, "_compressor")


@only_with_tracemalloc
@every_backend
class TestMemory:
    @staticmethod
    def per_connection(count: int, use: Callable[[], DeflateCodec]) -> float:
        import tracemalloc

        use()
        gc.collect()
        tracemalloc.start()
        codecs = [use() for _ in range(count)]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size / len(codecs)

    def test_idle_without_takeover(self, backend: ModuleType) -> None:
        """After a message each way a connection owns nothing of the library."""

        def use() -> DeflateCodec:
            codec = make_codec(backend, bits=12, takeover=False)
            assert decode(codec, *encode(codec, JSON[:100], JSON[100:])) == JSON
            return codec

        assert self.per_connection(1000, use) < 200

    def test_idle_decompression_with_takeover(self, backend: ModuleType) -> None:
        """All that is kept is the window, and the room it grew by."""
        [encoded] = encode(make_codec(backend), JSON * 20)

        def use() -> DeflateCodec:
            codec = make_codec(backend, bits=12)
            for _ in range(3):
                decode(codec, encoded, max_length=1000)
            return codec

        assert self.per_connection(100, use) < 2 * 4096


@every_backend
@pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "no takeover"])
class TestInterop:
    """Other implementations read what we write, and the other way round."""

    MESSAGES = (JSON, b"a", b"", noise(3000), bytes(100_000), JSON)

    def test_websockets(self, backend: ModuleType, takeover: bool) -> None:
        ours = make_codec(backend, bits=12, takeover=takeover)
        theirs = WebsocketsDeflate(not takeover, not takeover, 12, 12)
        for message in self.MESSAGES:
            [encoded] = encode(ours, message)
            assert bytes(theirs.decode(Frame(WebsocketsOpcode.BINARY, encoded, rsv1=True)).data) == message
            encoded = bytes(theirs.encode(Frame(WebsocketsOpcode.BINARY, message)).data)
            assert decode(ours, encoded) == message

    def test_wsproto(self, backend: ModuleType, takeover: bool) -> None:
        """With takeover it sends the second empty message in a row without any payload."""
        flags = "" if takeover else "; server_no_context_takeover; client_no_context_takeover"
        theirs = WsprotoDeflate()
        theirs.finalize(f"permessage-deflate{flags}")
        protocol = FrameProtocol(client=True, extensions=[theirs])
        ours = make_codec(backend, takeover=takeover)
        for message in (b"", *self.MESSAGES, b"", b"", JSON):
            encoded = encode(ours, message[:70], message[70:])
            assert self.read_by_wsproto(theirs, protocol, encoded) == message
            pieces = self.written_by_wsproto(theirs, protocol, [message[:70], message[70:]])
            assert decode(ours, *pieces) == message

    @staticmethod
    def read_by_wsproto(theirs: WsprotoDeflate, protocol: FrameProtocol, pieces: list[bytes]) -> bytes:
        message: Any = b""
        for number, piece in enumerate(pieces):
            is_first, is_last = number == 0, number == len(pieces) - 1
            opcode = WsprotoOpcode.BINARY if is_first else WsprotoOpcode.CONTINUATION
            theirs.frame_inbound_header(protocol, opcode, RsvBits(is_first, False, False), len(piece))
            message += theirs.frame_inbound_payload_data(protocol, piece)
            message += theirs.frame_inbound_complete(protocol, is_last) or b""
        return bytes(message)

    @staticmethod
    def written_by_wsproto(theirs: WsprotoDeflate, protocol: FrameProtocol, pieces: list[bytes]) -> list[bytes]:
        written = []
        for number, piece in enumerate(pieces):
            opcode = WsprotoOpcode.BINARY if number == 0 else WsprotoOpcode.CONTINUATION
            is_last = number == len(pieces) - 1
            written.append(theirs.frame_outbound(protocol, opcode, RsvBits(False, False, False), piece, is_last)[1])
        return written
