"""Compile tests/c/test_codec.c and run it: sanitizers of gcc and clang, valgrind, i386 (32 bits), s390x (big-endian).

python scripts/test_c.py [gcc] [clang] [msan] [valgrind] [i386] [s390x]      all of them without arguments
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from workspace import BUILD, ROOT, Missing, need, run

FOLDER = BUILD / "c"
SOURCE = ROOT / "tests" / "c" / "test_codec.c"
FLAGS = ["-std=c11", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{FOLDER}"]
# gcc 12 inlines calls whose size is known, and then warns of branches that this size does not take.
FAST = ["-O3", "-Wno-array-bounds"]
SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]

# Without the sanitizer's own library, which a cross compiler may lack.
TRAPPING = ["-O1", "-static", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]


def build(compiler: str, name: str, *flags: str) -> Path:
    """Compile the test program; return where it is."""
    program = FOLDER / name
    run([compiler, *FLAGS, *flags, SOURCE, "-o", program])
    return program


def gcc() -> None:
    """AddressSanitizer and UndefinedBehaviorSanitizer of gcc, and -O3 without them."""
    compiler = need("gcc", package="gcc")
    run([build(compiler, "gcc-sanitized", *SANITIZED)])
    run([build(compiler, "gcc-O3", *FAST)])


def clang() -> None:
    """Those of clang, which find other things: unsigned arithmetic that wraps at a conversion, for one."""
    compiler = need("clang", "clang-14", package="clang libclang-rt-14-dev")
    run([build(compiler, "clang-sanitized", *SANITIZED, "-fsanitize=local-bounds,nullability")])
    run([build(compiler, "clang-O3", *FAST)])


def msan() -> None:
    """MemorySanitizer: no decision and no output depends on a byte that was never written."""
    compiler = need("clang", "clang-14", package="clang libclang-rt-14-dev")
    run([build(compiler, "msan", "-O1", "-fsanitize=memory", "-fsanitize-memory-track-origins")])


def valgrind() -> None:
    """The same of the very machine code that ships, vectorised."""
    checker = need("valgrind", package="valgrind")
    program = build(need("gcc", package="gcc"), "valgrind", *FAST)
    run([checker, "--quiet", "--error-exitcode=9", "--leak-check=full", "--track-origins=yes", program])


def i386() -> None:
    """A machine of 32 bits, where a payload may be longer than memory. An x86-64 kernel runs its programs."""
    compiler = need("i686-linux-gnu-gcc", package="gcc-i686-linux-gnu")
    is_native = platform.machine() in ("x86_64", "i686")
    emulator = [] if is_native else [need("qemu-i386-static", "qemu-i386", package="qemu-user-static")]
    run([*emulator, build(compiler, "i386", *FAST, "-static")])
    run([*emulator, build(compiler, "i386-ubsan", *TRAPPING)])


def s390x() -> None:
    """A big-endian machine."""
    compiler = need("s390x-linux-gnu-gcc", package="gcc-s390x-linux-gnu")
    emulator = need("qemu-s390x-static", "qemu-s390x", package="qemu-user-static")
    run([emulator, build(compiler, "s390x", *FAST, "-static")])
    run([emulator, build(compiler, "s390x-ubsan", *TRAPPING)])


WAYS: dict[str, Callable[[], None]] = {
    "gcc": gcc,
    "clang": clang,
    "msan": msan,
    "valgrind": valgrind,
    "i386": i386,
    "s390x": s390x,
}


def main() -> int:
    """Run what was asked for, or all."""
    names = sys.argv[1:] or list(WAYS)
    if not set(names) <= set(WAYS):
        sys.exit(f"{' '.join(names)}: it is one or more of {' '.join(WAYS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "cases.inc").open("w", encoding="ascii") as cases:
        command = [sys.executable, str(ROOT / "tests" / "c" / "make_cases.py")]
        subprocess.run(command, check=True, stdout=cases, env={**os.environ, "PYTHONHASHSEED": "0"})
    failed = []
    for name in names:
        try:
            WAYS[name]()
        except (Missing, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
