"""What adapters of any framework need around a handshake: the URI, the choice of a subprotocol, a refusal to raise.

Knows plain values. Must not know sockets, or any framework.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ..constants import CloseCode
from ..errors import LocalProtocolError, RemoteProtocolError
from ..events import Headers, RejectConnection, Request

DEFAULT_PORTS = {"ws": 80, "wss": 443}

# urlsplit() drops line breaks and tabs without a word.
_is_visible_ascii = re.compile(r"[!-~]*").fullmatch


class HandshakeRejected(RemoteProtocolError):
    """The server answered the opening handshake with something else than an upgrade (RFC 6455 section 4.1).

    `status_code`, `headers` and `body` are those of its response. Redirects are not followed: their status and
    `location` header arrive here.
    """

    def __init__(self, rejection: RejectConnection) -> None:
        super().__init__(f"server refused the connection: HTTP {rejection.status_code}", CloseCode.ABNORMAL_CLOSURE)
        self.status_code = rejection.status_code
        self.headers: Headers = rejection.headers
        self.body = rejection.body


class Uri(NamedTuple):
    """A WebSocket URI taken apart (RFC 6455 section 3). `authority` is what the Host header says."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str


def parse_uri(uri: str) -> Uri:
    """Take a URI apart. Raises LocalProtocolError for what is no WebSocket URI, and for user information in it."""
    if not _is_visible_ascii(uri):
        raise LocalProtocolError(f"uri {uri!r} is not in visible ASCII; encode what else is in it")
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LocalProtocolError(f"uri {uri!r} is malformed: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise LocalProtocolError(f"uri {uri!r} has the scheme {parts.scheme!r}; it is ws or wss")
    if not host:
        raise LocalProtocolError(f"uri {uri!r} has no host")
    if parts.username is not None or parts.password is not None:
        # The uri isn't quoted: what is in it is secret, and messages are logged.
        raise LocalProtocolError("uri has user information; send it in an authorization header instead")
    if "#" in uri:
        # RFC 6455 section 3: "Fragment identifiers [...] MUST NOT be used on these URIs."
        raise LocalProtocolError(f"uri {uri!r} has a fragment; a WebSocket URI has none")
    authority = f"[{host}]" if ":" in host else host
    if port is None:
        port = DEFAULT_PORTS[parts.scheme]
    if port != DEFAULT_PORTS[parts.scheme]:
        authority += f":{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Uri(parts.scheme == "wss", host, port, authority, target)


def select_subprotocol(request: Request, supported: Sequence[str]) -> str | None:
    """Choose the first subprotocol that we support and the client offers (RFC 6455 section 4.2.2, item 4)."""
    return next((subprotocol for subprotocol in supported if subprotocol in request.subprotocols), None)
