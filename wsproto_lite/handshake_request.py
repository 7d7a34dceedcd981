"""The smallest handshake there is, as bytes, for those who bring everything else themselves.

Knows how a request and its 101 are written. Whether a server should accept one is for `check_request` to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import LocalProtocolError, RemoteProtocolError
from .events import Header, Headers
from .handshake_shared import VERSION, accept_key, generate_key
from .headers import (
    Fields,
    elements,
    encoded,
    index,
    is_field_value,
    is_host,
    is_target,
    is_token,
    options,
    sendable,
    shown,
)

_request_line = re.compile(rb"GET ([^ ]+) HTTP/([0-9]\.[0-9])").fullmatch
_status_line = re.compile(rb"HTTP/([0-9]\.[0-9]) 101(?: [\t\x20-\x7e\x80-\xff]*)?").fullmatch
_is_http_version = re.compile(rb"[0-9]\.[0-9]").fullmatch
_is_version = re.compile(rb"[0-9]{1,3}").fullmatch  # RFC 6455 section 4.3: at most 255

# Any base64 will do: how many bytes are in it is for the server to judge.
_is_base64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}").fullmatch

# What goes into attributes, and what of the rest that is reserved elsewhere may be among the headers here.
_IN_REQUEST = frozenset(
    (b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol")
)
_IN_RESPONSE = frozenset((b"upgrade", b"connection", b"sec-websocket-accept", b"sec-websocket-protocol"))
_BESIDES_REQUEST = frozenset((b"sec-websocket-extensions", b"keep-alive", b"proxy-connection", b"te", b"trailer"))
_BESIDES_RESPONSE = _BESIDES_REQUEST | {b"sec-websocket-version"}


@dataclass(init=False)
class HandshakeRequest:
    """A client's request (RFC 6455 section 4.1) with nothing in it that isn't needed.

    websocket_b64key: base64; a fresh one for each request unless given.
    websocket_version, http_version, resource: as they go on the wire.
    websocket_protocols: subprotocols, best first, with commas between.
    host: left out if None, but servers insist on it (RFC 9112 section 3.2).
    headers: further ones, Origin for example; names in lower case.

    Attributes can be set later, too, to str or bytes; text becomes bytes when the request is used. Raises
    LocalProtocolError for what can't be sent, so that no value can smuggle in another field.
    """

    __slots__ = (
        "headers",
        "host",
        "http_version",
        "resource",
        "websocket_b64key",
        "websocket_protocols",
        "websocket_version",
    )

    websocket_b64key: bytes
    websocket_version: bytes
    websocket_protocols: bytes | None
    resource: bytes
    http_version: bytes
    host: bytes | None
    headers: list[Header]

    def __init__(
        self,
        websocket_b64key: str | bytes | None = None,
        websocket_version: str | bytes = VERSION,
        websocket_protocols: str | bytes | None = None,
        resource: str | bytes = b"/",
        http_version: str | bytes = b"1.1",
        host: str | bytes | None = None,
        headers: Headers = (),
    ) -> None:
        key = generate_key() if websocket_b64key is None else websocket_b64key
        self._set(key, websocket_version, websocket_protocols, resource, http_version, host)
        self.headers = sendable(headers, allowed=_BESIDES_REQUEST)

    def _set(
        self,
        key: str | bytes,
        version: str | bytes,
        protocols: str | bytes | None,
        resource: str | bytes,
        http_version: str | bytes,
        host: str | bytes | None,
    ) -> None:
        self.websocket_b64key = encoded(key, "key")
        self.websocket_version = encoded(version, "version")
        self.websocket_protocols = _optional(protocols, "subprotocols")
        self.resource = encoded(resource, "resource")
        self.http_version = encoded(http_version, "http version")
        self.host = _optional(host, "host")
        _require(_is_base64(self.websocket_b64key), "key", self.websocket_b64key)
        _require(_is_version(self.websocket_version), "version", self.websocket_version)
        _check_subprotocols(self.websocket_protocols)
        _require(is_target(self.resource), "resource", self.resource)
        _require(_is_http_version(self.http_version), "http version", self.http_version)
        _require(self.host is None or is_host(self.host), "host", self.host)

    def _check(self) -> None:
        """Check what may have been set after the construction, all but the headers."""
        self._set(
            self.websocket_b64key,
            self.websocket_version,
            self.websocket_protocols,
            self.resource,
            self.http_version,
            self.host,
        )

    def to_bytes(self) -> bytes:
        """Write the request. Raises LocalProtocolError if an attribute was set to what can't be sent."""
        self._check()
        return _message(
            b"GET %b HTTP/%b" % (self.resource, self.http_version),
            (b"Host", self.host),
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Key", self.websocket_b64key),
            (b"Sec-WebSocket-Version", self.websocket_version),
            (b"Sec-WebSocket-Protocol", self.websocket_protocols),
            *sendable(self.headers, allowed=_BESIDES_REQUEST),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> HandshakeRequest:
        """Read a request, from its first byte to its blank line.

        Options of Connection and Upgrade besides those of the handshake are not kept. Raises RemoteProtocolError for
        what isn't a whole request, with everything that a handshake needs but Host, or has something behind it.
        """
        line, headers = _parse(data)
        match = _request_line(line)
        if match is None:
            raise RemoteProtocolError(f"{shown(line)} is not the request line of a handshake")
        fields = index(headers)
        _check_upgrade(fields)
        protocols = fields.get(b"sec-websocket-protocol")
        try:
            return cls(
                _required(fields, b"sec-websocket-key"),
                _required(fields, b"sec-websocket-version"),
                None if protocols is None else _without_empty(b", ".join(protocols)),
                resource=match[1],
                http_version=match[2],
                host=_optional_field(fields, b"host"),
                headers=[field for field in headers if field[0] not in _IN_REQUEST],
            )
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from error

    def make_response(
        self,
        websocket_protocols: str | bytes | None = None,
        http_version: str | bytes = b"1.1",
        headers: Headers = (),
    ) -> HandshakeResponse:
        """Make the consent to this request, with one of its subprotocols or none.

        Raises LocalProtocolError for a subprotocol that was not offered (RFC 6455 section 4.2.2), and as the
        constructor does.
        """
        self._check()
        chosen = _optional(websocket_protocols, "subprotocol")
        if chosen is not None and chosen not in elements([self.websocket_protocols or b""]):
            raise LocalProtocolError(f"subprotocol {shown(chosen)} was not offered")
        return HandshakeResponse(accept_key(self.websocket_b64key), chosen, http_version, headers)


@dataclass(init=False)
class HandshakeResponse:
    """A server's consent (RFC 6455 section 4.2.2), made by `HandshakeRequest.make_response` or read from bytes.

    Attributes can be set later, as those of the request. Raises LocalProtocolError for what can't be sent.
    """

    __slots__ = ("headers", "http_version", "websocket_b64accept", "websocket_protocols")

    websocket_b64accept: bytes
    websocket_protocols: bytes | None
    http_version: bytes
    headers: list[Header]

    def __init__(
        self,
        websocket_b64accept: str | bytes,
        websocket_protocols: str | bytes | None = None,
        http_version: str | bytes = b"1.1",
        headers: Headers = (),
    ) -> None:
        self._set(websocket_b64accept, websocket_protocols, http_version)
        self.headers = sendable(headers, allowed=_BESIDES_RESPONSE)

    def _set(self, accept: str | bytes, protocol: str | bytes | None, http_version: str | bytes) -> None:
        self.websocket_b64accept = encoded(accept, "accept")
        self.websocket_protocols = _optional(protocol, "subprotocol")
        self.http_version = encoded(http_version, "http version")
        _require(_is_base64(self.websocket_b64accept), "accept", self.websocket_b64accept)
        _require(
            self.websocket_protocols is None or is_token(self.websocket_protocols),
            "subprotocol",
            self.websocket_protocols,
        )
        _require(_is_http_version(self.http_version), "http version", self.http_version)

    def to_bytes(self) -> bytes:
        """Write the response. Raises LocalProtocolError if an attribute was set to what can't be sent."""
        self._set(self.websocket_b64accept, self.websocket_protocols, self.http_version)
        return _message(
            b"HTTP/%b 101 Switching Protocols" % self.http_version,
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", self.websocket_b64accept),
            (b"Sec-WebSocket-Protocol", self.websocket_protocols),
            *sendable(self.headers, allowed=_BESIDES_RESPONSE),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> HandshakeResponse:
        """Read a response, from its first byte to its blank line. Raises RemoteProtocolError as the request's does."""
        line, headers = _parse(data)
        match = _status_line(line)
        if match is None:
            raise RemoteProtocolError(f"{shown(line)} is not the status line of a consent")
        fields = index(headers)
        _check_upgrade(fields)
        try:
            return cls(
                _required(fields, b"sec-websocket-accept"),
                _optional_field(fields, b"sec-websocket-protocol"),
                match[1],
                [field for field in headers if field[0] not in _IN_RESPONSE],
            )
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from error


def _optional(value: str | bytes | None, what: str) -> bytes | None:
    return None if value is None else encoded(value, what)


def _require(fits: object, what: str, value: object) -> None:
    if not fits:
        raise LocalProtocolError(f"{what} {value!r:.64} can't be sent")


def _check_subprotocols(value: bytes | None) -> None:
    if value is None:
        return
    # Section 4.1, item 10: no element is empty, and none comes twice. A field's value has no white space at its ends.
    subprotocols = [element.strip(b" \t") for element in value.split(b",")]
    fits = all(map(is_token, subprotocols)) and len(set(subprotocols)) == len(subprotocols)
    _require(fits and is_field_value(value), "list of subprotocols", value)


def _without_empty(protocols: bytes) -> bytes:
    """Leave out the empty elements of a list that a peer wrote; a reader ignores them (RFC 9110 section 5.6.1.2)."""
    return b",".join([element for element in protocols.split(b",") if element.strip(b" \t")]).strip(b" \t")


def _message(first_line: bytes, *headers: tuple[bytes, bytes | None]) -> bytes:
    lines = [b"%b: %b" % (name, value) for name, value in headers if value is not None]
    return b"\r\n".join([first_line, *lines, b"", b""])


def _parse(data: bytes) -> tuple[bytes, list[Header]]:
    """Split a head into its first line and its fields, names in lower case (RFC 9112 sections 2 and 5)."""
    head, blank, behind = encoded(data, "data").partition(b"\r\n\r\n")
    if not blank or behind:
        raise RemoteProtocolError(
            f"{len(behind)} bytes follow the blank line" if blank else "message has no blank line"
        )
    first_line, *lines = head.split(b"\r\n")
    return first_line, [_parse_field(line) for line in lines]


def _parse_field(line: bytes) -> Header:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not is_token(name) or not is_field_value(value):
        raise RemoteProtocolError(f"{shown(line)} is not a header field")
    return name.lower(), value


def _check_upgrade(fields: Fields) -> None:
    if b"websocket" not in options(fields.get(b"upgrade", ())):
        raise RemoteProtocolError("no upgrade header names websocket")
    if b"upgrade" not in options(fields.get(b"connection", ())):
        raise RemoteProtocolError("no connection header names upgrade")


def _required(fields: Fields, name: bytes) -> bytes:
    value = _optional_field(fields, name)
    if value is None:
        raise RemoteProtocolError(f"message has no {name.decode()} header")
    return value


def _optional_field(fields: Fields, name: bytes) -> bytes | None:
    values = fields.get(name, [])
    if len(values) > 1:
        raise RemoteProtocolError(f"message has {len(values)} {name.decode()} headers; the limit is 1")
    return values[0] if values else None
