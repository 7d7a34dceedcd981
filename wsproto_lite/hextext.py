"""Bytes written as hexadecimal text, as people do in fixtures and as xxd and hexdump -C print them.

Knows digits, comments and columns. Must not know what the bytes mean.
"""

from __future__ import annotations

import re

from .errors import LocalProtocolError

# An offset at the beginning of a line: `00000010: ` of xxd, `00000010  ` of hexdump -C, which also ends with one.
_offset = re.compile(r"\s*([0-9A-Fa-f]{7,8})(: |  |\s*$)").match

_ASCII_COLUMN = re.compile(r"\s*\||\s{3,}")

_separators = re.compile(r"[\s,:]+").split
_is_hex = re.compile(r"(?:[0-9A-Fa-f]{2})*").fullmatch

DUMP_WIDTH = 16
"""Bytes that xxd, hexdump -C and Wireshark put into a line."""

MAX_TOKEN = 1 << 16


class HexReader:
    """Reads hexadecimal text line by line, or long lines in parts.

    Digits come in pairs, with white space, commas or colons between bytes or without, `0x` before them or not. `#`
    begins a comment. In a line that begins with the offset of its bytes, that and a column of characters are left out.
    """

    def __init__(self) -> None:
        self._number = 1
        self._size = 0
        self._rest = ""  # a token that may go on in the next part
        self._is_line_begun = False
        self._is_comment = False

    def feed(self, part: str) -> bytes:
        """Take a line, with its line break if it has come to its end. Raises LocalProtocolError for what isn't hex."""
        is_ended = part.endswith(("\n", "\r"))
        text, comment, _ = part.partition("#")
        data = b"" if self._is_comment else self._read(text, is_ended=is_ended or bool(comment))
        self._is_comment = (self._is_comment or bool(comment)) and not is_ended
        self._is_line_begun = not is_ended
        self._number += is_ended
        self._size += len(data)
        return data

    def finish(self) -> bytes:
        """Give what the text ends with, if that is no line break."""
        return self._read("", is_ended=True)

    def _read(self, text: str, *, is_ended: bool) -> bytes:
        offset = None if self._is_line_begun else _offset(text)
        # Four bytes can look the same, but hardly just these in just this place.
        if offset is not None and int(offset[1], 16) == self._size and (self._size or offset[2].strip("\n")):
            text = _without_columns(text[offset.end() :])
        tokens = _separators(self._rest + text)
        self._rest = "" if is_ended else tokens.pop()
        if len(self._rest) > MAX_TOKEN:
            # So that the memory for a line without any space is bounded.
            even = len(self._rest) & ~1
            tokens.append(self._rest[:even])
            self._rest = self._rest[even:]
        return b"".join(map(self._decode, tokens))

    def _decode(self, token: str) -> bytes:
        digits = token[2:] if token[:2] in ("0x", "0X") else token
        if not _is_hex(digits):
            raise LocalProtocolError(f"line {self._number} has {token[:40]!r}, which is not bytes in hexadecimal")
        return bytes.fromhex(digits)


def _without_columns(line: str) -> str:
    """Cut a dump's line where the column of characters begins."""
    line = _ASCII_COLUMN.split(line, maxsplit=1)[0]
    digits = 0
    for position, character in enumerate(line):
        digits += not character.isspace()
        if digits > 2 * DUMP_WIDTH:
            return line[:position]
    return line


def from_hex(text: str) -> bytes:
    r"""Read bytes from hexadecimal text with comments.

    Digits come in pairs; white space, commas and colons between them count for nothing, and `#` begins a comment. Lines
    of xxd and hexdump -C are read, too. Raises LocalProtocolError, with the line's number, for anything else.

    >>> from_hex('''
    ...     81 05            # FIN, text, 5 bytes
    ...     48 65 6c 6c 6f   # Hello
    ... ''')
    b'\x81\x05Hello'
    >>> from_hex("81 0g")
    Traceback (most recent call last):
    wsproto_lite.errors.LocalProtocolError: line 1 has '0g', which is not bytes in hexadecimal
    """
    reader = HexReader()
    return b"".join(map(reader.feed, text.splitlines(keepends=True))) + reader.finish()
