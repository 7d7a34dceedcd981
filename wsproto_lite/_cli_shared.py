"""What the commands have in common: exit codes, help, complaints, and how untrusted bytes look on a terminal."""

from __future__ import annotations

import argparse
import sys
import textwrap

SUCCESS = 0
FAILURE = 1
USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141

INSTALL_RICH = "python -m pip install 'wsproto_lite[cli]'"


class Help(argparse.HelpFormatter):
    """Fits paragraphs into the terminal's width. Indented lines, as those of exit codes, stay lines of their own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(_filled(paragraph, width) for paragraph in text.split("\n\n"))


def _filled(paragraph: str, width: int) -> str:
    joined = paragraph.replace("\n", " ") if "\n  " not in paragraph else paragraph
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent="     " if line.startswith(" ") else "", break_on_hyphens=False)
        for line in joined.splitlines()
    )


def port(text: str) -> int:
    """Read an argument that is a port."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"port is {text!r}; it is a number from 0 to 65535")
    return int(text)


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
    """Show bytes as text, with a replacement character for what isn't UTF-8. `is_cut`: they can end within one."""
    text = data.decode("utf-8", "ignore" if is_cut else "replace")
    return f'"{printable(text)}"'


def in_hex(data: bytes) -> str:
    """Show bytes in hexadecimal, by fours from the first."""
    return data.hex(" ", -4)
