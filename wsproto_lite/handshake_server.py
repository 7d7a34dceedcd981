"""The server's side of the handshake: judge a request, accept it, refuse it (RFC 6455 section 4.2).

Knows plain values. Must not know an HTTP library, bytes on the wire, or the state of a connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import LocalProtocolError, RemoteProtocolError, number
from .events import AcceptConnection, Header, Headers, RejectConnection, Request
from .extensions import format_extensions, negotiate
from .handshake_rules import (
    Refused,
    check_extended_connect,
    check_no_body,
    check_size,
    check_upgrade,
    check_version,
    check_version_of_http,
    read_authority,
    read_extensions,
    read_host,
    read_key,
    read_origin,
    read_resource,
    read_subprotocols,
)
from .handshake_shared import Handshake, Http, accept_key, check_http, is_key
from .headers import Fields, encoded, forwardable, index, is_token, lenient, options, received, sendable, shown
from .settings import Settings

_NO_CONTENT = (204, 205, 304)  # RFC 9110 sections 15.3.5, 15.3.6, 15.4.5


def check_request(
    method: str | bytes, target: str | bytes, headers: Headers, settings: Settings, *, http: str = "1.1"
) -> Request | RejectConnection:
    """Server: judge a request (RFC 6455 section 4.2.1; RFC 8441 section 5 for HTTP/2 and 3).

    `headers` are all of the request's, names in any case; in HTTP/2 and 3 pseudo-header fields may be among them.
    Text in them is taken for UTF-8. `http` is the request's version; there is a handshake for "1.1", "2" and "3".
    Returns the event for the user, or the refusal to answer with, whose `error` says why. Nothing that a peer sends
    raises; LocalProtocolError is for arguments of a wrong type.
    """
    fields = received(headers)
    wire_method, wire_target = lenient(method), lenient(target)
    try:
        check_version_of_http(http)
        check_size(wire_target, fields, settings)
        if http != "1.1":
            return _read_extended_connect(wire_method, wire_target, fields, settings)
    except Refused as refused:
        return _refusal(refused, upgrade=http not in ("2", "3"))
    return judge_upgrade(wire_method, wire_target, fields, settings)[0]


def judge_upgrade(
    method: bytes, target: bytes, headers: list[Header], settings: Settings
) -> tuple[Request | RejectConnection, bytes]:
    """Judge an HTTP/1.1 request within the limits, whose headers have names in lower case. Give the key with it."""
    try:
        return _read_upgrade(method, target, headers, settings)
    except Refused as refused:
        return _refusal(refused, upgrade=True), b""


def _refusal(refused: Refused, *, upgrade: bool) -> RejectConnection:
    headers = list(refused.headers)
    if upgrade:
        headers.append(_closing(headers))
    return RejectConnection(refused.status, headers, error=RemoteProtocolError(str(refused)))


def _closing(headers: Sequence[Header]) -> Header:
    """Make the Connection header of a refusal. Where there is Upgrade, it names that (RFC 9110 section 7.8)."""
    upgrade = any(name == b"upgrade" for name, _ in headers)
    return b"connection", b"close, Upgrade" if upgrade else b"close"


def _read_upgrade(method: bytes, target: bytes, headers: list[Header], settings: Settings) -> tuple[Request, bytes]:
    fields = index(headers)
    connection = check_upgrade(method, fields)
    check_no_body(fields)
    check_version(fields, upgrade=True)
    key = read_key(fields)
    resource, host = read_resource(target, read_host(fields))
    subprotocols, origin, offer = read_subprotocols(fields), read_origin(fields, settings), read_extensions(fields)
    request = Request(resource, host, subprotocols, headers, origin, offer, forwardable(headers, connection))
    return request, key


def _read_extended_connect(method: bytes, target: bytes, headers: list[Header], settings: Settings) -> Request:
    fields = index(headers)
    check_extended_connect(method, fields)
    check_no_body(fields)
    check_version(fields, upgrade=False)
    resource, host = read_resource(target, read_authority(fields))
    subprotocols, origin, offer = read_subprotocols(fields), read_origin(fields, settings), read_extensions(fields)
    return Request(resource, host, subprotocols, headers, origin, offer, forwardable(headers, set()))


def accept(request: Request, event: AcceptConnection, settings: Settings, *, http: Http | None = None) -> Handshake:
    """Server: answer a request that `check_request` gave (RFC 6455 section 4.2.2, item 5).

    `http` is "1.1" if the request has a key and no `:protocol`, else "2"; pass it where you know it. The status is 101
    with the headers of the upgrade, or 200 without. Raises LocalProtocolError for what can't be sent.
    """
    return answer(request, event, settings, _key_of(request, http))


def answer(request: Request, event: AcceptConnection, settings: Settings, key: bytes | None) -> Handshake:
    """Do as `accept`, with the key if there is one."""
    extra = sendable(event.headers)
    subprotocol = event.subprotocol
    if subprotocol is not None:
        _check_subprotocol(subprotocol, request)
    answers, codecs = negotiate(request.extensions, settings.extensions)
    headers: list[Header] = []
    if key is not None:
        headers += [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", accept_key(key))]
    if subprotocol is not None:
        headers.append((b"sec-websocket-protocol", encoded(subprotocol, "subprotocol")))
    if answers:
        headers.append((b"sec-websocket-extensions", format_extensions(answers)))
    return Handshake(200 if key is None else 101, headers + extra, subprotocol, codecs)


def _check_subprotocol(subprotocol: str, request: Request) -> None:
    if subprotocol not in request.subprotocols:
        raise LocalProtocolError(f"subprotocol {subprotocol!r} was not offered; the offer is {request.subprotocols!r}")
    if not is_token(encoded(subprotocol, "subprotocol")):
        raise LocalProtocolError(f"subprotocol {shown(subprotocol)} is not a token")


def _key_of(request: Request, http: Http | None) -> bytes | None:
    """Find the key to answer; None if the request isn't an upgrade."""
    check_http(http or "2")
    if http in ("2", "3"):
        return None
    fields = index(received(request.headers))
    key = fields.get(b"sec-websocket-key", [b""])[0].strip(b" \t")
    if http is None and (not key or b":protocol" in fields):
        return None
    if not is_key(key):
        raise LocalProtocolError(f"sec-websocket-key of the request is {shown(key)}; it has to be 16 bytes in base64")
    return key


def reject(event: RejectConnection, *, http: Http = "1.1") -> list[Header]:
    """Server: make the headers of a refusal.

    Content-Length is added, in HTTP/1.1 Connection: close too, and Upgrade to a 426. The caller may give these, but
    can't contradict. Raises LocalProtocolError for what can't be sent: a status outside 200 to 599 (in HTTP/2 and 3,
    where 2xx is consent, outside 300 to 599), or a body with a status that has none.
    """
    check_http(http)
    status, lowest = event.status_code, 200 if http == "1.1" else 300
    if not isinstance(status, int) or not lowest <= status <= 599:
        raise LocalProtocolError(f"status of a refusal is {number(status)}; it is from {lowest} to 599")
    if not isinstance(event.body, (bytes, bytearray, memoryview)):
        raise LocalProtocolError(f"body is of type {type(event.body).__name__}; it is bytes")
    size = len(encoded(event.body, "body"))
    if size and status in _NO_CONTENT:
        raise LocalProtocolError(f"body is {size} bytes; a response {status} has none")
    given = sendable(event.headers, allowed=_allowed_in_refusal(status, http))
    _check_framing(index(given), size)
    headers = [field for field in given if field[0] not in (b"connection", b"content-length")]
    if http == "1.1":
        if status == 426 and all(name != b"upgrade" for name, _ in headers):
            headers.append((b"upgrade", b"websocket"))
        headers.append(_closing(headers))
    if status not in (204, 304):
        # RFC 9110 section 8.6: none in a 204; in a 304 it would tell the size of something else.
        headers.append((b"content-length", b"%d" % size))
    return headers


def _allowed_in_refusal(status: int, http: Http) -> set[bytes]:
    allowed = {b"content-length", b"sec-websocket-version", b"upgrade"} if status == 426 else {b"content-length"}
    return allowed | {b"connection"} if http == "1.1" else allowed - {b"upgrade"}


def _check_framing(fields: Fields, size: int) -> None:
    for length in fields.get(b"content-length", ()):
        if length != b"%d" % size:
            raise LocalProtocolError(f"content-length is {shown(length)}; the body is {size} bytes")
    if b"connection" in fields and not {b"close"} <= options(fields[b"connection"]) <= {b"close", b"upgrade"}:
        raise LocalProtocolError("connection header of a refusal is more or less than close")
