"""The numbers of RFC 6455 and the names this library gives them. Knows nothing else."""

from __future__ import annotations

from enum import Enum, IntEnum, auto


class Role(Enum):
    """Which end of the connection we are. Clients mask what they send (RFC 6455 section 5.1)."""

    CLIENT = auto()
    SERVER = auto()


CLIENT = Role.CLIENT
SERVER = Role.SERVER


class State(Enum):
    """Where a connection stands.

    `LOCAL_CLOSING`: our Close is out, the peer's is not in. `REMOTE_CLOSING`: the other way round,
    which lasts only while `auto_reply` is off. `CLOSED`: both are through, or there won't be any.
    """

    CONNECTING = auto()
    OPEN = auto()
    LOCAL_CLOSING = auto()
    REMOTE_CLOSING = auto()
    CLOSED = auto()


class Opcode(IntEnum):
    """Frame types (RFC 6455 section 5.2). Those from 8 on are control frames."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Registered close codes (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


def is_sendable_close_code(code: int) -> bool:
    """Tell whether a Close frame may carry `code`, in either direction.

    RFC 6455 section 7.4.2: 3000 to 4999 are free for libraries and applications; below that only
    what is registered. Section 7.4.1: 1005, 1006 and 1015 are never on the wire, 1004 is reserved.
    """
    return 3000 <= code <= 4999 or 1000 <= code <= 1003 or 1007 <= code <= 1014


MAX_CONTROL_PAYLOAD = 125
"""Bytes in a control frame's payload (RFC 6455 section 5.5)."""

MAX_CLOSE_REASON = MAX_CONTROL_PAYLOAD - 2
"""Bytes of UTF-8 in a close reason: what the code leaves of the payload."""
