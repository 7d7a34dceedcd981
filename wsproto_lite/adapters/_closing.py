"""How to end a transport so that the peer can read our last words (RFC 6455 section 7.1.1).

Knows what a Connection tells about itself. Must not know transports.
"""

from __future__ import annotations

from enum import Enum, auto

from ..connection import Connection


class Step(Enum):
    """What to do with the transport, once all output is written."""

    WAIT = auto()
    HALF_CLOSE = auto()
    CLOSE = auto()


def next_step(conn: Connection, *, has_eof: bool, can_half_close: bool) -> Step:
    """Choose the next step. `has_eof`: the peer will send no more. `can_half_close`: not so with TLS.

    Closing while there is unread input makes TCP send a reset, by which the peer may lose our Close. So half-close,
    read on until the peer has closed, too, or the deadline passes, and only then close.
    """
    if not (conn.should_shutdown or conn.should_close):
        return Step.WAIT
    if conn.should_close and (has_eof or conn.close_info.sent is None):
        return Step.CLOSE
    if can_half_close:
        return Step.HALF_CLOSE
    # Without a half-close: if the peer has closed, it has said that nothing follows.
    return Step.CLOSE if conn.close_info.received is not None else Step.WAIT
