"""Run all tests on every Python from 3.9 on that this machine has, PyPy and free-threaded builds included.

Looks on PATH and in pyenv's folder. One line each; fails if any of them fails, or is there but can't be set up.
    python scripts/test_all.py [--jobs N] [NAME ...] [-- ARGUMENTS FOR PYTEST]      NAME: 3.12, pypy, 3.13t, ...

All without a NAME; as many at once as there are processors without --jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from workspace import BUILD, make_venv

OLDEST = (3, 9)
NEWEST = (3, 14)

_ASK = """
import json, os, platform, sys, sysconfig
print(json.dumps([platform.python_implementation(), list(sys.version_info[:3]), platform.python_version(),
                  bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
                  os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))]))
"""


class Interpreter(NamedTuple):
    """What an executable says of itself."""

    implementation: str
    version: tuple[int, ...]
    full_version: str
    free_threaded: bool
    has_headers: bool

    @property
    def name(self) -> str:
        """Give the short name: 3.12, 3.13t, pypy3.9."""
        prefix = "" if self.implementation == "CPython" else self.implementation.lower()
        return f"{prefix}{self.version[0]}.{self.version[1]}{'t' if self.free_threaded else ''}"

    @property
    def label(self) -> str:
        """Give the long name: CPython 3.13.0 free-threaded."""
        return f"{self.implementation} {self.full_version}{' free-threaded' if self.free_threaded else ''}"


def candidates() -> list[Path]:
    """List executables that look like a Python, shims left out, as the folder behind them is looked at anyway."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if folder]
    folders = [folder for folder in folders if folder != pyenv / "shims"]
    folders += sorted((pyenv / "versions").glob("*/bin"))
    pattern = re.compile(r"(python3(\.\d+t?)?|pypy3(\.\d+)?)(\.exe)?")
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if pattern.fullmatch(path.name)
    ]


def find() -> dict[Interpreter, Path]:
    """Ask each what it is; keep one executable of each version."""
    found: dict[Interpreter, Path] = {}
    asked = set()
    for path in candidates():
        real = path.resolve()
        if real in asked:
            continue
        asked.add(real)
        try:
            answer = subprocess.run([path, "-c", _ASK], capture_output=True, check=True, timeout=60).stdout
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{path}: does not run: {error}")
            continue
        implementation, version, *others = json.loads(answer)
        found.setdefault(Interpreter(implementation, tuple(version), *others), path)
    return dict(sorted(found.items()))


def test(interpreter: Interpreter, path: Path, arguments: list[str]) -> tuple[bool, str]:
    """Build for an interpreter and run the tests; tell whether all is well, and a line that says so."""
    if not interpreter.has_headers:
        package = "pypy3" if interpreter.implementation == "PyPy" else f"python{interpreter.name}"
        return False, f"has no Python.h; where it is Debian's: sudo apt-get install {package}-dev {package}-venv"
    suffix = "t" if interpreter.free_threaded else ""
    folder = BUILD / "interpreters" / f"{interpreter.implementation}-{interpreter.full_version}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    started = time.monotonic()
    try:
        programs = make_venv(str(path), folder)
    except subprocess.CalledProcessError as error:
        log.write_text(error.output, encoding="utf-8")
        return False, f"can't be set up: {last_line(error.output)} ({log})"
    with log.open("w", encoding="utf-8") as output:
        result = subprocess.run(
            [programs / "pytest", "-p", "no:cacheprovider", "-rs", *arguments],
            cwd=folder / "source",
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    summary = last_line(log.read_text(encoding="utf-8", errors="replace"))
    summary = re.sub(r" in [\d.]+s.*", "", summary.strip("= "))
    where = "" if result.returncode == 0 else f" ({log})"
    return result.returncode == 0, f"{summary}, {time.monotonic() - started:.0f} s{where}"


def last_line(text: str) -> str:
    """Return the last line that is not empty."""
    return ([line for line in text.splitlines() if line.strip()] or ["no output"])[-1]


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line; what follows `--` is in `pytest`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="interpreters at once")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all without")
    end = words.index("--") if "--" in words else len(words)
    return parser.parse_args(words[:end], argparse.Namespace(pytest=words[end + 1 :]))


def main() -> int:
    """Test all that was found and asked for."""
    options = parse(sys.argv[1:])
    names = options.names
    failed = 0
    found = find()
    known = {each.name for each in found} | {each.name for each in found if each.implementation != "CPython"}
    for name in names:
        if not any(each.startswith(name) for each in known):
            print(f"{name}: not found on PATH or in pyenv's versions folder")
            failed += 1
    chosen = [each for each in found if not names or any(each.name.startswith(name) for name in names)]
    for interpreter in (each for each in chosen if each.version < OLDEST):
        print(f"{interpreter.label:24} not tested: older than {'.'.join(map(str, OLDEST))}", flush=True)
    tested = [each for each in chosen if each.version >= OLDEST]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda interpreter: test(interpreter, found[interpreter], options.pytest), tested)
        for interpreter, (good, line) in zip(tested, results):
            failed += not good
            print(f"{interpreter.label:24} {'ok    ' if good else 'FAILED'} {line}", flush=True)
    if not names:
        tell_missing(known)
    return 1 if failed else 0


def tell_missing(known: set[str]) -> None:
    """Name what could be tested too."""
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        if f"3.{minor}" not in known:
            print(f"CPython 3.{minor:<14} not here; get it with: pyenv install 3.{minor}")
    if not any(name.startswith("pypy") for name in known):
        print(f"{'PyPy':24} not here; get it with: sudo apt-get install pypy3 pypy3-dev pypy3-venv")
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        print("a C compiler is needed; get it with: sudo apt-get install gcc")


if __name__ == "__main__":
    sys.exit(main())
