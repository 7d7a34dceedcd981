"""The client's side of the handshake: make a request, judge the response (RFC 6455 section 4.1).

Knows plain values. Must not know an HTTP library, bytes on the wire, or the state of a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .constants import CloseCode
from .errors import LocalProtocolError, RemoteProtocolError
from .events import Header, Headers, RejectConnection, Request
from .extensions import Codec, finalize, format_extensions, parse_extensions
from .handshake_shared import VERSION, Handshake, Http, accept_key, check_http, generate_key, is_key
from .headers import (
    CONNECTION_FIELDS,
    Fields,
    encoded,
    index,
    is_host,
    is_origin,
    is_target,
    is_token,
    options,
    received,
    sendable,
    shown,
)
from .settings import Settings


def request_headers(
    request: Request,
    settings: Settings,
    *,
    http: Http = "1.1",
    key: str | bytes | None = None,
    scheme: Literal["http", "https"] = "https",
) -> list[Header]:
    """Client: make the headers of a request (RFC 6455 section 4.1; RFC 8441 section 5 for HTTP/2 and 3).

    Without `key`, which only HTTP/1.1 has, a fresh one is made. In HTTP/2 and 3 pseudo-header fields lead, and
    `scheme` is among them. Raises LocalProtocolError for what can't be sent.
    """
    check_http(http)
    target, host = _text(request.target, "target"), _text(request.host, "host")
    if not is_target(target):
        raise LocalProtocolError(f"target {shown(target)} is not a path in visible ASCII without fragment")
    if not is_host(host):
        raise LocalProtocolError(f"host {shown(host)} is not a name or address, with a port or without")
    extra = sendable(request.headers)
    headers = _opening(target, host, scheme) if http != "1.1" else _upgrade(host, settings, key)
    headers.append((b"sec-websocket-version", VERSION))
    headers += _origin(request, extra)
    headers += _offered(request, settings)
    return headers + extra


def _text(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{what} is of type {type(value).__name__}; it is str")
    return encoded(value, what)


def _upgrade(host: bytes, settings: Settings, key: str | bytes | None) -> list[Header]:
    sent = generate_key(settings.random_bytes) if key is None else encoded(key, "key")
    if not is_key(sent):
        raise LocalProtocolError(f"key {shown(sent)} is not 16 bytes in base64")
    # RFC 9110 section 7.2: Host goes first.
    return [(b"host", host), (b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-key", sent)]


def _opening(target: bytes, host: bytes, scheme: str) -> list[Header]:
    if scheme not in ("http", "https"):
        raise LocalProtocolError(f"scheme is {scheme!r}; it is 'http' or 'https'")
    return [
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", scheme.encode("ascii")),
        (b":path", target),
        (b":authority", host),
    ]


def _origin(request: Request, extra: Sequence[Header]) -> list[Header]:
    headers = [] if request.origin is None else [(b"origin", _text(request.origin, "origin"))]
    for _, origin in headers:
        if not is_origin(origin):
            raise LocalProtocolError(f"origin {shown(origin)} is not an origin in visible ASCII")
    if len(headers) + sum(name == b"origin" for name, _ in extra) > 1:
        raise LocalProtocolError("origin is given twice; a request has at most one")
    return headers


def _offered(request: Request, settings: Settings) -> list[Header]:
    headers = []
    subprotocols = _subprotocols(request)
    if subprotocols:
        headers.append((b"sec-websocket-protocol", b", ".join(subprotocols)))
    if settings.extensions:
        offers = [(extension.name, tuple(extension.offer())) for extension in settings.extensions]
        headers.append((b"sec-websocket-extensions", format_extensions(offers)))
    return headers


def _subprotocols(request: Request) -> list[bytes]:
    if isinstance(request.subprotocols, (str, bytes)) or not isinstance(request.subprotocols, Sequence):
        raise LocalProtocolError(f"subprotocols is {request.subprotocols!r}; it is a sequence of names")
    subprotocols = [_text(subprotocol, "subprotocol") for subprotocol in request.subprotocols]
    for subprotocol in subprotocols:
        if not is_token(subprotocol):
            raise LocalProtocolError(f"subprotocol {shown(subprotocol)} is not a token")
    if len(set(subprotocols)) < len(subprotocols):
        # RFC 6455 section 4.1, item 10.
        raise LocalProtocolError(f"subprotocols are {request.subprotocols!r}; each may be named once")
    return subprotocols


def check_response(
    status: int,
    headers: Headers,
    request: Request,
    settings: Settings,
    *,
    http: Http = "1.1",
    key: str | bytes | None = None,
) -> Handshake | RejectConnection:
    """Client: judge the final response to `request` (RFC 6455 section 4.1; RFC 8441 section 5 for HTTP/2 and 3).

    `key` is the one that was sent. Returns the handshake; a refusal, without its body; or, where the server consents
    and breaks a rule, a RejectConnection with the `error`, whose code is 1010 if that is about extensions. Raises
    LocalProtocolError for an interim response, a status that is no number or a missing key.
    """
    check_http(http)
    if not isinstance(status, int):
        raise LocalProtocolError(f"status is {status!r}; it is an int")
    fields = received(headers)
    consent = status == 101 if http == "1.1" else 200 <= status <= 299
    if not consent:
        if 100 <= status <= 199:
            raise LocalProtocolError(f"status {status} is interim; wait for the final response")
        return RejectConnection(status, fields)
    try:
        return _read_response(status, fields, request, settings, _expected_accept(key) if http == "1.1" else None)
    except RemoteProtocolError as error:
        # A new one: that which was raised holds on to its frames.
        return RejectConnection(status, fields, error=RemoteProtocolError(str(error), error.code))


def _read_response(
    status: int, headers: list[Header], request: Request, settings: Settings, accept: bytes | None
) -> Handshake:
    fields = index(headers)
    if accept is None:
        _check_no_connection_fields(fields)
    else:
        _check_switch(fields, accept)
    subprotocol = _read_subprotocol(fields, request)
    return Handshake(status, headers, subprotocol, _read_extensions(fields, settings))


def _expected_accept(key: str | bytes | None) -> bytes:
    if key is None:
        raise LocalProtocolError("key is None; an HTTP/1.1 response is judged by the key that was sent")
    return accept_key(encoded(key, "key"))


def _check_switch(fields: Fields, accept: bytes) -> None:
    """RFC 6455 section 4.1, items 2 to 4 of what a client validates."""
    if options(fields.get(b"upgrade", ())) != {b"websocket"}:
        raise RemoteProtocolError("upgrade header of the response is not websocket")
    if b"upgrade" not in options(fields.get(b"connection", ())):
        raise RemoteProtocolError("no connection header of the response names upgrade")
    answer = _one(fields, b"sec-websocket-accept")
    if answer != accept:
        shown_answer = "missing" if answer is None else shown(answer)
        raise RemoteProtocolError(f"sec-websocket-accept is {shown_answer}; the key asks for {shown(accept)}")


def _check_no_connection_fields(fields: Fields) -> None:
    forbidden = CONNECTION_FIELDS & fields.keys()
    if forbidden:
        raise RemoteProtocolError(f"response has {min(forbidden).decode()} headers, which belong to HTTP/1.1")


def _read_subprotocol(fields: Fields, request: Request) -> str | None:
    """RFC 6455 section 4.1, item 6 of what a client validates."""
    value = _one(fields, b"sec-websocket-protocol")
    if value is None:
        return None
    subprotocol = value.decode("latin-1")
    if subprotocol not in request.subprotocols:
        raise RemoteProtocolError(f"subprotocol {shown(value)} was not offered; the offer was {request.subprotocols!r}")
    return subprotocol


def _read_extensions(fields: Fields, settings: Settings) -> tuple[Codec, ...]:
    """RFC 6455 section 4.1, item 5 of what a client validates."""
    if b"sec-websocket-extensions" not in fields:
        return ()
    try:
        _one(fields, b"sec-websocket-extensions")
        return finalize(parse_extensions(fields[b"sec-websocket-extensions"]), settings.extensions)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(str(error), CloseCode.MANDATORY_EXTENSION) from error


def _one(fields: Fields, name: bytes) -> bytes | None:
    """Give a field that a response has once at most (RFC 6455 sections 11.3.2 to 11.3.4)."""
    values = fields.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise RemoteProtocolError(f"response has {len(values)} {name.decode()} headers; the limit is 1")
    return values[0].strip(b" \t")
