"""Run cases for some time: stored ones first, then random ones and mutations of those that are stored.

A case is a byte string, made from the seed, its number and what is stored. One that fails is kept under build/fuzz, and
what replays it is printed. Needs POSIX, for limits of memory and time.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"
FAILED = CORPUS.parent.parent / "build" / "fuzz"
MEMORY = 2 << 30
CASE_SECONDS = 30


def main(run_case: Callable[[bytes], None], name: str) -> int:
    """Read the command line and do as it says; return the exit status."""
    parser = argparse.ArgumentParser(description=f"fuzz {name}")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="the default is the time")
    parser.add_argument("--case", type=int, help="only this one of the seed's cases")
    parser.add_argument("files", nargs="*", type=Path, help="cases to replay, instead of all that")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_slow)
    if arguments.files:
        return sum(not _survives(run_case, path.read_bytes()) for path in arguments.files)
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    print(f"{name}: seed {seed}", flush=True)
    if arguments.case is not None:
        case = next(case for number, case in _cases(seed, name) if number == arguments.case)
        return int(not _survives(run_case, case))
    return _run_cases(run_case, name, seed, arguments.seconds)


def _run_cases(run_case: Callable[[bytes], None], name: str, seed: int, seconds: float) -> int:
    started = time.monotonic()
    for number, case in _cases(seed, name):
        if time.monotonic() - started > seconds:
            print(f"{name}: {number} cases in {seconds:.0f} s, none failed")
            break
        if not _survives(run_case, case):
            FAILED.mkdir(parents=True, exist_ok=True)
            failed = FAILED / f"failed-{name}-{seed}-{number}"
            failed.write_bytes(case)
            program = f"python fuzz/fuzz_{name}.py"
            print(f"{name}: replay with: {program} {failed}   or: {program} --seed {seed} --case {number}")
            return 1
    return 0


def _survives(run_case: Callable[[bytes], None], case: bytes) -> bool:
    signal.alarm(CASE_SECONDS)
    try:
        run_case(case)
    except Exception:
        traceback.print_exc()
        return False
    finally:
        signal.alarm(0)
    return True


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"a case took over {CASE_SECONDS} s")


def _cases(seed: int, name: str) -> Iterator[tuple[int, bytes]]:
    stored = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    yield from enumerate(stored)
    number = len(stored)
    while True:
        rng = random.Random(f"{seed} {number}")
        if stored and number % 3 == 0:
            yield number, _mutate(rng, rng.choice(stored), rng.choice(stored))
        else:
            yield number, rng.getrandbits(8 * 400).to_bytes(400, "big")[: rng.randrange(20, 400)]
        number += 1


def _mutate(rng: random.Random, case: bytes, other: bytes) -> bytes:
    for _ in range(rng.randrange(1, 5)):
        at, size = rng.randrange(len(case) + 1), rng.choice([1, 1, 2, 8])
        case = case[:at] + rng.choice([rng.randbytes(size), b"", other[at : at + 40]]) + case[at + size :]
    return case
