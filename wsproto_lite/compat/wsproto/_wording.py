"""What wsproto says about a peer's faults, which programs send on as close reasons.

Knows the core's sentences about frames. A sentence that isn't here is passed on as it is.
"""

from __future__ import annotations

import re
from typing import Callable

from ...errors import RemoteProtocolError
from ._frames import LOCAL_ONLY_CLOSE_REASONS, MAX_CLOSE_REASON, MIN_CLOSE_REASON, CloseReason, Opcode, ParseFailed


def _expected_continuation(match: re.Match[str]) -> str:
    return f"expected CONTINUATION, got {Opcode[match[1].upper()]!r}"


def _close_code(match: re.Match[str]) -> str:
    code = int(match[1])
    if not MIN_CLOSE_REASON <= code <= MAX_CLOSE_REASON:
        return "CLOSE with invalid code"
    if code in LOCAL_ONLY_CLOSE_REASONS:
        return "remote CLOSE with local-only reason"
    return "CLOSE with unknown reserved code"


_WORDING: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"reserved bits .*", "Reserved bit set unexpectedly"),
    (r"opcode (0x\w+) is unknown", r"Invalid opcode \1"),
    (r"control frame with opcode .* is fragmented", "Invalid attempt to fragment control frame"),
    (r"frame from the client is not masked", "server received unexpected unmasked frame"),
    (r"frame from the server is masked", "client received unexpected masked frame"),
    (r"control frame has length .*", "Control frame with payload len > 125"),
    (r"payload length has its most significant bit set", "8-byte payload length with non-zero MSB"),
    (r"continuation frame between messages", "unexpected CONTINUATION"),
    (r"(text|binary) frame inside a fragmented .*", _expected_continuation),
    (r"close frame has 1 byte of payload.*", "CLOSE with 1 byte payload"),
    (r"close frame has code (\d+).*", _close_code),
    (r"compressed message (?:is corrupt|ends within).*", "error in extension"),
]


def worded(fault: RemoteProtocolError) -> ParseFailed:
    """Make wsproto's error of the core's."""
    if isinstance(fault, ParseFailed):
        return fault
    text, code = str(fault), CloseReason(fault.code)
    for pattern, wording in _WORDING:
        match = re.fullmatch(pattern, text)
        if match is not None:
            return ParseFailed(wording(match) if callable(wording) else match.expand(wording), code)
    return ParseFailed(text, code)
