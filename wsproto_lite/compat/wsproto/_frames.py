"""The names and numbers of wsproto's frame_protocol. Knows no bytes and no connection."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Union

from ... import errors

__all__ = [
    "FIN_MASK",
    "LOCAL_ONLY_CLOSE_REASONS",
    "MASK_MASK",
    "MAX_CLOSE_REASON",
    "MAX_FRAME_PAYLOAD",
    "MAX_LIBRARY_CLOSE_REASON",
    "MAX_PAYLOAD_EIGHT_BYTE",
    "MAX_PAYLOAD_NORMAL",
    "MAX_PAYLOAD_TWO_BYTE",
    "MAX_PRIVATE_CLOSE_REASON",
    "MAX_PROTOCOL_CLOSE_REASON",
    "MIN_CLOSE_REASON",
    "MIN_LIBRARY_CLOSE_REASON",
    "MIN_PRIVATE_CLOSE_REASON",
    "MIN_PROTOCOL_CLOSE_REASON",
    "NULL_MASK",
    "OPCODE_MASK",
    "PAYLOAD_LENGTH_EIGHT_BYTE",
    "PAYLOAD_LENGTH_TWO_BYTE",
    "PAYLOAD_LEN_MASK",
    "RSV1_MASK",
    "RSV2_MASK",
    "RSV3_MASK",
    "CloseReason",
    "Frame",
    "Header",
    "Opcode",
    "ParseFailed",
    "RsvBits",
]

# RFC 6455 section 5.2.
PAYLOAD_LENGTH_TWO_BYTE = 126
PAYLOAD_LENGTH_EIGHT_BYTE = 127
MAX_PAYLOAD_NORMAL = 125
MAX_PAYLOAD_TWO_BYTE = 2**16 - 1
MAX_PAYLOAD_EIGHT_BYTE = 2**64 - 1
MAX_FRAME_PAYLOAD = MAX_PAYLOAD_EIGHT_BYTE

MASK_MASK = 0x80
PAYLOAD_LEN_MASK = 0x7F

FIN_MASK = 0x80
RSV1_MASK = 0x40
RSV2_MASK = 0x20
RSV3_MASK = 0x10
OPCODE_MASK = 0x0F

NULL_MASK = bytes(4)

# RFC 6455 section 7.4.2.
MIN_CLOSE_REASON = 1000
MIN_PROTOCOL_CLOSE_REASON = 1000
MAX_PROTOCOL_CLOSE_REASON = 2999
MIN_LIBRARY_CLOSE_REASON = 3000
MAX_LIBRARY_CLOSE_REASON = 3999
MIN_PRIVATE_CLOSE_REASON = 4000
MAX_PRIVATE_CLOSE_REASON = 4999
MAX_CLOSE_REASON = 4999


class Opcode(IntEnum):
    """Frame types (RFC 6455 section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    def iscontrol(self) -> bool:
        """Tell whether this is the opcode of control frames (section 5.5)."""
        return bool(self & 0x08)


class CloseReason(IntEnum):
    """The close codes that wsproto has names for (RFC 6455 section 7.4.1)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_FRAME_PAYLOAD_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXT = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    TLS_HANDSHAKE_FAILED = 1015


LOCAL_ONLY_CLOSE_REASONS = (
    CloseReason.NO_STATUS_RCVD,
    CloseReason.ABNORMAL_CLOSURE,
    CloseReason.TLS_HANDSHAKE_FAILED,
)
"""Codes that no Close frame carries (RFC 6455 section 7.4.1)."""

OPCODES = {int(opcode): opcode for opcode in Opcode}

_CLOSE_REASONS: dict[int, int] = {int(reason): reason for reason in CloseReason}


def named_code(code: int) -> int:
    """Give a close code as CloseReason where that has it."""
    return _CLOSE_REASONS.get(code, code)


class ParseFailed(errors.RemoteProtocolError):
    """The peer sent what is no frame, or none that may come. `code` is the close code to answer with."""

    code: CloseReason

    def __init__(self, msg: str, code: CloseReason = CloseReason.PROTOCOL_ERROR) -> None:
        super().__init__(msg, code)
        self.code = code


class RsvBits(NamedTuple):
    """The reserved bits of a frame."""

    rsv1: bool
    rsv2: bool
    rsv3: bool


class Header(NamedTuple):
    """A frame's header. wsproto never fills in `masking_key`, and nor do we."""

    fin: bool
    rsv: RsvBits
    opcode: Opcode
    payload_len: int
    masking_key: bytes | None


class Frame(NamedTuple):
    """A frame, or a piece of one."""

    opcode: Opcode
    payload: Union[bytes, str, tuple[int, str]]
    frame_finished: bool
    message_finished: bool
