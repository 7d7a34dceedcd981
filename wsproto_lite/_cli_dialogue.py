"""An open connection of `connect`: it shows what comes, and sends what is typed, until either end has enough.

Knows the asyncio adapter and the commands that can be typed. Must not know how a connection is made.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from ._cli_console import Console, Lines
from ._cli_shared import FAILURE, SUCCESS, USAGE, complain, printable
from .adapters.asyncio import ClientWebSocket
from .constants import CLIENT
from .errors import ConnectionClosed, LocalProtocolError
from .events import Event
from .hextext import from_hex

COMMANDS = "/ping [TEXT], /hex DIGITS, /close [CODE [REASON]], // for a line that begins with /"


class ShownWebSocket(ClientWebSocket):
    """A WebSocket that shows all that comes, in order."""

    __slots__ = ("failure",)

    console: Console

    def take(self, events: Sequence[Event]) -> None:
        try:
            for event in events:
                self.console.show(event)
        except OSError as error:
            # Standard output is gone. Here is nobody to tell; see Dialogue.
            self.failure = error
            self.abort()
        super().take(events)


def make_class(console: Console) -> type[ShownWebSocket]:
    """Make the class of a WebSocket that shows on `console`."""
    return type("ConsoleWebSocket", (ShownWebSocket,), {"__slots__": (), "console": console})


class Dialogue:
    """Sends what is typed until either end has enough."""

    def __init__(self, websocket: ShownWebSocket, console: Console, parsed: argparse.Namespace) -> None:
        self._websocket = websocket
        self._console = console
        self._parsed = parsed
        self._is_typed = sys.stdin.isatty()
        self._received = 0
        self._has_failed = False

    async def run(self) -> int:
        """Go on to the end of the connection; return the exit code."""
        websocket = self._websocket
        self._tell_opening()
        async with websocket:
            receiving = asyncio.ensure_future(self._receive())
            sending = asyncio.ensure_future(self._send())
            try:
                await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
                if sending.done() and not self._is_typed and not self._has_failed:
                    await self._linger(receiving)
            finally:
                receiving.cancel()
                sending.cancel()
                await asyncio.gather(receiving, sending, return_exceptions=True)
        failure = getattr(websocket, "failure", None)
        if failure is not None:
            raise failure
        is_good = self._has_ended_well()
        self._console.tell_end(printable(websocket.close_info.cause), is_good=is_good)
        if self._has_failed:
            return USAGE
        return SUCCESS if is_good else FAILURE

    def _has_ended_well(self) -> bool:
        info = self._websocket.close_info
        # Whatever code we closed with, it was meant.
        is_answered = info.initiator is CLIENT and info.received is not None
        return is_answered or self._websocket.has_ended_normally()

    def _tell_opening(self) -> None:
        websocket = self._websocket
        parts = [f"connected to {self._parsed.uri}"]
        if websocket.subprotocol is not None:
            parts.append(f"subprotocol {websocket.subprotocol}")
        assert websocket.response is not None
        for name, value in websocket.response.headers:
            if name == b"sec-websocket-extensions":
                parts.append(f"extensions {cast(bytes, value).decode('latin-1')}")
        self._console.tell(printable(", ".join(parts)))

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            async for _ in self._websocket:
                self._received += 1
                if self._received == self._parsed.count:
                    return

    async def _linger(self, receiving: asyncio.Future[None]) -> None:
        """Wait until nothing has come for a while."""
        seen = -1
        while not receiving.done() and self._received != seen:
            seen = self._received
            await asyncio.wait((receiving,), timeout=self._parsed.linger)

    async def _send(self) -> None:
        try:
            async for line in Lines(sys.stdin.fileno()):
                await self._take_line(line)
        except ConnectionClosed:
            pass  # the end comes to light where messages are received
        except LocalProtocolError as error:
            complain(str(error))
            self._has_failed = True

    async def _take_line(self, line: str) -> None:
        if not self._is_typed:
            await self._websocket.send(from_hex(line) if self._parsed.hex else line)
            return
        try:
            await self._obey(line)
        except ConnectionClosed:
            raise
        except LocalProtocolError as error:
            complain(str(error))

    async def _obey(self, line: str) -> None:
        websocket = self._websocket
        command, _, rest = line.partition(" ")
        if not line.startswith("/"):
            await websocket.send(from_hex(line) if self._parsed.hex else line)
        elif line.startswith("//"):
            await websocket.send(line[1:])
        elif command == "/ping":
            answered = await websocket.ping(rest.encode() if rest else None)
            asyncio.ensure_future(answered).add_done_callback(self._tell_pong)
        elif command == "/hex":
            await websocket.send(from_hex(rest))
        elif command == "/close":
            code, _, reason = rest.partition(" ")
            if code and not code.isdecimal():
                raise LocalProtocolError(f"close code is {code!r}; it is a number")
            await websocket.close(int(code or 1000), reason)
        else:
            self._console.tell(COMMANDS)

    def _tell_pong(self, answered: asyncio.Future[float]) -> None:
        if not answered.cancelled() and answered.exception() is None:
            self._console.tell(f"pong after {answered.result() * 1000:.1f} ms")
