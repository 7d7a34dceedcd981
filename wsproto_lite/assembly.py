"""One incoming message under way: what extensions make of it, its limit after that, its text, its delivery in parts.

Knows payload. Not frames, nor when a message may begin or go on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from .codec import CHUNK, UTF8_INVALID, UTF8_START, Body, check_utf8, incomplete_tail, invalid_utf8
from .constants import CloseCode
from .errors import RemoteProtocolError
from .events import BytesMessage, EncodedTextMessage, Message, TextMessage
from .extensions import Codec

PARTS = 16
"""Inflated text is kept in parts of a chunk, or of this fraction of what has come, if that is more."""

IN_PARTS = 4 * CHUNK
"""Bytes of text from which on it is decoded in parts."""


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
        self._parts: list[bytes] | None = None
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

    def decode_rest(self, first: bytes, *, has_more: bool) -> Iterator[tuple[bytes, bool]]:
        """Do as `decode` with a whole message, of which decode_slice has made `first`, and may make more."""
        slices = self._inflate(self.codecs, b"", True) if has_more else iter(())
        yield from self._check(itertools.chain(((first, not has_more),), slices), True)

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
                output, has_more = decode_slice(outer, data, room, final=final and is_last)
                yield output, is_last and not has_more
                if not has_more:
                    break
                data = b""

    def add(self, data: bytes) -> None:
        """Add a piece of the message, decoded."""
        if self.body.size:
            self.body.append(data)
        else:
            self.body = Body(data)
        if self.codecs and self._text and not self._as_bytes and self.body.size >= max(CHUNK, self._size // PARTS):
            self._parts = self._parts or []
            self._parts.append(self._take_code_points())

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
        if self._parts is None:
            return TextMessage(decode_text(data), frame_finished, message_finished)
        parts, self._parts = self._parts, None
        parts.append(data)
        return TextMessage(decode_parts(parts), frame_finished, message_finished)


def decode_parts(parts: list[bytes]) -> str:
    """Make a text of its parts, and let go of each: at no time is all of it there as bytes and as characters."""
    parts.reverse()
    return _append(parts.pop().decode() for _ in range(len(parts)))


def decode_text(data: bytes) -> str:
    """Decode a whole text. A long one that isn't ASCII in parts, as a decoder makes room as if all that is to come were
    as wide as its widest character: up to five times the bytes, where this takes 1.2 times them and 1.1 of the time.
    """
    if len(data) < IN_PARTS or data.isascii():
        return data.decode()
    return _append(_decoded(data, max(CHUNK, len(data) // PARTS)))


def _decoded(data: bytes, step: int) -> Iterator[str]:
    view = memoryview(data)
    start = 0
    while start < len(data):
        end = start + step
        if end < len(data):
            end -= incomplete_tail(data[end - 3 : end])
        yield str(view[start:end], "utf-8")
        start = end


def _append(pieces: Iterable[str]) -> str:
    """Join pieces without having all of them and the whole at once.

    That takes what CPython alone does, append in place to a text that nothing else refers to. io.StringIO and "".join
    both have the text twice. Where it can't append in place, PARTS bounds the copying.
    """
    text = ""
    for piece in pieces:
        text += piece
    return text


# From 3.11 on it does so once the loop has run often enough: without this, the first long text would be there twice.
_append(["a"] * 100)


def decode_slice(codec: Codec, data: bytes, room: int | None, *, final: bool) -> tuple[bytes, bool]:
    """Let `codec` decode, by at most a chunk and at most 1 byte more than there is room; tell whether it has more.

    Raises RemoteProtocolError.
    """
    try:
        output = codec.decode(data, final=final, max_length=CHUNK if room is None else min(CHUNK, room + 1))
        # What is no buffer is an error of the codec's, like what it raises.
        return output if type(output) is bytes else bytes(memoryview(output)), codec.has_pending
    except RemoteProtocolError:
        raise
    except Exception as error:
        # A codec of the user's own: whatever it raises, receive_data doesn't.
        text = f"message can't be decoded: {error!r}"
        raise RemoteProtocolError(text, CloseCode.INVALID_FRAME_PAYLOAD_DATA) from error
