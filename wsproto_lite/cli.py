"""The command line: `python -m wsproto_lite`, or `wsproto-lite`. Knows arguments, output and exit codes only."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from socket import gaierror

from . import _cli_connect, _cli_dissect, demo
from ._cli_shared import FAILURE, INTERRUPTED, PIPE_CLOSED, SUCCESS, USAGE, complain, port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 for success; bad usage exits with 2. --help has those of a command."""
    _stand_in_for_closed_streams()
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        # Standard output can't be written. Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED  # who reads it has seen enough
        complain(f"input or output failed: {error.strerror}")
        code = USAGE
    return code


def _stand_in_for_closed_streams() -> None:
    """Let nothing be read and written where a shell has closed a standard stream: Python has no object for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - as long-lived as what it replaces


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wsproto-lite", description="WebSocket tools (RFC 6455)")
    parser.add_argument("--version", action="version", version=f"wsproto_lite {version('wsproto_lite')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="run the demo server",
        description="Run the demo: a page that shows frames, and an echo for any WebSocket client on the same port. "
        "Ctrl-C stops it.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=port, default=8765, help="port to listen on, 0 for any (%(default)s)")
    serve.set_defaults(command=_serve)
    _cli_connect.add_command(commands)
    _cli_dissect.add_command(commands)
    return parser


def _serve(parsed: argparse.Namespace) -> int:
    try:
        asyncio.run(demo.run(parsed.host, parsed.port, lambda url: print(url, flush=True)))
    except OSError as error:
        # asyncio puts the address into the text, and a failed look-up of a host has an errno of its own.
        reason = error.strerror if isinstance(error, gaierror) else os.strerror(error.errno or 0)
        complain(f"can't listen on {parsed.host}, port {parsed.port}: {reason}")
        return FAILURE
    return SUCCESS
