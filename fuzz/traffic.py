"""What a peer might send, most of it good: messages in fragments, compressed or not, control frames, floods, damage.

Knows the wire, through the slow codec and a library's own connection for compression. Not what is to come of it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

from source import Source

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import slow_codec

from wsproto_lite import (
    CLIENT,
    BytesMessage,
    Connection,
    EncodedTextMessage,
    PerMessageDeflate,
    Role,
    Settings,
    TextMessage,
)

SIZES = (
    1,
    0,
    5,
    16,
    124,
    125,
    126,
    127,
    128,
    1000,
    4096,
    16_383,
    16_384,
    16_385,
    33_000,
    65_535,
    65_536,
    65_537,
    140_000,
)
TEXTS = ("a", "é", "€", "😀", "\ud7ff", "\U0010ffff", "aé", "a€😀")
BAD_TEXTS = (
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"\xff",
    b"\x80",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"ok\xc3",
)
CLOSES = (
    b"\x03\xe8",
    b"",
    b"\x03\xe8bye",
    b"\x0b\xb8",
    b"\x03",
    b"\x03\xed",
    b"\x00\x00",
    b"\x03\xe8\xff",
    b"\xff\xff",
)


def find_backends() -> list[ModuleType]:
    """Give the deflate libraries that are installed, zlib first."""
    backends = [zlib]
    for name in ("isal.isal_zlib", "zlib_ng.zlib_ng"):
        with contextlib.suppress(ImportError):
            backends.append(importlib.import_module(name))
    return backends


# One draw for both, in this order: what was stored before there was a choice of libraries means the same with zlib.
THRESHOLDS = [(threshold, backend) for backend in find_backends() for threshold in (0, 100)]


def draw_extensions(source: Source) -> tuple[PerMessageDeflate, ...]:
    """Give the extensions of both ends."""
    if not source.one_in(2):
        return ()
    no_context_takeover = [source.one_in(3), source.one_in(3)]
    window_bits = [source.choose((None, 9, 15)), source.choose((None, 10, 15))]
    threshold, backend = source.choose(THRESHOLDS)
    return (
        PerMessageDeflate(
            server_no_context_takeover=no_context_takeover[0],
            client_no_context_takeover=no_context_takeover[1],
            server_max_window_bits=window_bits[0],
            client_max_window_bits=window_bits[1],
            threshold=threshold,
            backend=backend,
        ),
    )


def draw_settings(source: Source, random_bytes: Any) -> Settings:
    """Give settings of any kind, limits that are met included."""
    return Settings(
        max_message_size=source.choose((1 << 20, None, 1, 5, 125, 126, 1000, 16_384, 65_536, 200_000)),
        max_frame_size=source.choose((None, None, None, 1, 5, 126, 65_535, 65_536)),
        max_fragments=source.choose((None, None, None, 1, 2, 5, 100)),
        auto_reply=not source.one_in(4),
        delivery=source.choose(("message", "frame", "piece")),
        text_as_bytes=source.one_in(3),
        extensions=draw_extensions(source),
        random_bytes=random_bytes,
    )


class Peer:
    """The other end: makes wire bytes, good ones through `connection`, others by hand."""

    def __init__(self, source: Source, role: Role, connection: Connection) -> None:
        self.source = source
        self.key = b"\x37\xfa\x21\x3d" if role is CLIENT else None
        self.connection = connection

    def traffic(self) -> bytes:
        """Give a stream, perhaps damaged."""
        kinds = (
            self.message,
            self.message,
            self.control,
            self.interleaved,
            self.flood,
            self.raw_frame,
            self.odd,
            self.close,
        )
        data = b""
        for _ in range(1 + self.source.number(6)):
            if self.source.is_empty:
                break
            data += self.source.choose(kinds)()
        return self.damage(data) if self.source.one_in(4) else data

    def frame(self, first: int, payload: bytes = b"") -> bytes:
        """Give a frame as it travels."""
        return slow_codec.header(first, len(payload), self.key) + self.masked(payload)

    def masked(self, payload: bytes) -> bytes:
        """Mask with arithmetic, as the slow codec takes seconds for a large one."""
        if self.key is None or not payload:
            return payload
        stream = (self.key * (len(payload) // 4 + 1))[: len(payload)]
        return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")

    def payload(self, *, text: bool) -> bytes:
        """Give a payload, UTF-8 if it is text."""
        size = self.source.choose(SIZES)
        if not text:
            return self.source.fill(size)
        return (self.source.choose(TEXTS) * size)[: max(1, size // 2)].encode() if size else b""

    def message(self) -> bytes:
        """Give a good message in any number of fragments, through the library's own sender."""
        text = self.source.one_in(2)
        payload = self.payload(text=text)
        kind: Any = EncodedTextMessage if text else BytesMessage
        compress = self.source.choose((None, False, True)) if self.connection.extensions else None
        ends = sorted(self.source.number(len(payload) + 1) for _ in range(self.source.choose((0, 0, 1, 3, 12))))
        parts = [payload[start:end] for start, end in zip([0, *ends], [*ends, len(payload)])]
        data = b""
        for at, part in enumerate(parts):
            is_last = at + 1 == len(parts)
            data += self.connection.send(kind(part, True, is_last), compress=None if at else compress)
            if self.source.one_in(4):
                data += self.control()
        return data

    def interleaved(self) -> bytes:
        """Give fragments with control frames between them, by hand: text may be bad, or break off."""
        text = self.payload(text=True) + (self.source.choose(BAD_TEXTS) if self.source.one_in(3) else b"") + b"end"
        cut = self.source.number(len(text))
        data = self.frame(0x01, text[:cut]) + self.control() + self.frame(0x00, b"")
        return data + self.frame(0x80, text[cut:])

    def control(self) -> bytes:
        """Give a Ping or Pong."""
        return self.frame(self.source.choose((0x89, 0x8A)), self.source.fill(self.source.choose((0, 1, 4, 125))))

    def flood(self) -> bytes:
        """Give very many small frames: more than the records of one call, at times."""
        count = self.source.choose((20, 200, 1500, 4095, 4096, 4097, 9000))
        one = self.source.choose(
            (self.frame(0x89, b"!"), self.frame(0x82, b"x"), self.frame(0x81, b"y"), self.frame(0x8A))
        )
        if self.source.one_in(3):
            return self.frame(0x02, b"<") + self.frame(0x00, self.source.take(1)) * count + self.frame(0x80, b">")
        return one * count

    def raw_frame(self) -> bytes:
        """Give a frame with any first byte, and a length in any form."""
        first, payload = self.source.number(256), self.payload(text=False)
        if self.source.one_in(2):
            return self.frame(first, payload)
        length = self.source.choose((len(payload), 2**16, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1))
        return slow_codec.header(first, length, self.key, 8) + payload

    def odd(self) -> bytes:
        """Give a compressed frame that is not what it seems: a bomb, a final block, or no deflate at all."""
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        size = self.source.choose((10, 1000, 100_000, 1 << 20, 1 << 22))
        data = compressor.compress(bytes(size)) + compressor.flush(
            self.source.choose((zlib.Z_SYNC_FLUSH, zlib.Z_FINISH))
        )
        data = self.source.choose((data, data[:-4], data[:7], self.source.take(20), data * 3))
        cut = self.source.number(len(data) + 1)
        first = self.source.choose((0x42, 0x41))
        return self.frame(first, data[:cut]) + self.control() + self.frame(0x80, data[cut:])

    def close(self) -> bytes:
        """Give a Close, good or bad."""
        return self.frame(0x88, self.source.choose(CLOSES))

    def damage(self, data: bytes) -> bytes:
        """Change, cut out, repeat or insert something."""
        if not data:
            return data
        at = self.source.number(len(data))
        size = self.source.choose((1, 2, 8, 200))
        return self.source.choose(
            (
                data[:at] + bytes([data[at] ^ 1 << self.source.number(8)]) + data[at + 1 :],
                data[:at],
                data[:at] + data[at + size :],
                data[:at] + data[at : at + size] * 2 + data[at + size :],
                data[:at] + self.source.take(size) + data[at:],
            )
        )


def text_of(data: object) -> bytes:
    """Give text as bytes, whichever way it came."""
    return data.encode() if isinstance(data, str) else bytes(data)  # type: ignore[call-overload] # the other is bytes


__all__ = ["Peer", "TextMessage", "draw_settings", "slow_codec", "text_of"]
