"""Masking keys for a client's frames: drawn from a source of random bytes, each used once.

Knows batches and forks. Not frames, nor who masks what.
"""

from __future__ import annotations

import os
import struct
import weakref
from typing import Callable

from .errors import LocalProtocolError


def draw_random(random_bytes: Callable[[int], bytes], size: int) -> bytes:
    """Call a source of random bytes. Raises LocalProtocolError if it fails, or gives something else than bytes."""
    try:
        data = random_bytes(size)
    except Exception as error:
        raise LocalProtocolError(f"random_bytes({size}) failed: {error!r}") from error
    if not isinstance(data, bytes):
        raise LocalProtocolError(f"random_bytes({size}) returned {type(data).__name__}; it must be bytes")
    return data


class MaskingKeys:
    """Masking keys, each used once, unpredictable (RFC 6455 sections 5.3 and 10.3).

    Drawn from `random_bytes` in batches; drawing one from the batch is one atomic step, and a fork drops it.
    """

    __slots__ = ("__weakref__", "_random_bytes", "batch")

    BATCH = 1024
    """Bytes drawn at a time: a key costs 35 ns then, and 90 of 450 more with a system call and a slice for each."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self.batch: list[bytes] = []
        _pools.add(self)

    def draw(self) -> bytes:
        """Return 4 bytes. Raises LocalProtocolError when `random_bytes` fails or gives no whole number of keys."""
        while True:
            try:
                return self.batch.pop()
            except IndexError:
                self._refill()

    def _refill(self) -> None:
        batch = draw_random(self._random_bytes, self.BATCH)
        if not batch or len(batch) % 4:
            raise LocalProtocolError(f"random_bytes({self.BATCH}) returned {len(batch)} bytes")
        # pop() takes from the end: reversed, keys come in the order drawn.
        self.batch.extend(reversed(struct.unpack("4s" * (len(batch) // 4), batch)))

    def __reduce__(self) -> tuple[object, ...]:
        # A copy, in this process or another, must not have the same keys in store.
        return MaskingKeys, (self._random_bytes,)

    def clear(self) -> None:
        """Forget the batch."""
        self.batch.clear()


_pools: weakref.WeakSet[MaskingKeys] = weakref.WeakSet()


def _forget_keys() -> None:
    for pool in _pools:
        pool.clear()


# A forked child would use the parent's keys again. Windows has no fork and no such function.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_forget_keys)
