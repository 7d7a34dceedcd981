"""What the tests of programs share: running one, and reading the address it prints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run Python with these arguments; give the process and the first line it prints. Ends it if need be."""
    # Not -X dev: it makes asyncio report callbacks that a busy machine slowed down.
    command = [sys.executable, "-W", "always", "-X", "faulthandler", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
