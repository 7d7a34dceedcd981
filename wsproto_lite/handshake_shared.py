"""What both sides of a handshake share: its result, the HTTP versions, and the key (RFC 6455 section 1.3).

Must not know what either side asks of the other.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from hashlib import sha1
from typing import Callable, Literal, NamedTuple

from .errors import LocalProtocolError
from .events import Header
from .extensions import Codec
from .masking_keys import draw_random

Http = Literal["1.1", "2", "3"]

VERSION = b"13"
"""RFC 6455 section 4.1, item 9."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

# 16 bytes in base64: 22 digits, the last of which carries two bits, and two pads (RFC 4648 section 3.5).
is_key = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==").fullmatch


class Handshake(NamedTuple):
    """A handshake that succeeded.

    `headers` are those of the response, names in lower case. `extensions` are the negotiated codecs in the order of
    the response, made for this connection alone.
    """

    status: int
    headers: list[Header]
    subprotocol: str | None
    extensions: tuple[Codec, ...]


def check_http(http: str) -> None:
    """Raise LocalProtocolError for a version that there is no handshake for."""
    if http not in ("1.1", "2", "3"):
        raise LocalProtocolError(f"http is {http!r}; it is one of '1.1', '2', '3'")


def generate_key(random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """Make the nonce of a request: 16 random bytes in base64 (RFC 6455 section 4.1, item 7).

    Raises LocalProtocolError if `random_bytes` gives something else.
    """
    nonce = draw_random(random_bytes, 16)
    if len(nonce) != 16:
        raise LocalProtocolError(f"random_bytes(16) returned {len(nonce)} bytes")
    return b64encode(nonce)


def accept_key(key: bytes) -> bytes:
    """Turn Sec-WebSocket-Key into Sec-WebSocket-Accept (RFC 6455 section 4.2.2, item 5.4)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
