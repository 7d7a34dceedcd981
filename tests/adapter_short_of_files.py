"""An echo server that may open a few files only: python tests/adapter_short_of_files.py ADAPTER. Prints its port."""

from __future__ import annotations

import resource
import sys
import time

from adapter_subjects import SUBJECTS

FEW = 40
"""Files that it may have open."""

MANY = 60
"""Connections that are too many for it."""


def main() -> None:
    with SUBJECTS[sys.argv[1]].serving() as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
        print(server.port, flush=True)
        time.sleep(120)


if __name__ == "__main__":
    main()
