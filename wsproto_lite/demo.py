"""The demo server: a page that shows frames, and an echo for any WebSocket client on the same port.

Knows the asyncio adapter and nothing below it. Must not know command lines.

Where a page watches a connection, all bytes of that are dissected and reported to the page over a second one. The page
invents a name for that: it asks for /watch?NAME with the subprotocol SUBPROTOCOL, then for /?NAME.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from importlib.resources import files
from typing import Any, Callable

from .adapters.asyncio import Server, ServerWebSocket, WebSocket, serve
from .constants import CloseCode
from .dissect import Dissector, SeenFrame
from .errors import ConnectionClosed, RemoteProtocolError
from .events import RejectConnection
from .extensions import PerMessageDeflate
from .http11 import RequestHead
from .settings import Settings

SUBPROTOCOL = "wsproto-lite-demo"

MAX_REPORTS = 1000
"""Reports that wait for a page; one that can't keep up gets no more."""

CLOSE_TIMEOUT = 5.0

# The page brings all it needs, and runs nothing that isn't in it.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src *; img-src data:"
PAGE_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", PAGE_POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)

Reports = asyncio.Queue[dict[str, Any]]

watchers: dict[str, Reports] = {}
"""Where to report what happens on the connection of that name."""


class WatchedWebSocket(ServerWebSocket):
    """A WebSocket whose bytes can be reported to a page."""

    __slots__ = ("_dissectors", "_reports")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._reports: Reports | None = None
        self._dissectors: dict[str, Dissector] = {}

    def begin_reports(self) -> None:
        """Report all that comes and goes from here on, if a page has asked for that."""
        self._reports = watchers.get(name_of(self))
        self._dissectors = {"client": Dissector(), "server": Dissector()}

    def feed(self, data: bytes) -> None:
        if self._reports is not None:
            self._report("client", data, self._reports)
        super().feed(data)

    def emit(self, data: bytes) -> None:
        if self._reports is not None:
            self._report("server", data, self._reports)
        super().emit(data)

    def _report(self, sender: str, data: bytes, reports: Reports) -> None:
        try:
            for frame in self._dissectors[sender].feed(data):
                reports.put_nowait(describe(sender, frame))
        except (asyncio.QueueFull, RemoteProtocolError):
            # The page can't keep up, or what follows can't be told apart.
            self._reports = None


def name_of(ws: WebSocket) -> str:
    """Return the name by which a connection is watched, or is to watch."""
    assert ws.request is not None
    return ws.request.target.partition("?")[2]


def describe(sender: str, frame: SeenFrame) -> dict[str, Any]:
    """Put a frame into JSON's types, bytes in hexadecimal."""
    described = {name: value.hex() if isinstance(value, bytes) else value for name, value in frame._asdict().items()}
    return {"sender": sender, **described}


async def handle(ws: WebSocket) -> None:
    """Report to a page, or echo."""
    assert isinstance(ws, WatchedWebSocket)
    if ws.subprotocol == SUBPROTOCOL:
        await report(ws)
    else:
        ws.begin_reports()  # the response to the handshake has been written
        async for message in ws:
            await ws.send(message)


async def report(ws: WebSocket) -> None:
    """Send what happens on the connection of this name, until the page goes."""
    name = name_of(ws)
    if not name or name in watchers:
        await ws.close(CloseCode.POLICY_VIOLATION, "no name to watch in the target, or one that is taken")
        return
    reports: Reports = asyncio.Queue(MAX_REPORTS)
    watchers[name] = reports
    sending = asyncio.ensure_future(send_reports(ws, reports))
    try:
        async for _ in ws:
            pass  # a page has nothing to say here
    finally:
        del watchers[name]
        sending.cancel()


async def send_reports(ws: WebSocket, reports: Reports) -> None:
    """Send all reports as JSON."""
    with suppress(ConnectionClosed):
        while True:
            await ws.send(json.dumps(await reports.get()))


def answer(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
    """Answer what a browser asks for besides a WebSocket; see process_request of `serve`."""
    if head.method not in ("GET", "HEAD") or any(name == b"upgrade" for name, _ in head.headers):
        return None
    path = head.target.partition("?")[0]
    if path == "/":
        return RejectConnection(200, PAGE_HEADERS, files(__package__).joinpath("demo.html").read_bytes())
    return RejectConnection(204 if path == "/favicon.ico" else 404)


def listen(host: str, port: int) -> serve:
    """Return the server, to be entered."""
    return serve(
        handle,
        host,
        port,
        settings=Settings(extensions=(PerMessageDeflate(),)),
        subprotocols=(SUBPROTOCOL,),
        process_request=answer,
        close_timeout=CLOSE_TIMEOUT,
        websocket_class=WatchedWebSocket,
    )


def url_of(server: Server) -> str:
    """Return the address of the page."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def run(host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. Calls `announce` with the page's address. Raises OSError if it can't listen."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    async with listen(host, port) as server:
        # Windows has no signal handlers in a loop; there Ctrl-C cancels this.
        with suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stopped.set)
        announce(url_of(server))
        await stopped.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second one ends at once
