"""Close frames, both ways by one table (RFC 6455 sections 5.5.1 and 7.4)."""

from __future__ import annotations

from typing import Any

import pytest

from wsproto_lite import CloseConnection, LocalProtocolError, RemoteProtocolError
from wsproto_lite.closing import check_close, encode_close, parse_close

GOOD = {
    "empty": (b"", 1005, ""),
    "normal": (b"\x03\xe8", 1000, ""),
    "with a reason": (b"\x03\xe9so long", 1001, "so long"),
    "with a reason in UTF-8": (b"\x03\xe8" + "tschüß".encode(), 1000, "tschüß"),
    "longest": (b"\x03\xe8" + b"x" * 123, 1000, "x" * 123),
    "first of the libraries": (b"\x0b\xb8", 3000, ""),
    "last of the applications": (b"\x13\x87", 4999, ""),
}


@pytest.mark.parametrize(("payload", "code", "reason"), GOOD.values(), ids=GOOD)
def test_both_ways(payload: bytes, code: int, reason: str) -> None:
    assert parse_close(payload) == CloseConnection(code, reason)
    assert encode_close(code, reason) == payload


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        pytest.param(b"\x03", 1002, "close frame has 1 byte of payload; it has none or a code of 2 bytes", id="1 byte"),
        pytest.param(b"\x03\xe7", 1002, "close frame has code 999, which may not be sent", id="999"),
        pytest.param(b"\x03\xec", 1002, "close frame has code 1004, which may not be sent", id="1004"),
        pytest.param(b"\x03\xed", 1002, "close frame has code 1005, which may not be sent", id="1005"),
        pytest.param(b"\x03\xee", 1002, "close frame has code 1006, which may not be sent", id="1006"),
        pytest.param(b"\x03\xf7", 1002, "close frame has code 1015, which may not be sent", id="1015"),
        pytest.param(b"\x13\x88", 1002, "close frame has code 5000, which may not be sent", id="5000"),
        pytest.param(b"\x03\xe7\xff", 1002, "close frame has code 999, which may not be sent", id="999 and bad text"),
        pytest.param(b"\x03\xe8\xff", 1007, "close reason is not valid UTF-8", id="bad text"),
        pytest.param(b"\x03\xe8\xc3", 1007, "close reason is not valid UTF-8", id="text that breaks off"),
        pytest.param(b"\x03\xe8\xed\xa0\x80", 1007, "close reason is not valid UTF-8", id="surrogate"),
    ],
)
def test_peers_faults(payload: bytes, code: int, words: str) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        parse_close(payload)
    assert raised.value == RemoteProtocolError(words, code)


@pytest.mark.parametrize(
    ("payload", "decides", "code"),
    [
        pytest.param(b"\x03\xe7reason", 2, 1002, id="999"),
        pytest.param(b"\x03\xe8good\xffbad", 7, 1007, id="bad text"),
        pytest.param(b"\x03\xe8\xed\xa0\x80", 4, 1007, id="surrogate"),
    ],
)
def test_earliest_byte(payload: bytes, decides: int, code: int) -> None:
    """Autobahn's fail-fast cases, for Close frames."""
    for size in range(decides):
        check_close(payload[:size], whole=False)
    for size in range(decides, len(payload) + 1):
        with pytest.raises(RemoteProtocolError) as raised:
            check_close(payload[:size], whole=False)
        assert raised.value.code == code


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("1000", "", "close code and reason are '1000' and ''; they must be int and str"),
        (1000, b"", "close code and reason are 1000 and b''; they must be int and str"),
        (None, "", "close code and reason are None and ''; they must be int and str"),
        (1005, "why", "close code 1005 may not be sent with a reason"),
        (True, "", "close code 1 may not be sent"),
        (-1000, "", "close code -1000 may not be sent"),
        (1 << 80, "", f"close code {1 << 80} may not be sent"),
        (1000, "so\ud800", "close reason has a lone surrogate at 2"),
        (1000, "x" * 124, "close reason is 124 bytes; the limit is 123"),
        (1000, "ü" * 62, "close reason is 124 bytes; the limit is 123"),
    ],
    ids=repr,
)
def test_our_mistakes(code: Any, reason: Any, words: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        encode_close(code, reason)
    assert str(raised.value) == words
