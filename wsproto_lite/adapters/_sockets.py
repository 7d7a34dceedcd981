"""Sockets to listen on, for the frameworks that leave that to their users.

Knows addresses and paths. Must not know WebSockets.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

BACKLOG = 100


def listen_on_path(path: str) -> socket.socket:
    """Make a socket that listens on `path`, in place of one that nobody listens on any more, as asyncio does."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def listen_on(host: str | None, port: int, **kwargs: Any) -> list[socket.socket]:
    """Make sockets that listen on all addresses of a host, None for any; `kwargs` go to socket.create_server().

    Addresses of a kind that this machine doesn't have are left out, unless there are no others. Raises OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        try:
            listeners.append(socket.create_server(address[:2], family=family, **kwargs))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                close_all(listeners)
                raise
            missing = error
    if not listeners and missing is not None:
        raise missing
    return listeners


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close sockets."""
    for sock in sockets:
        sock.close()
