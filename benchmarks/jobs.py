"""Candidates meet workloads: for each pair a function to time, and a check that works with the very function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Callable, NamedTuple

from . import wire
from .candidates import floor
from .candidates.base import Candidate, NotMeasured
from .workloads import ACCEPT, REQUEST, Content, Workload, as_bytes

Run = Callable[[], Any]
Check = Callable[[], None]


class Job(NamedTuple):
    """`run` handles every message of the workload once; `check`, too, and raises WrongContent."""

    workload: Workload
    name: str
    run: Run
    check: Check = lambda: None


class WrongContent(Exception):
    """A candidate did not deliver what was sent to it, or sent something else."""


def make_jobs(
    workloads: Iterable[Workload], candidates: Sequence[Candidate], *, floors: bool = True
) -> tuple[list[Job], list[str]]:
    """Pair each workload with whoever can do it, and check that they do. Return the jobs, and who failed and how."""
    jobs = []
    failures = []
    for workload in workloads:
        for candidate in candidates:
            try:
                job = Job(workload, candidate.name, *_BUILD[workload.kind](workload, candidate))
            except NotMeasured:
                continue
            except Exception as error:  # a candidate that breaks is told; the others go on
                failures.append(f"{candidate.name}: {workload.title}: {error!r}")
                continue
            wrong = check_all([job])
            failures += wrong
            if not wrong:
                jobs.append(job)
        if floors and workload.kind == "receive":
            jobs.append(Job(workload, floor.MEMCPY, floor.make_memcpy(workload)))
            jobs.append(Job(workload, floor.BARE_LOOP, floor.make_bare_loop(workload)))
    return jobs, failures


def check_all(jobs: Iterable[Job]) -> list[str]:
    """Check jobs, before they are timed or afterwards; return who failed and how."""
    failures = []
    for job in jobs:
        try:
            job.check()
        except Exception as error:  # whatever it is, it is the candidate's fault
            failures.append(f"{job.name}: {job.workload.title}: {error!r}")
    return failures


def _receive(workload: Workload, candidate: Candidate) -> tuple[Run, Check]:
    receive = candidate.make_receive_frame() if workload.whole_frames else candidate.make_receive()

    def check() -> None:
        # It ends between two messages, and so does every run.
        delivered = [content for chunk in workload.chunks for content in candidate.contents(receive([chunk]))]
        _compare(delivered, workload.messages)

    return partial(receive, workload.chunks), check


def _send(workload: Workload, candidate: Candidate, *, client: bool) -> tuple[Run, Check]:
    texts = [str(message) for message in workload.messages]
    run = partial(candidate.make_send(client=client), texts)

    def check() -> None:
        frames = wire.decode_frames(b"".join(run()))
        _compare([payload.decode() for _, _, payload in frames], texts)
        if any((key is not None) is not client or first != wire.FIN | wire.TEXT for first, key, _ in frames):
            raise WrongContent("wrong first byte, or masked on the wrong side")

    return run, check


def _handshake(workload: Workload, candidate: Candidate) -> tuple[Run, Check]:
    shake = candidate.make_shake()

    def check() -> None:
        delivered: list[Content] = []
        for chunk in workload.chunks:
            response, last = shake(REQUEST, [chunk])
            if not response.startswith(b"HTTP/1.1 101 ") or ACCEPT not in response:
                raise WrongContent(f"answered {response!r}")
            delivered += candidate.contents(last)
        _compare(delivered, workload.messages)

    return partial(shake, REQUEST, workload.chunks), check


_BUILD: dict[str, Callable[[Workload, Candidate], tuple[Run, Check]]] = {
    "receive": _receive,
    "send_server": partial(_send, client=False),
    "send_client": partial(_send, client=True),
    "handshake": _handshake,
}


def _compare(delivered: Sequence[Content], expected: Sequence[Content]) -> None:
    if len(delivered) != len(expected):
        raise WrongContent(f"{len(delivered)} messages of {len(expected)}")
    for number, (got, want) in enumerate(zip(delivered, expected)):
        if type(got) is not type(want) or as_bytes(got) != as_bytes(want):
            raise WrongContent(f"message {number} is {got[:40]!r}…")
