"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import errno
import io
import os
import runpy
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import pytest
from patience import PATIENCE
from processes import program

from wsproto_lite.cli import main

HELP = {
    "": "serve",
    "serve": "--port",
    "connect": "exit codes:",
    "dissect": "exit codes:",
}


@pytest.mark.parametrize(("command", "part"), HELP.items(), ids=["alone", "serve", "connect", "dissect"])
def test_help(command: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert part in capsys.readouterr().out


@pytest.mark.parametrize("width", ["72", "200"])
@pytest.mark.parametrize("command", ["connect", "dissect"])
def test_help_fits(
    command: str, width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each exit code begins a line."""
    monkeypatch.setenv("COLUMNS", width)
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(width)
    codes = lines[lines.index("exit codes:") + 1 :]
    assert [line.split()[0] for line in codes if line[2] != " "][:3] == ["0", "1", "2"]


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As `python -m wsproto_lite --version`."""
    monkeypatch.setattr(sys, "argv", ["wsproto-lite", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("wsproto_lite", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"wsproto_lite {version('wsproto_lite')}\n"


BAD_USAGE = {
    "nothing": ([], "required"),
    "unknown_command": (["serv"], "invalid choice"),
    "port_is_no_number": (["serve", "--port", "http"], "port is 'http'; it is a number from 0 to 65535"),
    "port_out_of_range": (["serve", "--port", "65536"], "port is '65536'; it is a number from 0 to 65535"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


class Reacting(io.StringIO):
    """A standard output that does something when the first line is written to it."""

    def __init__(self, react: Callable[[], None]) -> None:
        super().__init__()
        self.react = react

    def flush(self) -> None:
        react, self.react = self.react, lambda: None
        react()


def test_serve() -> None:
    """Ctrl-C is how it is to be ended, so that is success."""
    with redirect_stdout(Reacting(lambda: os.kill(os.getpid(), signal.SIGINT))) as output:
        assert main(["serve", "--port", "0"]) == 0
    assert output.getvalue().startswith("http://127.0.0.1:")


def test_interrupt_at_another_moment() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with redirect_stdout(Reacting(interrupt)):
        assert main(["serve", "--port", "0"]) == 130


class Gone(io.StringIO):
    """A standard output that can't be written."""

    def __init__(self, descriptor: int, error: OSError) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._error = error

    def flush(self) -> None:
        raise self._error

    def fileno(self) -> int:
        return self._descriptor


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """What is left in its buffer goes nowhere."""
    with (tmp_path / "output").open("wb") as file:
        with redirect_stdout(Gone(file.fileno(), BrokenPipeError())):
            assert main(["serve", "--port", "0"]) == 141
        file.write(b"left")
    assert (tmp_path / "output").read_bytes() == b""


def test_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That has an exit code of its own: 1 would tell of a violation."""
    path = tmp_path / "input"
    path.write_bytes(b"\x89\x00")
    full = OSError(errno.ENOSPC, "No space left on device")
    with (tmp_path / "output").open("wb") as file, redirect_stdout(Gone(file.fileno(), full)):
        assert main(["dissect", "--json", str(path)]) == 2
    assert capsys.readouterr().err == "wsproto-lite: input or output failed: No space left on device\n"


def test_without_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed input is an empty one, a closed output takes all."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["dissect", "--json"]) == 3
    for name in ("stdin", "stdout", "stderr"):
        getattr(sys, name).close()


def run_in_shell(redirected: str) -> subprocess.CompletedProcess[str]:
    """Have `dissect --json` read a Ping from a pipe, and do with standard streams as is said."""
    command = f"printf '\\211\\0' | {sys.executable} -m wsproto_lite dissect --json {redirected}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=3 * PATIENCE, check=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_full_disk() -> None:
    """It is not the exit code of a violation, and no traceback."""
    done = run_in_shell(">/dev/full")
    assert (done.returncode, done.stderr) == (2, "wsproto-lite: input or output failed: No space left on device\n")


CLOSED = {"output": (">&-", 0), "errors": ("2>&-", 0), "input": ("<&-", 3)}


@pytest.mark.parametrize(("redirected", "expected"), CLOSED.values(), ids=CLOSED)
def test_closed_streams(redirected: str, expected: int) -> None:
    done = run_in_shell(redirected)
    assert (done.returncode, done.stderr) == (expected, "")


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    expected = f"wsproto-lite: can't listen on 127.0.0.1, port {port}: Address already in use\n"
    assert capsys.readouterr() == ("", expected)


def test_no_such_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "no such host", "--port", "0"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wsproto-lite: can't listen on no such host, port 0: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_process(number: int) -> None:
    """It says where it listens as soon as it does, and ends in silence."""
    with program("-m", "wsproto_lite", "serve", "--port", "0") as (process, url):
        with urllib.request.urlopen(url) as response:
            assert response.status == 200
        process.send_signal(number)
        assert process.communicate() == ("", "")
        assert process.returncode == 0
