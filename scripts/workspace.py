"""Copies of the source tree with an interpreter of their own, under build/: what is built there disturbs nothing here.

Knows folders, venvs and missing tools. Not what is tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"

FOLDERS = ("wsproto_lite", "csrc", "tests", "docs", "examples", "benchmarks", "fuzz", "scripts")
"""What the tests may look at, besides the files at the top."""

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "*.pyd", "_codec.c", "build", ".*")


class Missing(Exception):
    """A tool is not here, or does not do what it is needed for; says how to get it."""


def need(*names: str, package: str) -> str:
    """Return the path of the first of `names` that is on PATH. Raises Missing."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise Missing(f"{' or '.join(names)} is not on PATH; get it with: sudo apt-get install {package}")


def run(command: Sequence[object], **options: object) -> None:
    """Run a command and show it. Raises CalledProcessError."""
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    subprocess.run(words, check=True, **options)  # type: ignore[call-overload] # whatever subprocess takes


def copy_tree(target: Path) -> None:
    """Make `target` a fresh copy of the sources, without anything that was built."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith(".coverage"):
            shutil.copy2(path, target)
        elif path.name in FOLDERS:
            shutil.copytree(path, target / path.name, ignore=_LEFT_OUT)


def make_venv(
    interpreter: str, folder: Path, *, extra: str = "test", environment: Mapping[str, str] | None = None
) -> Path:
    """Copy the sources to folder/source and install them, editable, in folder/venv. Return the folder of its programs.

    The venv is kept from run to run, what was compiled is not. Raises CalledProcessError; its output tells why.
    """
    copy_tree(folder / "source")
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    if not (programs / "pytest").exists() and not (programs / "pytest.exe").exists():
        shutil.rmtree(folder / "venv", ignore_errors=True)
        quietly([interpreter, "-m", "venv", folder / "venv"])
        quietly([programs / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    quietly([*install, "--editable", f"{folder / 'source'}[{extra}]"], environment)
    return programs


def quietly(command: Sequence[object], environment: Mapping[str, str] | None = None) -> None:
    """Run a command without showing what it says. Raises CalledProcessError, which has that in `output`."""
    subprocess.run(
        [str(word) for word in command],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **(environment or {})},
    )
