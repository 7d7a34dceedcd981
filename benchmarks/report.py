"""Results as tables on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .candidates import OURS
from .results import Results, Timing
from .targets import CEILINGS, RATES, TARGETS


def show(results: Results, console: Console) -> None:
    """Print all parts that were run."""
    for name, reason in results.missing.items():
        console.print(f"[red]missing[/]: {name}: {reason}")
    for failure in results.failures:
        console.print(f"[red]wrong[/]: {failure}")
    if results.core:
        console.print(_core_table(results))
        if results.machine.get("python", "").startswith("CPython"):
            console.print(_verdicts(results))
    if results.memory:
        console.print(_memory_table(results))
    for name, fact in results.facts.items():
        console.print(f"{name}: {fact:,.6g}")
    if results.end_to_end:
        console.print(_end_to_end_table(results))


def show_comparison(results: Results, base: Results, console: Console) -> None:
    """Print our costs now and in an earlier run, and how the ratios to the peers have moved."""
    table = Table(title=f"against {base.machine.get('date', 'an earlier run')}", title_justify="left")
    for column in ("work", "then", "now", "now/then", "ratios to peers, then -> now"):
        table.add_column(column, justify="left" if column == "work" else "right")
    for now in results.core:
        then = base.timing(now.workload, now.candidate)
        if now.candidate != OURS or then is None:
            continue
        moved = []
        for candidate in candidates_of(results):
            before, after = base.ratio(now.workload, candidate), results.ratio(now.workload, candidate)
            if before and after and candidate != OURS:
                moved.append(f"{candidate} {before:.2f} -> {after:.2f}")
        change = now.best / then.best
        colour = "red" if change > 1.05 else "green" if change < 0.95 else "default"
        cost = f"[{colour}]{change:.2f}[/]"
        table.add_row(now.title, nanoseconds(then.best), nanoseconds(now.best), cost, "\n".join(moved))
    console.print(table)


def candidates_of(results: Results) -> list[str]:
    """Return who is in the core table, in order of appearance."""
    return list(dict.fromkeys(timing.candidate for timing in results.core))


def workloads_of(results: Results) -> dict[str, str]:
    """Return key and title of the rows of the core table."""
    return {timing.workload: timing.title for timing in results.core}


def nanoseconds(value: float) -> str:
    """Write a time in a unit that suits it."""
    for unit, size in (("ms", 1e6), ("us", 1e4)):
        if value >= size:
            scaled = value / (1e6 if unit == "ms" else 1e3)
            return f"{scaled:.3g} {unit}" if scaled < 1000 else f"{scaled:.0f} {unit}"
    return f"{value:.0f} ns" if value >= 10 else f"{value:.1f} ns"


def _core_table(results: Results) -> Table:
    title = f"cost of a message: best of {results.rounds} rounds, x ours, +median over best"
    table = Table(title=title, title_justify="left", show_lines=True)
    names = candidates_of(results)
    table.add_column("work")
    for name in names:
        table.add_column(name, justify="right")
    for key, title in workloads_of(results).items():
        table.add_row(title, *(_cell(results, results.timing(key, name)) for name in names))
    return table


def _cell(results: Results, timing: Timing | None) -> str:
    if timing is None:
        return ""
    ratio = results.ratio(timing.workload, timing.candidate)
    times = f"x {ratio:.2f} " if ratio is not None and timing.candidate != OURS else ""
    return f"{nanoseconds(timing.best)}\n{times}[dim]+{timing.spread:.0%}[/]"


def _verdicts(results: Results) -> Table:
    table = Table(title="targets", title_justify="left")
    for column in ("work", "against", "promised", "measured", ""):
        table.add_column(column, justify="left" if column in ("work", "against") else "right")
    for title, against, promised, measured, verdict in verdicts(results):
        colour = {"missed": "red", "held": "green"}.get(verdict, "default")
        table.add_row(title, against, promised, measured, f"[{colour}]{verdict}[/]")
    return table


def verdicts(results: Results) -> list[tuple[str, str, str, str, str]]:
    """Hold the results against the targets: work, against whom, promised, measured, verdict."""
    titles = workloads_of(results)
    rows = []
    for target in TARGETS:
        ratio = results.ratio(target.workload, target.candidate)
        promised = f">= {target.least:g}" + (f", aim {target.aim:g}" if target.aim else "")
        rows.append(_verdict(titles, target.workload, target.candidate, promised, ratio, target.least))
    for ceiling in CEILINGS:
        ratio = results.ratio(ceiling.workload, ceiling.candidate)
        inverse = 1 / ratio if ratio else None
        promised = f"<= {ceiling.most:g} x"
        rows.append(_verdict(titles, ceiling.workload, ceiling.candidate, promised, inverse, ceiling.most, most=True))
    for rate in RATES:
        timing = results.timing(rate.workload)
        gigabytes = timing.bytes_each / timing.best if timing else None
        rows.append(_verdict(titles, rate.workload, "GB/s", f">= {rate.least:g}", gigabytes, rate.least))
    return rows


def _verdict(
    titles: dict[str, str],
    workload: str,
    against: str,
    promised: str,
    measured: float | None,
    limit: float,
    *,
    most: bool = False,
) -> tuple[str, str, str, str, str]:
    title = titles.get(workload, workload)
    if measured is None:
        return title, against, promised, "", "not measured"
    held = measured <= limit if most else measured >= limit
    return title, against, promised, f"{measured:.2f}", "held" if held else "missed"


def _memory_table(results: Results) -> Table:
    table = Table(title="memory of an open connection, bytes by tracemalloc", title_justify="left")
    ends = list(dict.fromkeys(end for by_end in results.memory.values() for end in by_end))
    table.add_column("candidate")
    for end in ends:
        table.add_column(end, justify="right")
    for name, by_end in results.memory.items():
        table.add_row(name, *(f"{by_end[end]:,.0f}" if end in by_end else "" for end in ends))
    return table


def _end_to_end_table(results: Results) -> Table:
    table = Table(title="echo server on asyncio, over loopback", title_justify="left")
    table.add_column("server")
    for column in ("messages a second", "best round", "us of its CPU a message", "load's CPU", "server's CPU"):
        table.add_column(column, justify="right")
    for row in results.end_to_end:
        if "error" in row:
            table.add_row(row["server"], row["error"])
            continue
        table.add_row(
            row["server"],
            f"{row['rate']:,.0f}",
            f"{row['best']:,.0f}",
            f"{row['server_us']:.1f}",
            f"{row['load_busy']:.0%}",
            f"{row['server_busy']:.0%}",
        )
    return table
