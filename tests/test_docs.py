"""Every code block of README.md and docs/ runs, and prints what the page says; see docs_page.py.

What is kept of what programs write, a table and a picture, is what they would write now.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import Block, blocks_of
from docs_page import MISSING, ROOT
from missing import missing, needed_module
from patience import PATIENCE

PAGES = {str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]}

RUN = ("python", "doctest", "console")

NOT_CODE = ("text", "toctree", "drawing", "wire", "table-of", "eval-rst", "note", "warning", "tip", "seealso")

MAX_NOT_RUN = 8
"""How many blocks may be marked as not run, in all pages together."""

BLOCKS = [(name, block) for name, path in PAGES.items() for block in blocks_of(path)]

PAGES_TO_RUN = sorted({name for name, block in BLOCKS if block.language in RUN})

_links = re.compile(r"\]\((?!https?:)([^)\s]+)\)").findall

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")


@pytest.mark.parametrize("name", PAGES_TO_RUN)
def test_page(name: str) -> None:
    # What other packages warn of when they are imported isn't ours to mend: -W error would fail them.
    command = [sys.executable, "-W", "default", str(ROOT / "tests" / "docs_page.py"), str(PAGES[name])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE)
    if done.returncode == MISSING:
        missing(done.stdout.strip())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[f"{name}:{block.line}" for name, block in BLOCKS])
def test_no_block_is_overlooked(name: str, block: Block) -> None:
    assert block.language in (*RUN, *NOT_CODE)


def test_few_blocks_are_not_run() -> None:
    reasons = [block.mark for _, block in BLOCKS if block.mark.startswith("not run: ")]
    assert len(reasons) <= MAX_NOT_RUN, reasons


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nx = 1\n", "no end"),
        ("<!-- with a server -->\nwords\n", "no block follows"),
    ],
    ids=["no-end", "mark-without-block"],
)
def test_mistakes_in_a_page(text: str, complaint: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        blocks_of(page)


def test_table_of_measurements_is_the_last_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    needed_module("rich")
    monkeypatch.syspath_prepend(ROOT)
    summary = importlib.import_module("benchmarks.summary")
    results = importlib.import_module("benchmarks.results").Results.load(ROOT / "docs" / "performance" / "cpython.json")
    kept = (ROOT / "README.md").read_text(encoding="utf-8").partition(summary.BEGIN)[2].partition(summary.END)[0]
    assert kept.strip() == summary.table(results)


def test_picture_is_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "ext")
    figure = importlib.import_module("overview_figure")
    assert figure.KEPT.read_text(encoding="utf-8") == figure.draw().to_file(figure.STYLE)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """In files: what is on the net isn't looked up."""
    path = PAGES[name]
    targets = [target.partition("#")[0] for target in _links(path.read_text(encoding="utf-8"))]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []
