"""What wsproto's permessage-deflate is made of: a compressor flushed when wsproto flushes, and a link to the core.

Knows payloads. Not what was negotiated, nor frames.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .extensions import PerMessageDeflate

_TAIL = b"\x00\x00\xff\xff"
"""Cut off each message (RFC 7692 section 7.2.1)."""

_EMPTY = b"\x00"
"""What there is to a message when the compressor gives nothing (RFC 7692 section 7.2.3.6)."""


class Compressor:
    """Compress a message as one stream, whatever fragments it is sent in: so are wsproto's bytes on the wire.

    The core's own compressor ends each fragment at an octet, so that the peer can read it before the next has come.
    """

    __slots__ = ("_stream",)

    def __init__(self, bits: int) -> None:
        self._stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -bits)

    def encode(self, data: bytes, *, final: bool) -> bytes:
        """Return what there is for a piece of a message, all that is left with the last."""
        payload = self._stream.compress(data)
        if not final:
            return payload
        payload += self._stream.flush(zlib.Z_SYNC_FLUSH)
        return payload[: -len(_TAIL)] or _EMPTY


class DeflateLink:
    """wsproto's extension as the core's Codec. The extension keeps the codecs."""

    __slots__ = ("_client", "_extension", "has_pending", "rsv")

    def __init__(self, extension: PerMessageDeflate, client: bool) -> None:
        self._extension = extension
        self._client = client
        self.rsv = 0x40
        self.has_pending = False

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        """Decompress a piece of a message."""
        output = self._extension.inflate(data, self._client, final=final, max_length=max_length)
        self.has_pending = self._extension.has_pending
        return output

    def wants(self, size: int | None) -> bool:
        """wsproto compresses every message."""
        return True

    def encode(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        """Compress a piece of a message."""
        return self._extension.deflate(bytes(data), self._client, final=final)
