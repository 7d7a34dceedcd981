"""Header fields as plain values (RFC 9110 section 5): reading what came, checking what is to be sent.

Knows the grammar of fields, hosts and targets, and which fields a caller can't set. Must not know how a handshake
goes, nor any HTTP library.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence, Set
from typing import cast

from .errors import LocalProtocolError
from .events import Header, Headers

Fields = dict[bytes, list[bytes]]
"""All values of each field, by its name in lower case."""

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110 section 5.6.2: methods, field names, subprotocols."""

is_token = re.compile(TOKEN).fullmatch

# RFC 9110 section 5.5: no control characters but the tab, no white space at the ends; 0x80 to 0xff are opaque.
is_field_value = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?").fullmatch

# RFC 3986 section 3.2.2, without user information. RFC 6455 section 3 has no use for an empty host.
is_host = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z\-._~%!$&'()*+,;=]+)(?::[0-9]*)?").fullmatch

# RFC 9112 section 3.2.1; RFC 6455 section 3: no fragment. Wider than RFC 3986, since browsers send `|` and `{`.
is_target = re.compile(rb"/[\x21\x22\x24-\x7e]*").fullmatch

# RFC 6454 section 7.1: `null`, or origins with a space between.
is_origin = re.compile(rb"[\x21-\x7e]+(?: [\x21-\x7e]+)*").fullmatch

CONNECTION_FIELDS = frozenset((b"connection", b"upgrade", b"keep-alive", b"proxy-connection", b"transfer-encoding"))
"""What belongs to one hop of HTTP/1.1, and is malformed in HTTP/2 and 3 (RFC 9113 section 8.2.2)."""

HANDSHAKE_FIELDS = frozenset(
    (
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-protocol",
        b"sec-websocket-extensions",
        b"sec-websocket-accept",
    )
)

PSEUDO_FIELDS = frozenset((b":method", b":protocol", b":scheme", b":path", b":authority"))
"""What HTTP/2 and 3 have in the place of a request line (RFC 9113 section 8.3.1, RFC 8441 section 4)."""

RESERVED = CONNECTION_FIELDS | HANDSHAKE_FIELDS | {b"content-length", b"host", b"te", b"trailer"}
"""What the handshake or the transport decides, so that a caller can't."""

_NOT_FORWARDED = RESERVED | PSEUDO_FIELDS | {b"origin"}

_SHOWN = 64  # bytes of an offending value in an error message: enough to tell, too few to flood a log


def shown(value: bytes | str) -> str:
    """Quote a value for an error message, cut to a length that fits one."""
    return repr(value[:_SHOWN])[isinstance(value, bytes) :]


def encoded(value: object, what: str) -> bytes:
    """Give a caller's text as bytes. Raises LocalProtocolError for what is neither bytes nor ASCII."""
    if isinstance(value, str):
        if value.isascii():
            return value.encode("ascii")
        raise LocalProtocolError(f"{what} {shown(value)} is not ASCII; encode it to bytes as the peer expects it")
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value)
        except ValueError as error:
            raise LocalProtocolError(f"{what} can't be read: {error}") from None
    raise LocalProtocolError(f"{what} is of type {type(value).__name__}; it is str or bytes")


def received(headers: Headers) -> list[Header]:
    """Give fields that came from a peer as bytes, names in lower case. Text becomes UTF-8, whatever is in it."""
    try:
        return [
            (
                (name if type(name) is bytes else lenient(name)).lower(),
                value if type(value) is bytes else lenient(value),
            )
            for name, value in headers
        ]
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"headers are not pairs of str or bytes: {error}") from error


def lenient(value: object) -> bytes:
    """Give a peer's text as bytes, whatever is in it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return encoded(value, "what the peer sent")


def _pair(header: object) -> tuple[object, object]:
    if isinstance(header, (str, bytes)):  # which could be taken apart like a pair, if it has two characters
        raise TypeError(f"{shown(header)} is none")
    name, value = cast("tuple[object, object]", header)
    return name, value


def sendable(headers: Headers, *, allowed: Set[bytes] = frozenset()) -> list[Header]:
    """Check the fields that a caller adds, and give them as bytes, names in lower case.

    Raises LocalProtocolError for what could inject a field or end the head (CR, LF, NUL), for what else RFC 9110
    section 5 forbids, and for fields that are reserved and not `allowed`.
    """
    checked = []
    try:
        pairs = [_pair(header) for header in headers]
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"headers are not pairs of name and value: {error}") from error
    for raw_name, raw_value in pairs:
        name = encoded(raw_name, "header name").lower()
        value = encoded(raw_value, "header value")
        if not is_token(name):
            raise LocalProtocolError(f"header name {shown(name)} is not a token")
        if not is_field_value(value):
            raise LocalProtocolError(
                f"value {shown(value)} of header {shown(name)} has a control character or outer space"
            )
        if name in RESERVED and name not in allowed:
            raise LocalProtocolError(f"header {shown(name)} is set by the handshake, not by the caller")
        checked.append((name, value))
    return checked


def index(headers: Collection[Header]) -> Fields:
    """Gather the values of each field."""
    fields = {name: [value] for name, value in headers}
    if len(fields) < len(headers):
        for values in fields.values():
            values.clear()
        for name, value in headers:
            fields[name].append(value)
    return fields


def elements(values: Sequence[bytes]) -> list[bytes]:
    """Split a list field, however many lines it came in; empty elements count for nothing (RFC 9110 section 5.6.1)."""
    stripped = [element.strip(b" \t") for element in b",".join(values).split(b",")]
    return [element for element in stripped if element]


def options(values: Sequence[bytes]) -> set[bytes]:
    """Read a list whose elements match whole and without case, as those of Connection and Upgrade do."""
    if len(values) == 1 and b"," not in values[0]:
        return {values[0].strip(b" \t").lower()}  # nearly always so, and three times as fast
    return {element.lower() for element in elements(values)}


def forwardable(headers: Iterable[Header], connection: set[bytes]) -> list[Header]:
    """Leave out what the handshake owns, and what a proxy must not pass on: the fields that the options of Connection
    name (RFC 9110 section 7.6.1), and what is no field, as `sendable` has it: a peer that sends a control character
    would make the proxy fail.
    """
    dropped = _NOT_FORWARDED if connection <= _NOT_FORWARDED else _NOT_FORWARDED | connection
    return [
        (name, value) for name, value in headers if name not in dropped and is_token(name) and is_field_value(value)
    ]
