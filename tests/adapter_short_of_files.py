"""An echo server that may open a few files only: python tests/adapter_short_of_files.py ADAPTER. Prints its port."""

from __future__ import annotations

import logging
import resource
import sys
import time

from adapter_subject_uvicorn import SERVERS

FEW = 40
"""Files that it may have open."""

MANY = 60
"""Connections that are too many for it."""


def main() -> None:
    # asyncio complains once for each place in the backlog, of which uvicorn has 2,048, and nobody reads it.
    logging.disable()
    with SERVERS[sys.argv[1]].serving() as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
        print(server.port, flush=True)
        time.sleep(120)


if __name__ == "__main__":
    main()
