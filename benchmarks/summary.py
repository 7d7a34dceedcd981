"""The table of README.md out of results that are kept. Knows which figures a newcomer asks for first."""

from __future__ import annotations

from pathlib import Path

from .candidates import OURS
from .report import nanoseconds
from .results import Results

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""What is between these is written anew."""

COLUMNS = (OURS, "wsproto", "websockets", "aiohttp", "picows")

ROWS = {
    "receive_one": "receive a message of 128 bytes, one a read",
    "receive_chunks": "the same, many in reads of 64 KiB",
    "receive_fragments": "receive 1 KiB in 8 fragments",
    "receive_large": "receive 1 MiB in one frame",
    "receive_reads": "receive 4 MiB in reads of 64 KiB",
    "send_server": "send 128 bytes, server",
    "send_client": "send 128 bytes, client",
    "handshake": "handshake and first message, server",
}
"""Workloads of the core table, and what they are in plain words."""


def table(results: Results) -> str:
    """Make the table: CPU time for each kind of work, memory, and echoed messages a second."""
    names = [name for name in COLUMNS if results.timing(next(iter(ROWS)), name) is not None]
    rows = [["", *(f"**{name}**" if name == OURS else name for name in names)]]
    rows.append(["---", *("---:" for _ in names)])
    for key, title in ROWS.items():
        timings = [results.timing(key, name) for name in names]
        rows.append([title, *("" if timing is None else nanoseconds(timing.best) for timing in timings)])
    memory = [results.memory.get(name, {}).get("server") for name in names]
    rows.append(
        ["memory of an open connection, server", *("" if size is None else f"{size:,.0f} B" for size in memory)]
    )
    echoed = {row["server"]: row for row in results.end_to_end if "error" not in row}
    costs = [f"{echoed[name]['server_us']:.1f} us" if name in echoed else "" for name in names]
    rows.append(["asyncio echo server, its CPU time a message", *costs])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n\n" + _provenance(results, names)


def _provenance(results: Results, names: list[str]) -> str:
    versions = ", ".join(f"{name} {results.versions[name]}" for name in names)
    machine = results.machine
    return f"{machine['python']} on {machine['processor']}, {machine['date'][:10]}; {versions}."


def refresh(path: Path, results: Results) -> None:
    """Write the table into a file that has the marks. Raises ValueError if it hasn't."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path} has no {BEGIN} with a {END} behind it")
    path.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")
