"""Install what is in dist/ into a fresh venv of every Python from 3.9 on that is here, and run the quicker tests.

    python scripts/dist_test.py [NAME ...]      NAME: 3.12, pypy, ... (all without)

The wheel where it fits, the sdist elsewhere (PyPy, free-threaded builds). The tests are those that the sdist brings,
named in tests/quick.args, in a folder without the package: only the installed one can be imported.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from dist_build import unpack
from test_all import OLDEST, Interpreter, find, last_line, tell_missing
from workspace import BUILD, ROOT, quietly

FOLDER = BUILD / "dist-test"

PROVE = """
import pathlib, sys, wsproto_lite, wsproto_lite._codec as codec
for module in wsproto_lite, codec:
    assert pathlib.Path(sys.prefix).resolve() in pathlib.Path(module.__file__).resolve().parents, module.__file__
"""


def only(pattern: str) -> Path:
    """Return the one file in dist/ that fits."""
    found = sorted((ROOT / "dist").glob(pattern))
    if len(found) != 1:
        sys.exit(f"dist-test: dist/ has {len(found)} files like {pattern}; 1 is wanted: make dist")
    return found[0]


def test(interpreter: Interpreter, path: Path, package: Path, tests: Path) -> str:
    """Install and run; return a line that says how it went. Raises CalledProcessError."""
    venv = FOLDER / f"{interpreter.name}-{interpreter.full_version}"
    programs = venv / ("Scripts" if sys.platform == "win32" else "bin")
    started = time.monotonic()
    quietly([path, "-m", "venv", venv])
    install = [programs / "python", "-m", "pip", "install", "--quiet"]
    quietly([*install, "--upgrade", "pip"])
    quietly([*install, package, "--group", f"{tests / 'pyproject.toml'}:quick"])
    quietly([programs / "python", "-I", "-c", PROVE])
    command = [str(programs / "pytest"), "-p", "no:cacheprovider", "@tests/quick.args"]
    result = subprocess.run(
        command, cwd=tests, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    return f"{last_line(result.stdout)}; {time.monotonic() - started:.0f} s with the installing"


def main() -> int:
    """Test on all that was found and asked for."""
    names = sys.argv[1:]
    found = {each: path for each, path in find().items() if each.version >= OLDEST}
    wheel, sdist = only("*-abi3-*.whl"), only("*.tar.gz")
    shutil.rmtree(FOLDER, ignore_errors=True)
    tests = unpack(sdist, FOLDER, leave_out="wsproto_lite")
    chosen = [each for each in found if not names or any(each.name.startswith(name) for name in names)]
    failed = [name for name in names if not any(each.name.startswith(name) for each in chosen)]
    for name in failed:
        print(f"{name}: not found on PATH or in pyenv's versions folder")
    for interpreter in chosen:
        fits = interpreter.implementation == "CPython" and not interpreter.free_threaded
        label = f"{interpreter.name:8} {interpreter.full_version:8} {'wheel' if fits else 'sdist'}"
        try:
            print(label, "ok    ", test(interpreter, found[interpreter], wheel if fits else sdist, tests), flush=True)
        except subprocess.CalledProcessError as error:
            failed.append(interpreter.name)
            print(f"{label} FAILED {error}\n{error.output}", flush=True)
    if not names:
        tell_missing({each.name for each in found})
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
