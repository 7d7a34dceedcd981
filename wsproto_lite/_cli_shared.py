"""What the commands have in common: exit codes, complaints, and how untrusted bytes look on a terminal."""

from __future__ import annotations

import sys

SUCCESS = 0
FAILURE = 1
USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141

INSTALL_RICH = "python -m pip install 'wsproto_lite[cli]'"


def complain(message: str) -> None:
    """Write a diagnostic."""
    print(f"wsproto-lite: {message}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Escape what could control a terminal or turn text around: what a peer sends is shown, not obeyed."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def quoted(data: bytes, *, is_cut: bool) -> str:
    """Show bytes as text, with a replacement character for what isn't UTF-8."""
    text = data.decode("utf-8", "ignore" if is_cut else "replace")
    return f'"{printable(text)}"' + ("..." if is_cut else "")


def in_hex(data: bytes, *, is_cut: bool) -> str:
    """Show bytes in hexadecimal."""
    return data.hex(" ", 4) + ("..." if is_cut else "")
