"""A Close frame's payload, read and written by one table of codes (RFC 6455 sections 5.5.1, 7.4.1 and 7.4.2)."""

from __future__ import annotations

from .codec import UTF8_INVALID, UTF8_START, check_utf8
from .constants import MAX_CLOSE_REASON, CloseCode, is_sendable_close_code
from .errors import LocalProtocolError, RemoteProtocolError, number
from .events import CloseConnection


def check_close(payload: bytes, *, whole: bool) -> None:
    """Check a Close frame's payload as far as it has come. Raises RemoteProtocolError at the earliest byte."""
    if len(payload) == 1 and whole:
        raise RemoteProtocolError("close frame has 1 byte of payload; it has none or a code of 2 bytes")
    if len(payload) < 2:
        return
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable_close_code(code):
        raise RemoteProtocolError(f"close frame has code {code}, which may not be sent")
    state = check_utf8(UTF8_START, payload[2:])
    if state == UTF8_INVALID or (whole and state != UTF8_START):
        raise RemoteProtocolError("close reason is not valid UTF-8", CloseCode.INVALID_FRAME_PAYLOAD_DATA)


def parse_close(payload: bytes) -> CloseConnection:
    """Read a Close frame's payload. Raises RemoteProtocolError."""
    check_close(payload, whole=True)
    if not payload:
        return CloseConnection(CloseCode.NO_STATUS_RCVD)
    return CloseConnection(int.from_bytes(payload[:2], "big"), payload[2:].decode())


def encode_close(code: object, reason: object) -> bytes:
    """Make a Close frame's payload. Raises LocalProtocolError."""
    if not isinstance(code, int) or not isinstance(reason, str):
        raise LocalProtocolError(f"close code and reason are {code!r} and {reason!r}; they must be int and str")
    if code == CloseCode.NO_STATUS_RCVD and not reason:
        return b""
    if not is_sendable_close_code(code):
        with_reason = " with a reason" if code == CloseCode.NO_STATUS_RCVD else ""
        raise LocalProtocolError(f"close code {number(int(code))} may not be sent{with_reason}")
    try:
        encoded = str.encode(reason)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"close reason has a lone surrogate at {error.start}") from None
    if len(encoded) > MAX_CLOSE_REASON:
        raise LocalProtocolError(f"close reason is {len(encoded)} bytes; the limit is {MAX_CLOSE_REASON}")
    return int(code).to_bytes(2, "big") + encoded
