"""`python -m benchmarks`: measure, print, save, and write docs/performance.md."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.status import Status

from . import candidates, machine, report
from .candidates.base import Candidate
from .jobs import check_all, make_jobs
from .measure import measure
from .results import Results
from .workloads import core_workloads

DOCUMENTS = Path(__file__).parent.parent / "docs"
IS_CPYTHON = platform.python_implementation() == "CPython"
PARTS = ("core", "sweeps", "memory", "end-to-end")
ALONE = ("million", "document")
# Elsewhere there is no tracemalloc that counts alike, and some candidates and matplotlib are missing.
USUAL_PARTS = PARTS if IS_CPYTHON else ("core",)
ROUNDS = 100
QUICK_ROUNDS = 15
WIDTH = 160


def main() -> int:
    """Run the parts asked for. Returns 1 when a candidate delivered something wrong."""
    arguments = _parse(sys.argv[1:])
    # A log file has room for the table, too.
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    if arguments.parts == ["million"]:
        return _million(console)
    if arguments.parts == ["document"]:
        return _document(console)
    results = _run(arguments, console)
    report.show(results, console)
    if arguments.base:
        report.show_comparison(results, Results.load(arguments.base), console)
    is_full = not arguments.quick and set(arguments.parts) >= set(USUAL_PARTS)
    path = arguments.save or (_retained() if is_full else None)
    if path:
        results.save(path)
        console.print(f"saved {path}")
    if IS_CPYTHON and is_full:
        _document(console)
    return 1 if results.failures else 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=list(USUAL_PARTS), help=f"some of {', '.join(PARTS)}; or one of {', '.join(ALONE)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller extremes; nothing is kept")
    parser.add_argument("--base", type=Path, help="JSON of an earlier run to compare with")
    parser.add_argument("--save", type=Path, help="where to put the JSON; a run of all parts is kept in docs anyway")
    arguments = parser.parse_args(words)
    for part in arguments.parts:
        if part not in PARTS and (part not in ALONE or len(arguments.parts) > 1):
            parser.error(f"unknown part {part!r}")
    return arguments


def _retained() -> Path:
    return DOCUMENTS / "performance" / f"{platform.python_implementation().lower()}.json"


def _run(arguments: argparse.Namespace, console: Console) -> Results:
    found, missing = candidates.load()
    versions = {candidate.name: candidate.version for candidate in found}
    results = Results(machine.describe(), versions, missing)
    start = time.perf_counter()
    with console.status("making workloads") as status:
        show = _Progress(status, start)
        if "core" in arguments.parts:
            _core(results, found, show, quick=arguments.quick)
        if "sweeps" in arguments.parts:
            _sweeps(results, found, show, quick=arguments.quick)
        if "memory" in arguments.parts:
            from .memory import measure_memory

            show("memory")
            results.memory = measure_memory()
        if "end-to-end" in arguments.parts:
            from .end_to_end import measure_end_to_end

            results.end_to_end = measure_end_to_end(quick=arguments.quick, progress=show)
    console.print(f"took {time.perf_counter() - start:.0f} s")
    return results


class _Progress:
    """Say what is going on and for how long already, on one line."""

    def __init__(self, status: Status, start: float) -> None:
        self._status = status
        self._start = start
        self._shown = 0.0

    def __call__(self, text: str) -> None:
        now = time.perf_counter()
        if now - self._shown > 0.2:
            self._shown = now
            self._status.update(f"{now - self._start:4.0f} s  {text}")


def _core(results: Results, found: list[Candidate], show: _Progress, *, quick: bool) -> None:
    from .kernels import copied_by_send_buffers, kernel_jobs, without_calls

    jobs, failures = make_jobs(core_workloads(), found)
    results.failures += failures
    results.rounds = QUICK_ROUNDS if quick else ROUNDS
    results.core = without_calls(measure([*jobs, *kernel_jobs()], rounds=results.rounds, progress=show))
    if IS_CPYTHON:
        results.facts["bytes allocated by send_buffers of 1 MiB"] = copied_by_send_buffers()


def _sweeps(results: Results, found: list[Candidate], show: _Progress, *, quick: bool) -> None:
    from .sweeps import sweeps

    for sweep in sweeps(quick=quick):
        jobs, failures = sweep.jobs(found)
        results.failures += failures
        timings = measure(jobs, rounds=3 if quick else 8, sample=2_000_000, progress=show)
        results.failures += check_all(jobs)
        varied = {workload.key: value for value, workload in sweep.points.items()}
        results.sweeps[sweep.name] = [replace(timing, size=varied[timing.workload]) for timing in timings]


def _document(console: Console) -> int:
    """Write docs/performance.md from what is kept."""
    from . import document

    console.print(f"wrote {document.write(DOCUMENTS)}")
    return 0


def _million(console: Console) -> int:
    """Open a million connections, and keep what that took."""
    from .memory import run_million

    found = run_million()
    for name, value in found.items():
        console.print(f"{name}: {value:,.6g}")
    Results(machine.describe(), facts=found).save(DOCUMENTS / "performance" / "million.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
