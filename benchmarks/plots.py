"""Results as SVG plots. Knows what is drawn, not how it was measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .candidates import OURS
from .candidates.floor import BARE_LOOP, MEMCPY
from .results import Results, Timing

COLOURS = {
    OURS: "#c2185b",
    "wsproto": "#8d6e63",
    "websockets": "#1976d2",
    "aiohttp": "#2e7d32",
    "aiohttp reader": "#81c784",
    "picows": "#ef6c00",
    "picows callback": "#ffb74d",
    "wsdatautil": "#6a1b9a",
    BARE_LOOP: "#546e7a",
    MEMCPY: "#b0bec5",
}
DASHED = (BARE_LOOP, MEMCPY)
MOST_TICKS = 5
"""On the axis of a narrow panel."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.6,
    "svg.hashsalt": "wsproto_lite",
}

SCALES = ((1 << 20, "MiB"), (1 << 10, "KiB"))


def draw(results: Results, folder: Path) -> list[Path]:
    """Write a plot for each part that was run; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    with mpl.rc_context(STYLE):
        if "message size" in results.sweeps:
            figures["message-size"] = _by_size(results.sweeps["message size"])
        if "frames per chunk" in results.sweeps:
            figures["frames-per-chunk"] = _by_frames(results.sweeps["frames per chunk"])
        if "scaling: size" in results.sweeps:
            figures["scaling"] = _scaling(results)
        if results.memory:
            figures["memory"] = _memory(results)
        if results.end_to_end:
            figures["end-to-end"] = _end_to_end(results)
        paths = []
        for name, figure in figures.items():
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None})
    return paths


def format_size(size: float) -> str:
    """Write a number of bytes with the unit that suits it."""
    for scale, unit in SCALES:
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size:g} B"


def format_time(nanoseconds: float) -> str:
    """Write a time with the unit that suits it."""
    for scale, unit in ((1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= scale:
            return f"{nanoseconds / scale:g} {unit}"
    return f"{nanoseconds:g} ns"


def _by_size(timings: list[Timing]) -> Figure:
    figure, axes = _figure("Receiving masked text, one frame per call", "bytes in a message", "a message")
    _lines(axes, timings, skip=(BARE_LOOP,))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_time(value)))
    _ticks(axes, timings, format_size)
    _legend(axes)
    return figure


def _by_frames(timings: list[Timing]) -> Figure:
    figure, axes = _figure("Receiving masked text of 128 bytes", "frames in a chunk", "a message")
    _lines(axes, timings, skip=(MEMCPY,))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_time(value)))
    _ticks(axes, timings, lambda count: f"{count:g}")
    _legend(axes)
    return figure


def _scaling(results: Results) -> Figure:
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, 3))
    figure.suptitle("Cost of a byte as messages grow", fontsize=12)
    parts = (
        ("scaling: size", "one frame, 64 KiB reads", "bytes in a message", format_size),
        ("scaling: fragments", "fragments of 256 bytes, 64 KiB reads", "fragments in a message", _format_count),
        ("scaling: one-byte reads", "one frame, one-byte reads", "bytes in a message", format_size),
    )
    for axes, (name, title, label, write) in zip(panels, parts):
        timings = results.sweeps[name]
        for candidate in (OURS, BARE_LOOP):
            points = [timing for timing in timings if timing.candidate == candidate]
            sizes = [timing.size for timing in points]
            costs = [timing.best / timing.bytes_each for timing in points]
            style = "--" if candidate in DASHED else "-"
            axes.plot(sizes, costs, style, marker="o", markersize=4, color=COLOURS[candidate], label=candidate)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(label)
        axes.set_ylabel("ns a byte")
        ours = [timing for timing in timings if timing.candidate == OURS]
        _ticks(axes, ours[:: -(-len(ours) // MOST_TICKS)], write)
    panels[0].legend(frameon=False)
    return figure


def _format_count(count: float) -> str:
    return f"{count:,g}" if count < 100_000 else f"{count:,.0f}"


def _memory(results: Results) -> Figure:
    names = list(results.memory)
    figure = Figure(figsize=(8, 1.2 + 0.8 * len(names)), layout="constrained")
    axes: Any = figure.subplots()
    axes.set_title("Memory of an open, idle connection", loc="left")
    for offset, (end, opacity) in enumerate((("server", 1.0), ("client", 0.5))):
        values = [results.memory[name][end] for name in names]
        places = [place + 0.36 * offset for place in range(len(names))]
        bars = axes.barh(places, values, 0.34, color=[COLOURS[name] for name in names], alpha=opacity)
        axes.bar_label(bars, [f"{value:,.0f}  {end}" for value in values], padding=4, fontsize=9)
    axes.set_yticks([place + 0.18 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max(max(ends.values()) for ends in results.memory.values()) * 1.2)
    axes.set_xlabel("bytes, by tracemalloc")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def _end_to_end(results: Results) -> Figure:
    rows = [row for row in results.end_to_end if "error" not in row]
    names = [row["server"] for row in rows]
    figure = Figure(figsize=(9, 1.2 + 0.5 * len(names)), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, 2, sharey=True))
    parts = (("rate", "messages a second", "{:,.0f}"), ("server_us", "µs of the server's CPU a message", "{:.1f}"))
    for axes, (key, label, form) in zip(panels, parts):
        values = [row[key] for row in rows]
        bars = axes.barh(names, values, 0.7, color=[COLOURS[name] for name in names])
        axes.bar_label(bars, [form.format(value) for value in values], padding=4, fontsize=9)
        axes.set_xlim(0, max(values) * 1.22)
        axes.set_xlabel(label)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(visible=False, axis="y")
    panels[0].invert_yaxis()
    figure.suptitle("Echo servers on asyncio, 16 connections with 16 messages of 128 bytes in flight each", fontsize=11)
    return figure


def _figure(title: str, x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes: Any = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    return figure, axes


def _lines(axes: Any, timings: Iterable[Timing], skip: Iterable[str] = ()) -> None:
    by_name: dict[str, list[Timing]] = {}
    for timing in timings:
        by_name.setdefault(timing.candidate, []).append(timing)
    for name, points in by_name.items():
        if name in skip:
            continue
        axes.plot(
            [point.size for point in points],
            [point.best for point in points],
            label=name,
            color=COLOURS[name],
            linewidth=2.4 if name == OURS else 1.5,
            linestyle="--" if name in DASHED else "-",
            marker="o",
            markersize=3.5,
            zorder=3 if name == OURS else 2,
        )


def _ticks(axes: Any, timings: Iterable[Timing], write: Any) -> None:
    axes.xaxis.set_major_locator(FixedLocator(sorted({timing.size for timing in timings})))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axes.tick_params(axis="x", labelsize=8.5)


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
