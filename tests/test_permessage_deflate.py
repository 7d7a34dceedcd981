"""The negotiation of permessage-deflate (RFC 7692 section 7.1), strict in both roles."""

from __future__ import annotations

import copy
import importlib
import pickle
import zlib
from dataclasses import FrozenInstanceError, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from deflate_backends import TAIL, decode, every_backend, noise, only_on_cpython, payload
from slow_inflate import inflate

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.extensions import (
    Codec,
    Params,
    PerMessageDeflate,
    finalize,
    format_extensions,
    negotiate,
    parse_extensions,
)
from wsproto_lite.settings import Settings

NAME = "permessage-deflate"
BOTH_NO_TAKEOVER = {"server_no_context_takeover": True, "client_no_context_takeover": True}


def accept(offers: str, **settings: Any) -> str:
    """Give a server's answer to a client's offers, written without the name; "declined" if there is none."""
    answers, codecs = negotiate(_parse(offers), [PerMessageDeflate(**settings)])
    assert len(answers) == len(codecs)
    return format_extensions(answers).decode().replace(NAME, "") if answers else "declined"


def finish(answer: str, **settings: Any) -> Codec:
    [codec] = finalize(_parse(answer), [PerMessageDeflate(**settings)])
    return codec


def _parse(text: str) -> Any:
    return parse_extensions([", ".join(NAME + element for element in text.split(",")).encode()])


OFFERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing asked": ({}, "; client_max_window_bits"),
    "server bits": ({"server_max_window_bits": 8}, "; server_max_window_bits=8; client_max_window_bits"),
    "client bits": ({"client_max_window_bits": 15}, "; client_max_window_bits=15"),
    "all": (
        {**BOTH_NO_TAKEOVER, "server_max_window_bits": 10, "client_max_window_bits": 9},
        "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9",
    ),
}


@pytest.mark.parametrize(("settings", "expected"), OFFERS.values(), ids=OFFERS)
def test_offer(settings: dict[str, Any], expected: str) -> None:
    assert format_extensions([(NAME, tuple(PerMessageDeflate(**settings).offer()))]).decode() == NAME + expected


BITS_12 = "; server_max_window_bits=12"

ACCEPTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing offered": ({}, "", BITS_12),
    "bare client bits": ({}, "; client_max_window_bits", BITS_12 + "; client_max_window_bits=12"),
    "client bits, larger": ({}, "; client_max_window_bits=15", BITS_12 + "; client_max_window_bits=12"),
    "client bits, smaller": ({}, "; client_max_window_bits=8", BITS_12 + "; client_max_window_bits=8"),
    "server bits, larger": ({}, "; server_max_window_bits=13", BITS_12),
    "server bits, smaller": ({}, "; server_max_window_bits=8", "; server_max_window_bits=8"),
    "quoted": ({}, '; server_max_window_bits="9"', "; server_max_window_bits=9"),
    "server flag": ({}, "; server_no_context_takeover", "; server_no_context_takeover" + BITS_12),
    "client flag": ({}, "; client_no_context_takeover", "; client_no_context_takeover" + BITS_12),
    "our flags": (BOTH_NO_TAKEOVER, "", "; server_no_context_takeover; client_no_context_takeover" + BITS_12),
    "our full windows": (
        {"server_max_window_bits": 15, "client_max_window_bits": 15},
        "; client_max_window_bits",
        "; client_max_window_bits=15",
    ),
    "our full windows, none offered": ({"server_max_window_bits": 15, "client_max_window_bits": 15}, "", ""),
    "full server window, asked for": (
        {"server_max_window_bits": 15},
        "; server_max_window_bits=15",
        "; server_max_window_bits=15",
    ),
    "our smaller windows": (
        {"server_max_window_bits": 9, "client_max_window_bits": 10},
        "; client_max_window_bits; server_max_window_bits=12",
        "; server_max_window_bits=9; client_max_window_bits=10",
    ),
    "the second, as the first is unknown": ({}, "; unknown, ; server_max_window_bits=9", "; server_max_window_bits=9"),
    "the first, as all will do": (
        {},
        "; server_max_window_bits=10, ; server_max_window_bits=9,",
        "; server_max_window_bits=10",
    ),
    "the one that lets us limit the client": (
        {"client_max_window_bits": 10},
        ", ; client_max_window_bits",
        BITS_12 + "; client_max_window_bits=10",
    ),
}


@pytest.mark.parametrize(("settings", "offers", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accept(settings: dict[str, Any], offers: str, expected: str) -> None:
    assert accept(offers, **settings) == expected


BAD_PARAMETERS = {
    "unknown": "; unknown",
    "unknown, with a value": "; unknown=1",
    "misspelt": "; server_max_window_bit=12",
    "too long": "; server_no_context_takeovers",
    "other case": "; Server_No_Context_Takeover",
    "server flag twice": "; server_no_context_takeover; server_no_context_takeover",
    "client flag twice": "; client_no_context_takeover; client_no_context_takeover",
    "server bits twice": "; server_max_window_bits=12; server_max_window_bits=12",
    "client bits twice": "; client_max_window_bits=12; client_max_window_bits=11",
    "server flag with a value": "; server_no_context_takeover=1",
    "client flag with a value": "; client_no_context_takeover=true",
    "bare server bits": "; server_max_window_bits",
}
for _side in ("server", "client"):
    for _value in ("7", "16", "0", "08", "012", "+9", "-9", "1e1", "9.0", "0x9", "nine", "1_0", "99999999999999999999"):
        BAD_PARAMETERS[f"{_side} bits {_value}"] = f"; {_side}_max_window_bits={_value}"

BAD_ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "bare client bits": ({}, "; client_max_window_bits"),
    "more server bits than offered": ({"server_max_window_bits": 10}, "; server_max_window_bits=11"),
    "offered server bits missing": ({"server_max_window_bits": 10}, ""),
    "offered server flag missing": ({"server_no_context_takeover": True}, "; client_no_context_takeover"),
}


class Silent(PerMessageDeflate):
    """Offers no client_max_window_bits."""

    def offer(self) -> Params:
        return ()


class TestStrict:
    @pytest.mark.parametrize("parameters", BAD_PARAMETERS.values(), ids=BAD_PARAMETERS)
    def test_server_declines(self, parameters: str) -> None:
        """RFC 7692 section 7.1: "a server MUST decline"."""
        assert accept(parameters) == "declined"
        assert accept(f"{parameters}, ; server_max_window_bits=9") == "; server_max_window_bits=9"

    @pytest.mark.parametrize("bits", [8, 12, 14])
    def test_server_declines_what_it_cannot_limit(self, bits: int) -> None:
        """RFC 7692 section 7.1.2.2: without client_max_window_bits in the offer there is none in the answer."""
        assert accept("", client_max_window_bits=bits) == "declined"

    @pytest.mark.parametrize("parameters", BAD_PARAMETERS.values(), ids=BAD_PARAMETERS)
    def test_client_fails(self, parameters: str) -> None:
        """RFC 7692 section 7.1: "a client MUST _Fail the WebSocket Connection_"."""
        with pytest.raises(RemoteProtocolError, match=NAME) as caught:
            finish(parameters)
        assert caught.value.code == 1010

    @pytest.mark.parametrize(("settings", "answer"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
    def test_client_fails_an_answer_to_another_offer(self, settings: dict[str, Any], answer: str) -> None:
        with pytest.raises(RemoteProtocolError, match=NAME) as caught:
            finish(answer, **settings)
        assert caught.value.code == 1010

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ("; server_max_window_bits", "has server_max_window_bits with no value"),
            ("; server_max_window_bits=7", "has server_max_window_bits with the value '7'"),
        ],
        ids=["no value", "value"],
    )
    def test_words_of_a_bad_value(self, answer: str, words: str) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            finish(answer)
        assert str(caught.value) == f"{NAME} {words}"

    def test_client_fails_client_bits_that_were_not_offered(self) -> None:
        """RFC 7692 section 7.1.2.2."""
        with pytest.raises(RemoteProtocolError, match="client_max_window_bits, which was not offered") as caught:
            finalize(_parse("; client_max_window_bits=15"), [Silent()])
        assert caught.value.code == 1010
        assert finalize(_parse(""), [Silent()])[0].rsv == 0x40


def reach(codec: Codec) -> int:
    """Tell how far back in a message a compressor reaches, in bits."""
    message = bytearray(noise(33_000).translate(bytes(range(64)) * 4))
    for bits in range(8, 16):
        start = len(message) - (3 << bits - 2)
        message += message[start : start + 40]
    _, farthest = inflate(codec.encode(message, final=True) + TAIL)
    return farthest.bit_length()


def takes_over(codec: Codec) -> bool:
    message = noise(200)
    return len(codec.encode(message, final=True)) > len(codec.encode(message, final=True))


def window(extension: PerMessageDeflate, answer: Any) -> int:
    """Tell how far back, before a message, a client's decompressor can be reached, in bits; 0 if it can't."""
    history = noise(33_000)
    for bits in range(15, 7, -1):
        [codec] = finalize(answer, [extension])
        decode(codec, payload(history))
        end = history[-(3 << bits - 2) :]
        try:
            if decode(codec, payload(end[:100], b"--" + end)) == end[:100]:
                return bits
        except RemoteProtocolError:
            continue
    return 0


AGREED: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[int, bool, int, bool]]] = {
    "defaults": ({}, {}, (12, True, 12, True)),
    "full windows": ({}, {"server_max_window_bits": 15, "client_max_window_bits": 15}, (15, True, 15, True)),
    "client asks": ({**BOTH_NO_TAKEOVER, "server_max_window_bits": 10}, {}, (10, False, 12, False)),
    "client limits itself": ({"client_max_window_bits": 10}, {}, (12, True, 10, True)),
    "server asks": ({}, {**BOTH_NO_TAKEOVER, "client_max_window_bits": 11}, (12, False, 11, False)),
    "8 bits": ({"server_max_window_bits": 8, "client_max_window_bits": 8}, {}, (8, True, 8, True)),
}


@pytest.mark.parametrize(("client", "server", "agreed"), AGREED.values(), ids=AGREED)
def test_both_ends_keep_to_what_was_agreed(
    client: dict[str, Any], server: dict[str, Any], agreed: tuple[int, bool, int, bool]
) -> None:
    offering = PerMessageDeflate(**client)
    answers, [of_server] = negotiate([(NAME, tuple(offering.offer()))], [PerMessageDeflate(**server)])
    [of_client] = finalize(answers, [offering])
    assert (reach(of_server), takes_over(of_server), reach(of_client), takes_over(of_client)) == agreed
    assert window(offering, answers) == agreed[0] * agreed[1]
    answers, [of_server] = negotiate([(NAME, tuple(offering.offer()))], [PerMessageDeflate(**server)])
    [of_client] = finalize(answers, [offering])
    for message in (noise(3000), noise(300) * 10, b"", noise(40_000, 2) + noise(3000), noise(40_000, 2)):
        assert decode(of_client, of_server.encode(message, final=True)) == message
        assert decode(of_server, of_client.encode(message, final=True)) == message


def test_a_client_does_without_what_says_nothing() -> None:
    """Section 7.1.2.1: 15 bits are what a server has anyway. aiohttp leaves them out of its answer."""
    assert finish("", server_max_window_bits=15).rsv == 0x40


def test_a_client_keeps_to_its_own_limits() -> None:
    """Sections 7.1.1.2 and 7.1.2.2: what it offers for itself holds even if the answer has more, or doesn't tell."""
    for answer in ("", "; client_max_window_bits=12"):
        codec = finish(answer, client_max_window_bits=10, client_no_context_takeover=True)
        assert (reach(codec), takes_over(codec)) == (10, False)


BAD_ARGUMENTS: dict[str, dict[str, Any]] = {
    "server flag": {"server_no_context_takeover": 1},
    "client flag": {"client_no_context_takeover": None},
    "server bits 7": {"server_max_window_bits": 7},
    "server bits 16": {"server_max_window_bits": 16},
    "client bits text": {"client_max_window_bits": "12"},
    "client bits True": {"client_max_window_bits": True},
    "threshold negative": {"threshold": -1},
    "threshold None": {"threshold": None},
    "level 10": {"level": 10},
    "level text": {"level": "6"},
    "level True": {"level": True},
    "mem_level True": {"mem_level": True},
    "mem_level 0": {"mem_level": 0},
    "mem_level 10": {"mem_level": 10},
    "mem_level None": {"mem_level": None},
    "backend None": {"backend": None},
    "backend without API": {"backend": SimpleNamespace()},
}


class TestConfiguration:
    @pytest.mark.parametrize("arguments", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
    def test_bad_arguments(self, arguments: dict[str, Any]) -> None:
        [(name, value)] = arguments.items()
        with pytest.raises(LocalProtocolError) as caught:
            PerMessageDeflate(**arguments)
        assert repr(value) in str(caught.value)
        assert name in str(caught.value) or name == "backend"

    def test_immutable(self) -> None:
        extension = PerMessageDeflate()
        with pytest.raises(FrozenInstanceError):
            extension.level = 9
        assert {extension: 1}[PerMessageDeflate()] == 1
        assert extension != PerMessageDeflate(level=9)

    def test_copies(self) -> None:
        extension = PerMessageDeflate(level=9)
        assert copy.copy(extension) == copy.deepcopy(extension) == extension
        assert pickle.loads(pickle.dumps(Settings(extensions=(extension,)))).extensions == (extension,)
        assert replace(extension, level=1) == PerMessageDeflate(level=1)

    def test_codec_tells_what_was_agreed(self) -> None:
        codec = finish("; server_max_window_bits=9; client_no_context_takeover", client_max_window_bits=8)
        assert repr(codec) == (
            "<DeflateCodec zlib, compress_bits=8, compress_takeover=False, decompress_bits=9, decompress_takeover=True>"
        )

    @every_backend
    def test_level_and_backend(self, backend: ModuleType) -> None:
        message = noise(1000).translate(bytes(range(16)) * 16)
        sizes = []
        for level in (0, None):
            answer, codec = PerMessageDeflate(level=level, backend=backend).accept(()) or pytest.fail("declined")
            assert answer == [("server_max_window_bits", "12")]
            sizes.append(len(codec.encode(message, final=True)))
        assert sizes[0] > sizes[1]

    @only_on_cpython
    def test_default_level_of_zlib_ng(self) -> None:
        """The fast one: who asks for zlib-ng asks for speed."""
        backend = importlib.import_module("zlib_ng.zlib_ng")
        message = noise(1000).translate(bytes(range(16)) * 16)
        encoded = []
        for level in (None, 1, 6):
            codec = finish("", level=level, backend=backend)
            encoded.append(codec.encode(message, final=True))
        assert encoded[0] == encoded[1] != encoded[2]

    def test_defaults(self) -> None:
        """A memory level of 5 for compressors, and no message is too small to compress."""
        assert PerMessageDeflate() == PerMessageDeflate(
            server_no_context_takeover=False,
            client_no_context_takeover=False,
            server_max_window_bits=None,
            client_max_window_bits=None,
            level=None,
            mem_level=5,
            threshold=0,
            backend=zlib,
        )

    def test_threshold(self) -> None:
        codec = finish("", threshold=10)
        assert [codec.wants(size) for size in (9, 10, None)] == [False, True, True]

    def test_backend_without_a_default_level(self) -> None:
        backend = SimpleNamespace(compressobj=zlib.compressobj, DEFLATED=8)
        with pytest.raises(LocalProtocolError, match="Z_DEFAULT_COMPRESSION"):
            PerMessageDeflate(backend=backend)
