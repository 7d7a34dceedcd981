"""One incoming message under way: what extensions make of it, its limit after that, its text, its delivery in parts.

Knows payload. Not frames, nor when a message may begin or go on.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence

from .codec import CHUNK, UTF8_INVALID, UTF8_START, Body, check_utf8, incomplete_tail, invalid_utf8
from .constants import CloseCode
from .errors import RemoteProtocolError
from .events import BytesMessage, EncodedTextMessage, Message, TextMessage
from .extensions import Codec


class IncomingMessage:
    """A message under way: what has come of it and is not delivered yet."""

    __slots__ = ("_as_bytes", "_limit", "_parts", "_size", "_text", "_utf8", "body", "codecs")

    def __init__(self, *, text: bool, as_bytes: bool, codecs: Sequence[Codec], limit: int | None) -> None:
        self._text = text
        self._as_bytes = as_bytes
        self._limit = limit
        self._size = 0
        self._utf8 = UTF8_START
        self.body = Body()
        self._parts: list[str] | None = None
        self.codecs = codecs

    def decode(self, piece: bytes, *, final: bool) -> Iterator[tuple[bytes, bool]]:
        """Give the piece back as it is, or what extensions make of it in bounded slices; True with the last.

        Raises RemoteProtocolError over the limit (1009) and for text that isn't UTF-8 (1007). Plain messages were
        held against both by the decoder, at the earliest byte.
        """
        if not self.codecs:
            yield piece, True
            return
        yield from self._check(self._inflate(self.codecs, piece, final), final)

    def decode_rest(self, first: bytes) -> Iterator[tuple[bytes, bool]]:
        """Do as `decode` with a whole message, of which `first` is what decode_slice made of it."""
        slices = self._inflate(self.codecs, b"", True) if self.codecs[0].has_pending else iter(())
        yield from self._check(itertools.chain(((first, not self.codecs[0].has_pending),), slices), True)

    def _check(self, slices: Iterable[tuple[bytes, bool]], final: bool) -> Iterator[tuple[bytes, bool]]:
        for data, is_last in slices:
            self._size += len(data)
            # Text first: bad text up to the limit is found before the limit, however the input was split.
            if self._text:
                self._utf8 = check_utf8(self._utf8, data)
                if self._utf8 == UTF8_INVALID:
                    raise invalid_utf8()
            if self._limit is not None and self._size > self._limit:
                text = f"message inflates to more than {self._limit} bytes"
                raise RemoteProtocolError(text, CloseCode.MESSAGE_TOO_BIG)
            if is_last and final and self._utf8 != UTF8_START:
                raise invalid_utf8()
            yield data, is_last

    def _inflate(self, codecs: Sequence[Codec], piece: bytes, final: bool) -> Iterator[tuple[bytes, bool]]:
        *inner, outer = codecs
        pieces = self._inflate(inner, piece, final) if inner else iter(((piece, True),))
        for data, is_last in pieces:
            while True:
                room = None if self._limit is None else self._limit - self._size
                output = decode_slice(outer, data, room, final=final and is_last)
                done = is_last and not outer.has_pending
                yield output, done
                if not outer.has_pending:
                    break
                data = b""

    def add(self, data: bytes) -> None:
        """Add a piece of the message, decoded."""
        if self.body.size:
            self.body.append(data)
        else:
            self.body = Body(data)
        if self.codecs and self._text and not self._as_bytes and self.body.size >= CHUNK:
            # Made of it all at the end, the text would be there beside all the bytes.
            self._parts = self._parts or []
            self._parts.append(self._take_code_points().decode())

    def _take_code_points(self) -> bytes:
        data = self.body.take()
        tail = incomplete_tail(data)
        self.body = Body(data[len(data) - tail :])
        return data[:-tail] if tail else data

    def take(self, frame_finished: bool, message_finished: bool) -> Message:
        """Make an event of all that is here, less a code point that isn't complete."""
        if not self._text:
            data = self.body.take()
            self.body = Body()
            return BytesMessage(data, frame_finished, message_finished)
        data = self._take_code_points()
        if self._as_bytes:
            return EncodedTextMessage(data, frame_finished, message_finished)
        text = data.decode()
        if self._parts is not None:
            self._parts.append(text)
            text = join(self._parts)
            self._parts = None
        return TextMessage(text, frame_finished, message_finished)


def append_all(parts: list[str]) -> str:
    """Join the parts, and let go of each: CPython appends to a text in place that nothing else refers to."""
    parts.reverse()
    text = ""
    for _ in range(len(parts)):
        text += parts.pop()
    return text


join = append_all if sys.implementation.name == "cpython" else "".join

# From 3.11 on it does so once the loop has run often enough: without this, the first long text would be there twice.
append_all(["a"] * 100)


def decode_slice(codec: Codec, data: bytes, room: int | None, *, final: bool) -> bytes:
    """Let `codec` decode, by at most a chunk and at most 1 byte more than there is room. Raises RemoteProtocolError."""
    try:
        return codec.decode(data, final=final, max_length=CHUNK if room is None else min(CHUNK, room + 1))
    except RemoteProtocolError:
        raise
    except Exception as error:
        # A codec of the user's own: whatever it raises, receive_data doesn't.
        text = f"message can't be decoded: {error!r}"
        raise RemoteProtocolError(text, CloseCode.INVALID_FRAME_PAYLOAD_DATA) from error
