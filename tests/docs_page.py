"""Run all blocks of one page, in a process of its own: python tests/docs_page.py docs/tutorial.md

The blocks of a page share one namespace, in order. A block that begins with a comment like `# client.py` is a file for
the commands of that page. Port 8765 becomes one that is free. Exits with 77 if a package was missing, and prints which.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_blocks import Block, blocks_of
from patience import PATIENCE

import wsproto_lite
from wsproto_lite.adapters import threads

ROOT = Path(__file__).parent.parent

PORT = "8765"

MISSING = 77
"""Exit code, by the custom of automake."""

OPTIONAL = ("trio", "uvicorn", "starlette", "h2", "wsproto", "websockets", "wsdatautil", "isal", "zlib_ng", "rich")
"""Packages that not every Python can have."""

WIDTH = 84
"""Characters of a line in a page."""

_command = re.compile(r"\$ (.+)").fullmatch

LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

PROGRAMS = {"python": '"$@"', "wsproto-lite": '-m wsproto_lite "$@"'}
"""What the commands of a page are, given to the Python that runs this."""


class Page:
    """A page that is run: its namespace, a port, and a folder to run commands in."""

    def __init__(self, path: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self.path = path
        self.name = str(path.resolve().relative_to(ROOT))
        self.folder = folder
        self.stack = stack
        self.port = free_port()
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.printed: str | None = ""
        """What the last block has printed, None if it could not be run."""
        self.missing: set[str] = set()
        self.environment = prepare(folder)

    def run(self) -> None:
        for block in blocks_of(self.path):
            if not block.mark.startswith("not run: "):
                try:
                    self.run_block(block)
                except ModuleNotFoundError as error:
                    if error.name is None or error.name.partition(".")[0] not in OPTIONAL:
                        raise
                    self.missing.add(error.name)
                    self.printed = None

    def run_block(self, block: Block) -> None:
        text = block.text.replace(PORT, self.port)
        if block.mark == "output":
            self.check(block, text, self.printed)
        elif block.file_name is not None:
            (self.folder / block.file_name).write_text(text, encoding="utf-8")
        elif block.language == "python":
            self.run_python(block, text)
        elif block.language == "doctest":
            self.run_doctest(block, text)
        elif block.language == "console":
            with contextlib.ExitStack() as stack:
                if block.mark == "with a server":
                    stack.enter_context(self.server())
                self.run_commands(block, text)

    def server(self) -> threads.Server:
        return threads.serve(echo, "127.0.0.1", int(self.port))

    # ---- Python ----

    def run_python(self, block: Block, text: str) -> None:
        # With as many empty lines as there are above it a traceback has the lines of the page.
        code = compile("\n" * block.line + text, self.name, "exec", dont_inherit=True)
        output = io.StringIO()
        with contextlib.ExitStack() as stack:
            if block.mark == "with a server":
                stack.enter_context(self.server())
            if block.mark == "with a client":
                stack.enter_context(self.client())
            stack.enter_context(contextlib.redirect_stdout(output))
            exec(code, self.namespace)
        self.printed = output.getvalue()

    @contextlib.contextmanager
    def client(self) -> Iterator[None]:
        """Have a client talk to a server that the block is."""
        answers: list[object] = []
        thread = threading.Thread(target=talk, args=(self.port, answers), daemon=True)
        thread.start()
        yield
        thread.join(PATIENCE)
        if answers != ["hello"]:
            raise AssertionError(f"the client that said hello got {answers}")

    def run_doctest(self, block: Block, text: str) -> None:
        parser, report = doctest.DocTestParser(), io.StringIO()
        test = parser.get_doctest(text, self.namespace, self.name, self.name, block.line)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        result = runner.run(test, out=report.write, clear_globs=False)
        self.namespace.update(test.globs)
        if result.failed:
            raise AssertionError(report.getvalue())

    # ---- commands ----

    def run_commands(self, block: Block, text: str) -> None:
        """Run each command; what it prints must be what stands behind it, if anything does."""
        command, expected = "", ""
        for line in [*text.splitlines(), "$ :"]:
            match = _command(line)
            if match is None:
                expected += f"{line}\n"
            else:
                if command:
                    self.run_command(block, command, expected)
                command, expected = match[1], ""

    def run_command(self, block: Block, command: str, expected: str) -> None:
        if "dissect" in command and "--json" not in command:
            importlib.import_module("rich")
        if block.mark == "until stopped":
            self.printed = self.start(command)
        else:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=3 * PATIENCE,
            )
            if done.returncode:
                raise AssertionError(f"{self.name}:{block.line}: {command!r} gave {done.returncode}: {done.stdout}")
            self.printed = done.stdout
        if expected:
            self.check(block, expected, self.printed)

    def start(self, command: str) -> str:
        """Start a command that goes on, and return the first line it prints."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        self.stack.callback(process.__exit__, None, None, None)
        self.stack.callback(process.kill)
        assert process.stdout is not None
        return process.stdout.readline()

    def check(self, block: Block, expected: str, actual: str | None) -> None:
        if actual is None:
            return
        # As in a doctest, `...` stands for anything. How far columns are apart depends on the terminal.
        if not doctest.OutputChecker().check_output(expected.rstrip(), actual.rstrip(), LENIENT):
            raise AssertionError(f"{self.name}:{block.line}: should print\n{expected}but prints\n{actual}")


def prepare(folder: Path) -> dict[str, str]:
    """Give a folder what commands of a page take for granted, and the environment to find it."""
    programs = folder / "bin"
    programs.mkdir()
    for name, arguments in PROGRAMS.items():
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}\n', encoding="utf-8")
        path.chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")
    package = Path(wsproto_lite.__file__).parent.parent  # the one that is tested, wherever it is
    paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": paths,
        "COLUMNS": str(WIDTH),
        "NO_COLOR": "1",
    }


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def echo(ws: threads.WebSocket) -> None:
    for message in ws:
        ws.send(message)


def talk(port: str, answers: list[object]) -> None:
    """Say hello to a server that may not listen yet, and close."""
    for _ in range(600):
        try:
            with threads.connect(f"ws://127.0.0.1:{port}/", open_timeout=3 * PATIENCE) as ws:
                ws.send("hello")
                answers.append(ws.recv(PATIENCE))
            return
        except ConnectionRefusedError:
            threading.Event().wait(0.02)


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        page = Page(Path(sys.argv[1]), Path(folder), stack)
        page.run()
    print(*sorted(page.missing))
    return MISSING if page.missing else 0


if __name__ == "__main__":
    sys.exit(main())
