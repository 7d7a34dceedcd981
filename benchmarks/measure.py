"""Time jobs side by side: every round runs each job for a few milliseconds, so that all see the same machine.

Knows no candidate. The clock is the process's CPU time: what other processes take does not count, but what they do to
caches and clock rates does, hence many short samples and the best of them.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any, Callable

from .jobs import Job
from .results import Timing

clock = time.process_time_ns

SAMPLE = 8_000_000
"""Nanoseconds that one sample takes at least, where that needs several runs."""

WARM_ALLOCATION = 31 << 20
"""Freed once, this brings the sizes from which glibc gives memory back to the kernel to their maximum."""

Progress = Callable[[str], None]


def settle() -> None:
    """Bring the process into the state of one that has been up for a while."""
    bytearray(WARM_ALLOCATION)
    gc.collect()
    # What is left is no garbage: the collector need not look through it with each of its full passes.
    getattr(gc, "freeze", lambda: None)()


def measure(
    jobs: Sequence[Job], *, rounds: int, sample: int = SAMPLE, progress: Progress = lambda text: None
) -> list[Timing]:
    """Run all jobs `rounds` times in turn."""
    settle()
    loops = [_count_loops(job.run, sample) for job in jobs]
    samples: list[list[float]] = [[] for _ in jobs]
    for number in range(rounds):
        # Back and forth: no job always follows the same one.
        order = range(len(jobs)) if number % 2 == 0 else range(len(jobs) - 1, -1, -1)
        for index in order:
            job = jobs[index]
            progress(f"round {number + 1} of {rounds}: {job.workload.title}: {job.name}")
            samples[index].append(_time(job.run, loops[index]) / loops[index] / len(job.workload.messages))
    return [_summarise(job, taken) for job, taken in zip(jobs, samples)]


def _summarise(job: Job, samples: Sequence[float]) -> Timing:
    workload = job.workload
    size = workload.size // len(workload.messages)
    return Timing(workload.key, workload.title, job.name, min(samples), statistics.median(samples), size)


def _count_loops(run: Callable[[], Any], sample: int) -> int:
    """Find how many runs make a sample; warms up on the way."""
    _time(run, 3)
    loops = 1
    while True:
        taken = _time(run, loops)
        if taken >= sample / 2:
            return max(1, round(loops * sample / taken))
        loops *= 2


def _time(run: Callable[[], Any], loops: int) -> int:
    repeat = [None] * loops
    start = clock()
    for _ in repeat:
        run()
    return clock() - start
