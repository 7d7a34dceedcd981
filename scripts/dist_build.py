"""Build the sdist, and from it the wheel, into dist/, and have twine check both.

    python scripts/dist_build.py [--twice]      --twice: build again in another folder; the bytes must be the same

The same commit gives the same bytes with the same interpreter and compiler, whatever the folder, the time and the
umask. The time inside is SOURCE_DATE_EPOCH, else that of the commit, else that of the sdist it all came from.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from workspace import BUILD, ROOT, copy_tree, quietly, run

DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "scripts" / "build-requirements.txt"


def git(*words: str) -> str:
    """Return what git says of the sources, nothing where there is no repository of theirs."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return ""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout.strip()


def find_epoch() -> int:
    """Return the time that all files get, in seconds since 1970."""
    stated = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    if stated:
        return int(stated)
    metadata = ROOT / "PKG-INFO"
    if metadata.exists():
        return int(metadata.stat().st_mtime)
    sys.exit("dist: neither a commit nor an sdist tells the time of these sources; set SOURCE_DATE_EPOCH")


def build(folder: Path, epoch: int) -> list[Path]:
    """Build what is in folder/source. Return the sdist and the wheel. Raises CalledProcessError."""
    # ZERO_AR_DATE: Apple's linker else writes the time of each object file into the debug information.
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "PIP_CONSTRAINT": CONSTRAINTS.as_uri(), "ZERO_AR_DATE": "1"}
    command = [sys.executable, "-m", "build", "--outdir", folder]
    quietly([*command, "--sdist", folder / "source"], environment)
    sdist = next(folder.glob("*.tar.gz"))
    normalize(sdist, epoch)
    quietly([*command, "--wheel", unpack(sdist, folder)], environment)
    return [sdist, next(folder.glob("*.whl"))]


def normalize(sdist: Path, epoch: int) -> None:
    """Write an sdist again, less what differs from one build to the next: times, owners, permissions."""
    with tarfile.open(sdist) as source:
        content = [(member, source.extractfile(member)) for member in source.getmembers()]
        content.sort(key=lambda item: item[0].name)
        again = sdist.with_suffix(".again")
        with contextlib.ExitStack() as files:
            raw = files.enter_context(again.open("wb"))
            packed = files.enter_context(gzip.GzipFile("", "wb", 9, raw, epoch))
            target = files.enter_context(tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT))
            for member, data in content:
                member.mtime = epoch
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                member.pax_headers = {}
                target.addfile(member, data)
    again.replace(sdist)


def unpack(sdist: Path, folder: Path, *, leave_out: str = "") -> Path:
    """Unpack an archive that we have made, less one of its folders; return where it is."""
    with tarfile.open(sdist) as source:
        if hasattr(tarfile, "data_filter"):
            source.extraction_filter = tarfile.data_filter
        source.extractall(folder, [each for each in source if Path(each.name).parts[1:2] != (leave_out,)])
    return folder / sdist.name[: -len(".tar.gz")]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    """Build, compare if that was asked for, check."""
    parser = argparse.ArgumentParser(description="build the sdist and the wheel, and check them")
    parser.add_argument("--twice", action="store_true", help="build again in another folder, and compare")
    twice = parser.parse_args().twice
    os.umask(0o022)
    epoch = find_epoch()
    if git("status", "--porcelain"):
        print("dist: there are changes that are not committed; what is built is not what the commit gives")
    folders = [BUILD / "dist", BUILD / "dist-again" / "in-another-folder"][: 1 + twice]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        copy_tree(folder / "source")
    try:
        built, *again = [build(folder, epoch) for folder in folders]
        run([sys.executable, "-m", "twine", "check", "--strict", *built])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.output or ''}\ndist: {error}")
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    different = [path.name for others in again for path, other in zip(built, others) if digest(path) != digest(other)]
    for path in built:
        shutil.copy2(path, DIST)
        print(digest(path), f"dist/{path.name}")
    for name in different:
        print(f"dist: {name} came out different the second time; both are under {BUILD}", file=sys.stderr)
    if twice and not different:
        print("built twice, in two folders: the same bytes")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
