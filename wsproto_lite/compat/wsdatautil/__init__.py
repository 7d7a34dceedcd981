"""WsDataUtil 1.1's names over `frames`: to try this library, change one import.

Knows WsDataUtil's signatures, fields and values; docs/compat.md lists which of its faults stay behind. All that is
raised here is a ValueError too, as WsDataUtil's errors are.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal, TypeVar, Union

from ... import frames
from ...codec import incomplete_tail
from ...constants import MAX_CLOSE_REASON
from ...constants import CloseCode as _Codes
from ...errors import ProtocolError
from ...handshake import accept_key as _make_accept_key
from ...handshake import generate_key
from ...headers import is_token, shown
from . import _wsframecoder
from ._wsframecoder import InvalidArgument, InvalidData, as_value_error, raises_value_errors

__version__ = "1.1"

__all__ = [
    "CLOSECODES",
    "OPCODES",
    "CloseCode",
    "Frame",
    "FrameFactory",
    "HandshakeRequest",
    "HeaderObj",
    "InvalidArgument",
    "InvalidData",
    "ProgressiveStreamReader",
    "StreamReader",
    "get_close_code_and_message_from_frame",
]

_Fragment = Union[Literal["first", "continue", "final"], None]
_Head = TypeVar("_Head", bound="HeaderObj")

_breaks_head = re.compile(rb"[\r\n\x00]").search
_breaks_request_line = re.compile(rb"[\x00-\x20\x7f]").search


# ---- the handshake ----


class HeaderObj(OrderedDict[bytes, bytes]):
    """An HTTP head: first line and fields. Of fields with one name the last counts."""

    l1: bytes

    def __init__(self, l1: bytes) -> None:
        self.l1 = l1
        super().__init__()

    def to_streamdata(self) -> bytes:
        """Write the head, with its blank line. Raises InvalidArgument for what would end it or add a field."""
        for name, value in self.items():
            if not is_token(name) or _breaks_head(value):
                raise InvalidArgument(f"header {shown(name)}: {shown(value)} is no header field")
        if _breaks_head(self.l1):
            raise InvalidArgument(f"first line {shown(self.l1)} has a line break or NUL")
        return b"\r\n".join([self.l1, *(b"%s: %s" % field for field in self.items()), b"", b""])

    @classmethod
    @raises_value_errors
    def from_streamdata(cls: type[_Head], data: bytes) -> _Head:
        """Read a head; what follows its blank line is left alone. Raises InvalidData for a line that is no field."""
        new = cls(b"")
        own = list(new)
        new.clear()
        head, _, _ = frames.as_bytes(data, "data").strip().partition(b"\r\n\r\n")
        new.l1, *lines = head.split(b"\r\n")
        for line in lines:
            name, colon, value = line.partition(b":")
            if not (colon and is_token(name)):
                raise InvalidData(f"{shown(line)} is no header field")
            new[name] = value.strip(b" \t")
        # What a constructor sets comes first, as WsDataUtil has it, but only if it came.
        for name in reversed(own):
            if name in new:
                new.move_to_end(name, last=False)
        return new


class HandshakeRequest(HeaderObj):
    """A client's request, with a random key of its own unless one is given, and the answer to it."""

    def __init__(
        self,
        websocket_b64key: bytes | None = None,
        websocket_version: bytes = b"13",
        websocket_protocols: bytes | None = None,
        resource: bytes = b"/",
        http_version: bytes = b"1.1",
    ) -> None:
        if _breaks_request_line(resource):
            raise InvalidArgument(f"resource {shown(resource)} has a space or control character")
        super().__init__(b"GET %s HTTP/%s" % (resource, http_version))
        self[b"Connection"] = b"Upgrade"
        self[b"Upgrade"] = b"websocket"
        self[b"Sec-WebSocket-Key"] = generate_key() if websocket_b64key is None else websocket_b64key
        self[b"Sec-WebSocket-Version"] = websocket_version
        if websocket_protocols:
            self[b"Sec-WebSocket-Protocol"] = websocket_protocols

    def make_response(
        self,
        websocket_version: bytes = b"13",
        websocket_protocols: bytes | None = None,
        http_version: bytes = b"1.1",
    ) -> HeaderObj:
        """Answer with 101 (RFC 6455 section 4.2.2). Raises InvalidData for a request without a key."""
        keys = [value for name, value in self.items() if name.lower() == b"sec-websocket-key"]
        if len(keys) != 1:
            raise InvalidData(f"request has {len(keys)} Sec-WebSocket-Key fields; it has one")
        response = HeaderObj(b"HTTP/%s 101 Switching Protocols" % http_version)
        response[b"Upgrade"] = b"websocket"
        response[b"Connection"] = b"Upgrade"
        response[b"Sec-WebSocket-Accept"] = _make_accept_key(keys[0])
        response[b"Sec-WebSocket-Version"] = websocket_version
        if websocket_protocols:
            response[b"Sec-WebSocket-Protocol"] = websocket_protocols
        return response


# ---- frames ----


class OPCODES:
    """Frame types (RFC 6455 section 5.2)."""

    CONTINUE = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(int):
    """A close code that writes itself."""

    def to_payload(self, message_maximal123bytes: bytes = b"") -> bytes:
        """Return a Close frame's payload: 2 bytes of code, then the reason."""
        if not 0 <= self <= 0xFFFF:
            raise InvalidArgument(f"close code is {int(self)}; the limit is {0xFFFF}")
        return self.to_bytes(2, "big") + message_maximal123bytes


class CLOSECODES:
    """Close codes (RFC 6455 section 7.4) and what the ranges between them are for."""

    _0to999_UNUSED = range(1000)
    NORMAL_CLOSURE = CloseCode(_Codes.NORMAL_CLOSURE)
    GOING_AWAY = CloseCode(_Codes.GOING_AWAY)
    PROTOCOL_ERROR = CloseCode(_Codes.PROTOCOL_ERROR)
    UNSUPPORTED_DATA = CloseCode(_Codes.UNSUPPORTED_DATA)
    _1004_UNUSED = CloseCode(1004)
    NO_STATUS_RCVD = CloseCode(_Codes.NO_STATUS_RCVD)
    ABNORMAL_CLOSURE = CloseCode(_Codes.ABNORMAL_CLOSURE)
    INVALID_DATA = CloseCode(_Codes.INVALID_FRAME_PAYLOAD_DATA)
    POLICY_VIOLATION = CloseCode(_Codes.POLICY_VIOLATION)
    MESSAGE_TOO_BIG = CloseCode(_Codes.MESSAGE_TOO_BIG)
    MANDATORY_EXTENSION = CloseCode(_Codes.MANDATORY_EXTENSION)
    INTERNAL_ERROR = CloseCode(_Codes.INTERNAL_ERROR)
    SERVICE_RESTART = CloseCode(_Codes.SERVICE_RESTART)
    TRY_AGAIN_LATER = CloseCode(_Codes.TRY_AGAIN_LATER)
    BAD_GATEWAY = CloseCode(_Codes.BAD_GATEWAY)
    TLS_HANDSHAKE = CloseCode(_Codes.TLS_HANDSHAKE)
    _1016to2999_forExtensions = range(1016, 3000)
    _3000to3999_forApplicationsRegIANA = range(3000, 4000)
    UNAUTHORIZED = CloseCode(3000)
    FORBIDDEN = CloseCode(3003)
    TIMEOUT = CloseCode(3008)
    _4000to4999_forApplications = range(4000, 5000)


class Frame(frames.Frame):
    """A frame. `from_streamdata` sets `amount_spec` and `amount`, `to_streamdata` does without them."""

    __slots__ = ()

    def __new__(
        cls,
        payload: bytes,
        opcode: int = OPCODES.TEXT,
        mask: bytes | None = None,
        fin: int = 1,
        rsv1: int = 0,
        rsv2: int = 0,
        rsv3: int = 0,
        amount_spec: int | None = None,
        amount: int | None = None,
    ) -> Frame:
        """Take the fields as they are."""
        return tuple.__new__(cls, (payload, opcode, mask, fin, rsv1, rsv2, rsv3, amount_spec, amount))

    @classmethod
    def from_streamdata(cls, data: frames.Buffer, auto_demask: bool = True) -> Frame:
        """Read exactly one frame. Raises InvalidData for data that is short or trails."""
        try:
            first, key, amount_spec, payload = frames.split(data, unmask=auto_demask)
        except ProtocolError as error:
            raise as_value_error(error) from None
        fin, rsv1, rsv2, rsv3, opcode = _wsframecoder.bits(first)
        return tuple.__new__(Frame, (payload, opcode, key, fin, rsv1, rsv2, rsv3, amount_spec, len(payload)))

    def to_streamdata(self) -> bytes:
        """Write the frame, masked if `mask` is set. Raises InvalidArgument for a field that fits no frame."""
        payload, opcode, key, fin, rsv1, rsv2, rsv3, _, _ = self
        try:
            first = frames.first_byte(opcode, bool(fin), bool(rsv1), bool(rsv2), bool(rsv3))
            return frames.join(first, key or None, payload)
        except ProtocolError as error:
            raise as_value_error(error) from None

    def masked_payload(self) -> bytes:
        """Return the payload XORed with `mask`. Raises InvalidArgument without a masking key of 4 bytes."""
        return _wsframecoder.masking(self.payload, self.mask or b"")


def get_close_code_and_message_from_frame(frame: Frame) -> tuple[int, bytes]:
    """Take a Close frame's payload apart, as it is; an empty one has code 0 here."""
    return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:]


class ProgressiveStreamReader(frames.StreamReader):
    """Read frames in steps, each of which tells how many bytes come next.

    `payloads_masked`: unmask payloads (True), leave them as they are (False), or unmask those that are masked ("auto").
    """

    def __init__(self, payloads_masked: bool | Literal["auto"]) -> None:
        super().__init__("auto" if payloads_masked == "auto" else bool(payloads_masked))

    @raises_value_errors
    def read_header(self, two_bytes: frames.Buffer) -> int:
        """Take the first 2 bytes. Return how many bytes the header goes on."""
        continuation = super().read_header(two_bytes)
        self.opcode = int(self.opcode)
        return continuation

    @raises_value_errors
    def read_header_continuation(self, continuation_data: frames.Buffer) -> int:
        """Take the rest of the header. Return how many bytes of payload there are."""
        return super().read_header_continuation(continuation_data)

    @raises_value_errors
    def make_frame(self, payload: frames.Buffer) -> Frame:
        """Take the payload and return the frame."""
        return Frame(*super().make_frame(payload))

    if TYPE_CHECKING:

        def progressive_read(self, data: frames.Buffer) -> int | Frame: ...

    def _check_masking(self, masked: bool) -> None:
        # False does not forbid masking here: it leaves it to the caller.
        if self.payloads_masked is True:
            super()._check_masking(masked)

    def _unmask(self, payload: bytes) -> bytes:
        return super()._unmask(payload) if self.payloads_masked else payload


StreamReader = ProgressiveStreamReader


class FrameFactory:
    """Frames as one uses them most."""

    @staticmethod
    def TextDataFrame(message: bytes, mask: bytes | None = None, fragment: _Fragment = None) -> Frame:
        """Make a frame of text, which may be a fragment."""
        return _data_frame(OPCODES.TEXT, message, mask, fragment)

    @staticmethod
    def BinaryDataFrame(message: bytes, mask: bytes | None = None, fragment: _Fragment = None) -> Frame:
        """Make a frame of binary data, which may be a fragment."""
        return _data_frame(OPCODES.BINARY, message, mask, fragment)

    @staticmethod
    def PingFrame() -> Frame:
        """Make an empty Ping."""
        return Frame(b"", OPCODES.PING)

    @staticmethod
    def PongFrame() -> Frame:
        """Make an empty Pong."""
        return Frame(b"", OPCODES.PONG)

    @staticmethod
    def CloseFrame(close_code: CloseCode, message_maximal123bytes: bytes = b"") -> Frame:
        """Make a Close; a reason over 123 bytes is cut, at the end of a code point."""
        reason = message_maximal123bytes[:MAX_CLOSE_REASON]
        if len(message_maximal123bytes) > MAX_CLOSE_REASON:
            reason = reason[: len(reason) - incomplete_tail(reason)]
        return Frame(CloseCode(close_code).to_payload(reason), OPCODES.CLOSE)


def _data_frame(opcode: int, message: bytes, mask: bytes | None, fragment: _Fragment) -> Frame:
    if fragment in ("continue", "final"):
        opcode = OPCODES.CONTINUE
    return Frame(message, opcode, mask, 0 if fragment in ("first", "continue") else 1)
