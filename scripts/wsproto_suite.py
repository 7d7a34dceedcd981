"""Run wsproto's own test suite against wsproto_lite.compat: fetch its source distribution, keep nothing of it.

python scripts/wsproto_suite.py [source distribution]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REQUIREMENT = "wsproto==1.3.2"
TESTS = 230
"""How many it has: a run that finds fewer has run something else."""

CONFTEST = """
from wsproto_lite.compat import install

install()
"""


def fetch(folder: Path) -> Path:
    """Have pip fetch the source distribution."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), REQUIREMENT], check=True)
    return next(folder.glob("wsproto-*.tar.gz"))


def unpack_tests(archive: Path, folder: Path) -> None:
    """Put the files of the tests, and nothing else, under `folder`."""
    tests = folder / "tests"
    tests.mkdir()
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            path = Path(member.name)
            content = source.extractfile(member) if member.isfile() else None
            if content is not None and path.parts[1:-1] == ("tests",) and path.suffix == ".py":
                (tests / path.name).write_bytes(content.read())
    (folder / "conftest.py").write_text(CONFTEST)


def run(folder: Path) -> int:
    """Run the tests; return how many passed. What failed is on the terminal."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [*command, "tests"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    print(result.stdout)
    passed = re.search(r"(\d+) passed", result.stdout)
    return int(passed[1]) if passed else 0


def main() -> int:
    """Fetch, run, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "archive", nargs="?", type=Path, help=f"source distribution of {REQUIREMENT}; fetched if left out"
    )
    archive: Path | None = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unpack_tests(archive or fetch(folder), folder)
        passed = run(folder)
    print(f"{REQUIREMENT}: {passed} of its {TESTS} tests pass against wsproto_lite.compat")
    return 0 if passed == TESTS else 1


if __name__ == "__main__":
    sys.exit(main())
