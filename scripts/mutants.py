"""Change the sources in thousands of ways, one at a time, and count how many of these mutants the tests notice.

    python scripts/mutants.py [--jobs N] [MODULE ...]

All of mutmut's operators, no sampling. A MODULE is such as sending; without one, all of MODULES. Works in a copy under
build/. Says the score of each file, and shows each mutant that survived; docs/mutants.md says why they may.

Knows which tests run and how the score is counted. Not how mutants are made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from workspace import BUILD, ROOT, make_venv, quietly

MUTMUT = "mutmut==3.8.1"

MODULES = (
    "connection",
    "flow",
    "messages",
    "extensions",
    "codec",
    "masking_keys",
    # handshake.py only names what is here.
    "handshake_client",
    "handshake_request",
    "handshake_rules",
    "handshake_server",
    "handshake_shared",
)

LOWEST = 95
"""Per cent of the mutants of all files together that must be noticed, those that time out left out."""

TESTS = (
    "test_assembly.py",
    "test_closing.py",
    "test_codec.py",
    "test_connection*.py",
    "test_extensions.py",
    "test_flow.py",
    "test_handshake*.py",
    "test_heartbeat.py",
    "test_http11*.py",
    "test_large_reads.py",
    "test_masking_keys.py",
    "test_messages*.py",
    "test_own_mistakes.py",
    "test_permessage_deflate.py",
    "test_rfc6455_[!a]*.py",
    "test_rfc7692_*.py",
    "test_rules.py",
    "test_rules_end.py",
    "test_rules_limits.py",
    "test_rules_send.py",
    "test_runs.py",
    "test_sending.py",
    "test_settings.py",
    "test_threats_compression.py",
    "test_threats_keys.py",
)
"""What runs for a mutant, as far as it comes by the function that is changed: quick tests, of the core alone."""

TESTS_LEFT_OUT = (
    "test_byte_by_byte",
    "a_large_read_costs_what_its_parts_cost",
    "test_default_source_does_not_repeat",
    "test_last_message_is_released",
)
"""Tests in these files that measure time or memory: a mutant that survives would take minutes."""

KILLED = "killed"
TIMEOUT = "timeout"
SURVIVED = "survived"

# How pytest, or the process, ended. A crash is noticed, as a failed test is. 24 is SIGXCPU, and SIGKILL follows it.
ENDINGS = {1: KILLED, 3: KILLED, -6: KILLED, -11: KILLED, 24: TIMEOUT, -24: TIMEOUT, 36: TIMEOUT, -9: TIMEOUT}


def configuration(source: Path, modules: list[str]) -> str:
    """Return mutmut's settings, as they stand in setup.cfg."""
    tests = sorted({path for pattern in TESTS for path in (source / "tests").glob(pattern)})
    lists = {
        "source_paths": ["wsproto_lite"],
        "only_mutate": [f"wsproto_lite/{module}.py" for module in modules],
        "also_copy": ["csrc", "docs"],
        "pytest_add_cli_args": [
            *("-p", "mutation_profile"),
            *("-p", "no:cacheprovider"),
            *("-p", "no:unraisableexception"),
            # Mutmut has a timeout of its own, which is told apart from a test that fails.
            *("-p", "pytest_timeout", "-o", "timeout=0"),
            *("-k", " and ".join(f"not {name}" for name in TESTS_LEFT_OUT)),
        ],
        "pytest_add_cli_args_test_selection": [str(path.relative_to(source)) for path in tests],
    }
    lines = ["[mutmut]", "timeout_multiplier=5.0", "timeout_constant=2.0", "track_dependencies=false"]
    for name, values in lists.items():
        lines += [f"{name}=", *(f"    {value}" for value in values)]
    return "\n".join(lines) + "\n"


def read_results(source: Path, module: str) -> dict[str, str]:
    """Return how each mutant of a module ended: KILLED, TIMEOUT, SURVIVED. No test ran for some of the last."""
    path = source / "mutants" / "wsproto_lite" / f"{module}.py.meta"
    endings = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return {name: ENDINGS.get(code, SURVIVED) for name, code in endings.items()}


def show(mutmut: Path, source: Path, name: str) -> str:
    """Return the lines that make a mutant."""
    output = subprocess.run(
        [mutmut, "show", name], cwd=source, capture_output=True, check=True, encoding="utf-8"
    ).stdout
    changed = [line for line in output.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(["", name, *changed])


def score(results: dict[str, str]) -> float:
    """Return the per cent noticed of the mutants that ended."""
    counts = Counter(results.values())
    ended = counts[KILLED] + counts[SURVIVED]
    return 100 * counts[KILLED] / ended if ended else 100.0


def run_mutants(source: Path, mutmut: Path, modules: list[str], jobs: int) -> None:
    """Try all mutants of the modules. Raises CalledProcessError."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "scripts"),
        # Of pytest's plugins, only those named in the settings: starting the others takes longer than most tests.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    for module in modules:
        command = [mutmut, "run", "--max-children", str(jobs), f"wsproto_lite.{module}.*"]
        with (source.parent / f"{module}.log").open("wb") as log:
            subprocess.run(command, cwd=source, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
        report(module, read_results(source, module))


def report(module: str, results: dict[str, str]) -> None:
    """Print the score of a module."""
    counts = Counter(results.values())
    numbers = f"{counts[KILLED]:5} noticed {counts[SURVIVED]:4} survived {counts[TIMEOUT]:4} timed out"
    print(f"{module:22}{numbers}   {score(results):5.1f} %", flush=True)


def main() -> int:
    """Build, run, report; 1 if the score is too low."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="such as sending; see MODULES for those meant if none is given"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    arguments = parser.parse_args()
    modules = arguments.modules or list(MODULES)
    folder = BUILD / "mutants"
    source = folder / "source"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        programs = make_venv(sys.executable, folder)
        quietly([programs / "python", "-m", "pip", "install", "--quiet", MUTMUT])
        (source / "setup.cfg").write_text(configuration(source, modules), "utf-8")
        run_mutants(source, programs / "mutmut", modules, arguments.jobs)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.output or ''}\nmutants: {error}; {folder} has its log")
    results = {module: read_results(source, module) for module in modules}
    for ended in results.values():
        for name in (name for name, ending in ended.items() if ending == SURVIVED):
            print(show(programs / "mutmut", source, name))
    everything = {name: ending for ended in results.values() for name, ending in ended.items()}
    report("all", everything)
    return 1 if score(everything) < LOWEST else 0


if __name__ == "__main__":
    sys.exit(main())
