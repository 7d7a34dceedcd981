"""One thing varied at a time: message size, frames in a chunk, fragments in a message, size of a read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .candidates import OURS
from .candidates.base import Candidate
from .jobs import Job, make_jobs
from .workloads import KIB, MIB, READ_SIZE, SIZE, Workload, make_texts, receive

FRAGMENT = 256
"""Bytes of each fragment where their number is varied."""


class Sweep(NamedTuple):
    """`points` are workloads by what is varied; `all_candidates`: else we alone."""

    name: str
    points: dict[int, Workload]
    all_candidates: bool

    def jobs(self, candidates: Sequence[Candidate]) -> tuple[list[Job], list[str]]:
        """Pair the points with those that take part."""
        chosen = [candidate for candidate in candidates if self.all_candidates or candidate.name == OURS]
        jobs, failures = make_jobs(self.points.values(), chosen)
        # With a byte a call there is no floor to speak of.
        return [job for job in jobs if job.name == OURS or job.workload.key.partition(" ")[0] != "dribble"], failures


def sweeps(*, quick: bool = False) -> list[Sweep]:
    """Return all sweeps; `quick` leaves the largest points out."""
    largest = 4 * MIB if quick else 64 * MIB
    return [
        Sweep("message size", {size: _one(size) for size in _steps(16, 4 * MIB, 4)}, all_candidates=True),
        Sweep("frames per chunk", {count: _per_chunk(count) for count in _steps(1, 512, 2)}, all_candidates=True),
        Sweep("scaling: size", {size: _reads(size) for size in _steps(KIB, largest, 4)}, all_candidates=False),
        Sweep(
            "scaling: fragments",
            {count: _fragments(count) for count in _steps(1, largest // KIB, 4)},
            all_candidates=False,
        ),
        Sweep(
            "scaling: one-byte reads",
            {size: _dribble(size) for size in _steps(KIB, largest // 64, 4)},
            all_candidates=False,
        ),
    ]


def _steps(first: int, last: int, factor: int) -> list[int]:
    steps = [first]
    while steps[-1] * factor <= last:
        steps.append(steps[-1] * factor)
    return steps


def _one(size: int) -> Workload:
    count = max(1, min(64, MIB // size))
    return receive(f"size {size}", f"{size} bytes, one frame per call", make_texts(count, size))


def _per_chunk(count: int) -> Workload:
    messages = make_texts(max(count, 256))
    return receive(f"frames {count}", f"{count} frames of {SIZE} bytes per chunk", messages, per_chunk=count)


def _reads(size: int) -> Workload:
    return receive(f"reads {size}", f"{size} bytes in 64 KiB reads", make_texts(1, size), read_size=READ_SIZE)


def _fragments(count: int) -> Workload:
    title = f"{count} fragments of {FRAGMENT} bytes in 64 KiB reads"
    return receive(f"fragments {count}", title, make_texts(1, count * FRAGMENT), frames=count, read_size=READ_SIZE)


def _dribble(size: int) -> Workload:
    return receive(f"dribble {size}", f"{size} bytes in one-byte reads", make_texts(1, size), read_size=1)
