"""Choices drawn from bytes: a case is a byte string, so that it can be made at random, mutated, stored and replayed.

Knows nothing of WebSockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Source:
    """Draw choices from `data`. When that is used up all further choices are the first, so that every case ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether all was used."""
        return self._at >= len(self._data)

    def number(self, count: int) -> int:
        """Give one of 0 to count - 1."""
        size = 1 if count <= 256 else 2 if count <= 65536 else 4
        return int.from_bytes(self.take(size), "little") % count

    def choose(self, options: Sequence[T]) -> T:
        """Give one of the options."""
        return options[self.number(len(options))]

    def one_in(self, count: int) -> bool:
        """Give True once in `count` times, False when all was used."""
        return self.number(count) == count - 1

    def take(self, size: int) -> bytes:
        """Give bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def fill(self, size: int) -> bytes:
        """Give as many bytes as that: a few drawn ones, repeated."""
        pattern = self.take(min(size, 1 + self.number(8))) or b"\0"
        return (pattern * (size // len(pattern) + 1))[:size]

    def cut(self, data: bytes) -> list[bytes]:
        """Cut `data` into chunks."""
        chunks = []
        at = 0
        while at < len(data):
            size = 1 + self.number(self.choose((1 << 17, 3, 30, 1000, 20_000, 70_000)))
            if self.is_empty:
                size = len(data)
            chunks.append(data[at : at + size])
            at += size
        return chunks
