"""The negotiation of extensions (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1)."""

from __future__ import annotations

from typing import Any

import pytest
import slow_codec
from helpers import feed, frame, handshake

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    RejectConnection,
    Request,
    Settings,
)
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

    def __repr__(self) -> str:
        return f"ReverseCodec({self.rsv!r})"

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


class Custom(Reverse):
    """Gives what it is told to, or raises it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def accept(self, params: Params) -> Any:
        return self._give()

    def finalize(self, params: Params) -> Any:
        return self._give()

    def _give(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


CODEC = ReverseCodec(0x20)


class TestFaultyExtension:
    """What a user's extension raises, or gives that is no codec, leaves the library as a ProtocolError."""

    @pytest.mark.parametrize(
        "result",
        [ZeroDivisionError("x"), RemoteProtocolError("x"), True, (), ((), CODEC, 1), ([1], CODEC), (1, CODEC)],
        ids=repr,
    )
    def test_server(self, result: Any) -> None:
        with pytest.raises(LocalProtocolError, match="extension 'reverse' can't answer an offer"):
            negotiate(parse_extensions([b"reverse"]), [Custom(result)])

    def test_client(self) -> None:
        error = ValueError("x")
        with pytest.raises(
            RemoteProtocolError, match="extension 'reverse' can't use the answer of the server"
        ) as caught:
            finalize(parse_extensions([b"reverse"]), [Custom(error)])
        assert (caught.value.code, caught.value.__cause__) == (1010, error)

    def test_client_takes_the_next_that_can(self) -> None:
        assert finalize(parse_extensions([b"reverse; mode=whole"]), [Custom(ValueError("x")), Reverse()])

    @pytest.mark.parametrize("rsv", [0x80, 0x08, 0xC0, -1, None, "0x40", 64.0], ids=repr)
    def test_bits_that_are_not_reserved(self, rsv: Any) -> None:
        """RFC 6455 section 5.2: RSV1, RSV2, RSV3."""
        why = rf"rsv of codec .* is {rsv!r}; it has no bits but those of 0x70"
        with pytest.raises(LocalProtocolError, match=why):
            negotiate(parse_extensions([b"reverse"]), [Custom(((), ReverseCodec(rsv)))])
        with pytest.raises(RemoteProtocolError, match=why):
            finalize(parse_extensions([b"reverse"]), [Custom(ReverseCodec(rsv))])

    def test_no_codec(self) -> None:
        with pytest.raises(LocalProtocolError, match="no attribute 'rsv'"):
            negotiate(parse_extensions([b"reverse"]), [Custom(((), None))])

    def test_in_a_handshake(self) -> None:
        """A server can still refuse; a client's last event tells."""
        request = Connection(CLIENT, Settings(extensions=[Reverse()])).send(Request("/", "localhost"))
        server = Connection(SERVER, Settings(extensions=[Custom(ZeroDivisionError("x"))]))
        server.receive_data(request)
        with pytest.raises(LocalProtocolError):
            server.send(AcceptConnection())
        assert server.send(RejectConnection(500)).startswith(b"HTTP/1.1 500 ")
        client = Connection(CLIENT, Settings(extensions=[Custom(ZeroDivisionError("x"))]))
        server = Connection(SERVER, Settings(extensions=[Reverse()]))
        server.receive_data(client.send(Request("/", "localhost")))
        (event,) = client.receive_data(server.send(AcceptConnection()))
        assert isinstance(event, CloseConnection)
        assert event.error is not None
        assert (event.code, event.error.code) == (1006, 1010)


@pytest.mark.parametrize(("rsv", "compress", "sent"), [(0x00, None, b"ab"), (0x30, True, b"ba")], ids=["none", "two"])
def test_codec_with_other_than_one_bit(rsv: int, compress: bool | None, sent: bytes) -> None:
    """Without any, messages are left as they are; with several, all of them mark a message."""
    settings = Settings(extensions=[Reverse(rsv=rsv)])
    client, server = handshake(settings, settings)
    assert [codec.rsv for codec in server.extensions] == [rsv]
    whole = client.send(BytesMessage(b"ab"))
    assert (whole[0] & 0x70, slow_codec.decode(whole, masked=True, reserved_bits=rsv)[0][0].payload) == (rsv, sent)
    assert feed(server, whole) == [BytesMessage(b"ab")]
    fragments = client.send(BytesMessage(b"ab", message_finished=False), compress=compress)
    assert fragments[0] & 0x70 == rsv
    assert feed(server, fragments, client.send(BytesMessage(b"cd"))) == [BytesMessage(b"abcd")]


@pytest.mark.parametrize("rsv", [0x10, 0x20])
@pytest.mark.parametrize("fin", [0x80, 0x00], ids=["whole", "fragment"])
def test_some_of_several_bits(rsv: int, fin: int) -> None:
    """RFC 6455 section 5.2: a bit without a negotiated meaning fails the connection."""
    settings = Settings(extensions=[Reverse(rsv=0x30)])
    _, server = handshake(settings, settings)
    (event,) = feed(server, frame(SERVER, fin | rsv | 2, b"ab"))
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (1002, f"reserved bits are set in part: {rsv:#x} of 0x30")


def test_extension_is_to_be_subclassed() -> None:
    extension = Extension()
    for call in (extension.offer, lambda: extension.accept(()), lambda: extension.finalize(())):
        with pytest.raises(NotImplementedError):
            call()
