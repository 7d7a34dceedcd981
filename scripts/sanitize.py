"""Run all tests with the C file under AddressSanitizer and UndefinedBehaviorSanitizer.

    python scripts/sanitize.py [ARGUMENTS FOR PYTEST]

Runs as many tests at once as there are processors; `-n 0` among the arguments runs one after the other. Works in a copy
under build/. Leaks are not looked for, as an interpreter has its own when it ends; C allocates nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workspace import BUILD, Missing, make_venv, need, quietly, run

FLAGS = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -fno-lto"

SLOWER = 10
"""How many times as long a test may take as it may elsewhere."""

PROVE = """
import ctypes, wsproto_lite._codec as c
maps = open("/proc/self/maps").read()
assert "libasan" in maps and "libubsan" in maps, "the sanitizers are not loaded"
assert b"__asan_" in open(c.__file__, "rb").read(), "the C file is not instrumented"
"""


def library(compiler: str, name: str) -> str:
    """Return the path of one of the compiler's run-time libraries. Raises Missing."""
    output = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, check=True, encoding="utf-8")
    path = output.stdout.strip()
    if not Path(path).is_absolute():
        raise Missing(f"{compiler} has no {name}; get it with: sudo apt-get install gcc libasan8 libubsan1")
    return str(Path(path).resolve())


def main() -> int:
    """Build, prove that the build is what it should be, test."""
    try:
        compiler = need("gcc", package="gcc libasan8 libubsan1")
        preload = f"{library(compiler, 'libasan.so')}:{library(compiler, 'libubsan.so')}"
        folder = BUILD / "sanitize"
        folder.mkdir(parents=True, exist_ok=True)
        # build_ffi.py's own -O3 comes after CFLAGS, which is fine: it is the code that ships.
        environment = {"CC": compiler, "CFLAGS": FLAGS, "LDFLAGS": FLAGS}
        programs = make_venv(sys.executable, folder, environment=environment)
        quietly([programs / "python", "-m", "pip", "install", "--quiet", "pytest-xdist"])
        environment = {
            **os.environ,
            "WSPROTO_LITE_PATIENCE": str(SLOWER),
            "LD_PRELOAD": preload,
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        }
        run([programs / "python", "-c", PROVE], cwd=folder / "source", env=environment)
        options = ["-p", "no:cacheprovider", "-n", "auto", "-o", f"timeout={60 * SLOWER}"]
        tests = [programs / "pytest", *options, *sys.argv[1:]]
        run(tests, cwd=folder / "source", env=environment)
    except Missing as error:
        sys.exit(f"sanitize: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.output or ''}\nsanitize: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
