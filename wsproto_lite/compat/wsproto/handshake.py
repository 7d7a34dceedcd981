"""wsproto's opening handshake: h11 carries it, the core judges it, and this says so in wsproto's words.

Knows HTTP/1.1 by way of h11, and wsproto's events. What a good request or response is, the core knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from typing import Any, cast

import h11

from ... import errors, events
from ...handshake import accept, check_request, check_response, request_headers
from ...settings import Settings
from ._limits import limits
from ._offers import (
    check_syntax,
    client_extensions_handshake,
    elements,
    offer_extensions,
    server_extensions_handshake,
)
from ._refusals import bad_http, request_error, response_error
from .connection import Connection, ConnectionState, ConnectionType
from .events import AcceptConnection, Event, RejectConnection, RejectData, Request
from .extensions import Extension
from .typing import Headers
from .utilities import (
    LocalProtocolError,
    RemoteProtocolError,
    Unsendable,
    generate_accept_token,
    generate_nonce,
    normed_header_dict,
    split_comma_header,
)

__all__ = [
    "WEBSOCKET_UPGRADE",
    "WEBSOCKET_VERSION",
    "H11Handshake",
    "client_extensions_handshake",
    "normed_header_dict",
    "server_extensions_handshake",
    "split_comma_header",
]

WEBSOCKET_VERSION = b"13"

WEBSOCKET_UPGRADE = b"websocket"

_WIRE_NAMES = {
    name.lower(): name
    for name in (
        b"Host",
        b"Upgrade",
        b"Connection",
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Version",
        b"Sec-WebSocket-Accept",
        b"Sec-WebSocket-Protocol",
    )
}
"""How wsproto writes the headers of a handshake."""

# What wsproto's events have in fields of their own, so that it isn't among the extra headers.
_IN_REQUEST = frozenset((b"host", b"sec-websocket-extensions", b"sec-websocket-protocol"))
_IN_RESPONSE = frozenset(
    (b"connection", b"sec-websocket-extensions", b"sec-websocket-accept", b"sec-websocket-protocol", b"upgrade")
)


class H11Handshake:
    """One side of one opening handshake over HTTP/1.1. `settings` may hold limits; wsproto has h11's alone."""

    def __init__(self, connection_type: ConnectionType, *, settings: Settings | None = None) -> None:
        self.client = connection_type is ConnectionType.CLIENT
        self._state = ConnectionState.CONNECTING
        self._given_settings = settings
        self._settings = limits(settings)
        self._h11_connection = h11.Connection(
            h11.CLIENT if self.client else h11.SERVER, max_incomplete_event_size=self._settings.max_header_size
        )
        self._connection: Connection | None = None
        self._events: deque[Event] = deque()
        self._unasked: RejectConnection | None = None
        self._initiating_request: Request | None = None
        self._request: events.Request | None = None  # the same, as the core has it
        self._offered: list[Extension] = []
        self._nonce = b""
        self._is_judged = False  # a server has read its request, good or not
        self._is_unreadable = False  # what has come is no HTTP
        self._early = 0  # bytes that came after that

    @property
    def state(self) -> ConnectionState:
        """Where the handshake stands."""
        return self._state

    @property
    def connection(self) -> Connection | None:
        """The connection that the handshake has led to, None while it hasn't."""
        return self._connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client={self.client}, state={self.state})"

    def initiate_upgrade_connection(self, headers: Headers, path: bytes | str) -> None:
        """Server: take a request that somebody else has read. Raises as receive_data."""
        if self.client:
            raise LocalProtocolError("Cannot initiate an upgrade connection when acting as the client")
        self.receive_data(_write(h11.Connection(h11.CLIENT), h11.Request, method=b"GET", target=path, headers=headers))

    def events(self) -> Generator[Event, None, None]:
        """Give the events that have come."""
        while self._events:
            yield self._events.popleft()
        if self._unasked is not None:
            unasked, self._unasked = self._unasked, None
            yield unasked

    # ---- events in ----

    def send(self, event: Event) -> bytes:
        """Return the bytes to write for `event`. Raises LocalProtocolError."""
        if isinstance(event, Request):
            return self._initiate(event)
        if isinstance(event, AcceptConnection):
            return self._accept(event)
        if isinstance(event, RejectConnection):
            return self._reject(event)
        if isinstance(event, RejectData):
            return self._reject_data(event)
        raise LocalProtocolError(f"Event {event} cannot be sent during the handshake")

    def _initiate(self, event: Request) -> bytes:
        if not self.client or self._request is not None:
            raise LocalProtocolError("a request is sent once, by a client")
        nonce = generate_nonce()
        try:
            host = event.host if event.host.isascii() else event.host.encode("idna").decode("ascii")
            request = events.Request(event.target, host, tuple(event.subprotocols or ()))
            headers = _as_written(request_headers(request, self._settings, key=nonce))
        except (errors.LocalProtocolError, UnicodeError, AttributeError, TypeError) as error:
            raise Unsendable(str(error)) from None
        offer, offered = offer_extensions(event.extensions or ())
        headers += [*offer, *_fields(event.extra_headers)]
        output = _write(self._h11_connection, h11.Request, method=b"GET", target=event.target, headers=headers)
        self._request, self._initiating_request = request, event
        self._offered, self._nonce = offered, nonce
        return output

    def _accept(self, event: AcceptConnection) -> bytes:
        if self._request is None or self.client or self._state is not ConnectionState.CONNECTING:
            raise LocalProtocolError("there is no request to accept")
        try:
            handshake = accept(self._request, events.AcceptConnection(event.subprotocol), self._settings, http="1.1")
        except errors.LocalProtocolError as error:
            raise Unsendable(str(error)) from None
        headers = _as_written(handshake.headers)
        assert self._initiating_request is not None
        if event.extensions:
            offer = cast("list[str]", self._initiating_request.extensions)
            answer = server_extensions_handshake(offer, event.extensions)
            headers += [(b"Sec-WebSocket-Extensions", answer)] if answer else []
        headers += _fields(event.extra_headers)
        reason = b"Switching Protocols"
        output = _write(
            self._h11_connection, h11.InformationalResponse, status_code=101, headers=headers, reason=reason
        )
        self._open(ConnectionType.SERVER, event.extensions)
        return output

    def _open(self, connection_type: ConnectionType, extensions: list[Extension]) -> None:
        # What came before the answer, or with it, are frames. wsproto's server drops them.
        early = self._h11_connection.trailing_data[0]
        self._connection = Connection(connection_type, extensions, early, settings=self._given_settings)
        self._state = ConnectionState.OPEN

    def _reject(self, event: RejectConnection) -> bytes:
        if self.client or self._state is not ConnectionState.CONNECTING:
            raise LocalProtocolError(f"Connection cannot be rejected in state {self._state}")
        headers = _fields(event.headers)
        headers += [] if event.has_body else [(b"content-length", b"0")]
        output = _write(self._h11_connection, h11.Response, status_code=event.status_code, headers=headers)
        self._state = ConnectionState.REJECTING
        return output if event.has_body else output + self._end_rejection()

    def _reject_data(self, event: RejectData) -> bytes:
        if self.client or self._state is not ConnectionState.REJECTING:
            raise LocalProtocolError(f"Cannot send rejection data in state {self._state}")
        output = _write(self._h11_connection, h11.Data, data=event.data)
        return output + self._end_rejection() if event.body_finished else output

    def _end_rejection(self) -> bytes:
        output = _write(self._h11_connection, h11.EndOfMessage)
        self._state = ConnectionState.CLOSED
        return output

    # ---- bytes in ----

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes from the peer, None or none for the end of the transport. Raises RemoteProtocolError."""
        if self._connection is not None:
            self._connection.receive_data(data)
            return
        if self._state is ConnectionState.CLOSED or self._is_refusing():
            return
        if self._is_unreadable:
            raise bad_http()
        data = bytes(memoryview(data or b""))
        self._limit_early(len(data))
        try:
            self._h11_connection.receive_data(data)
            while self._take(self._h11_connection.next_event()):
                pass
        except (h11.RemoteProtocolError, RuntimeError):
            # RuntimeError is h11's for bytes after the end.
            self._is_unreadable = True
            self._fail()
            raise bad_http() from None
        except RemoteProtocolError:
            self._fail()
            raise

    def _is_refusing(self) -> bool:
        """Tell whether a server has refused its request, or has to: then nothing that comes is of use."""
        return not self.client and (
            self._state is ConnectionState.REJECTING or (self._is_judged and self._request is None)
        )

    def _limit_early(self, size: int) -> None:
        self._early += size if self._is_judged else 0
        limit = self._settings.max_header_size
        if self._early > limit:
            text = f"{self._early} bytes came before the request was answered; the limit is {limit}"
            raise RemoteProtocolError(text, event_hint=RejectConnection())

    def _fail(self) -> None:
        # A server may still send its refusal; a client has nothing left to do.
        if self.client:
            self._state = ConnectionState.CLOSED

    def _take(self, event: Any) -> bool:
        """Take what h11 has read. False if there is no more for now."""
        if isinstance(event, (h11.InformationalResponse, h11.Response)):
            self._unasked = None
        if isinstance(event, h11.Request):
            self._take_request(event)
        elif isinstance(event, h11.InformationalResponse):
            self._take_informational(event)
        elif isinstance(event, h11.Response):
            self._state = ConnectionState.REJECTING
            self._events.append(_rejection(event, has_body=True))
        elif isinstance(event, h11.Data):
            # A response's: a request with a body is refused on its header, and nothing of it is looked at.
            self._events.append(RejectData(bytes(event.data), False))
        elif isinstance(event, h11.EndOfMessage):
            if self.client:
                self._events.append(RejectData(b"", True))
                self._state = ConnectionState.CLOSED
        else:
            return False
        return True

    def _take_request(self, event: h11.Request) -> None:
        self._is_judged = True
        headers = list(event.headers)
        version = event.http_version.decode("ascii")
        judged = check_request(event.method, event.target, headers, self._settings, http=version)
        if isinstance(judged, events.RejectConnection):
            raise request_error(judged, event.method, headers)
        self._request = judged
        self._initiating_request = Request(
            host=_decode_host(dict(headers)[b"host"]),
            target=event.target.decode("ascii"),
            extensions=elements(headers),
            extra_headers=[field for field in headers if field[0] not in _IN_REQUEST],
            subprotocols=list(judged.subprotocols),
        )
        self._events.append(self._initiating_request)

    def _take_informational(self, event: h11.InformationalResponse) -> None:
        headers = list(event.headers)
        if event.status_code == 101:
            self._events.append(self._establish(headers))
        elif any(name == b"sec-websocket-accept" for name, _ in headers):
            # An answer to the key, with the wrong status.
            self._events.append(_rejection(event, has_body=False))
            self._state = ConnectionState.CLOSED
        elif event.status_code == 100:
            # RFC 9110 section 10.1.1: comes for an Expect header, which handshakes don't have. wsproto's programs
            # count on a refusal there; so it is one as long as nothing else has come, and a 101 is still welcome.
            self._unasked = _rejection(event, has_body=False)
        # RFC 9110 section 15.2: any number of other interim responses may come first.

    def _establish(self, headers: Headers) -> AcceptConnection:
        assert self._request is not None  # else h11 would not have read a response
        core_headers = [field for field in headers if field[0] != b"sec-websocket-extensions"]
        judged = check_response(101, core_headers, self._request, self._settings, key=self._nonce)
        if isinstance(judged, events.RejectConnection):
            raise response_error(judged, headers, generate_accept_token(self._nonce))
        check_syntax(headers)
        extensions = client_extensions_handshake(elements(headers), self._offered)
        self._open(ConnectionType.CLIENT, extensions)
        extra_headers = [field for field in headers if field[0] not in _IN_RESPONSE]
        return AcceptConnection(judged.subprotocol, extensions, extra_headers)


def _rejection(event: h11.InformationalResponse | h11.Response, *, has_body: bool) -> RejectConnection:
    return RejectConnection(event.status_code, list(event.headers), has_body)


def _fields(headers: Headers) -> Headers:
    try:
        return [*headers]
    except TypeError:
        raise Unsendable(f"headers are {headers!r}; they are pairs of name and value") from None


def _as_written(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(_WIRE_NAMES[name], value) for name, value in headers]


def _decode_host(host: bytes) -> str:
    try:
        return host.decode("idna")
    except UnicodeError:
        return host.decode("latin-1")


def _write(connection: h11.Connection, kind: Any, **fields: Any) -> bytes:
    """Have h11 make an event and write it. Raises LocalProtocolError."""
    try:
        return connection.send(kind(**fields)) or b""
    except (h11.LocalProtocolError, TypeError, ValueError) as error:
        raise Unsendable(str(error)) from None
