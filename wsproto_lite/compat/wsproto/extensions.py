"""wsproto's extensions: the base class of those that users write, and permessage-deflate over the core's codec.

Knows offers as strings, and frames one by one as wsproto shows them to an extension. Not how frames are read.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod

from ...codec import CHUNK
from ...deflate import DeflateCodec
from ...extensions import Codec
from ._deflate import Compressor, DeflateLink
from ._limits import limits
from .frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits
from .utilities import RemoteProtocolError, Unsendable

_CLIENT_NO_TAKEOVER = "client_no_context_takeover"
_SERVER_NO_TAKEOVER = "server_no_context_takeover"
_CLIENT_MAX_BITS = "client_max_window_bits"
_SERVER_MAX_BITS = "server_max_window_bits"

_FLAGS = {_CLIENT_NO_TAKEOVER, _SERVER_NO_TAKEOVER}
_BITS = {str(bits): bits for bits in range(9, 16)}

_RSV1 = RsvBits(True, False, False)

_MOST_INFLATED = 64 << 20
"""Bytes that one message may inflate to where frames go through several extensions, unless the settings say."""


class InvalidAnswer(RemoteProtocolError, ValueError):
    """A server answered with parameters that permessage-deflate doesn't have. wsproto has ValueError for it."""


class Extension(ABC):
    """Something that rewrites frames. Subclass it; the hooks are called for each frame, control frames included."""

    name: str

    def enabled(self) -> bool:
        """Tell whether the extension was negotiated."""
        return False

    @abstractmethod
    def offer(self) -> bool | str:
        """Client: the parameters to offer; True for none, False for no offer."""

    def accept(self, offer: str) -> bool | str | None:
        """Server: the parameters to answer an offer with; True for none, None or False to decline."""
        return None

    def finalize(self, offer: str) -> None:
        """Client: take note of the answer."""
        return

    def core_codec(self, client: bool) -> Codec | None:
        """Give what the core can do the whole work with, None where each frame has to pass the hooks below."""
        return None

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Tell which reserved bits the extension uses, or refuse the frame."""
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Rewrite a piece of payload."""
        return data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """Add to a frame at its end."""
        return None

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """Rewrite a frame to be sent."""
        return (rsv, data)


class PerMessageDeflate(Extension):
    """Compression of messages (RFC 7692), as wsproto negotiates it."""

    name = "permessage-deflate"

    DEFAULT_CLIENT_MAX_WINDOW_BITS = 15
    DEFAULT_SERVER_MAX_WINDOW_BITS = 15

    def __init__(
        self,
        client_no_context_takeover: bool = False,
        client_max_window_bits: int | None = None,
        server_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
    ) -> None:
        self.client_no_context_takeover = client_no_context_takeover
        self.server_no_context_takeover = server_no_context_takeover
        self._client_max_window_bits = self.DEFAULT_CLIENT_MAX_WINDOW_BITS
        self._server_max_window_bits = self.DEFAULT_SERVER_MAX_WINDOW_BITS
        if client_max_window_bits is not None:
            self.client_max_window_bits = client_max_window_bits
        if server_max_window_bits is not None:
            self.server_max_window_bits = server_max_window_bits
        self._enabled = False
        # One codec for each direction, there from its first use on, and as long as its context is needed.
        self._compressor: Compressor | None = None
        self._decompressor: DeflateCodec | None = None
        # Of the frame under way, and of the message under way: None between messages.
        self._inbound_is_compressible = False
        self._inbound_compressed: bool | None = None
        self._inbound_is_over = False
        self._inflated = 0

    @property
    def client_max_window_bits(self) -> int:
        """The window of a client's compressor is 2 to this power in bytes: 9 to 15."""
        return self._client_max_window_bits

    @client_max_window_bits.setter
    def client_max_window_bits(self, value: int) -> None:
        self._client_max_window_bits = _checked_bits(value)

    @property
    def server_max_window_bits(self) -> int:
        """The window of a server's compressor is 2 to this power in bytes: 9 to 15."""
        return self._server_max_window_bits

    @server_max_window_bits.setter
    def server_max_window_bits(self, value: int) -> None:
        self._server_max_window_bits = _checked_bits(value)

    # ---- negotiation ----

    def enabled(self) -> bool:
        """Tell whether `accept` or `finalize` have settled on parameters."""
        return self._enabled

    def offer(self) -> bool | str:
        """Client: offer the parameters of the constructor."""
        bits = [
            f"{_CLIENT_MAX_BITS}={self.client_max_window_bits}",
            f"{_SERVER_MAX_BITS}={self.server_max_window_bits}",
        ]
        return "; ".join(bits + self._flags())

    def _flags(self) -> list[str]:
        flags = {
            _CLIENT_NO_TAKEOVER: self.client_no_context_takeover,
            _SERVER_NO_TAKEOVER: self.server_no_context_takeover,
        }
        return [name for name, is_set in flags.items() if is_set]

    def accept(self, offer: str) -> bool | str | None:
        """Server: answer an offer, or decline with None one that isn't valid (RFC 7692 section 7.1)."""
        try:
            params = self._read(offer)
        except ValueError:
            return None
        self._set(params)
        answer = self._flags()
        # RFC 7692 section 7.1.2.2: a number for the client only if it has offered to be given one.
        if _CLIENT_MAX_BITS in params:
            answer.append(f"{_CLIENT_MAX_BITS}={self.client_max_window_bits}")
        if _SERVER_MAX_BITS in params:
            answer.append(f"{_SERVER_MAX_BITS}={self.server_max_window_bits}")
        return "; ".join(answer)

    def finalize(self, offer: str) -> None:
        """Client: take what the server answered. Raises RemoteProtocolError for what isn't valid."""
        try:
            params = self._read(offer)
        except ValueError as error:
            raise InvalidAnswer(str(error)) from None
        for name in (_CLIENT_MAX_BITS, _SERVER_MAX_BITS):
            if params.get(name, 0) is None:
                raise InvalidAnswer(f"{self.name} was answered with {name} without a value")
        self._set(params)

    def _read(self, text: str) -> dict[str, int | None]:
        """Take parameters apart. Raises ValueError for those that can't be, or that are no extension's of this name.

        Text that begins with another name is read for what it has of these, as wsproto does.
        """
        first, *elements = text.split(";")
        is_ours = first.strip() == self.name
        params: dict[str, int | None] = {}
        for element in elements:
            name, has_value, value = (part.strip(" \t") for part in element.partition("="))
            if name in _FLAGS and not has_value and name not in params:
                params[name] = None
            elif name in (_CLIENT_MAX_BITS, _SERVER_MAX_BITS) and name not in params:
                if has_value and value.strip('"') not in _BITS:
                    raise ValueError(f"{name} is {value[:64]!r}; it is 9 to 15")
                params[name] = _BITS[value.strip('"')] if has_value else None
            elif is_ours:
                raise ValueError(f"{self.name} has parameter {element.strip()[:64]!r}, which is unknown or there twice")
        return params

    def _set(self, params: dict[str, int | None]) -> None:
        self.client_no_context_takeover = self.client_no_context_takeover or _CLIENT_NO_TAKEOVER in params
        self.server_no_context_takeover = self.server_no_context_takeover or _SERVER_NO_TAKEOVER in params
        self.client_max_window_bits = params.get(_CLIENT_MAX_BITS) or self.client_max_window_bits
        self.server_max_window_bits = params.get(_SERVER_MAX_BITS) or self.server_max_window_bits
        self._enabled = True

    # ---- the core's codec ----

    def core_codec(self, client: bool) -> Codec | None:
        """Give this extension to the core, unless a subclass, or somebody else, has put hooks of their own in."""
        kind, own = type(self), vars(self)
        replaced = any(name in own or getattr(kind, name) is not hook for name, hook in _HOOKS.items())
        return None if replaced else DeflateLink(self, client)

    def _side(self, client: bool) -> tuple[int, bool]:
        """Give the window bits of a side's compressor, and whether its context outlives a message."""
        if client:
            return self.client_max_window_bits, not self.client_no_context_takeover
        return self.server_max_window_bits, not self.server_no_context_takeover

    def _new_decompressor(self, client: bool) -> DeflateCodec:
        bits, keeps = self._side(not client)
        return DeflateCodec(
            zlib,
            level=zlib.Z_DEFAULT_COMPRESSION,
            mem_level=zlib.DEF_MEM_LEVEL,
            threshold=0,
            compress_bits=bits,
            compress_takeover=keeps,
            decompress_bits=bits,
            decompress_takeover=keeps,
        )

    def inflate(self, data: bytes, client: bool, *, final: bool, max_length: int) -> bytes:
        """Decompress a piece of a message, as the core's Codec does."""
        codec = self._decompressor = self._decompressor or self._new_decompressor(client)
        output = codec.decode(data, final=final, max_length=max_length)
        if final and not codec.has_pending and not self._side(not client)[1]:
            self._decompressor = None
        return output

    @property
    def has_pending(self) -> bool:
        """Whether `inflate` has more to give without more input."""
        return self._decompressor is not None and self._decompressor.has_pending

    def deflate(self, data: bytes, client: bool, *, final: bool) -> bytes:
        """Compress a piece of a message."""
        bits, keeps = self._side(client)
        compressor = self._compressor = self._compressor or Compressor(bits)
        output = compressor.encode(data, final=final)
        if final and not keeps:
            self._compressor = None
        return output

    # ---- frame by frame, where there are other extensions ----

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """RFC 7692 section 6.1: RSV1 on the first frame of a message, on no other."""
        is_control = opcode.iscontrol()
        if rsv.rsv1 and (is_control or opcode is Opcode.CONTINUATION):
            return CloseReason.PROTOCOL_ERROR
        self._inbound_is_compressible = not is_control
        if self._inbound_is_compressible and self._inbound_compressed is None:
            self._inbound_compressed = rsv.rsv1
            if rsv.rsv1:
                self._inflated = 0
                self._decompressor = self._decompressor or self._new_decompressor(proto.client)
        return _RSV1

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        """Decompress a piece of a compressed message."""
        if not (self._inbound_compressed and self._inbound_is_compressible):
            return data
        # Unless a subclass gives us something else, all in one step: 5 us instead of 11.
        is_last = self._inbound_is_over = len(data) == getattr(proto, "ending", 0) > 0
        return self._inflate_all(proto, data, final=is_last)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        """Decompress what is left at the end of a message."""
        if not (fin and self._inbound_is_compressible):
            return None
        compressed, self._inbound_compressed = self._inbound_compressed, None
        is_over, self._inbound_is_over = self._inbound_is_over, False
        if is_over or not compressed:
            return b"" if is_over else None
        return self._inflate_all(proto, b"", final=True)

    def _inflate_all(self, proto: FrameDecoder | FrameProtocol, data: bytes, *, final: bool) -> bytes | CloseReason:
        # A program that calls the hooks itself may give something that has `client` alone.
        settings = getattr(proto, "settings", None) or limits(None)
        limit = settings.max_message_size or _MOST_INFLATED
        outputs = []
        while True:
            try:
                output = self.inflate(data, proto.client, final=final, max_length=CHUNK)
            except Exception:
                # wsproto's users have replaced the decompressor; what it raises must not reach receive_data.
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._inflated += len(output)
            if self._inflated > limit:
                return CloseReason.MESSAGE_TOO_BIG
            outputs.append(output)
            if not self.has_pending:
                return b"".join(outputs)
            data = b""

    def frame_outbound(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, data: bytes, fin: bool
    ) -> tuple[RsvBits, bytes]:
        """Compress data frames, and mark the first of a message."""
        if opcode.iscontrol():
            return (rsv, data)
        if opcode is not Opcode.CONTINUATION:
            rsv = RsvBits(True, rsv.rsv2, rsv.rsv3)
        return rsv, self.deflate(data, proto.client, final=fin)

    def __repr__(self) -> str:
        parts = [f"{_CLIENT_MAX_BITS}={self.client_max_window_bits}"]
        if self.client_no_context_takeover:
            parts.append(_CLIENT_NO_TAKEOVER)
        parts.append(f"{_SERVER_MAX_BITS}={self.server_max_window_bits}")
        if self.server_no_context_takeover:
            parts.append(_SERVER_NO_TAKEOVER)
        return f"<{type(self).__name__} {'; '.join(parts)}>"


_HOOKS = {
    name: getattr(PerMessageDeflate, name)
    for name in ("frame_inbound_header", "frame_inbound_payload_data", "frame_inbound_complete", "frame_outbound")
}
"""As they are here: they do on frames what the core does on messages."""


def _checked_bits(value: int) -> int:
    if not 9 <= value <= 15:
        raise Unsendable(f"window bits are {value!r}; they are 9 to 15")
    return value


SUPPORTED_EXTENSIONS = {PerMessageDeflate.name: PerMessageDeflate}
"""The class of each extension that is built in, by name."""
