"""wsproto's exceptions and small helpers. Knows bytes and headers; no connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ... import errors
from ...constants import CloseCode
from ...handshake import accept_key, generate_key

if TYPE_CHECKING:
    from .events import Event

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""


class ProtocolError(errors.ProtocolError):
    """Anything that goes against the protocol."""


class LocalProtocolError(ProtocolError, errors.LocalProtocolError):
    """The caller asked for what the protocol, or the state of the connection, forbids."""


class RemoteProtocolError(ProtocolError, errors.RemoteProtocolError):
    """The peer broke a rule. `event_hint` is an event to send in return, None without one."""

    def __init__(self, message: str, event_hint: Event | None = None) -> None:
        super().__init__(message, CloseCode.PROTOCOL_ERROR)
        self.event_hint = event_hint
        self.args = (message,)


class Unsendable(LocalProtocolError, TypeError, ValueError):
    """An argument can't be used. wsproto has TypeError, ValueError, UnicodeEncodeError or struct.error for it."""


def normed_header_dict(h11_headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Index headers by name, values of one name joined by commas (RFC 9110 section 5.3)."""
    normed: dict[bytes, bytes] = {}
    for name, value in h11_headers:
        normed[name] = normed[name] + b", " + value if name in normed else value
    return normed


def split_comma_header(value: bytes) -> list[str]:
    """Split a header at its commas, white space around each element cut off.

    We take bytes outside ASCII for latin-1, where wsproto raises UnicodeDecodeError on what a peer has sent.
    """
    return [element.strip() for element in value.decode("latin-1").split(",")]


def generate_nonce() -> bytes:
    """Make the value of Sec-WebSocket-Key (RFC 6455 section 4.1, item 7)."""
    return generate_key()


def generate_accept_token(token: bytes) -> bytes:
    """Turn Sec-WebSocket-Key into Sec-WebSocket-Accept (RFC 6455 section 4.2.2, item 5.4)."""
    return accept_key(token)
