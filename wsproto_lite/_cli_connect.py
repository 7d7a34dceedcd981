"""`wsproto-lite connect`: its arguments, its exit code, and what becomes of a connection that is opened.

Knows the asyncio adapter. Must not know how lines are read or events are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
from typing import Any, cast

from ._cli_console import Console
from ._cli_dialogue import Dialogue, ShownWebSocket, make_class
from ._cli_shared import FAILURE, USAGE, Help, complain, printable
from .adapters.asyncio import HandshakeRejected, connect
from .errors import LocalProtocolError, ProtocolError
from .extensions import PerMessageDeflate
from .settings import Settings

DESCRIPTION = """\
Connect to a WebSocket server. Each line of standard input is sent as a text message; each message that comes is a line
of standard output; all else, such as pings and the close code, goes to standard error.

On a terminal, lines that begin with / are commands: /ping [TEXT], /hex DIGITS sends a binary message, /close [CODE
[REASON]], /help; // sends a line that begins with /. The end of the input (Ctrl-D) closes the connection.

Where the input is a pipe or a file, all lines are sent as they are. After its end the connection is closed when nothing
has come for --linger seconds: `echo hello | wsproto-lite connect ws://localhost:8765/` prints the answer and ends."""

EXIT_CODES = """\
exit codes:
  0  the connection was closed in good order (close code 1000, 1001 or none)
  1  it could not be made, was refused, or has ended in any other way
  2  wrong usage, or an output that can't be written
  130  interrupted by Ctrl-C"""

MAX_BODY = 2000
"""Characters of a refusal's body that are shown."""


def add_command(commands: Any) -> None:
    """Add this command to the parser's."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "connect",
        help="talk to a WebSocket server",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=Help,
    )
    parser.add_argument("uri", metavar="URI", help="ws:// or wss://")
    parser.set_defaults(command=run)
    asked = parser.add_argument_group("what is asked")
    asked.add_argument("-H", "--header", action="append", type=_header, default=[], metavar="'NAME: VALUE'")
    asked.add_argument("-s", "--subprotocol", action="append", default=[], metavar="NAME", help="to offer, best first")
    asked.add_argument("-o", "--origin", help="the Origin header")
    asked.add_argument("--deflate", action="store_true", help="offer permessage-deflate")
    how = parser.add_argument_group("how to connect")
    how.add_argument("--ca-file", metavar="FILE", help="certificates to trust instead of the system's, in PEM")
    how.add_argument("--insecure", action="store_true", help="don't check the server's certificate")
    how.add_argument("--unix", metavar="PATH", help="connect to this Unix socket, whatever the host")
    how.add_argument("--open-timeout", type=_seconds, default=10.0, metavar="S", help="0 for none (%(default)s)")
    how.add_argument("--close-timeout", type=_seconds, default=10.0, metavar="S", help="0 for none (%(default)s)")
    how.add_argument("--ping-interval", type=_seconds, default=20.0, metavar="S", help="0 for none (%(default)s)")
    how.add_argument("--ping-timeout", type=_seconds, default=20.0, metavar="S", help="0 for none (%(default)s)")
    messages = parser.add_argument_group("messages")
    messages.add_argument(
        "--max-size", type=_count, default=1 << 20, metavar="BYTES", help="of a message (%(default)s)"
    )
    messages.add_argument("--hex", action="store_true", help="lines are hexadecimal, and sent as binary messages")
    messages.add_argument("--raw", action="store_true", help="write binary messages as they are, not in hexadecimal")
    messages.add_argument("-n", "--count", type=_count, metavar="N", help="close after so many messages have come")
    messages.add_argument(
        "--linger",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="seconds without a message after the end of the input; 0: stay until the server closes (%(default)s)",
    )
    messages.add_argument("-q", "--quiet", action="store_true", help="nothing on standard error but what goes wrong")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"header is {text!r}; it is 'NAME: VALUE'")
    return name.strip(), value.strip()


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"time is {text!r}; it is seconds, 0 for no limit")
    return seconds or None


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"number is {text!r}; it is 1 or more")
    return int(text)


# ---- from the arguments to an open connection ----


def run(parsed: argparse.Namespace) -> int:
    """Connect, and return the exit code."""
    console = Console(raw=parsed.raw, quiet=parsed.quiet, count=parsed.count)
    try:
        settings = Settings(
            max_message_size=parsed.max_size, extensions=(PerMessageDeflate(),) if parsed.deflate else ()
        )
        return asyncio.run(_run(parsed, settings, console, _make_context(parsed)))
    except LocalProtocolError as error:
        complain(str(error))
        return USAGE


def _make_context(parsed: argparse.Namespace) -> ssl.SSLContext | None:
    if not parsed.uri.lower().startswith("wss:"):
        if parsed.ca_file or parsed.insecure:
            raise LocalProtocolError(f"uri {parsed.uri!r} is not secure; --ca-file and --insecure are for wss")
        return None
    try:
        context = ssl.create_default_context(cafile=parsed.ca_file)
    except OSError as error:
        raise LocalProtocolError(f"can't use the certificates in {parsed.ca_file}: {_reason(error)}") from error
    if parsed.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _run(parsed: argparse.Namespace, settings: Settings, console: Console, context: ssl.SSLContext | None) -> int:
    connecting = connect(
        parsed.uri,
        settings=settings,
        subprotocols=parsed.subprotocol,
        additional_headers=parsed.header,
        origin=parsed.origin,
        ssl=context,
        path=parsed.unix,
        open_timeout=parsed.open_timeout,
        close_timeout=parsed.close_timeout,
        ping_interval=parsed.ping_interval,
        ping_timeout=parsed.ping_timeout,
        websocket_class=make_class(console),
    )
    try:
        websocket = await connecting
    except HandshakeRejected as refusal:
        complain(f"{parsed.uri} is refused: HTTP {refusal.status_code}")
        _show_refusal(refusal, console)
        return FAILURE
    except (ProtocolError, OSError) as error:
        complain(f"can't connect to {parsed.uri}: {_reason(error)}")
        return FAILURE
    return await Dialogue(cast(ShownWebSocket, websocket), console, parsed).run()


def _reason(error: Exception) -> str:
    if isinstance(error, (ConnectionError, FileNotFoundError)) and error.errno:
        return os.strerror(error.errno)  # asyncio puts addresses into its text, and PyPy leaves it out
    return printable(getattr(error, "strerror", None) or str(error))


def _show_refusal(refusal: HandshakeRejected, console: Console) -> None:
    for name, value in refusal.headers:
        if name == b"location":
            console.tell(f"it points to {printable(cast(bytes, value).decode('latin-1'))}")
    body = refusal.body[:MAX_BODY].decode("utf-8", "replace").strip()
    for line in body.splitlines():
        console.tell(printable(line))
