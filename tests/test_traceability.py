"""The tables of docs/rfc6455.md, docs/rfc7692.md and docs/threat-model.md name tests: each has to be there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
RFCS = ("docs/rfc6455.md", "docs/rfc7692.md")
THREATS = "docs/threat-model.md"

SEPARATOR = re.compile(r"\|(?:-+\|)+").fullmatch
CELLS = re.compile(r"(?<!\\)\|").split  # \| is a bar within a cell
TESTS = re.compile(r"`(tests/[^`]+)`").findall
KEY_WORD = re.compile(r"\b(?:MUST|SHOULD|RECOMMENDED|REQUIRED|SHALL|must|recommended)\b").search
SECTION = re.compile(r"[1-9][0-9]*(?:\.[1-9][0-9]*)*").fullmatch

# What needs no test says why: "the caller's: ..." or "not applicable: ...".
REASON = re.compile(r"(?:The caller's|Not applicable)[^:]*: \S.*").fullmatch


class Row(NamedTuple):
    """A line of a table: where it is, its cells, and the tests that are named in the last."""

    place: str
    cells: list[str]
    tests: list[str]


def rows_of(name: str) -> list[Row]:
    """Read all tables of a file, without their heads."""
    rows = []
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        is_head = number < len(lines) and SEPARATOR(lines[number])
        if line.startswith("|") and not SEPARATOR(line) and not is_head:
            cells = [cell.strip() for cell in CELLS(line)[1:-1]]
            rows.append(Row(f"{name}:{number}", cells, TESTS(cells[-1])))
    return rows


@cache
def defined(path: str) -> set[str]:
    """Name the tests of a file as pytest does, without parameters."""
    if not (ROOT / path).is_file():
        return set()
    names = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = [each for each in inside if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
        names |= {prefix + function.name for function in functions if function.name.startswith("test")}
    return names


def collected(tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Have pytest look for tests with parameters; it says which are not there."""
    # Without what the environment adds: some other plug-in's options, or another process's coverage.
    command = [sys.executable, "-m", "pytest", "--collect-only", "-o", "addopts=", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


ALL = (*RFCS, THREATS)

each_table = pytest.mark.parametrize("name", ALL)
each_rfc = pytest.mark.parametrize("name", RFCS)


@each_table
def test_rows_have_their_cells(name: str) -> None:
    """A bar too many or too few would move a test out of its column."""
    rows = rows_of(name)
    assert rows
    width = 5 if name in RFCS else 4
    assert [row.place for row in rows if len(row.cells) != width or not all(row.cells)] == []


@each_rfc
def test_sections(name: str) -> None:
    """Sections are numbers, in the order of the document."""
    rows = rows_of(name)
    assert [row.place for row in rows if not SECTION(row.cells[0])] == []
    numbers = [tuple(map(int, row.cells[0].split("."))) for row in rows]
    assert numbers == sorted(numbers)


@each_rfc
def test_rules_have_their_key_word(name: str) -> None:
    """MUST or SHOULD, so that a reader can tell a duty from a wish."""
    assert [row.place for row in rows_of(name) if not KEY_WORD(row.cells[1])] == []


@each_table
def test_every_row_has_a_test_or_a_reason(name: str) -> None:
    """Only what is the caller's, or not applicable, has none; and it says why."""
    unproven = [row for row in rows_of(name) if not row.tests]
    assert [row.place for row in unproven if name == THREATS or not REASON(row.cells[2])] == []
    assert [row.place for row in unproven if row.cells[-1] != "—"] == []


@each_rfc
def test_modules_exist(name: str) -> None:
    """A module is named as in wsproto_lite/, less its .py; the C file is in csrc/."""
    places = []
    for row in rows_of(name):
        modules = [] if row.cells[3] == "—" else row.cells[3].split(", ")
        paths = [
            ROOT / "csrc" / each if each.endswith(".c") else ROOT / "wsproto_lite" / f"{each}.py" for each in modules
        ]
        places += [f"{row.place} {path}" for path in paths if not path.is_file()]
    assert places == []


@each_table
def test_named_tests_exist(name: str) -> None:
    missing = []
    for row in rows_of(name):
        for test in row.tests:
            path, _, function = test.partition("[")[0].partition("::")
            if function not in defined(path):
                missing.append(f"{row.place} {test}")
    assert missing == []


def test_named_parameters_exist() -> None:
    """What is in brackets is pytest's to know: it would say "not found"."""
    tests = sorted({test for name in ALL for row in rows_of(name) for test in row.tests if "[" in test})
    assert tests
    result = collected(tests)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_parameter_that_is_not_there_is_found_out() -> None:
    """Else the test before this one would prove nothing."""
    result = collected(["tests/test_traceability.py::test_sections[docs/none.md]"])
    assert "not found" in result.stdout + result.stderr
