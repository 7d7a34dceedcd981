"""Running uvicorn as its users do: a process of its own, of which the log tells where it listens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patience import PATIENCE

TESTS = Path(__file__).parent

PROTOCOL = "wsproto_lite.adapters.uvicorn:WebSocketProtocol"

_listening = re.compile(r"Uvicorn running on https?://(\S+:\d+)").search

STARTED = "Application startup complete."
"""What each process says that has begun to serve, or is about to."""


class Served:
    """A server of one process or more, and its log up to the line that says that it serves."""

    def __init__(self, process: subprocess.Popen[str], workers: int) -> None:
        self.process = process
        self.log = ""
        self.uri = f"ws://{self._read_address(workers)}/"

    def _read_address(self, workers: int) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line
            address = _listening(self.log)
            if address and self.log.count(STARTED) == workers:
                return address[1]
        raise AssertionError(f"it ended: {self.log}")

    def stop(self) -> str:
        """Ask the process to end, wait until it has, and return the whole log."""
        self.process.terminate()
        self.log += self.process.communicate(timeout=2 * PATIENCE)[1]
        return self.log


@contextmanager
def served(*arguments: str, env: dict[str, str] | None = None, workers: int = 1) -> Iterator[Served]:
    """Run Python with these arguments. Ends it if need be, and all its workers with it."""
    command = (sys.executable, "-X", "faulthandler", *arguments)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True) as process:
        try:
            yield Served(process, workers)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def uvicorn(app: str, *options: str) -> Iterator[Served]:
    """Run uvicorn with an application from the tests."""
    command = ["-W", "always", "-m", "uvicorn", "--port", "0", "--app-dir", str(TESTS), "--ws", PROTOCOL]
    with served(*command, *options, app) as it:
        yield it
