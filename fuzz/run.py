"""Run every fuzz target for some time each, from the seed corpus and from a seed that is printed.

    python fuzz/run.py [--seconds 60] [--seed N] [decode | msan | connection | differential ...]

decode: the C file under AddressSanitizer and UndefinedBehaviorSanitizer with libFuzzer; msan: under MemorySanitizer.
The others: Connection in Python. Whatever fails prints the command that replays it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
sys.path.insert(0, str(FUZZ.parent / "scripts"))

from workspace import BUILD, Missing, need, run  # noqa: E402 # the path is set just above

FOLDER = BUILD / "fuzz"
SANITIZERS = {"decode": "address,undefined", "msan": "memory"}
PYTHON_TARGETS = ("connection", "differential")


def fuzz_c(name: str, seconds: int, seed: int) -> None:
    """Compile the C target with libFuzzer and run it; new inputs are kept under build/."""
    compiler = need("clang", "clang-14", package="clang libclang-rt-14-dev")
    program = FOLDER / name
    found = FOLDER / f"{name}-corpus"
    found.mkdir(parents=True, exist_ok=True)
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-sanitize-recover=all"]
    run([compiler, *flags, f"-fsanitize=fuzzer,{SANITIZERS[name]}", FUZZ / "fuzz_decode.c", "-o", program])
    limits = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=2048"]
    artifacts = f"-artifact_prefix={FOLDER}/failed-{name}-"
    run([program, *limits, artifacts, "-verbosity=0", "-print_final_stats=1", found, FUZZ / "corpus" / "decode"])


def fuzz_python(name: str, seconds: int, seed: int) -> None:
    """Run a target in the interpreter that runs this."""
    run([sys.executable, FUZZ / f"fuzz_{name}.py", "--seconds", seconds, "--seed", seed])


def main() -> int:
    """Run what was asked for, or all."""
    parser = argparse.ArgumentParser(description="fuzz the library")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 2**31)
    parser.add_argument("targets", nargs="*", default=[*SANITIZERS, *PYTHON_TARGETS])
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    failed = []
    for name in arguments.targets:
        try:
            if name in SANITIZERS:
                fuzz_c(name, arguments.seconds, arguments.seed)
            elif name in PYTHON_TARGETS:
                fuzz_python(name, arguments.seconds, arguments.seed)
            else:
                raise Missing(f"no such target; there are {', '.join([*SANITIZERS, *PYTHON_TARGETS])}")
        except (Missing, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
    print("\n".join(failed) if failed else f"no failure in {', '.join(arguments.targets)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
