"""Extensions and their negotiation (RFC 6455 section 9), permessage-deflate (RFC 7692) among them.

Knows offers, answers and what a codec is to be like; not frames, connections or HTTP.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, Union

from .codec import RESERVED_BITS
from .constants import CloseCode
from .deflate import DeflateCodec
from .errors import LocalProtocolError, RemoteProtocolError
from .events import ExtensionOffer
from .extension_header import format_extensions as format_extensions
from .extension_header import parse_extensions as parse_extensions
from .headers import shown

Params = Sequence[tuple[str, Union[str, None]]]
"""Parameters of one extension element: name and value, None where there is no `=`."""


class Codec(Protocol):
    """What one extension does to the messages of one connection.

    A message whose first frame has the bits `rsv` goes through `decode`; one without is plain. Pieces
    arrive in order, in any size, `final` on the last of each message.
    """

    @property
    def rsv(self) -> int:
        """Bits of the first byte that mark a message, all of them together: 0x40, 0x20, 0x10 or their sum.

        0 is for an extension that leaves messages as they are: neither `decode` nor `encode` is called.
        """

    @property
    def has_pending(self) -> bool:
        """Whether the last `decode` may have more to give than `max_length`: call it again with b""."""

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        """Turn a piece of payload as received into at most `max_length` (>= 1) bytes of message.

        Raises RemoteProtocolError (1007) for data that can't be decoded. Whatever else it raises, or returns instead of
        bytes, ends the connection in the same way.
        """

    def wants(self, size: int | None) -> bool:
        """Tell whether to encode a message of `size` bytes; None for a fragmented one, of unknown size."""

    def encode(self, data: bytes | bytearray | memoryview, *, final: bool) -> bytes:
        """Turn a piece of message into payload to send."""


class Extension:
    """Immutable configuration of an extension, shared by any number of connections. Subclass it.

    What `accept` raises, or returns that is no answer, makes send(AcceptConnection()) raise LocalProtocolError. What
    `finalize` raises fails the handshake.
    """

    __slots__ = ()

    name: str
    """A token, as it is in Sec-WebSocket-Extensions."""

    def offer(self) -> Params:
        """Client: the parameters to offer."""
        raise NotImplementedError

    def accept(self, params: Params) -> tuple[Params, Codec] | None:
        """Server: answer an offer with parameters and a codec, or decline with None."""
        raise NotImplementedError

    def finalize(self, params: Params) -> Codec:
        """Client: make the codec for what the server answered. Raises RemoteProtocolError (1010)."""
        raise NotImplementedError


def negotiate(
    offers: Iterable[ExtensionOffer], extensions: Iterable[Extension]
) -> tuple[tuple[ExtensionOffer, ...], tuple[Codec, ...]]:
    """Server: choose from what a client offers. Returns the elements to answer, and a codec for each.

    Extensions come in order of our preference, offers of one name in the client's (RFC 7692 section 5). What would
    use a reserved bit that is taken is declined. Names are compared exactly. Raises LocalProtocolError for an extension
    that can't do its part.
    """
    offers = tuple(offers)
    answers: list[ExtensionOffer] = []
    codecs: list[Codec] = []
    for extension in extensions:
        for name, params in offers:
            accepted = _accept(extension, params) if name == extension.name else None
            if accepted is not None and not _uses_taken_bit(accepted[1], codecs):
                answers.append((name, accepted[0]))
                codecs.append(accepted[1])
                break
    return tuple(answers), tuple(codecs)


def _accept(extension: Extension, params: Params) -> tuple[tuple[tuple[str, str | None], ...], Codec] | None:
    try:
        accepted = extension.accept(params)
        if accepted is None:
            return None
        answer, codec = accepted
        return tuple([(name, value) for name, value in answer]), _checked(codec)
    except Exception as error:
        # An extension of the user's own.
        raise LocalProtocolError(f"extension {extension.name!r} can't answer an offer: {error!r}") from error


def finalize(answers: Iterable[ExtensionOffer], extensions: Iterable[Extension]) -> tuple[Codec, ...]:
    """Client: make a codec for each extension that the server answered with.

    Raises RemoteProtocolError (1010) for what we didn't offer (RFC 6455 section 4.1), for a name that comes twice, and
    for two that use the same reserved bit.
    """
    extensions = tuple(extensions)
    codecs: list[Codec] = []
    names = set()
    for name, params in answers:
        if name in names:
            raise _refusal(f"server accepted extension {shown(name)} twice")
        names.add(name)
        codec = _finalize_one(name, params, extensions)
        if _uses_taken_bit(codec, codecs):
            raise _refusal(f"server accepted extension {shown(name)} with another that uses the same reserved bit")
        codecs.append(codec)
    return tuple(codecs)


def _finalize_one(name: str, params: Params, extensions: Iterable[Extension]) -> Codec:
    """Make a codec with the first of our extensions that takes this answer: one may be offered in several ways."""
    error = _refusal(f"server accepted extension {shown(name)}, which was not offered")
    for extension in extensions:
        if extension.name == name:
            try:
                return _checked(extension.finalize(params))
            except RemoteProtocolError as refusal:
                error = refusal
            except Exception as cause:
                # An extension of the user's own: whatever it raises, receive_data doesn't.
                error = _refusal(f"extension {shown(name)} can't use the answer of the server: {cause!r}")
                error.__cause__ = cause
    raise error


def _checked(codec: Codec) -> Codec:
    rsv = codec.rsv
    if not isinstance(rsv, int) or rsv & ~RESERVED_BITS:
        raise LocalProtocolError(f"rsv of codec {codec!r} is {rsv!r}; it has no bits but those of {RESERVED_BITS:#x}")
    return codec


def _uses_taken_bit(codec: Codec, codecs: Iterable[Codec]) -> bool:
    return any(codec.rsv & other.rsv for other in codecs)


def _refusal(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, CloseCode.MANDATORY_EXTENSION)


_DEFAULT_BITS = 15
"""Window bits where none are agreed (RFC 7692 section 7.1.2)."""

_SERVER_BITS = 12
"""What a server settles for by itself. zlib's compressor takes 40 KB then, at memory level 5; by its defaults 270."""

_DEFAULT_LEVELS = {"zlib_ng.zlib_ng": 1}
"""Where the library's own default is slow for messages: who asks for zlib-ng asks for speed."""

_SERVER_NO_TAKEOVER = "server_no_context_takeover"
_CLIENT_NO_TAKEOVER = "client_no_context_takeover"
_SERVER_MAX_BITS = "server_max_window_bits"
_CLIENT_MAX_BITS = "client_max_window_bits"

# RFC 7692 section 7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
_BITS: dict[str | None, int] = {str(bits): bits for bits in range(8, 16)}

_VALUES: dict[str, dict[str | None, int]] = {
    _SERVER_NO_TAKEOVER: {None: 1},
    _CLIENT_NO_TAKEOVER: {None: 1},
    _SERVER_MAX_BITS: _BITS,
    _CLIENT_MAX_BITS: _BITS,
}
"""What each parameter may be. Nothing else is allowed (sections 7.1.1 and 7.1.2)."""

_OFFER_VALUES = {**_VALUES, _CLIENT_MAX_BITS: {**_BITS, None: _DEFAULT_BITS}}
"""The same in offers: only there a bare client_max_window_bits leaves the number to the server (section 7.1.2.2)."""


@dataclass(frozen=True, init=False)
class PerMessageDeflate(Extension):
    """Compression of messages (RFC 7692). Raises LocalProtocolError for arguments that make no sense.

    server_no_context_takeover, client_no_context_takeover: that side compresses each message by itself.
    server_max_window_bits, client_max_window_bits: that side's window is 2 to this power in bytes, or less; 8 to 15.
        None: a server asks for 12, a client leaves it to the server. A server declines an offer that doesn't let it
        hold the client to a number given here.
    level: of compression, as the library counts. None is its default, but 1 for zlib-ng: JSON messages of 1 KiB cost a
        fifth of the time to compress that zlib's default takes, and 1.5 times the bytes. (By zlib-ng's own default, 6,
        they cost three quarters of the time, and as many bytes.) ISA-L's, 2, takes 0.4 of the time and 1.1 times
        the bytes; its level 0 as little time as zlib-ng's 1, and twice the bytes.
    mem_level: of a compressor, 1 to 9.
    threshold: bytes; whole messages of less are sent plain.
    backend: a module with zlib's API, such as isal.isal_zlib or zlib_ng.zlib_ng. ISA-L may keep the last few bytes of a
        piece until the next comes: with delivery by frame or piece, events then have them later, depending on how the
        input is split; messages are the same. A peer that compresses with ISA-L at level 0 makes data that doesn't
        compress longer, by up to a third: more than a message of nearly `max_message_size` may grow on the wire.
    """

    __slots__ = (
        "backend",
        "client_max_window_bits",
        "client_no_context_takeover",
        "level",
        "mem_level",
        "server_max_window_bits",
        "server_no_context_takeover",
        "threshold",
    )

    name = "permessage-deflate"

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None
    level: int | None
    mem_level: int
    threshold: int
    backend: ModuleType

    def __init__(
        self,
        *,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        level: int | None = None,
        mem_level: int = 5,
        threshold: int = 0,
        backend: ModuleType = zlib,
    ) -> None:
        values: dict[str, Any] = locals()
        for name in PerMessageDeflate.__slots__:
            object.__setattr__(self, name, values[name])
        for name in (_SERVER_NO_TAKEOVER, _CLIENT_NO_TAKEOVER):
            if not isinstance(values[name], bool):
                raise LocalProtocolError(f"{name} is {values[name]!r}; it must be True or False")
        for name in (_SERVER_MAX_BITS, _CLIENT_MAX_BITS):
            if values[name] is not None and (type(values[name]) is not int or not 8 <= values[name] <= 15):
                raise LocalProtocolError(f"{name} is {values[name]!r}; it must be 8 to 15, or None")
        for name in ("level", "mem_level"):
            if isinstance(values[name], bool):
                raise LocalProtocolError(f"{name} is {values[name]!r}; it must be a number")
        if type(threshold) is not int or threshold < 0:
            raise LocalProtocolError(f"threshold is {threshold!r}; it must be a number of bytes")
        try:
            # Only the library knows its levels: isal has 0 to 3, for example.
            backend.compressobj(self._level(), backend.DEFLATED, -_DEFAULT_BITS, mem_level)
        except Exception as error:
            text = f"{backend!r} can't compress with level {level!r} and mem_level {mem_level!r}: {error}"
            raise LocalProtocolError(text) from error

    def __copy__(self) -> PerMessageDeflate:
        """Return itself, as it is immutable. What copy does otherwise sets attributes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> PerMessageDeflate:
        """Return itself. A module can't be copied, besides."""
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Give what a copy in another process is made of. A module can't go there, but its name can."""
        values = {name: getattr(self, name) for name in PerMessageDeflate.__slots__}
        return _restore, (type(self), {**values, "backend": self.backend.__name__})

    def _level(self) -> int:
        default: int = _DEFAULT_LEVELS.get(getattr(self.backend, "__name__", "")) or self.backend.Z_DEFAULT_COMPRESSION
        return default if self.level is None else self.level

    def offer(self) -> Params:
        """Client: offer what was asked for, and that the server may limit our window (section 7.1.2.2)."""
        params: list[tuple[str, str | None]] = []
        if self.server_no_context_takeover:
            params.append((_SERVER_NO_TAKEOVER, None))
        if self.client_no_context_takeover:
            params.append((_CLIENT_NO_TAKEOVER, None))
        if self.server_max_window_bits is not None:
            params.append((_SERVER_MAX_BITS, str(self.server_max_window_bits)))
        client_bits = self.client_max_window_bits
        params.append((_CLIENT_MAX_BITS, None if client_bits is None else str(client_bits)))
        return params

    def accept(self, params: Params) -> tuple[Params, Codec] | None:
        """Server: settle on what both sides want, or decline an offer that isn't valid (section 7.1)."""
        try:
            offered = _read(params, _OFFER_VALUES)
        except RemoteProtocolError:
            return None
        agreed: dict[str, int] = {}
        # Sections 7.1.1.1 and 7.1.1.2: a server may ask for either unasked.
        if self.server_no_context_takeover or _SERVER_NO_TAKEOVER in offered:
            agreed[_SERVER_NO_TAKEOVER] = 1
        if self.client_no_context_takeover or _CLIENT_NO_TAKEOVER in offered:
            agreed[_CLIENT_NO_TAKEOVER] = 1
        # Section 7.1.2.1: the same as offered or smaller, and not only if offered.
        server_bits = min(self.server_max_window_bits or _SERVER_BITS, offered.get(_SERVER_MAX_BITS, _DEFAULT_BITS))
        if server_bits < _DEFAULT_BITS or _SERVER_MAX_BITS in offered:
            agreed[_SERVER_MAX_BITS] = server_bits
        # Section 7.1.2.2: only if offered.
        if _CLIENT_MAX_BITS in offered:
            agreed[_CLIENT_MAX_BITS] = min(self.client_max_window_bits or _SERVER_BITS, offered[_CLIENT_MAX_BITS])
        elif self.client_max_window_bits not in (None, _DEFAULT_BITS):
            return None
        answer = [(name, str(value) if _VALUES[name] is _BITS else None) for name, value in agreed.items()]
        return answer, self._codec(agreed, ours="server", theirs="client")

    def finalize(self, params: Params) -> Codec:
        """Client: make a codec for an answer. Raises RemoteProtocolError (1010) if it isn't one to our offer."""
        offered = _read(self.offer(), _OFFER_VALUES)
        agreed = _read(params, _VALUES)
        for name in (_SERVER_NO_TAKEOVER, _SERVER_MAX_BITS):
            # Sections 7.1.1.1 and 7.1.2.1: a server accepts these by including them.
            # We do without 15 bits in the answer: it says no more than leaving it out, as aiohttp does.
            if name in offered and name not in agreed and offered[name] != _DEFAULT_BITS:
                raise _refusal(f"server accepted {self.name} without {name}, which was offered")
        if _CLIENT_MAX_BITS in agreed and _CLIENT_MAX_BITS not in offered:
            raise _refusal(f"server accepted {self.name} with {_CLIENT_MAX_BITS}, which was not offered")
        limit = offered.get(_SERVER_MAX_BITS, _DEFAULT_BITS)
        bits = agreed.setdefault(_SERVER_MAX_BITS, limit)
        if bits > limit:
            raise _refusal(f"server accepted {self.name} with {_SERVER_MAX_BITS}={bits}; the limit is {limit}")
        # Section 7.1.2.2: a number in our offer says that we use no more, even if the answer has more, or none.
        limit = offered.get(_CLIENT_MAX_BITS, _DEFAULT_BITS)
        agreed[_CLIENT_MAX_BITS] = min(agreed.get(_CLIENT_MAX_BITS, limit), limit)
        if _CLIENT_NO_TAKEOVER in offered:
            agreed[_CLIENT_NO_TAKEOVER] = 1
        return self._codec(agreed, ours="client", theirs="server")

    def _codec(self, agreed: dict[str, int], *, ours: str, theirs: str) -> Codec:
        return DeflateCodec(
            self.backend,
            level=self._level(),
            mem_level=self.mem_level,
            threshold=self.threshold,
            compress_bits=agreed.get(f"{ours}_max_window_bits", _DEFAULT_BITS),
            compress_takeover=f"{ours}_no_context_takeover" not in agreed,
            decompress_bits=agreed.get(f"{theirs}_max_window_bits", _DEFAULT_BITS),
            decompress_takeover=f"{theirs}_no_context_takeover" not in agreed,
        )


def _restore(kind: type[PerMessageDeflate], values: dict[str, Any]) -> PerMessageDeflate:
    return kind(**{**values, "backend": import_module(values["backend"])})


def _read(params: Params, values: dict[str, dict[str | None, int]]) -> dict[str, int]:
    """Take parameters apart. Raises RemoteProtocolError (1010) for any that section 7.1 doesn't allow."""
    read: dict[str, int] = {}
    for name, value in params:
        if name not in values:
            raise _refusal(f"permessage-deflate has an unknown parameter {shown(name)}")
        if name in read:
            raise _refusal(f"permessage-deflate has parameter {name} twice")
        if value not in values[name]:
            what = "no value" if value is None else f"the value {shown(value)}"
            raise _refusal(f"permessage-deflate has {name} with {what}")
        read[name] = values[name][value]
    return read
