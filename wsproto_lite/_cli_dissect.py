"""`wsproto-lite dissect`: its arguments, its exit code, and which output shows what is found."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from typing import Any, Protocol, cast

from ._cli_input import CHUNK, FORMATS, InputOptions, Located, read_records
from ._cli_json import JsonOutput
from ._cli_shared import FAILURE, INCOMPLETE, INSTALL_RICH, SUCCESS, USAGE, Help, complain, port
from .capture import CaptureError
from .constants import CLIENT, SERVER
from .conversation import Note
from .errors import LocalProtocolError
from .judge import JudgedFrame
from .seen_handshake import SeenRequest, SeenResponse

DESCRIPTION = """\
Take WebSocket traffic apart, show its frames, and mark the first violation in each direction with its section of the
RFC.

FILE is raw bytes of one direction, or hexadecimal text (also as xxd and hexdump -C print it; `#` begins a comment, and
a line that begins with `>` or `<` is the client's or the server's), or a pcap or pcapng capture, whose TCP connections
are put together. The opening handshake is recognised, and tells whether permessage-deflate was negotiated; TLS can't be
read. Without FILE, or where it is -, standard input is read: `tcpdump -U -w - port 8765 | wsproto-lite dissect` shows
frames as they come."""

EXIT_CODES = """\
exit codes:
  0  no violation
  1  a violation was found
  2  wrong usage, or an input that can't be read, or an output that can't be written
  3  no violation, but the input is incomplete: it ends within a frame, lacks bytes, or holds no WebSocket"""

PREVIEWS = {"table": 64, "json": 65536}
"""Bytes of a payload that are shown."""

MAX_PREVIEW = 1 << 26

SENDERS = {"client": CLIENT, "server": SERVER}


class Hint:
    """Tells of --deflate where its absence may be all that is wrong."""

    def __init__(self) -> None:
        self._opened: set[int] = set()
        self._is_due = False

    def look_at(self, located: Located) -> None:
        """Take note of a handshake, and of a violation without one."""
        record = located.record
        if isinstance(record, (SeenRequest, SeenResponse)):
            self._opened.add(located.connection)
        elif isinstance(record, JudgedFrame) and record.violation is not None and record.frame.rsv1:
            self._is_due |= located.connection not in self._opened

    def give(self) -> None:
        """Give the hint, if it is due."""
        if self._is_due:
            complain("the handshake is not in the input; if it agreed on permessage-deflate, use --deflate")


class Output(Protocol):
    """What shows records."""

    def show(self, located: Located) -> None:
        """Show a record, now or later."""

    def flush(self) -> None:
        """Let all that was shown be seen."""


def add_command(commands: Any) -> None:
    """Add this command to the parser's."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "dissect",
        help="take captured traffic apart",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=Help,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", default="-", help="what to read, - for standard input")
    parser.add_argument("--format", choices=FORMATS, default="auto", help="of the input (%(default)s)")
    parser.add_argument(
        "--from",
        dest="sender",
        choices=SENDERS,
        help="who has sent raw bytes or hexadecimal text: a client, whose frames are masked, or a server (found out by "
        "how they begin)",
    )
    parser.add_argument("--deflate", action="store_true", help="inflate as if permessage-deflate had been negotiated")
    parser.add_argument("--port", type=port, metavar="N", help="of a capture, only connections from or to this port")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--payload",
        type=_preview,
        metavar="N",
        help=f"bytes to show of each payload but a Close's ({PREVIEWS['table']}; with --json {PREVIEWS['json']})",
    )
    parser.set_defaults(command=run)


def _preview(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PREVIEW:
        raise argparse.ArgumentTypeError(f"payload is {text!r}; it is a number from 0 to {MAX_PREVIEW}")
    return int(text)


def run(parsed: argparse.Namespace) -> int:
    """Dissect, and return the exit code."""
    output = _make_output(as_json=parsed.json)
    if output is None:
        complain(f"tables need rich: {INSTALL_RICH} installs it; --json does without")
        return USAGE
    preview = PREVIEWS["json" if parsed.json else "table"] if parsed.payload is None else parsed.payload
    sender = SENDERS.get(parsed.sender)
    options = InputOptions(parsed.format, sender, parsed.deflate, parsed.port, preview)
    if parsed.file == "-":
        return _dissect(cast(BufferedReader, sys.stdin.buffer), options, output)
    try:
        file = open(parsed.file, "rb")  # noqa: SIM115 - what goes wrong later is no fault of the path
    except OSError as error:
        complain(f"can't read {parsed.file}: {error.strerror}")
        return USAGE
    with file:
        return _dissect(file, options, output)


def _make_output(*, as_json: bool) -> Output | None:
    if as_json:
        return JsonOutput(sys.stdout)
    try:
        from ._cli_table import TableOutput
    except ModuleNotFoundError:
        return None
    return TableOutput()


def _dissect(file: BufferedReader, options: InputOptions, output: Output) -> int:
    code = SUCCESS
    hint = Hint()
    is_live = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    try:
        with _progress(file) as watched:
            for located in read_records(watched, options):
                output.show(located)
                if is_live:
                    output.flush()
                code = _worse(code, located)
                hint.look_at(located)
    except CaptureError as error:
        output.flush()
        complain(str(error))
        return code if code == FAILURE else INCOMPLETE
    except LocalProtocolError as error:
        output.flush()
        complain(str(error))
        return USAGE
    output.flush()
    hint.give()
    return code


def _worse(code: int, located: Located) -> int:
    record = located.record
    if isinstance(record, Note):
        return INCOMPLETE if record.is_incomplete and code == SUCCESS else code
    if record.violation is not None:
        return FAILURE
    is_complete = getattr(record, "is_complete", True)
    return code if is_complete or code != SUCCESS else INCOMPLETE


@contextmanager
def _progress(file: BufferedReader) -> Iterator[BufferedReader]:
    """Show how far a file was read, if somebody looks and nothing else is seen meanwhile."""
    size = os.fstat(file.fileno()).st_size
    if not size or not sys.stderr.isatty() or sys.stdout.isatty():
        yield file
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        yield file
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        watched = progress.wrap_file(file, size, description="dissecting")
        yield BufferedReader(cast(RawIOBase, watched), CHUNK)
