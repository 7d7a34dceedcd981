"""The negotiation of extensions (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1)."""

from __future__ import annotations

import pytest

from wsproto_lite.errors import RemoteProtocolError
from wsproto_lite.extensions import (
    Codec,
    Extension,
    Params,
    PerMessageDeflate,
    finalize,
    negotiate,
    parse_extensions,
)

DEFLATE = "permessage-deflate"


class Reverse(Extension):
    """What a user may write: turns whole messages round, if asked by the right name."""

    def __init__(self, name: str = "reverse", rsv: int = 0x20, wanted: Params = ()) -> None:
        self.name = name
        self.rsv = rsv
        self.wanted = tuple(wanted)

    def offer(self) -> Params:
        return self.wanted

    def accept(self, params: Params) -> tuple[Params, Codec] | None:
        return ([*params, ("mode", "whole")], ReverseCodec(self.rsv)) if params == self.wanted else None

    def finalize(self, params: Params) -> Codec:
        if tuple(params) != (*self.wanted, ("mode", "whole")):
            raise RemoteProtocolError(f"no such mode: {params}", 1010)
        return ReverseCodec(self.rsv)


class ReverseCodec:
    has_pending = False

    def __init__(self, rsv: int) -> None:
        self.rsv = rsv

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        return data[::-1]

    def wants(self, size: int | None) -> bool:
        return size is not None

    def encode(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        return bytes(data)[::-1]


class TestNegotiate:
    """The server's side."""

    def test_what_is_offered_and_wanted(self) -> None:
        answers, codecs = negotiate(parse_extensions([b"foo, reverse, bar; reverse"]), [Reverse()])
        assert answers == (("reverse", (("mode", "whole"),)),)
        assert [codec.rsv for codec in codecs] == [0x20]

    @pytest.mark.parametrize("offers", [b"foo", b"Reverse", b"reverse; unknown", b"reverse2"])
    def test_nothing_in_common(self, offers: bytes) -> None:
        assert negotiate(parse_extensions([offers]), [Reverse()]) == ((), ())
        assert negotiate((), [Reverse()]) == ((), ())
        assert negotiate(parse_extensions([offers]), []) == ((), ())

    def test_the_first_acceptable_offer_of_a_name(self) -> None:
        """RFC 7692 section 5: offers come in the client's order of preference."""
        offers = parse_extensions([b"reverse; a, foo, reverse; b", b"reverse; c"])
        for wanted in ("b", "c"):
            answers, _ = negotiate(offers, [Reverse(wanted=[(wanted, None)])])
            assert answers == (("reverse", ((wanted, None), ("mode", "whole"))),)

    def test_our_preference_between_extensions(self) -> None:
        offers = parse_extensions([b"one, two, three"])
        extensions = [Reverse("three", 0x10), Reverse("one", 0x40), Reverse("two", 0x20)]
        answers, codecs = negotiate(iter(offers), iter(extensions))
        assert [name for name, _ in answers] == ["three", "one", "two"]
        assert [codec.rsv for codec in codecs] == [0x10, 0x40, 0x20]

    def test_one_codec_for_each_reserved_bit(self) -> None:
        """RFC 6455 section 9.1: extensions that conflict aren't accepted together."""
        offers = parse_extensions([b"one, two, three, four, permessage-deflate"])
        first, second = Reverse("two", 0x20), Reverse("one", 0x20)
        extensions = [first, PerMessageDeflate(), second, Reverse("four", 0x50), Reverse("three", 0x10)]
        answers, codecs = negotiate(offers, extensions)
        assert [name for name, _ in answers] == ["two", DEFLATE, "three"]
        assert [codec.rsv for codec in codecs] == [0x20, 0x40, 0x10]


class TestFinalize:
    """The client's side."""

    def test_what_was_offered(self) -> None:
        extensions = [Reverse("one", 0x10), PerMessageDeflate(), Reverse("two")]
        codecs = finalize(parse_extensions([b"two; mode=whole, permessage-deflate"]), extensions)
        assert [codec.rsv for codec in codecs] == [0x20, 0x40]
        assert finalize((), extensions) == ()

    def test_offered_in_several_ways(self) -> None:
        extensions = [Reverse(wanted=[("a", None)]), Reverse(wanted=[("b", None)])]
        for answer in (b"reverse; a; mode=whole", b"reverse; b; mode=whole"):
            assert len(finalize(parse_extensions([answer]), iter(extensions))) == 1

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (b"foo", "extension 'foo', which was not offered"),
            (b"Two; mode=whole", "not offered"),
            (b"two; mode=whole, foo", "not offered"),
            (b"two; mode=whole, two; mode=whole", "extension 'two' twice"),
            (b"two; mode=half", "no such mode"),
            (b"two; mode=whole, three; mode=whole", "same reserved bit"),
            (b"permessage-deflate, permessage-deflate", "twice"),
        ],
    )
    def test_refused(self, answer: bytes, why: str) -> None:
        """RFC 6455 sections 4.1 and 7.4.1: 1010."""
        with pytest.raises(RemoteProtocolError, match=why) as caught:
            finalize(parse_extensions([answer]), [Reverse("two"), Reverse("three"), PerMessageDeflate()])
        assert caught.value.code == 1010


def test_extension_is_to_be_subclassed() -> None:
    extension = Extension()
    for call in (extension.offer, lambda: extension.accept(()), lambda: extension.finalize(())):
        with pytest.raises(NotImplementedError):
            call()
