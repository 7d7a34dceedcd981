"""Sec-WebSocket-Extensions as a value (RFC 6455 section 9.1)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.extensions import format_extensions, parse_extensions

HEADERS = {
    "no field": ([], ()),
    "one": ([b"foo"], (("foo", ()),)),
    "parameters": ([b"foo; bar; baz=2"], (("foo", (("bar", None), ("baz", "2"))),)),
    "several": ([b"foo, bar; baz=2"], (("foo", ()), ("bar", (("baz", "2"),)))),
    "several fields": ([b"foo", b"bar; baz=2, foo"], (("foo", ()), ("bar", (("baz", "2"),)), ("foo", ()))),
    "no spaces": ([b"foo;bar=1,baz"], (("foo", (("bar", "1"),)), ("baz", ()))),
    "all the spaces": ([b" \tfoo\t ; bar = 1 ,\tbaz "], (("foo", (("bar", "1"),)), ("baz", ()))),
    "quoted": ([b'foo; bar="baz"'], (("foo", (("bar", "baz"),)),)),
    "quoted pairs": ([b'foo; bar="\\b\\a\\z"'], (("foo", (("bar", "baz"),)),)),
    "twice the same parameter": ([b"foo; bar; bar=1"], (("foo", (("bar", None), ("bar", "1"))),)),
    "case": ([b"Foo; BAR=Baz"], (("Foo", (("BAR", "Baz"),)),)),
    "every token character": ([b"!#$%&'*+-.^_`|~09azAZ"], (("!#$%&'*+-.^_`|~09azAZ", ()),)),
    "empty elements": ([b",foo, ,\t,bar,", b"", b","], (("foo", ()), ("bar", ()))),
}

MALFORMED_HEADERS = {
    "empty": b"",
    "spaces": b" \t",
    "empty elements only": b", ,",
    "no name": b"; bar",
    "no name after comma": b"foo, ; bar",
    "two names": b"foo bar",
    "value without parameter": b"foo=1",
    "no parameter": b"foo;",
    "no parameter before comma": b"foo; , bar",
    "no parameter between": b"foo;; bar",
    "no value": b"foo; bar=",
    "no value before comma": b"foo; bar=, baz",
    "two values": b"foo; bar=1 2",
    "empty quotes": b'foo; bar=""',
    "quoted space": b'foo; bar="a b"',
    "quoted comma": b'foo; bar="a,b"',
    "quoted quote": b'foo; bar="a\\"b"',
    "quoted backslash": b'foo; bar="a\\\\b"',
    "open quotes": b'foo; bar="baz',
    "open quotes, escaped": b'foo; bar="baz\\"',
    "text after quotes": b'foo; bar="baz"2',
    "quoted name": b'"foo"',
    "quoted parameter": b'foo; "bar"',
    "line break": b"foo;\r\n bar",
    "NUL": b"foo\x00",
}


class TestHeader:
    @pytest.mark.parametrize(("values", "expected"), HEADERS.values(), ids=HEADERS)
    def test_parse(self, values: list[bytes], expected: object) -> None:
        assert parse_extensions(values) == expected

    @pytest.mark.parametrize("value", MALFORMED_HEADERS.values(), ids=MALFORMED_HEADERS)
    def test_malformed(self, value: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="sec-websocket-extensions"):
            parse_extensions([value])

    @pytest.mark.parametrize("byte", range(0x80, 0x100))
    def test_not_ascii(self, byte: int) -> None:
        for value in (b"%c", b"foo%c", b"foo, %c", b"foo; %c", b"foo; bar%c", b"foo; bar=%c", b'foo; bar="%c"'):
            with pytest.raises(RemoteProtocolError, match="malformed at byte"):
                parse_extensions([value % byte])

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40)), st.text('fo;=," \t\\%', max_size=40))
    def test_any_bytes(self, values: list[bytes], text: str) -> None:
        """Whatever comes is parsed, or refused as malformed. What is parsed can be written, and says the same."""
        for lines in (values, [text.encode()]):
            try:
                parsed = parse_extensions(lines)
            except RemoteProtocolError:
                continue
            assert parse_extensions([format_extensions(parsed)] if parsed else []) == parsed

    @pytest.mark.parametrize(
        ("head", "filler", "tail"),
        [
            (b"a", b" ", b"="),
            (b"", b"a,", b"="),
            (b"", b",", b"="),
            (b"a", b";b", b"="),
            (b"a", b";b=c", b"="),
            (b"a;b", b" ", b"= ="),
            (b"a;b=", b" ", b"="),
            (b'a;b="', b"c", b""),
            (b'a;b="', b"\\c", b""),
            (b'a;b="', b"\\", b""),
            (b"", b'a;b="c",', b'"'),
        ],
    )
    def test_time_is_linear(self, head: bytes, filler: bytes, tail: bytes) -> None:
        """With quadratic time the long one would take 1,024 times as long as the short one, not 32."""
        best = {}
        for count in (1 << 9, 1 << 14):
            value = head + filler * count + tail
            for _ in range(3):
                start = time.process_time()
                with pytest.raises(RemoteProtocolError):
                    parse_extensions([value])
                best[count] = min(best.get(count, 1.0), time.process_time() - start)
        assert best[1 << 14] < best[1 << 9] * 250 + 0.01

    def test_format(self) -> None:
        elements = [("foo", [("bar", None), ("baz", "2")]), ("qux", ())]
        assert format_extensions(elements) == b"foo; bar; baz=2, qux"
        assert format_extensions([]) == b""

    @pytest.mark.parametrize("text", ["", "a b", "a,b", 'a"b', "a\r\nb: c", "caf\xe9", "\udcff", 12, b"foo"])
    def test_format_injects_nothing(self, text: Any) -> None:
        for element in ((text, ()), ("foo", ((text, None),)), ("foo", (("bar", text),))):
            with pytest.raises(LocalProtocolError, match="must be a token"):
                format_extensions([element])
