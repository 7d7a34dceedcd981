"""Frames drawn byte by byte. Knows the layout (RFC 6455 section 5.2); every byte drawn was written by the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from svg import CHARACTER, Drawing

from wsproto_lite import Opcode
from wsproto_lite.closing import encode_close
from wsproto_lite.frames import Frame, StreamReader

CELL = 46
LEFT = 14
BITS_TOP, BYTES_TOP, NAMES_TOP = 34, 104, 158
HEIGHT = 182

KEY = bytes.fromhex("37fa213d")
"""The masking key of the examples in RFC 6455 section 5.7."""


class Field(NamedTuple):
    """A part of a frame: its bytes, what it is called, and the class that colours it."""

    data: bytes
    name: str
    kind: str


def fields_of(data: bytes) -> list[Field]:
    """Take a frame apart, with the library's own reader."""
    reader = StreamReader("auto")
    size = 2 + reader.read_header(data[:2])
    if size > 2:
        reader.read_header_continuation(data[2:size])
    extended = data[2 : size - (4 if reader.mask else 0)]
    kind = Opcode(reader.opcode).name.lower()
    parts = [
        Field(data[:1], kind, "first"),
        Field(data[1:2], "length", "length"),
        Field(extended, "extended length", "length"),
        Field(reader.mask or b"", "masking key", "key"),
        Field(data[size:], "masked payload" if reader.mask else "payload", "payload"),
    ]
    return [part for part in parts if part.data]


def draw(data: bytes, note: str) -> Drawing:
    """Draw a frame: its first two bytes as bits, all of its bytes, and what they are."""
    width = max(LEFT * 2 + CELL * len(data), LEFT * 2 + 16 * 28 + 30, LEFT * 2 + round(len(note) * 6.6))
    drawing = Drawing(width, HEIGHT + 24, note)
    _draw_bits(drawing, data[:2])
    x = LEFT
    for field in fields_of(data):
        start = x
        for byte in field.data:
            drawing.rectangle(x, BYTES_TOP, CELL, 34, field.kind)
            drawing.text(x + CELL / 2, BYTES_TOP + 17, f"{byte:02x}", "byte")
            x += CELL
        if field.kind != "length" or len(field.data) > 1 or len(data) > 2:
            _name(drawing, field, start, x)
    drawing.text(LEFT, HEIGHT + 8, note, "note", anchor="start")
    return drawing


def _name(drawing: Drawing, field: Field, start: float, end: float) -> None:
    words = [field.name] if len(field.name) * CHARACTER <= end - start + 4 else _broken(field.name)
    for number, word in enumerate(words):
        drawing.text((start + end) / 2, NAMES_TOP - 8 + number * 14, word, "note")


def _broken(name: str) -> list[str]:
    """Break a name that is wider than its bytes."""
    return name.split() if " " in name else [f"{name[:7]}-", name[7:]] if len(name) > 8 else [name]


def _draw_bits(drawing: Drawing, data: bytes) -> None:
    first, second = data
    groups: Sequence[tuple[str, str, str]] = (
        ("FIN", f"{first >> 7}", "first"),
        ("RSV", f"{first >> 4 & 7:03b}", "first"),
        ("opcode", f"{first & 15:04b}", "first"),
        ("MASK", f"{second >> 7}", "length"),
        ("length", f"{second & 127:07b}", "length"),
    )
    x = float(LEFT)
    for name, bits, kind in groups:
        width = max(26 * len(bits), 44)
        drawing.rectangle(x, BITS_TOP, width, 30, kind)
        drawing.text(x + width / 2, BITS_TOP + 15, " ".join(bits), "byte")
        drawing.text(x + width / 2, BITS_TOP - 12, name, "note")
        x += width
        if name == "opcode":
            # Each group of eight bits leads down to its byte.
            drawing.line((LEFT + (x - LEFT) / 2, BITS_TOP + 31), (LEFT + CELL / 2, BYTES_TOP - 1))
            middle = x
    drawing.line(((middle + x) / 2, BITS_TOP + 31), (LEFT + CELL * 1.5, BYTES_TOP - 1))


def _frame(payload: bytes, opcode: int = Opcode.TEXT, *, masked: bool = False, fin: int = 1, rsv1: int = 0) -> bytes:
    return Frame(payload, opcode, KEY if masked else None, fin, rsv1).to_bytes()


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "unmasked": lambda: draw(_frame(b"Hello"), 'the text "Hello", from a server'),
    "masked": lambda: draw(_frame(b"Hello", masked=True), 'the text "Hello", from a client'),
    "first-fragment": lambda: draw(_frame(b"Hel", fin=0), 'a message in two frames: the first, "Hel", without FIN'),
    "last-fragment": lambda: draw(_frame(b"lo", Opcode.CONTINUATION), 'its continuation, "lo", with FIN'),
    "ping": lambda: draw(_frame(b"Hello", Opcode.PING), "a Ping; the Pong that answers it has the same payload"),
    "close": lambda: draw(
        _frame(encode_close(1000, "bye"), Opcode.CLOSE), "a Close: two bytes of code, 03e8 for 1000, and a reason"
    ),
    "length-16": lambda: draw(
        _frame(bytes(256), Opcode.BINARY)[:8], "256 bytes, of which 4 are shown: 126 says that 16 bits of length follow"
    ),
    "length-64": lambda: draw(
        _frame(bytes(65536), Opcode.BINARY)[:14],
        "65,536 bytes, of which 4 are shown: 127 says that 64 bits of length follow",
    ),
}
