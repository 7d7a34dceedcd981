"""The four exceptions. Knows nothing of the rest of the library."""

from __future__ import annotations

from typing import NamedTuple

from .constants import CloseCode, Role


class CloseInfo(NamedTuple):
    """How a connection ended, or how far it has got with that.

    `sent` and `received` are the two Close frames as `(code, reason)`, None while there is none;
    an empty Close reads `(1005, "")`. `initiator` is the side that ended it first, None where
    the transport did. `cause` is a sentence for a log line, empty while the connection is open.
    """

    sent: tuple[int, str] | None = None
    received: tuple[int, str] | None = None
    initiator: Role | None = None
    cause: str = ""


class ProtocolError(Exception):
    """Anything that goes against the protocol: ours (local) or the peer's (remote)."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something the protocol forbids. Nothing has changed."""


class ConnectionClosed(LocalProtocolError):
    """A send came too late: the peer has closed, or the connection has failed.

    A race, not a bug. `close_info` tells how the connection ended.
    """

    def __init__(self, message: str, close_info: CloseInfo) -> None:
        super().__init__(message)
        self.close_info = close_info

    def __reduce__(self) -> tuple[object, ...]:
        """Give what a copy is made of, in another process too: by itself Exception would forget an argument."""
        return type(self), (*self.args, self.close_info), self.__dict__


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule. Arrives inside the last event; only the single-frame API raises it.

    `code` is the close code of RFC 6455 section 7.4.1 that fits the fault.
    """

    def __init__(self, message: str, code: int = CloseCode.PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = int(code)

    def __eq__(self, other: object) -> bool:
        """Compare by content, so that events which carry an error can be compared."""
        if not isinstance(other, RemoteProtocolError):
            return NotImplemented
        return (self.args, self.code) == (other.args, other.code)

    def __hash__(self) -> int:
        return hash((self.args, self.code))


def number(value: object) -> str:
    """Write a value that should be a number for an error message: Python writes no int of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of {value.bit_length()} bits"
    return repr(value)
