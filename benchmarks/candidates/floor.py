"""What can't be gone below: a copy of the bytes, and a loop that only makes the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from wsproto_lite import BytesMessage, TextMessage

from ..workloads import Workload, as_bytes

MEMCPY = "memcpy"
BARE_LOOP = "bare loop"


def make_memcpy(workload: Workload) -> Callable[[], Any]:
    """Copy each chunk, once, into a new object."""
    views = [memoryview(chunk) for chunk in workload.chunks]

    def copy() -> Any:
        copied = bytearray()
        for view in views:
            # PyPy's bytes would share the memory.
            copied = bytearray(view)
        return copied

    return copy


def make_bare_loop(workload: Workload) -> Callable[[], Any]:
    """Slice, decode and make our events out of payload that is unmasked and whose frames are found beforehand."""
    prepared = _prepare(workload)
    is_text = isinstance(workload.messages[0], str)

    def loop_text() -> Any:
        events: list[Any] = []
        for payload, ends in prepared:
            events = []
            start = 0
            for end in ends:
                events.append(TextMessage(payload[start:end].decode()))
                start = end
        return events

    def loop_bytes() -> Any:
        events: list[Any] = []
        for payload, ends in prepared:
            events = []
            start = 0
            for end in ends:
                events.append(BytesMessage(payload[start:end]))
                start = end
        return events

    return loop_text if is_text else loop_bytes


def _prepare(workload: Workload) -> list[tuple[bytes, Sequence[int]]]:
    """Share the messages out to the chunks in which they end, near enough: evenly."""
    per_chunk = -(-len(workload.messages) // len(workload.chunks))
    prepared: list[tuple[bytes, Sequence[int]]] = []
    for at in range(0, len(workload.messages), per_chunk):
        encoded = [as_bytes(message) for message in workload.messages[at : at + per_chunk]]
        ends = []
        end = 0
        for payload in encoded:
            end += len(payload)
            ends.append(end)
        prepared.append((b"".join(encoded), ends))
    return prepared
