"""One WebSocket connection: bytes in, events out; events in, bytes out.

This is the only module that knows local from remote. It wires the handshake (http11), what comes in (messages) and
what goes out (sending) together, and decides how a connection opens, answers and ends. It never touches a socket.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from .codec import CHUNK, encode_text
from .constants import CLIENT, MAX_CLOSE_REASON, SERVER, CloseCode, Role, State
from .errors import CloseInfo, ConnectionClosed, LocalProtocolError, RemoteProtocolError
from .events import AcceptConnection, CloseConnection, Event, Ping, Pong, RejectConnection, Request, TextMessage
from .extensions import Codec
from .handshake import Handshake
from .http11 import ClientUpgrade, RequestHead, ServerUpgrade
from .messages import Receiver
from .sending import Sender
from .settings import Settings

# A look-up in the module costs 6 ns, one in an Enum class 30.
CONNECTING = State.CONNECTING
OPEN = State.OPEN
LOCAL_CLOSING = State.LOCAL_CLOSING
REMOTE_CLOSING = State.REMOTE_CLOSING
CLOSED = State.CLOSED

_new = object.__new__

_DEFAULT_SETTINGS = Settings()
_NOT_CLOSED = CloseInfo()

# A response with an error is no refusal if it is a 101, or none that could be read.
NOT_REFUSED = (0, 101)


class Connection:
    """The WebSocket protocol (RFC 6455, RFC 7692) for one connection, client or server.

    A client begins with `send(Request(...))`. A server gives what it reads to `receive_data`, gets a Request, and
    answers with `send(AcceptConnection(...))` or `send(RejectConnection(...))`. Where several threads or tasks use a
    connection, one lock has to cover a send and the write of what it returns. Raises LocalProtocolError for a role or
    settings that are none.

    role: which side we are.
    settings: what the connection allows and does by itself; shared by any number of connections.
    state: where it stands.
    subprotocol: what was agreed on, None without.
    extensions: the codecs that were agreed on, in the order of the response.
    close_info: how it has ended, or how far it has got with that.
    bytes_received: every byte given to `receive_data`, those of the handshake included.
    should_shutdown: nothing more will be sent. Flush, then half-close (RFC 6455 section 7.1.1).
    should_close: close the transport.
    """

    __slots__ = (
        "_early",
        "_eof",
        "_output",
        "_receiver",
        "_refused",
        "_sender",
        "_upgrade",
        "bytes_received",
        "close_info",
        "extensions",
        "role",
        "settings",
        "should_close",
        "should_shutdown",
        "state",
        "subprotocol",
    )

    def __init__(self, role: Role, settings: Settings = _DEFAULT_SETTINGS) -> None:
        self._prepare(role, settings)
        self._upgrade: ServerUpgrade | ClientUpgrade | None
        self._upgrade = ServerUpgrade(settings) if role is SERVER else ClientUpgrade(settings)

    def _prepare(self, role: Role, settings: Settings) -> None:
        if not isinstance(role, Role):
            raise LocalProtocolError(f"role is {role!r}; it is CLIENT or SERVER")
        if not isinstance(settings, Settings):
            raise LocalProtocolError(f"settings is {settings!r}; it is a Settings object")
        self.role = role
        self.settings = settings
        self.state = CONNECTING
        self.subprotocol: str | None = None
        self.extensions: Sequence[Codec] = ()
        self.close_info = _NOT_CLOSED
        self.bytes_received = 0
        self.should_shutdown = False
        self.should_close = False
        self._upgrade = None
        # None until there is a request; a server collects what comes between that and its answer.
        self._early: bytearray | None = None
        self._receiver: Receiver | None = None  # None before the handshake, and when all input is discarded
        self._sender: Sender | None = None
        self._output = b""
        self._refused: ServerUpgrade | None = None  # by us, without being asked
        self._eof = False

    @classmethod
    def established(
        cls, role: Role, settings: Settings = _DEFAULT_SETTINGS, handshake: Handshake | None = None
    ) -> Connection:
        """Return an open connection without an HTTP/1.1 handshake, for HTTP/2 (RFC 8441), HTTP/3 (RFC 9220) or a
        server that has parsed the request itself. `handshake` is what handshake.accept or check_response returned.
        """
        if handshake is not None and not isinstance(handshake, Handshake):
            raise LocalProtocolError(f"handshake is {handshake!r}; it is a Handshake or None")
        connection = cls.__new__(cls)
        connection._prepare(role, settings)
        connection._open(handshake or Handshake(101, [], None, ()))
        return connection

    def _open(self, handshake: Handshake) -> None:
        self.state = OPEN
        self.subprotocol = handshake.subprotocol
        self.extensions = handshake.extensions
        self._upgrade = None
        # Section 5.1: a client masks all that it sends, a server nothing.
        from_client = self.role is SERVER
        codecs = tuple([codec for codec in self.extensions if codec.rsv])
        self._receiver = Receiver(self.settings, masked=from_client, codecs=codecs)
        self._sender = Sender(None if self.role is SERVER else self.settings.masking_keys, codecs)

    # ---- bytes in ----

    @property
    def has_pending(self) -> bool:
        """Whether receive_data(b"") has more to give: the last event, early data, more inflated data."""
        if self._receiver is not None:
            return self._receiver.has_pending or self._receiver.ending is not None or self._eof
        return self._upgrade is not None and (self._eof or self._has_too_much_early_data())

    @property
    def is_ending(self) -> bool:
        """Whether the last event is all that receive_data(b"") has to give."""
        return self.has_pending and (self._receiver is None or not self._receiver.has_pending)

    def receive_data(self, data: bytes | bytearray | memoryview, *, hold_end: bool = False) -> list[Event]:
        """Take bytes from the peer and return the events they complete.

        b"" adds nothing and is no EOF; it continues what was held back, see has_pending. `hold_end` holds the last
        event of an open connection back for a call without it, even if nothing comes before it: for a caller who has
        yet to answer earlier messages, which is impossible after the end. Raises TypeError for anything that isn't
        bytes-like, nothing else: what the peer did wrong arrives as the last event.
        """
        if type(data) is not bytes:
            data = _as_bytes(data)
        size = len(data)
        self.bytes_received += size
        receiver = self._receiver
        if receiver is None:
            return self._receive_handshake(data)
        if receiver.held is None and size <= CHUNK:
            # One whole text message in one read is the common case, and worth a short way: it takes 560 ns on the
            # usual way, 450 here. Setting the slots takes 62 ns, TextMessage(...) 88.
            whole = receiver.decode(data, size)
            if type(whole) is str:
                event = _new(TextMessage)
                event.data = whole
                event.frame_finished = event.message_finished = True
                return [event]
            events = receiver.receive_decoded(whole, data)
        else:
            events = receiver.receive(data)
        # The last event comes alone, so that answers to what came before it go out before our Close.
        return events or ([] if hold_end else self._receive_end(receiver))

    def receive_eof(self) -> list[Event]:
        """Take note that the peer will send no more, or that the transport is gone; return events as receive_data."""
        self._eof = True
        if self._receiver is None and self._upgrade is None:
            # The caller's Close may still be due, with auto_reply off: the peer's end of sending is not ours.
            if self.state is not REMOTE_CLOSING:
                self.state = CLOSED
                self.should_shutdown = True
            self.should_close = True
            return []
        return self.receive_data(b"")

    def _receive_end(self, receiver: Receiver) -> list[Event]:
        if isinstance(receiver.ending, CloseConnection):
            return [self._end_by_peer(receiver.ending)]
        if receiver.ending is not None:
            return [self._end_by_failure(receiver.ending)]
        if self._eof:
            return [self._end_by_failure(_lost("the transport ended without a close frame"))]
        return []

    # ---- the opening handshake ----

    def _receive_handshake(self, data: bytes) -> list[Event]:
        if isinstance(self._upgrade, ServerUpgrade):
            return self._receive_request(self._upgrade, data)
        if self._upgrade is not None:
            return self._receive_response(self._upgrade, data)
        return []  # after the last event

    def _receive_request(self, upgrade: ServerUpgrade, data: bytes) -> list[Event]:
        if self._early is not None:
            self._early += data
            if self._has_too_much_early_data():
                limit = self.settings.max_header_size
                text = f"{len(self._early)} bytes came before the request was answered; the limit is {limit}"
                return [self._refuse(upgrade, RejectConnection(400, error=RemoteProtocolError(text)))]
        else:
            answer = upgrade.receive(data)
            if isinstance(answer, RejectConnection):
                return [self._refuse(upgrade, answer)]
            if answer is not None:
                self._early = upgrade.rest
                return [answer]
        if self._eof:
            return [self._end_by_failure(_lost("the transport ended during the handshake"))]
        return []

    def _has_too_much_early_data(self) -> bool:
        return self._early is not None and len(self._early) > self.settings.max_header_size

    def _refuse(self, upgrade: ServerUpgrade, event: RejectConnection) -> RejectConnection:
        self._output = upgrade.reject(event)
        upgrade.rest.clear()
        self._refused = upgrade
        self._end(self.role, _described(f"refused {event.status_code} by us", str(event.error)))
        return event

    @property
    def request_head(self) -> RequestHead | None:
        """The request that came, an upgrade or not, until it is accepted. None for a client, and for what isn't HTTP.

        A refusal of the connection's own can be replaced: send(RejectConnection(200, headers, body)) before
        data_to_send() answers a plain HTTP request.
        """
        upgrade = self._upgrade or self._refused
        return upgrade.head if isinstance(upgrade, ServerUpgrade) else None

    def _receive_response(self, upgrade: ClientUpgrade, data: bytes) -> list[Event]:
        if self._early is None:
            if not data and not self._eof:
                return []
            return [self._end_by_failure(_lost("the server sent something, or ended, before it was asked"))]
        answer = upgrade.receive(data)
        if answer is None and self._eof:
            answer = upgrade.receive_eof()
        if isinstance(answer, Handshake):
            self._open(answer)
            accepted = AcceptConnection(answer.subprotocol, answer.headers)
            assert self._receiver is not None
            return [accepted, *self._receiver.receive(bytes(upgrade.rest))]
        if answer is None:
            if not self._eof:
                return []
            return [self._end_by_failure(_lost("the transport ended during the handshake"))]
        if answer.error is not None and answer.status_code in NOT_REFUSED:
            return [self._end_by_failure(answer.error, CloseCode.ABNORMAL_CLOSURE)]
        self._end(SERVER, f"refused {answer.status_code} by the peer")
        return [answer]

    # ---- events in ----

    def send(self, event: Event, *, compress: bool | None = None) -> bytes:
        """Return the bytes to write for `event`, with the replies that were queued before it.

        `compress` overrides what the extension would decide, on the first fragment of a message only.
        Raises LocalProtocolError for what the protocol forbids, and ConnectionClosed for what comes too late. Then
        nothing has changed.
        """
        sender, receiver = self._sender, self._receiver
        # The common case, a whole plain text message and nothing queued, has a short way here too: 290 ns for a client,
        # else 550. While there is a receiver, we are open, or have sent a Close and then nothing is taken whole.
        if (
            type(event) is TextMessage
            and compress is None
            and receiver is not None
            and sender is not None
            and sender.takes_whole
            and event.message_finished
            and not self._output
            and not receiver.pings
        ):
            try:
                return encode_text(str.encode(event.data), sender.keys)
            except (TypeError, UnicodeEncodeError):
                pass  # the usual way knows what to say
        sender = self._check_can_send(event, compress)
        if sender is None:
            return self._send_handshake(event)
        # First, as a source of masking keys may fail, and must not leave a frame that was never sent.
        queued = self._peek_output()
        frame = sender.encode(event, compress)
        self._clear_output()
        if isinstance(event, CloseConnection):
            self._note_our_close(event)
        return queued + frame if queued else frame

    def send_buffers(self, event: Event, *, compress: bool | None = None) -> list[bytes | memoryview]:
        """Do as `send`, but return the bytes in parts, for writelines() or sendmsg().

        A server's uncompressed payload is not copied: it must not change until it is written.
        """
        sender = self._check_can_send(event, compress)
        if sender is None or isinstance(event, CloseConnection):
            return [self.send(event, compress=compress)]
        queued = self._peek_output()
        parts = sender.encode_buffers(event, compress)
        self._clear_output()
        return [queued, *parts] if queued else parts

    def data_to_send(self) -> bytes:
        """Return, once, what the connection queued by itself: Pongs, a Ping, a Close, an HTTP refusal."""
        output = self._peek_output()
        self._clear_output()
        return output

    @property
    def output_size(self) -> int:
        """How many bytes data_to_send() would return; at most 16 Pongs, a Ping and a Close, or an HTTP refusal."""
        if self._receiver is None or self._sender is None or not self._receiver.pings:
            return len(self._output)
        return len(self._output) + sum(self._sender.frame_size(len(payload)) for payload in self._receiver.pings)

    def queue_ping(self, payload: bytes) -> None:
        """Have data_to_send() return a Ping, or the one that is there still, unless the connection isn't open."""
        if self.state is OPEN:
            assert self._sender is not None
            assert self._receiver is not None
            self._output = self._output or self._sender.encode(Ping(payload))
            self._receiver.last_pong = None

    @property
    def last_pong(self) -> bytes | None:
        """The payload of the last Pong since queue_ping, None if none came or the connection is not open."""
        return None if self._receiver is None else self._receiver.last_pong

    def _peek_output(self) -> bytes:
        if self._sender is None or self._receiver is None or not self._receiver.pings:
            return self._output
        return self._output + b"".join([self._sender.encode(Pong(payload)) for payload in self._receiver.pings])

    def _clear_output(self) -> None:
        self._output = b""
        if self._receiver is not None:
            self._receiver.pings = None

    def _check_can_send(self, event: Event, compress: bool | None) -> Sender | None:
        """Return what encodes `event`, None during the handshake."""
        if self.state is OPEN:
            return self._sender
        if self.state is CONNECTING:
            if compress is not None:
                raise LocalProtocolError(f"compress is {compress} during the handshake")
            return None
        if isinstance(event, RejectConnection) and self._refused is not None and self._output and compress is None:
            return None
        # Section 7.1.6 and 5.5.1: when the peer has closed, or all is lost, a send is too late, but not wrong.
        if self.state is REMOTE_CLOSING and isinstance(event, CloseConnection):
            return self._sender
        if self.state is LOCAL_CLOSING:
            return self._sender
        raise ConnectionClosed(f"the connection is closing or closed: {self.close_info.cause}", self.close_info)

    def _send_handshake(self, event: Event) -> bytes:
        upgrade = self._upgrade
        if isinstance(event, RejectConnection) and self._refused is not None:
            output = self._refused.reject(event)
            self._output = b""
            self.close_info = self.close_info._replace(cause=f"refused {event.status_code} by us")
            return output
        if isinstance(event, Request) and isinstance(upgrade, ClientUpgrade):
            if self._early is not None:
                raise LocalProtocolError("the request is sent already")
            output = upgrade.request(event)
            self._early = bytearray()
            return output
        if isinstance(upgrade, ServerUpgrade) and self._early is not None:
            if isinstance(event, AcceptConnection):
                output, handshake = upgrade.accept(event)
                self._open(handshake)
                assert self._receiver is not None
                self._receiver.hold(bytes(self._early))
                self._early = None
                return output
            if isinstance(event, RejectConnection):
                output = upgrade.reject(event)
                self._end(SERVER, f"refused {event.status_code} by us")
                return output
        raise LocalProtocolError(f"{type(event).__name__} can't be sent now: the opening handshake is not over")

    # ---- the closing handshake (section 7) ----

    def _note_our_close(self, event: CloseConnection) -> None:
        code, reason = int(event.code), event.reason
        self.close_info = self.close_info._replace(sent=(code, reason))
        if self.state is REMOTE_CLOSING:
            self.state = CLOSED
            self._settle()
        else:
            self.state = LOCAL_CLOSING
            self.close_info = self.close_info._replace(initiator=self.role, cause=_cause(code, "us", reason))

    def _end_by_peer(self, event: CloseConnection) -> CloseConnection:
        """The peer's Close has come: answer it, unless it is the answer to ours."""
        peer = SERVER if self.role is CLIENT else CLIENT
        self.close_info = self.close_info._replace(received=(event.code, event.reason))
        # Section 5.5.1: echo the status code. An empty Close (1005) is answered by an empty one.
        reply = CloseConnection(event.code)
        self._end(peer, self.close_info.cause or _cause(event.code, "the peer", event.reason), reply)
        return event

    def _end_by_failure(self, error: RemoteProtocolError, code: int | None = None) -> CloseConnection:
        """_Fail the WebSocket Connection_ (section 7.1.7)."""
        code = error.code if code is None else code
        lost = code == CloseCode.ABNORMAL_CLOSURE
        reply = None if lost else CloseConnection(code, _cut(str(error)))
        cause = _cause(code, "" if lost else "us", str(error))
        sent = self.close_info.sent
        if sent is not None and not lost:
            # There is one Close, and ours had another code.
            cause = _described(f"failed {code} after our close {sent[0]}", str(error))
        self._end(None if lost else self.role, cause, reply)
        if lost:
            self.should_shutdown = self.should_close = True
        return CloseConnection(code, str(error), error)

    def fail(self, error: RemoteProtocolError) -> list[Event]:
        """End the connection for a reason of the caller's own, as if the peer had broken a rule.

        Sends a Close with `error.code`, or none and gives the transport up where that is 1006. Returns the last event,
        nothing when it was delivered before.
        """
        if self._receiver is None and self._upgrade is None:
            self.state = CLOSED
            self.should_shutdown = self.should_close = True
            return []
        return [self._end_by_failure(error)]

    def _end(self, initiator: Role | None, cause: str, reply: CloseConnection | None = None) -> None:
        """The last event is at hand: answer with `reply` if a Close is due, and discard all input from now on."""
        info = self.close_info
        if info.initiator is None:
            info = info._replace(initiator=initiator, cause=cause)
        elif info.received is None:
            info = info._replace(cause=cause)  # we had closed, but the peer never did, or worse
        if reply is None or info.sent is not None or self._sender is None:
            self.state = CLOSED
        elif self.settings.auto_reply:
            assert self._receiver is not None
            self.state = CLOSED
            # Without masking keys there is no reply, but an end nevertheless.
            with contextlib.suppress(LocalProtocolError):
                self._output = self._peek_output() + self._sender.encode(reply)
                info = info._replace(sent=(reply.code, reply.reason))
        else:
            self.state = REMOTE_CLOSING
        self.close_info = info
        self._receiver = self._upgrade = self._early = None
        self._settle()

    def _settle(self) -> None:
        """Tell what to do with the transport, now that there are no more events (section 7.1.1)."""
        failed = self.state is CLOSED and self.close_info.received is None
        if failed or (self.state is CLOSED and (self.role is SERVER or self._eof)):
            self.should_shutdown = True
        # A client lets the server close the transport first, unless it failed.
        if self._eof or (failed and self.role is CLIENT):
            self.should_close = True


def _as_bytes(data: object) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        try:
            return bytes(memoryview(data))  # not what a subclass says of itself
        except ValueError as error:
            raise TypeError(f"data can't be read: {error}") from None
    raise TypeError(f"data is {type(data).__name__}; it must be bytes, bytearray or memoryview")


def _lost(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, CloseCode.ABNORMAL_CLOSURE)


def _cause(code: int, by: str, text: str) -> str:
    return _described(f"closed {int(code)}" + (f" by {by}" if by else ""), text)


def _described(what: str, text: str) -> str:
    # In a log, a line feed of the peer's would begin a line of its own, and an escape would speak to the terminal.
    printable = "".join([letter if letter.isprintable() else repr(letter)[1:-1] for letter in text])
    return f"{what}: {printable}" if text else what


def _cut(reason: str) -> str:
    """Cut our own words to what fits a Close frame, at a code point."""
    return reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")
