"""Records of `dissect` as a table in colours. Knows rich, which is optional: import this only where it is there.

What a peer has sent is escaped, and never read as markup. The columns are our own, since rich's tables have to be laid
out as a whole, and take 850 us a row; this takes 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ._cli_input import Located
from ._cli_json import close_of, content_of, name_of, opcode_name
from ._cli_shared import in_hex, printable, quoted
from .codec import CONTROL
from .conversation import Note
from .events import ExtensionOffer
from .extension_header import format_extensions
from .judge import JudgedFrame
from .seen_handshake import SeenRequest, SeenResponse, Violation

STYLES = {"client": "cyan", "server": "magenta"}

PIPED_WIDTH = 160
"""Columns where the output is no terminal."""

BATCH = 200
"""Lines that are written at once."""


class Column(NamedTuple):
    """A column of all lines; numbers are to the right."""

    name: str
    width: int
    is_number: bool = False

    def fit(self, content: str) -> str:
        """Make something as wide as the column."""
        return content.rjust(self.width) if self.is_number else content.ljust(self.width)


TIME = Column("seconds", 10, True)

COLUMNS = (
    Column("#", 6, True),
    TIME,
    Column("from", 6),
    Column("frame", 12),
    Column("bits", 10),
    Column("length", 7, True),
    Column("inflated", 8, True),
    Column("key", 8),
)

MIN_PAYLOAD = 20
"""Characters of a payload in a line; where there is no room for so many, it has lines of its own."""

INDENT = 8

NARROW = 100
"""Characters from which on columns are farther apart."""

HEX_GROUP = 9
"""Characters of 4 bytes, and the space behind them."""


class TableOutput:
    """Shows records, in lines whose columns are as wide in all of them. Each connection begins anew."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or make_console()
        self._width = self._console.width
        self._gap = " " * (1 + (self._width >= NARROW))
        self._lines: list[Text] = []
        self._columns: Sequence[Column] = ()
        self._connection = -1
        self._counts: dict[int, int] = {}
        self._start: float | None = None

    def show(self, located: Located) -> None:
        """Show a record, now or with others."""
        if located.connection != self._connection:
            self._begin(located)
        record = located.record
        if isinstance(record, JudgedFrame):
            self._add_row(located, record)
            self._show_violation(record.violation)
        elif isinstance(record, Note):
            sender = "" if record.sender is None else f" on the {name_of(record.sender)}"
            self._add(f"note{sender}: {record.message}", "yellow")
        else:
            self._add(*_handshake_line(record))
            self._show_violation(record.violation)
        if len(self._lines) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Let all that was shown be seen."""
        if self._lines:
            self._console.print(Text("\n").join(self._lines), soft_wrap=True)
            self._lines.clear()

    def _begin(self, located: Located) -> None:
        self._connection = located.connection
        self._columns = ()
        if located.connection:
            ends = [f"{host} port {port}" for host, port in filter(None, (located.client, located.server))]
            self._add(f"connection {located.connection}: {' -> '.join(ends)}", "bold")

    def _add_row(self, located: Located, record: JudgedFrame) -> None:
        if not self._columns:
            self._columns = [column for column in COLUMNS if column is not TIME or located.time is not None]
            header = self._gap.join([*(column.fit(column.name) for column in self._columns), "payload"])
            self._add(header, "bold")
            self._add("-" * min(len(header), self._width), "dim")
        frame = record.frame
        number = self._counts[located.connection] = self._counts.get(located.connection, 0) + 1
        sender = name_of(record.sender)
        reserved = "".join(digit for digit, bit in zip("123", frame[1:4]) if bit)
        cells = [
            (str(number), "dim"),
            (self._seconds(located), "dim"),
            (sender, STYLES[sender]),
            (opcode_name(frame.opcode), "yellow" if frame.opcode & CONTROL else ""),
            (" ".join(["FIN"] * frame.fin + [f"RSV{reserved}"] * bool(reserved)), ""),
            (str(frame.length), ""),
            ("" if record.inflated_length is None else str(record.inflated_length), ""),
            ("" if frame.mask is None else frame.mask.hex(), "dim"),
        ]
        if located.time is None:
            del cells[COLUMNS.index(TIME)]
        line = Text(style="" if record.violation is None else "bold red")
        for column, (content, style) in zip(self._columns, cells):
            line.append(column.fit(content) + self._gap, style if record.violation is None else "")
        self._add_payload(line, _content(record))

    def _seconds(self, located: Located) -> str:
        if located.time is None:
            return ""
        if self._start is None:
            self._start = located.time
        return f"{located.time - self._start:.6f}"

    def _add_payload(self, line: Text, content: Content) -> None:
        """Add a line, and more of them for a payload that is too long for its end."""
        indent = line.cell_len
        is_below = self._width - indent < min(MIN_PAYLOAD, cell_len(content.shown + content.remark))
        if is_below:
            indent = INDENT
        room = max(self._width - indent, MIN_PAYLOAD)
        parts = _chopped(content.shown, room - room % HEX_GROUP if content.is_hex else room)
        last = parts.pop().rstrip() + content.remark
        parts += [last] if cell_len(last) <= room else [last[: -len(content.remark)], content.remark.lstrip()]
        if not is_below:
            line.append(parts.pop(0))
        line.rstrip()
        self._lines.append(line)
        self._lines += [Text(" " * indent + part.rstrip(), line.style) for part in parts]

    def _show_violation(self, violation: Violation | None) -> None:
        if violation is not None:
            message = printable(violation.message)
            self._add(f"violation of {violation.section}: {message} (close code {violation.code})", "bold red")

    def _add(self, line: str, style: str) -> None:
        self._lines.append(Text(line, style))


def make_console() -> Console:
    """Make a console on standard output, wide enough where nobody looks at it."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        console.width = PIPED_WIDTH
    return console


class Content(NamedTuple):
    """What is shown of a payload, whether that is in hexadecimal, and what is said of the rest of it."""

    shown: str
    is_hex: bool = False
    remark: str = ""


def _content(record: JudgedFrame) -> Content:
    data, length = content_of(record)
    is_cut = len(data) < length
    remark = "..." if is_cut else ""
    close = close_of(record)
    if not record.is_complete:
        return Content(in_hex(data), True, "... (input ends here)")
    if close is not None:
        return Content(str(int(close.code)) + (f' "{printable(close.reason)}"' if close.reason else ""))
    is_control = bool(record.frame.opcode & CONTROL)
    is_text = data.isascii() and data.decode("ascii").isprintable() if is_control else record.is_text
    return Content(quoted(data, is_cut=is_cut), False, remark) if is_text else Content(in_hex(data), True, remark)


def _chopped(content: str, room: int) -> list[str]:
    """Cut text into lines that are at most so wide. Chinese characters are two wide, for example."""
    lines = [""]
    used = 0
    for character in content:
        width = cell_len(character)
        if used + width > room:
            lines.append("")
            used = 0
        lines[-1] += character
        used += width
    return lines


def _handshake_line(record: SeenRequest | SeenResponse) -> tuple[str, str]:
    if isinstance(record, SeenResponse):
        parts = [f"response {record.status}"]
        if record.subprotocol is not None:
            parts.append(f"subprotocol {record.subprotocol}")
        return _join(parts, record.extensions), STYLES["server"]
    request = record.request
    if request is None:
        return "request", STYLES["client"]
    parts = [f"request {request.target}", f"host {request.host}"]
    if request.origin is not None:
        parts.append(f"origin {request.origin}")
    if request.subprotocols:
        parts.append(f"subprotocols {', '.join(request.subprotocols)}")
    return _join(parts, request.extensions), STYLES["client"]


def _join(parts: list[str], extensions: Sequence[ExtensionOffer]) -> str:

    if extensions:
        parts.append(f"extensions {format_extensions(extensions).decode('ascii')}")
    return printable(", ".join(parts))
