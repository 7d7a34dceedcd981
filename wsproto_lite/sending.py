"""Events into outgoing frames: fragmentation, masking, compression, and what we may send when.

Knows one direction of one connection. Not which role it serves, what has been received, or what is queued.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Union

from .closing import encode_close
from .codec import FIN, UTF8_INVALID, UTF8_START, Buffer, check_utf8, encode_frame, encode_header
from .constants import MAX_CONTROL_PAYLOAD, Opcode
from .errors import LocalProtocolError
from .events import BytesMessage, CloseConnection, EncodedTextMessage, Event, Ping, Pong, TextMessage
from .extensions import Codec
from .flow import BETWEEN_MESSAGES, Phase
from .masking_keys import MaskingKeys

TEXT = int(Opcode.TEXT)
BINARY = int(Opcode.BINARY)

Frame = tuple[int, Buffer]
"""A frame to be: its first byte and its payload."""


class Sender:
    """Turn events into frames. What raises LocalProtocolError has changed nothing.

    `keys` is where masking keys come from; None for a server, which does not mask (RFC 6455 section 5.1).
    While `takes_whole`, codec.encode_text may be used directly for a whole text message.
    """

    __slots__ = ("_codec", "_codecs", "_in_use", "_phase", "_utf8", "keys", "takes_whole")

    def __init__(self, keys: MaskingKeys | None, codecs: Sequence[Codec] = ()) -> None:
        self.keys = keys
        self._codecs = codecs
        self._codec = codecs[0] if len(codecs) == 1 else None  # there is hardly ever more than one
        self._in_use: Sequence[Codec] = ()
        self._phase = BETWEEN_MESSAGES
        self._utf8 = UTF8_START
        self.takes_whole = not codecs

    def encode(self, event: Event, compress: bool | None = None) -> bytes:
        """Return the whole frame for `event`."""
        # The key comes first: a source of random bytes that fails must leave everything as it was.
        key = None if self.keys is None else self.keys.draw()
        first, payload = self._advance(event, compress)
        return encode_frame(first, payload, key)

    def encode_buffers(self, event: Event, compress: bool | None = None) -> list[bytes | memoryview]:
        """Return the frame for `event` in parts; a payload that needn't be masked or compressed is not copied."""
        if self.keys is not None:
            return [self.encode(event, compress)]
        first, payload = self._advance(event, compress)
        parts: list[bytes | memoryview] = [encode_header(first, len(payload))]
        if payload:
            parts.append(memoryview(payload))
        return parts

    def frame_size(self, payload_size: int) -> int:
        """Return the size in bytes of a control frame."""
        return 2 + payload_size + (0 if self.keys is None else 4)

    def _advance(self, event: Event, compress: bool | None) -> Frame:
        if compress is not None and not isinstance(compress, bool):
            raise LocalProtocolError(f"compress is {compress!r}; it must be True, False or None")
        advance = _ADVANCE.get(type(event)) or _find_for_subclass(event)
        return advance(self, event, compress)

    def _text(self, event: TextMessage, compress: bool | None) -> Frame:
        try:
            payload = str.encode(event.data)  # whatever a subclass makes of it
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"text has a lone surrogate at {error.start}") from None
        except TypeError:
            raise LocalProtocolError(f"text is {type(event.data).__name__}; it must be str") from None
        if self._utf8 != UTF8_START:
            raise LocalProtocolError("text follows encoded text that ends within a code point")
        return self._message(TEXT, payload, event.message_finished, compress)

    def _encoded_text(self, event: EncodedTextMessage, compress: bool | None) -> Frame:
        payload = _as_buffer(event.data)
        # Section 8.1. A fragment may end within a code point, a message may not.
        utf8 = check_utf8(self._utf8, payload)
        if utf8 == UTF8_INVALID or (event.message_finished and utf8 != UTF8_START):
            raise LocalProtocolError("encoded text is not valid UTF-8")
        frame = self._message(TEXT, payload, event.message_finished, compress)
        self._utf8 = utf8
        return frame

    def _bytes(self, event: BytesMessage, compress: bool | None) -> Frame:
        return self._message(BINARY, _as_buffer(event.data), event.message_finished, compress)

    def _message(self, opcode: int, payload: Buffer, finished: bool, compress: bool | None) -> Frame:
        phase = self._phase
        codec = self._codec
        if finished and compress is None and phase is BETWEEN_MESSAGES and codec and codec.wants(len(payload)):
            # The common case, a whole message for one codec, changes no state: 0.6 us less.
            return FIN | codec.rsv | opcode, codec.encode(payload, final=True)
        if phase is BETWEEN_MESSAGES:
            first = opcode
            codecs = self._choose_codecs(len(payload) if finished else None, compress) if self._codecs else ()
            if compress and not codecs:
                raise LocalProtocolError("compress is True, but no extension that compresses was negotiated")
        else:
            self._check_continues(opcode, compress)
            first = Opcode.CONTINUATION
            codecs = self._in_use
        if finished:
            first |= FIN
        following = self._next(first)
        if codecs:
            if phase is BETWEEN_MESSAGES:
                # RFC 7692 section 6.1: the first fragment is marked, no other.
                for codec in codecs:
                    first |= codec.rsv
            for codec in codecs:
                payload = codec.encode(payload, final=finished)
        # Only now: a codec may have raised.
        self._phase = following
        self._in_use = () if finished else codecs
        self.takes_whole = finished and not self._codecs
        return first, payload

    def _choose_codecs(self, size: int | None, compress: bool | None) -> Sequence[Codec]:
        if compress is False:
            return ()
        return [codec for codec in self._codecs if compress or codec.wants(size)]

    def _check_continues(self, opcode: int, compress: bool | None) -> None:
        # Section 5.4: fragments of one message must not be interleaved with another's.
        if BETWEEN_MESSAGES[opcode] is not self._phase:
            raise LocalProtocolError(f"{Opcode(opcode).name.lower()} message {self._phase.name}")
        if compress is not None:
            raise LocalProtocolError(f"compress is {compress} on a fragment that is not a message's first")

    def _control(self, opcode: int, payload: Buffer, compress: bool | None) -> Frame:
        # Section 5.5: at most 125 bytes; RFC 7692 section 6.1: never compressed.
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise LocalProtocolError(
                f"control frame payload is {len(payload)} bytes; the limit is {MAX_CONTROL_PAYLOAD}"
            )
        if compress is not None:
            raise LocalProtocolError(f"compress is {compress} on a control frame")
        self._phase = self._next(FIN | opcode)
        return FIN | opcode, payload

    def _ping(self, event: Ping, compress: bool | None) -> Frame:
        return self._control(Opcode.PING, _as_buffer(event.payload), compress)

    def _pong(self, event: Pong, compress: bool | None) -> Frame:
        return self._control(Opcode.PONG, _as_buffer(event.payload), compress)

    def _close(self, event: CloseConnection, compress: bool | None) -> Frame:
        frame = self._control(Opcode.CLOSE, encode_close(event.code, event.reason), compress)
        self.takes_whole = False
        return frame

    def _next(self, first: int) -> Phase:
        phase = self._phase.get(first)
        if phase is None:
            raise LocalProtocolError(self._phase.refusal(first))
        return phase


def _as_buffer(data: object) -> Buffer:
    if type(data) is bytes or type(data) is bytearray:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        try:
            # What C reads is as long as it says, which a subclass could lie about, but no memoryview.
            data = memoryview(data)
            return data.cast("B") if data.c_contiguous and data.nbytes else data.tobytes()
        except ValueError as error:
            raise LocalProtocolError(f"payload can't be read: {error}") from None
    raise LocalProtocolError(f"payload is {type(data).__name__}; it must be bytes, bytearray or memoryview")


_ADVANCE: dict[type, Callable[[Sender, Any, Union[bool, None]], Frame]] = {
    TextMessage: Sender._text,
    EncodedTextMessage: Sender._encoded_text,
    BytesMessage: Sender._bytes,
    Ping: Sender._ping,
    Pong: Sender._pong,
    CloseConnection: Sender._close,
}


def _find_for_subclass(event: object) -> Callable[[Sender, Any, bool | None], Frame]:
    for kind in type(event).__mro__:
        if kind in _ADVANCE:
            return _ADVANCE[kind]
    raise LocalProtocolError(f"{event!r} is not an event that can be sent on an open connection")
