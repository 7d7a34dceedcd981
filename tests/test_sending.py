"""Events into frames: fragmentation, compression, and what may be sent when."""

from __future__ import annotations

from typing import Any

import pytest
import slow_codec
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT
from toy_codecs import Repeat

from wsproto_lite import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    EncodedTextMessage,
    LocalProtocolError,
    Ping,
    Pong,
    TextMessage,
)
from wsproto_lite.masking_keys import MaskingKeys
from wsproto_lite.sending import Sender

KEY = bytes.fromhex("37fa213d")
RSV1, RSV2 = 0x40, 0x20


def sender(*codecs: Any, masked: bool = False) -> Sender:
    """Give the sender of a server, or of a client."""
    return Sender(MaskingKeys(lambda size: KEY * (size // 4)) if masked else None, codecs)


def frame_of(output: bytes) -> tuple[int, bytes]:
    """Read the one frame that a server sent."""
    ((first, payload, whole),), fault = slow_codec.decode(output, masked=False, reserved_bits=0x70)
    assert (fault, whole) == (None, True)
    return first, payload


class TestEncode:
    """One event is one frame with FIN = message_finished."""

    @pytest.mark.parametrize(
        ("event", "first", "payload"),
        [
            (TextMessage("ä"), FIN | TEXT, b"\xc3\xa4"),
            (TextMessage("ä", frame_finished=False), FIN | TEXT, b"\xc3\xa4"),
            (TextMessage("ä", True, False), TEXT, b"\xc3\xa4"),
            (EncodedTextMessage(b"\xc3\xa4"), FIN | TEXT, b"\xc3\xa4"),
            (EncodedTextMessage(b"\xc3", True, False), TEXT, b"\xc3"),
            (BytesMessage(b"\xff"), FIN | BINARY, b"\xff"),
            (BytesMessage(b"", True, False), BINARY, b""),
            (Ping(b"!"), FIN | PING, b"!"),
            (Pong(b"?" * 125), FIN | PONG, b"?" * 125),
            (CloseConnection(1000, "bye"), FIN | CLOSE, b"\x03\xe8bye"),
        ],
        ids=repr,
    )
    def test_frame(self, event: Any, first: int, payload: bytes) -> None:
        assert sender().encode(event) == slow_codec.frame(first, payload)
        assert sender(masked=True).encode(event) == slow_codec.frame(first, payload, KEY)
        assert b"".join(sender().encode_buffers(event)) == slow_codec.frame(first, payload)
        assert sender(masked=True).encode_buffers(event) == [slow_codec.frame(first, payload, KEY)]

    @given(st.lists(st.tuples(st.sampled_from(["text", "bytes", "ping", "pong"]), st.booleans()), max_size=8))
    def test_what_is_sent_is_a_good_sequence(self, steps: list[tuple[str, bool]]) -> None:
        """Section 5.4, whatever is asked for: what would break it raises."""
        one, wire, sent = sender(), b"", 0
        for kind, finished in steps:
            event = {
                "text": TextMessage("x", True, finished),
                "bytes": BytesMessage(b"x", True, finished),
                "ping": Ping(),
                "pong": Pong(),
            }[kind]
            try:
                wire += one.encode(event)
                sent += 1
            except LocalProtocolError:
                pass
        frames, fault = slow_codec.decode(wire, masked=False, sequence=True)
        assert (fault, len(frames)) == (None, sent)

    @pytest.mark.parametrize(
        ("data", "payload"),
        [
            (b"data", b"data"),
            (bytearray(b"data"), b"data"),
            (memoryview(b"data"), b"data"),
            (memoryview(b"d_a_t_a_")[::2], b"data"),
            (memoryview(b"datadata").cast("I"), b"datadata"),
            (memoryview(b""), b""),
        ],
        ids=["bytes", "bytearray", "memoryview", "strided view", "view of numbers", "empty view"],
    )
    def test_kinds_of_payload(self, data: Any, payload: bytes) -> None:
        for masked in (False, True):
            for event in (BytesMessage(data), Ping(data), Pong(data), EncodedTextMessage(data)):
                (frame,), fault = slow_codec.decode(sender(masked=masked).encode(event), masked=masked)
                assert (frame.payload, fault) == (payload, None)

    def test_buffers_are_not_copied(self) -> None:
        data = bytearray(b"data")
        head, body = sender().encode_buffers(BytesMessage(data))
        data[0] = ord("D")
        assert (head, bytes(body)) == (b"\x82\x04", b"Data")

    @pytest.mark.parametrize(("masked", "size"), [(False, 2), (True, 6)])
    def test_size_of_a_control_frame(self, masked: bool, size: int) -> None:
        one = sender(masked=masked)
        for payload in (b"", b"x" * 125):
            assert one.frame_size(len(payload)) == len(one.encode(Ping(payload))) == size + len(payload)

    def test_subclasses(self) -> None:
        class Hello(Ping):
            pass

        assert sender().encode(Hello(b"x")) == b"\x89\x01x"

    @pytest.mark.parametrize("event", [None, "text", b"bytes", 1, object, AcceptConnection()], ids=repr)
    def test_what_is_no_event(self, event: Any) -> None:
        with pytest.raises(LocalProtocolError, match="is not an event that can be sent on an open connection"):
            sender().encode(event)

    @pytest.mark.parametrize(
        ("event", "words"),
        [
            (TextMessage("a\ud800"), "text has a lone surrogate at 1"),
            (TextMessage(b"x"), "text is bytes; it must be str"),
            (TextMessage(None), "text is NoneType; it must be str"),
            (EncodedTextMessage(b"\xff"), "encoded text is not valid UTF-8"),
            (EncodedTextMessage(b"\xc3"), "encoded text is not valid UTF-8"),
            (EncodedTextMessage("x"), "payload is str; it must be bytes, bytearray or memoryview"),
            (BytesMessage([1]), "payload is list; it must be bytes, bytearray or memoryview"),
            (Ping(b"x" * 126), "control frame payload is 126 bytes; the limit is 125"),
            (Pong(bytearray(1000)), "control frame payload is 1000 bytes; the limit is 125"),
            (CloseConnection(1006), "close code 1006 may not be sent"),
        ],
        ids=repr,
    )
    def test_mistake(self, event: Any, words: str) -> None:
        """It changes nothing."""
        one = sender()
        with pytest.raises(LocalProtocolError) as raised:
            one.encode(event)
        assert str(raised.value) == words
        assert (one.takes_whole, one.encode(BytesMessage(b"x"))) == (True, b"\x82\x01x")

    def test_after_a_close(self) -> None:
        """Section 5.5.1: no more data frames."""
        one = sender()
        one.encode(CloseConnection())
        assert not one.takes_whole
        for event in (TextMessage("x"), BytesMessage(b"", True, False), Ping(), CloseConnection()):
            with pytest.raises(LocalProtocolError, match="after a close frame"):
                one.encode(event)
        assert one.encode(Pong()) == b"\x8a\x00"


class TestText:
    """Section 8.1: a fragment may end within a code point, a message may not."""

    def test_fragments_within_a_code_point(self) -> None:
        one = sender()
        outputs = [one.encode(EncodedTextMessage(bytes([byte]), True, False)) for byte in b"\xe2\x82"]
        outputs.append(one.encode(EncodedTextMessage(b"\xac")))
        assert b"".join(outputs).hex() == "0101e2" + "000182" + "8001ac"

    def test_mixture_of_text_and_encoded_text(self) -> None:
        """They make one message where the code points are whole."""
        one = sender()
        one.encode(TextMessage("a", True, False))
        one.encode(EncodedTextMessage(b"\xc3\xa4", True, False))
        assert frame_of(one.encode(TextMessage("b"))) == (FIN | CONTINUATION, b"b")

    def test_mistakes_leave_the_code_point_open(self) -> None:
        one = sender()
        one.encode(EncodedTextMessage(b"\xc3", True, False))
        for event in (TextMessage("x"), EncodedTextMessage(b"x"), EncodedTextMessage(b""), BytesMessage(b"")):
            with pytest.raises(LocalProtocolError):
                one.encode(event)
        assert frame_of(one.encode(EncodedTextMessage(b"\xa4"))) == (FIN | CONTINUATION, b"\xa4")
        assert frame_of(one.encode(TextMessage("x"))) == (FIN | TEXT, b"x")

    def test_encoded_text_in_a_binary_message(self) -> None:
        one = sender()
        one.encode(BytesMessage(b"1", True, False))
        with pytest.raises(LocalProtocolError, match="text message inside a fragmented binary message"):
            one.encode(EncodedTextMessage(b"2"))
        assert frame_of(one.encode(BytesMessage(b"2"))) == (FIN | CONTINUATION, b"2")


class TestTakesWhole:
    """While it is set, a whole message may go the short way, past the sender."""

    def test_between_messages(self) -> None:
        one = sender()
        assert one.takes_whole
        one.encode(TextMessage("1", True, False))
        assert not one.takes_whole
        one.encode(Ping())
        assert not one.takes_whole
        one.encode(TextMessage("2"))
        assert one.takes_whole

    def test_never_with_extensions(self) -> None:
        one = sender(Repeat(2))
        assert not one.takes_whole
        one.encode(TextMessage("1"))
        assert not one.takes_whole


class TestExtensions:
    """RFC 7692 section 6.1: the first fragment is marked, no other, and never a control frame."""

    @pytest.mark.parametrize(
        ("compress", "size", "first"),
        [
            (None, 9, FIN | BINARY),
            (None, 10, FIN | RSV1 | BINARY),
            (True, 9, FIN | RSV1 | BINARY),
            (False, 10, FIN | BINARY),
        ],
    )
    def test_choice(self, compress: bool | None, size: int, first: int) -> None:
        """`compress` overrides what the extension wants."""
        output = sender(Repeat(2, threshold=10)).encode(BytesMessage(b"x" * size), compress)
        assert frame_of(output) == (first, b"x" * (-(-size // 2) if first & RSV1 else size))

    @pytest.mark.parametrize("compress", [None, True, False])
    def test_fragments(self, compress: bool | None) -> None:
        """Decided at the first; of unknown size, so a threshold doesn't count."""
        one = sender(Repeat(2, threshold=10))
        mark, kept = (0, b"aabb") if compress is False else (RSV1, b"ab")
        assert frame_of(one.encode(TextMessage("aabb", True, False), compress)) == (TEXT | mark, kept)
        assert frame_of(one.encode(Ping(b"aabb"))) == (FIN | PING, b"aabb")
        assert frame_of(one.encode(TextMessage("aabb", True, False))) == (CONTINUATION, kept)
        assert frame_of(one.encode(TextMessage("aabb"))) == (FIN | CONTINUATION, kept)
        assert frame_of(one.encode(TextMessage("a"))) == (FIN | TEXT, b"a")

    def test_two(self) -> None:
        """In the order of the negotiation, each with its mark."""
        output = sender(Repeat(2, RSV1), Repeat(3, RSV2)).encode(BytesMessage(b"abcdefghijkl"))
        assert frame_of(output) == (FIN | RSV1 | RSV2 | BINARY, b"ag")

    def test_one_of_two(self) -> None:
        output = sender(Repeat(2, RSV1, threshold=100), Repeat(3, RSV2)).encode(BytesMessage(b"abcdef"))
        assert frame_of(output) == (FIN | RSV2 | BINARY, b"ad")

    def test_buffers(self) -> None:
        parts = sender(Repeat(2)).encode_buffers(BytesMessage(b"aabb"))
        assert frame_of(b"".join(parts)) == (FIN | RSV1 | BINARY, b"ab")

    @pytest.mark.parametrize("compress", [True, False])
    @pytest.mark.parametrize("event", [Ping(), Pong(), CloseConnection()], ids=repr)
    def test_never_control_frames(self, event: Any, compress: bool) -> None:
        with pytest.raises(LocalProtocolError, match=f"compress is {compress} on a control frame"):
            sender(Repeat(2)).encode(event, compress)

    @pytest.mark.parametrize("compress", [0, 1, "no", b""], ids=repr)
    @pytest.mark.parametrize("codecs", [(), (Repeat(2),)], ids=["plain", "codec"])
    def test_is_a_bool_or_none(self, codecs: Any, compress: Any) -> None:
        for event in (TextMessage("x"), BytesMessage(b"x", True, False)):
            with pytest.raises(LocalProtocolError, match=f"compress is {compress!r}; it must be True, False or None"):
                sender(*codecs).encode(event, compress)

    @pytest.mark.parametrize("compress", [True, False])
    def test_never_later_fragments(self, compress: bool) -> None:
        one = sender(Repeat(2))
        one.encode(TextMessage("1", True, False))
        with pytest.raises(LocalProtocolError, match=f"compress is {compress} on a fragment that is not a message's"):
            one.encode(TextMessage("2"), compress)

    def test_without_extension(self) -> None:
        with pytest.raises(LocalProtocolError, match="no extension that compresses was negotiated"):
            sender().encode(TextMessage("x"), True)
        assert sender().encode(TextMessage("x"), False) == b"\x81\x01x"

    def test_codec_that_fails(self) -> None:
        """Validate, then encode, then change state: a first fragment that was not sent did not begin a message."""
        codec = Repeat(2)
        one = sender(codec)
        codec.broken = True
        with pytest.raises(LocalProtocolError, match="broken codec"):
            one.encode(TextMessage("aa", True, False))
        codec.broken = False
        assert frame_of(one.encode(BytesMessage(b"aa"))) == (FIN | RSV1 | BINARY, b"a")


class TestKeys:
    """Section 5.3: a fresh key for each frame."""

    def test_one_for_each_frame(self) -> None:
        keys = MaskingKeys(lambda size: bytes(range(size % 256)) + bytes(range(256)) * (size // 256))
        one = Sender(keys)
        used = [one.encode(event)[2:6] for event in (Ping(), TextMessage(""), BytesMessage(b""))]
        assert used == [bytes(range(at, at + 4)) for at in (0, 4, 8)]

    def test_source_that_fails(self) -> None:
        """It must leave everything as it was: the key comes first."""
        works = False
        one = Sender(MaskingKeys(lambda size: bytes(size) if works else b""))
        with pytest.raises(LocalProtocolError, match="returned 0 bytes"):
            one.encode(TextMessage("1", True, False))
        works = True
        assert one.encode(BytesMessage(b"")) == b"\x82\x80\0\0\0\0"
