"""The code blocks of a Markdown page. Knows the notation of fences and marks, not what running a block takes.

A mark is a comment on a line of its own before a block, which no page shows:

    <!-- not run: why -->      it is not run
    <!-- with a server -->     an echo server listens on port 8765 while it runs
    <!-- with a client -->     it is a server on port 8765 for one client
    <!-- until stopped -->     its command goes on, while the rest of the page runs
    <!-- output -->            it is what the block before it prints
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_opening = re.compile(r"(?P<fence>`{3,})(?P<info>\S*).*").fullmatch
_mark = re.compile(r"<!-- (not run: .+|with a server|with a client|until stopped|output) -->").fullmatch
_file_name = re.compile(r"# ([\w.]+\.(?:py|hex))").fullmatch


class Block(NamedTuple):
    """A block: the language of its fence, the line of that counted from 1, its text, and its mark if it has one."""

    language: str
    line: int
    text: str
    mark: str

    @property
    def file_name(self) -> str | None:
        """The name that a file has in its first line, None for a block that is none."""
        match = _file_name(self.text.partition("\n")[0])
        return None if match is None else match[1]


def blocks_of(path: Path) -> list[Block]:
    """Read a page. Raises ValueError for a block without an end, and for a mark without a block."""
    return list(_blocks(path))


def _blocks(path: Path) -> Iterator[Block]:
    lines = iter(enumerate(path.read_text(encoding="utf-8").split("\n"), 1))
    mark = ""
    for number, line in lines:
        fence = _opening(line)
        marked = _mark(line)
        if fence is not None:
            yield Block(fence["info"].strip("{}"), number, _body(path, lines, number, fence["fence"]), mark)
            mark = ""
        elif marked is not None:
            mark = marked[1]
        elif mark and line:
            raise ValueError(f"{path.name}:{number}: no block follows the mark {mark!r}")


def _body(path: Path, lines: Iterator[tuple[int, str]], start: int, fence: str) -> str:
    body: list[str] = []
    for _, line in lines:
        if line == fence:
            return "".join(f"{text}\n" for text in body)
        body.append(line)
    raise ValueError(f"{path.name}:{start}: block has no end")
