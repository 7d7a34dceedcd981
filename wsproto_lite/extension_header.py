"""Sec-WebSocket-Extensions as a value: its grammar, read and written (RFC 6455 section 9.1).

Knows no extension and not which side it serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import LocalProtocolError, RemoteProtocolError
from .events import ExtensionOffer
from .headers import TOKEN, is_token, shown

_TCHAR = TOKEN[:-1]  # less its +

# Each pattern matches a text in one way only, so that no input makes it go back: time is linear.
_name = re.compile(rb"[\t ]*(%b)?[\t ]*" % TOKEN).match
# Section 9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
_param = re.compile(rb';[\t ]*(%b)(?:[\t ]*=[\t ]*(?:(%b)|"((?:\\?%b)+)"))?[\t ]*' % (TOKEN, TOKEN, _TCHAR)).match


def parse_extensions(values: Iterable[bytes]) -> tuple[ExtensionOffer, ...]:
    """Read the elements of all Sec-WebSocket-Extensions fields of a message, in order.

    Names and values are taken with their case. Empty elements count for nothing (RFC 9110 section 5.6.1), but
    section 9.1 asks for at least one that isn't. Raises RemoteProtocolError for anything that isn't of its grammar.
    """
    offers: list[ExtensionOffer] = []
    is_present = False
    for value in values:
        is_present = True
        _parse(value, offers)
    if is_present and not offers:
        raise RemoteProtocolError("sec-websocket-extensions names no extension; it needs at least one")
    return tuple(offers)


def _parse(value: bytes, offers: list[ExtensionOffer]) -> None:
    position = 0
    while True:
        name = _name(value, position)
        assert name is not None  # all of the pattern is optional
        position = name.end()
        if name[1]:
            params: list[tuple[str, str | None]] = []
            while True:
                param = _param(value, position)
                if param is None:
                    break
                position = param.end()
                params.append((param[1].decode(), _value(param[2], param[3])))
            offers.append((name[1].decode(), tuple(params)))
        if position == len(value):
            return
        if value[position] != ord(","):
            where = shown(value[position:])
            raise RemoteProtocolError(f"sec-websocket-extensions is malformed at byte {position}: {where}")
        position += 1


def _value(token: bytes | None, quoted: bytes | None) -> str | None:
    if quoted is not None:
        return quoted.replace(b"\\", b"").decode()
    return None if token is None else token.decode()


def format_extensions(elements: Iterable[ExtensionOffer]) -> bytes:
    """Write a Sec-WebSocket-Extensions field. Raises LocalProtocolError for a name or value that isn't a token."""
    return b", ".join(
        b"; ".join([_token(name, "extension"), *(_assignment(param, value) for param, value in params)])
        for name, params in elements
    )


def _assignment(name: str, value: str | None) -> bytes:
    encoded = _token(name, "extension parameter")
    return encoded if value is None else b"%b=%b" % (encoded, _token(value, f"value of {name}"))


def _token(text: str, what: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b""
    if not is_token(encoded):
        raise LocalProtocolError(f"{what} is {text!r}; it must be a token")
    return encoded
