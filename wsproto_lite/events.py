"""What happens on a WebSocket, in one vocabulary for both directions.

Knows how the events look, not when they may come. Slots are written out, and with them __init__, because
dataclass(slots=True) needs Python 3.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

from .constants import CloseCode
from .errors import RemoteProtocolError

Header = tuple[bytes, bytes]
"""A header field: name in lower case, and value."""

Headers = Sequence[tuple[Union[str, bytes], Union[str, bytes]]]
"""Header fields as a caller may give them."""

ExtensionOffer = tuple[str, tuple[tuple[str, Union[str, None]], ...]]
"""One element of Sec-WebSocket-Extensions: its name, and its parameters in order (RFC 6455 section 9.1)."""


@dataclass(init=False)
class Request:
    """A client's opening handshake (RFC 6455 section 4.1).

    target: path and query, in visible ASCII.
    host: name or address, with the port unless it is the default one.
    subprotocols: what the client offers, best first.
    headers: received, every header as it came, names in lower case; sent, those to add.
    origin: of the page that a browser connects for, None without.
    extensions: received, the parsed offer; not for sending, as extensions are offered from the settings.
    extra_headers: received, the headers that the handshake does not own and that can be sent, for a proxy to forward;
        not for sending.
    """

    __slots__ = ("extensions", "extra_headers", "headers", "host", "origin", "subprotocols", "target")
    __match_args__ = ("target", "host", "subprotocols", "headers", "origin")

    target: str
    host: str
    subprotocols: Sequence[str]
    headers: Headers
    origin: str | None
    extensions: Sequence[ExtensionOffer]
    extra_headers: Sequence[Header]

    def __init__(
        self,
        target: str = "/",
        host: str = "",
        subprotocols: Sequence[str] = (),
        headers: Headers = (),
        origin: str | None = None,
        extensions: Sequence[ExtensionOffer] = (),
        extra_headers: Sequence[Header] = (),
    ) -> None:
        self.target = target
        self.host = host
        self.subprotocols = subprotocols
        self.headers = headers
        self.origin = origin
        self.extensions = extensions
        self.extra_headers = extra_headers


@dataclass(init=False)
class AcceptConnection:
    """A server's consent (RFC 6455 section 4.2.2). Extensions are negotiated from the settings.

    subprotocol: one that the client offered, or None.
    headers: received, all of the response; sent, those to add.
    """

    __slots__ = ("headers", "subprotocol")
    __match_args__ = ("subprotocol", "headers")

    subprotocol: str | None
    headers: Headers

    def __init__(self, subprotocol: str | None = None, headers: Headers = ()) -> None:
        self.subprotocol = subprotocol
        self.headers = headers


@dataclass(init=False)
class RejectConnection:
    """A refusal over HTTP (RFC 6455 section 4.2.2).

    status_code: sent, 200 to 599; received, anything but 101.
    headers: received, all of the response; sent, those to add.
    body: all of it, in bytes.
    error: what was wrong, where a peer broke a rule; None for a refusal that somebody wanted. Not for sending.
    """

    __slots__ = ("body", "error", "headers", "status_code")
    __match_args__ = ("status_code", "headers", "body", "error")

    status_code: int
    headers: Headers
    body: bytes
    error: RemoteProtocolError | None

    def __init__(
        self,
        status_code: int = 400,
        headers: Headers = (),
        body: bytes = b"",
        error: RemoteProtocolError | None = None,
    ) -> None:
        self.status_code = status_code
        self.headers = headers
        self.body = body
        self.error = error


@dataclass(init=False)
class TextMessage:
    """Text, whole or in part (RFC 6455 sections 5.4 and 5.6).

    data: of the message, or of the part.
    frame_finished: whether this ends a frame. False only where delivery is "piece"; not for sending.
    message_finished: whether this ends the message. Sent, each event is one frame, which has FIN if this is set.
    """

    __slots__ = ("data", "frame_finished", "message_finished")
    __match_args__ = ("data", "frame_finished", "message_finished")

    data: str
    frame_finished: bool
    message_finished: bool

    def __init__(self, data: str, frame_finished: bool = True, message_finished: bool = True) -> None:
        self.data = data
        self.frame_finished = frame_finished
        self.message_finished = message_finished


@dataclass(init=False)
class EncodedTextMessage:
    """Text as UTF-8, validated and not decoded. Received where the settings have `text_as_bytes`, sent at any time.

    data: UTF-8. A part of a message that is sent may end within a code point; received, none does.
    frame_finished, message_finished: as in `TextMessage`.
    """

    __slots__ = ("data", "frame_finished", "message_finished")
    __match_args__ = ("data", "frame_finished", "message_finished")

    data: bytes
    frame_finished: bool
    message_finished: bool

    def __init__(self, data: bytes, frame_finished: bool = True, message_finished: bool = True) -> None:
        self.data = data
        self.frame_finished = frame_finished
        self.message_finished = message_finished


@dataclass(init=False)
class BytesMessage:
    """Binary data, whole or in part (RFC 6455 sections 5.4 and 5.6).

    data: of the message, or of the part. Sent, it may be a bytearray or memoryview, too.
    frame_finished, message_finished: as in `TextMessage`.
    """

    __slots__ = ("data", "frame_finished", "message_finished")
    __match_args__ = ("data", "frame_finished", "message_finished")

    data: bytes
    frame_finished: bool
    message_finished: bool

    def __init__(self, data: bytes, frame_finished: bool = True, message_finished: bool = True) -> None:
        self.data = data
        self.frame_finished = frame_finished
        self.message_finished = message_finished


@dataclass(init=False)
class Ping:
    """Are you there? (RFC 6455 section 5.5.2.) Answered by the connection itself, unless `auto_reply` is off.

    payload: at most 125 bytes, for the Pong to return.
    """

    __slots__ = ("payload",)
    __match_args__ = ("payload",)

    payload: bytes

    def __init__(self, payload: bytes = b"") -> None:
        self.payload = payload


@dataclass(init=False)
class Pong:
    """I am. (RFC 6455 section 5.5.3.) Unasked, it is a heartbeat that wants no answer.

    payload: the Ping's, at most 125 bytes.
    """

    __slots__ = ("payload",)
    __match_args__ = ("payload",)

    payload: bytes

    def __init__(self, payload: bytes = b"") -> None:
        self.payload = payload


@dataclass(init=False)
class CloseConnection:
    """The end of the stream (RFC 6455 section 7).

    code: received, the peer's (1005 if it gave none), that of a violation, or 1006 if the transport ended first. Sent,
        1005 without a reason makes an empty Close.
    reason: text for a log, not for a user. Sent, at most 123 bytes in UTF-8.
    error: None for a proper close, else what went wrong. Not for sending.
    """

    __slots__ = ("code", "error", "reason")
    __match_args__ = ("code", "reason", "error")

    code: int
    reason: str
    error: RemoteProtocolError | None

    def __init__(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "", error: RemoteProtocolError | None = None
    ) -> None:
        self.code = code
        self.reason = reason
        self.error = error


Message = Union[TextMessage, EncodedTextMessage, BytesMessage]

Event = Union[
    Request,
    AcceptConnection,
    RejectConnection,
    TextMessage,
    EncodedTextMessage,
    BytesMessage,
    Ping,
    Pong,
    CloseConnection,
]
