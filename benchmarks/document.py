"""docs/performance.md out of results that are kept, and the table of README.md. Knows tables; the words are in a
template, plots.py draws, summary.py knows what README.md shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

from . import plots, summary
from .candidates import OURS
from .candidates.floor import BARE_LOOP, MEMCPY
from .kernels import IN_PYTHON
from .report import candidates_of, nanoseconds, verdicts, workloads_of
from .results import Results

TEMPLATE = Path(__file__).with_name("performance.template.md")
FLOORS = (BARE_LOOP, MEMCPY, IN_PYTHON)
NOT_RUN = "Not part of this run."

REASONS = {
    "aiohttp": """\
its reader and queue are compiled with Cython, for each version of CPython anew; they make their objects in C, where we
make one call through cffi (about 80 ns) and the events in Python. It does not check the direction of masking, and
UTF-8 only when a message is whole.""",
    "picows": """\
its frames are C structs on the buffer that was read into, and what it sends goes from a buffer of its own to the
transport: there is no event, and no bytes object that a caller could write elsewhere.""",
    "wsdatautil": "it takes exactly one frame and keeps no state: no split input, no rules, no limits, no UTF-8.",
    "websockets": """\
it collects a frame in one buffer and unmasks it when it is whole, where we unmask and validate each piece as it
arrives, so that a fault is answered at once. It does not check UTF-8.""",
    "wsproto": "not known.",
}
"""Why somebody may be faster than we are."""


def write(folder: Path) -> Path:
    """Write performance.md into `folder`, the plots beside it, and the table of the README.md above it.

    All of it comes from the JSON that is kept in `folder`.
    """
    kept = folder / "performance"
    results = Results.load(kept / "cpython.json")
    plots.draw(results, kept)
    pypy, million = kept / "pypy.json", kept / "million.json"
    words = {
        "machine": _machine(results),
        "table": _table(results),
        "targets": _targets(results),
        "send_buffers": _send_buffers(results),
        "losses": _losses(results),
        "million": _million(Results.load(million)) if million.exists() else "",
        "end_to_end": _end_to_end(results),
        "pypy": _pypy(Results.load(pypy)) if pypy.exists() else NOT_RUN,
        "rounds": str(results.rounds),
    }
    summary.refresh(folder.parent / "README.md", results)
    path = folder / "performance.md"
    path.write_text(Template(TEMPLATE.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
    return path


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    rule = ["---" if number < left else "---:" for number in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def _machine(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.machine.items() if value]
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines.append(f"- versions: {versions}")
    lines += [f"- missing: {name}: {reason}" for name, reason in results.missing.items()]
    lines += [f"- could not: {failure}" for failure in _shorten(results.failures)]
    return "\n".join(lines)


def _shorten(failures: Sequence[str]) -> list[str]:
    """Say once for each candidate and reason what it could not do."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        name, title, reason = failure.split(": ", 2)
        by_reason.setdefault((name, reason), []).append(title)
    return [f"{name}: {'; '.join(titles)}: `{reason}`" for (name, reason), titles in by_reason.items()]


def _table(results: Results) -> str:
    names = candidates_of(results)
    rows = [[title, *(_cell(results, key, name) for name in names)] for key, title in workloads_of(results).items()]
    return _rows(["work", *(f"*{name}*" if name in FLOORS else name for name in names)], rows)


def _cell(results: Results, key: str, name: str) -> str:
    timing, ratio = results.timing(key, name), results.ratio(key, name)
    if timing is None:
        return ""
    if name == OURS:
        return f"**{nanoseconds(timing.best)}**<br>+{timing.spread:.0%}"
    return nanoseconds(timing.best) + (f"<br>{ratio:.2f}" if ratio else "")


def _targets(results: Results) -> str:
    rows = [[*row[:-1], row[-1] if row[-1] == "held" else f"**{row[-1]}**"] for row in verdicts(results)]
    return _rows(["work", "against", "promised", "measured", ""], rows, left=2)


def _send_buffers(results: Results) -> str:
    allocated = results.facts.get("bytes allocated by send_buffers of 1 MiB")
    if allocated is None:
        return ""
    return f"`send_buffers` of 1 MiB from a server allocates {allocated:,.0f} bytes: it hands out the payload itself."


def _losses(results: Results) -> str:
    rows = []
    faster: dict[str, None] = {}
    for key, title in workloads_of(results).items():
        for name in candidates_of(results):
            ratio = results.ratio(key, name)
            if ratio is not None and ratio < 1 and name not in FLOORS:
                rows.append([title, name, f"{ratio:.2f}"])
                faster[name.partition(" ")[0]] = None
    if not rows:
        return "Nowhere in this run."
    reasons = "\n".join(f"- {name}: {REASONS[name]}" for name in faster)
    return _rows(["work", "faster", "their cost / ours"], rows, left=2) + f"\n\nWhy:\n\n{reasons}"


def _million(results: Results) -> str:
    facts = results.facts
    return (
        f"{facts['connections']:,.0f} servers' connections in one process (`python -m benchmarks million`): opened in "
        f"{facts['seconds to open']:.0f} s of CPU time, one more message exchanged on each in "
        f"{facts['seconds to exchange a message each']:.1f} s; {facts['resident bytes'] / 1e9:.2f} GB resident, "
        f"{facts['resident bytes a connection']:,.0f} bytes a connection ({results.machine['python']})."
    )


def _end_to_end(results: Results) -> str:
    rows = [
        [
            row["server"],
            f"{row['rate']:,.0f}",
            f"{row['best']:,.0f}",
            f"{row['server_us']:.1f}",
            f"{row['server_busy']:.0%}",
            f"{row['load_busy']:.0%}",
        ]
        for row in results.end_to_end
        if "error" not in row
    ]
    missing = [f"- missing: {row['server']}: {row['error']}" for row in results.end_to_end if "error" in row]
    header = ["server", "messages a second", "best round", "µs of its CPU a message", "its CPU", "the load's CPU"]
    return _rows(header, rows) + "\n" + "\n".join(missing)


def _pypy(results: Results) -> str:
    return (
        f"The same table on {results.machine['python']}, with the versions that there are for it. A JIT compiler "
        "leaves out of such loops what nobody looks at; compare along the rows, not with the table above.\n\n"
        f"{_machine(results)}\n\n{_table(results)}\n\n{_calls(results)}"
    )


def _calls(results: Results) -> str:
    """Tell where a call into C is the wrong choice."""
    ratios = {title: results.ratio(key, IN_PYTHON) for key, title in workloads_of(results).items()}
    known = {title: ratio for title, ratio in ratios.items() if ratio is not None}
    wrong = [f"{title.partition(', by')[0]} ({ratio:.2f})" for title, ratio in known.items() if ratio < 1]
    if not known:
        return ""
    if not wrong:
        return "A call into C is worth it for all that it is made for: Python alone takes longer with each."
    return f"A call into C is the wrong choice here where Python alone takes less time: {', '.join(wrong)}."
