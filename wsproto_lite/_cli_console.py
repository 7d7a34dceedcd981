"""What `connect` shows of a connection, and the lines that it reads.

Knows terminals and pipes. Must not know sockets or what becomes of a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

from ._cli_shared import complain, in_hex, printable
from .errors import LocalProtocolError
from .events import BytesMessage, EncodedTextMessage, Event, Ping, TextMessage

SHOWN = 256
"""Bytes of a binary message that a terminal shows."""

READ_SIZE = 64 << 10

MAX_READS = 4
"""Reads whose lines wait to be sent; then reading pauses."""


class Console:
    """Standard output and standard error.

    On a terminal messages are marked, in colours if rich is there, and escaped; else each is a line as it is, a binary
    one in hexadecimal, or without a line break if `raw`. After `count` messages no more are shown: others can have come
    before the connection was closed.
    """

    def __init__(self, *, raw: bool, quiet: bool, count: int | None = None) -> None:
        self._raw = raw
        self._quiet = quiet
        self._left = count
        self._is_terminal = sys.stdout.isatty()

    def show(self, event: Event) -> None:
        """Show what has come."""
        if isinstance(event, (TextMessage, EncodedTextMessage, BytesMessage)):
            if self._left == 0:
                return
            if self._left is not None:
                self._left -= 1
            self._show_message(event.data)
        elif isinstance(event, Ping):
            self.tell(f"ping {printable(event.payload.decode('utf-8', 'replace'))}".rstrip())

    def _show_message(self, data: str | bytes) -> None:
        if self._is_terminal:
            if isinstance(data, bytes):
                shown = f"({len(data)} bytes) {in_hex(data[:SHOWN])}{'...' if len(data) > SHOWN else ''}"
            else:
                shown = printable(data)
            paint(f"< {shown}", "cyan")
            return
        if isinstance(data, bytes):
            line = data if self._raw else data.hex().encode("ascii") + b"\n"
        else:
            line = data.encode() + b"\n"
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def tell(self, text: str) -> None:
        """Say what isn't a message."""
        if not self._quiet:
            paint(f"* {text}", "yellow", is_error=True)

    def tell_end(self, cause: str, *, is_good: bool) -> None:
        """Say how the connection has ended; a bad end is told even if quiet."""
        if self._quiet and not is_good:
            complain(cause)
        self.tell(cause)


def paint(text: str, style: str, *, is_error: bool = False) -> None:
    """Write a line, in colour where rich is and a terminal."""
    file = sys.stderr if is_error else sys.stdout
    if file.isatty():
        try:
            from rich.console import Console as RichConsole
            from rich.text import Text
        except ModuleNotFoundError:
            pass
        else:
            RichConsole(file=file, highlight=False, soft_wrap=True).print(Text(text, style))
            return
    print(text.encode(file.encoding, "backslashreplace").decode(file.encoding), file=file, flush=True)


class Lines:
    """The lines of standard input, without their line breaks.

    They are read in a thread, because not every system can wait for files, pipes and terminals alike. The thread is
    left behind when nobody wants more lines: it can't be woken.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._reads: asyncio.Queue[list[bytes]] = asyncio.Queue()
        self._room = threading.Semaphore(MAX_READS)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Read until the end, which an empty list tells. Not through sys.stdin: its lock would outlive us."""
        rest: list[bytes] = []  # parts of a line
        data = self._read_some()
        while data:
            first, *lines = data.split(b"\n")
            rest.append(first)
            if lines:
                whole = [b"".join(rest), *lines[:-1]]
                rest = [lines[-1]]
                if not self._put(whole):
                    return
            data = self._read_some()
        last = b"".join(rest)
        if last:
            self._put([last])
        self._put([])

    def _read_some(self) -> bytes:
        try:
            return os.read(self._descriptor, READ_SIZE)
        except OSError:
            return b""  # a terminal that is gone

    def _put(self, lines: list[bytes]) -> bool:
        """Hand lines over, and tell whether anybody is there to take them."""
        self._room.acquire()
        try:
            self._loop.call_soon_threadsafe(self._reads.put_nowait, lines)
        except RuntimeError:
            return False  # the loop is closed
        return True

    async def __aiter__(self) -> AsyncIterator[str]:
        """Give the lines. Raises LocalProtocolError for one that isn't UTF-8."""
        number = 0
        while True:
            lines = await self._reads.get()
            self._room.release()
            if not lines:
                return
            for line in lines:
                number += 1
                try:
                    yield line.rstrip(b"\r").decode()
                except UnicodeDecodeError:
                    raise LocalProtocolError(f"line {number} is not UTF-8") from None
