"""What a server asks of a request: each rule of RFC 6455 section 4.2.1 and RFC 8441 section 5 as one function.

Knows the fields of a request that came and the status that fits each fault. Must not know what is answered
otherwise, nor an HTTP library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from .errors import RemoteProtocolError
from .events import ExtensionOffer, Header
from .extensions import parse_extensions
from .handshake_shared import VERSION, is_key
from .headers import (
    CONNECTION_FIELDS,
    PSEUDO_FIELDS,
    Fields,
    elements,
    is_host,
    is_origin,
    is_target,
    is_token,
    options,
    shown,
)
from .settings import Settings

# RFC 9112 section 3.2.2, with the schemes of RFC 6455 section 3 besides those of HTTP.
_absolute = re.compile(rb"(?i:https?|wss?)://([^/?#]*)(.*)").fullmatch

_USUAL = 128  # bytes of an offer worth remembering; the longest of a browser's is 70


class Refused(Exception):
    """Says why a request is refused, and with which status and headers."""

    def __init__(self, status: int, message: str, *headers: Header) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def check_version_of_http(http: str) -> None:
    """505 for a version that there is no handshake for (RFC 6455 section 4.2.1, item 1)."""
    if http not in ("1.1", "2", "3"):
        raise Refused(505, f"request is HTTP/{http}; it has to be HTTP/1.1, 2 or 3")


def check_size(target: bytes, headers: Sequence[Header], settings: Settings) -> None:
    """431 over the limits (RFC 6585 section 5)."""
    if len(headers) > settings.max_header_count:
        raise Refused(431, f"request has {len(headers)} headers; the limit is {settings.max_header_count}")
    size = len(target) + sum(map(len, chain.from_iterable(headers)))
    if size > settings.max_header_size:
        raise Refused(431, f"target and headers are {size} bytes; the limit is {settings.max_header_size}")


def check_upgrade(method: bytes, fields: Fields) -> set[bytes]:
    """HTTP/1.1: GET, Upgrade, Connection (RFC 6455 section 4.2.1, items 1, 3 and 4). Give Connection's options."""
    if method != b"GET":
        raise Refused(405, f"method {shown(method)} is not GET", (b"allow", b"GET"))
    if b"websocket" not in options(fields.get(b"upgrade", ())):
        raise Refused(400, "no upgrade header names websocket")
    connection = options(fields.get(b"connection", ()))
    if b"upgrade" not in connection:
        raise Refused(400, "no connection header names upgrade")
    return connection


def read_host(fields: Fields) -> bytes:
    """HTTP/1.1: one Host (RFC 6455 section 4.2.1, item 2)."""
    host = _one(fields, b"host")
    if host is None:
        raise Refused(400, "request has no host header")
    return host


def check_extended_connect(method: bytes, fields: Fields) -> None:
    """HTTP/2 and 3: what RFC 8441 section 4 puts in the place of an upgrade."""
    if method != b"CONNECT":
        raise Refused(405, f"method {shown(method)} is not CONNECT", (b"allow", b"CONNECT"))
    forbidden = CONNECTION_FIELDS & fields.keys()
    if forbidden:
        raise Refused(400, f"request has {min(forbidden).decode()} headers, which belong to HTTP/1.1")
    pseudo = [name for name in fields if name.startswith(b":")]
    for name in pseudo:
        if name not in PSEUDO_FIELDS:
            raise Refused(400, f"pseudo-header field {shown(name)} is unknown")
    protocol = _one(fields, b":protocol")
    if pseudo and protocol is None:
        raise Refused(400, "request has no :protocol")
    if protocol is not None and protocol.lower() != b"websocket":
        # RFC 9220 section 3: 501 for a protocol that is not supported.
        raise Refused(501, f":protocol is {shown(protocol)}; it has to be websocket")


def read_authority(fields: Fields) -> bytes | None:
    """HTTP/2 and 3: the host, unless the caller kept that to itself."""
    authority, host = _one(fields, b":authority"), _one(fields, b"host")
    if authority is None or host is None:
        return host if authority is None else authority
    if authority.lower() != host.lower():
        # RFC 9113 section 8.3.1: they must not name different things.
        raise Refused(400, f":authority is {shown(authority)}, but the host header is {shown(host)}")
    return authority


def check_no_body(fields: Fields) -> None:
    """400 for what could be taken for frames here, and for a body by a proxy in between."""
    if b"transfer-encoding" in fields:
        raise Refused(400, "request has a transfer-encoding header; a handshake has no body")
    for length in fields.get(b"content-length", ()):
        if length != b"0":
            raise Refused(400, f"request has a content-length of {shown(length)}; a handshake has no body")


def check_version(fields: Fields, *, upgrade: bool) -> None:
    """426 for another version, with the one we speak (RFC 6455 section 4.4)."""
    version = _one(fields, b"sec-websocket-version")
    if version is None:
        raise Refused(400, "request has no sec-websocket-version header")
    if version != VERSION:
        # RFC 9110 section 15.5.22 asks for Upgrade, RFC 9113 section 8.2.2 forbids it in HTTP/2.
        headers = [(b"sec-websocket-version", VERSION), (b"upgrade", b"websocket")]
        raise Refused(426, f"version is {shown(version)}; it has to be 13", *headers[: 1 + upgrade])


def read_key(fields: Fields) -> bytes:
    """Give the key: one, with 16 bytes in it (RFC 6455 section 4.2.1, item 5)."""
    key = _one(fields, b"sec-websocket-key")
    if key is None:
        raise Refused(400, "request has no sec-websocket-key header")
    if not is_key(key):
        raise Refused(400, f"sec-websocket-key {shown(key)} is not 16 bytes in base64")
    return key


def read_resource(target: bytes, host: bytes | None) -> tuple[str, str]:
    """Give resource name and host. An absolute target overrides the Host header (RFC 9112 section 3.2.2)."""
    absolute = None if target[:1] == b"/" else _absolute(target)
    if absolute is not None:
        host, target = absolute.groups()
        target = target if target[:1] == b"/" else b"/" + target
    if not is_target(target):
        raise Refused(400, f"target {shown(target)} is not a path in visible ASCII")
    if host is not None and not is_host(host):
        raise Refused(400, f"host {shown(host)} is not a name or address, with a port or without")
    return target.decode("ascii"), (host or b"").decode("ascii")


def read_subprotocols(fields: Fields) -> tuple[str, ...]:
    """Give the subprotocols, best first (RFC 6455 section 4.1, item 10: tokens, all different)."""
    if b"sec-websocket-protocol" not in fields:
        return ()
    subprotocols = elements(fields[b"sec-websocket-protocol"])
    for subprotocol in subprotocols:
        if not is_token(subprotocol):
            raise Refused(400, f"subprotocol {shown(subprotocol)} is not a token")
    if not subprotocols or len(set(subprotocols)) < len(subprotocols):
        raise Refused(400, "sec-websocket-protocol is empty or names a subprotocol twice")
    return tuple(subprotocol.decode("ascii") for subprotocol in subprotocols)


def read_extensions(fields: Fields) -> tuple[ExtensionOffer, ...]:
    """Give the offer. 400 where its syntax is broken; whether its parameters make sense is for each extension."""
    values = fields.get(b"sec-websocket-extensions")
    if values is None:
        return ()
    try:
        return _parse_usual(values[0]) if len(values) == 1 and len(values[0]) <= _USUAL else parse_extensions(values)
    except RemoteProtocolError as error:
        raise Refused(400, str(error)) from error


@lru_cache(maxsize=32)
def _parse_usual(value: bytes) -> tuple[ExtensionOffer, ...]:
    """There are few browsers, and each always offers the same: this saves 2 of 50 microseconds."""
    return parse_extensions([value])


def read_origin(fields: Fields, settings: Settings) -> str | None:
    """Give the origin. 403 where the settings don't allow it (RFC 6455 section 10.2)."""
    value = _one(fields, b"origin")
    if value is not None and not is_origin(value):
        raise Refused(400, f"origin {shown(value)} is not an origin in visible ASCII")
    origin = None if value is None else value.decode("ascii")
    if settings.allowed_origins is not None and not _is_allowed(origin, settings):
        raise Refused(
            403, "request has no origin header" if origin is None else f"origin {shown(origin)} is not allowed"
        )
    return origin


def _is_allowed(origin: str | None, settings: Settings) -> bool:
    for allowed in settings.allowed_origins or ():
        if allowed is None or isinstance(allowed, str):
            if origin == allowed:
                return True
        elif origin is not None and allowed.fullmatch(origin):
            return True
    return False


def _one(fields: Fields, name: bytes) -> bytes | None:
    values = fields.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise Refused(400, f"request has {len(values)} {name.decode()} headers; the limit is 1")
    return values[0].strip(b" \t")
