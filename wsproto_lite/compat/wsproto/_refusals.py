"""What wsproto says of a handshake that the core refuses: the first fault in wsproto's order, in its words.

Knows header fields and the core's refusals. Decides nothing: whether there is a fault is settled before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import events
from ...headers import Fields, index, options, received
from .events import RejectConnection
from .utilities import RemoteProtocolError

_NO_CONNECTION = "Missing header, 'Connection: Upgrade'"
_NO_UPGRADE = "Missing header, 'Upgrade: websocket'"


def bad_http() -> RemoteProtocolError:
    """Make the error for what h11 can't read."""
    return RemoteProtocolError("Bad HTTP message", event_hint=RejectConnection())


def request_error(
    refusal: events.RejectConnection, method: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> RemoteProtocolError:
    """Make the error for a request that the core refuses. Its hint is the refusal to send."""
    fields = index(headers)
    version = fields.get(b"sec-websocket-version")
    if method != b"GET":
        text = "Request method must be GET"
    elif not _names_upgrade(fields):
        text = _NO_CONNECTION
    elif version != [b"13"]:
        text = "Missing header, 'Sec-WebSocket-Version'"
        hint = RejectConnection(426 if version else 400, [(b"Sec-WebSocket-Version", b"13")])
        return RemoteProtocolError(text, event_hint=hint)
    elif b"sec-websocket-key" not in fields:
        text = "Missing header, 'Sec-WebSocket-Key'"
    elif not _names_websocket(fields):
        text = _NO_UPGRADE
    elif b"host" not in fields:
        text = "Missing header, 'Host'"
    else:
        # What wsproto lets pass: see docs/compat.md.
        hint = RejectConnection(refusal.status_code, received(refusal.headers))
        return RemoteProtocolError(str(refusal.error), event_hint=hint)
    return RemoteProtocolError(text, event_hint=RejectConnection())


def response_error(
    refusal: events.RejectConnection, headers: Sequence[tuple[bytes, bytes]], accept_token: bytes
) -> RemoteProtocolError:
    """Make the error for a 101 that breaks a rule."""
    fields = index(headers)
    subprotocol = fields.get(b"sec-websocket-protocol")
    if not _names_upgrade(fields):
        text = _NO_CONNECTION
    elif not _names_websocket(fields):
        text = _NO_UPGRADE
    elif fields.get(b"sec-websocket-accept") != [accept_token]:
        text = "Bad accept token"
    elif subprotocol and len(subprotocol) == 1:
        text = f"unrecognized subprotocol {subprotocol[0].decode('latin-1')}"
    else:
        text = str(refusal.error)
    return RemoteProtocolError(text, event_hint=RejectConnection())


def _names_upgrade(fields: Fields) -> bool:
    return b"upgrade" in options(fields.get(b"connection", ()))


def _names_websocket(fields: Fields) -> bool:
    return b"websocket" in options(fields.get(b"upgrade", ()))
