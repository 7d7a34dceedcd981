"""The rules that hold always: 5, what send refuses, and that nothing has changed then."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    UPGRADE,
    both_roles,
    close,
    connect,
    feed,
    ping,
    text,
)

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    ConnectionClosed,
    EncodedTextMessage,
    LocalProtocolError,
    Ping,
    Pong,
    ProtocolError,
    RejectConnection,
    Request,
    Role,
    Settings,
    TextMessage,
)

SENDS = {
    "text": TextMessage("text"),
    "first": BytesMessage(b"1", message_finished=False),
    "last": BytesMessage(b"2"),
    "ping": Ping(b"!"),
    "pong": Pong(b"?"),
    "close": CloseConnection(1001),
}


def in_fragment(connection: Connection, event: Any) -> None:
    event.message_finished = False
    connection.send(event)


def requested(connection: Connection) -> None:
    feed(connection, UPGRADE)


def asked(connection: Connection) -> None:
    connection.send(Request("/", "localhost"))


def we_closed(connection: Connection) -> None:
    connection.send(CloseConnection())


def peer_closed(connection: Connection) -> None:
    feed(connection, close(connection.role))


# What is done first, on an open connection or a new one; then what must not be sent, and what is said about it.
OUR_MISTAKES = {
    "lone surrogate": (None, TextMessage("a\ud800"), {}, "text has a lone surrogate at 1"),
    "bytes as text": (None, TextMessage(b"x"), {}, "text is bytes; it must be str"),
    "str as bytes": (None, BytesMessage("x"), {}, "payload is str; it must be bytes"),
    "none as bytes": (None, BytesMessage(None), {}, "payload is NoneType; it must be bytes"),
    "invalid encoded text": (None, EncodedTextMessage(b"\xff"), {}, "encoded text is not valid UTF-8"),
    "encoded text that breaks off": (None, EncodedTextMessage(b"\xc3"), {}, "encoded text is not valid UTF-8"),
    "long ping": (None, Ping(bytes(126)), {}, "control frame payload is 126 bytes; the limit is 125"),
    "long pong": (None, Pong(bytes(126)), {}, "control frame payload is 126 bytes; the limit is 125"),
    "str as ping": (None, Ping("x"), {}, "payload is str; it must be bytes"),
    "close 999": (None, CloseConnection(999), {}, "close code 999 may not be sent"),
    "close 1004": (None, CloseConnection(1004), {}, "close code 1004 may not be sent"),
    "close 1005 with a reason": (None, CloseConnection(1005, "x"), {}, "close code 1005 may not be sent with a reason"),
    "close 1006": (None, CloseConnection(1006), {}, "close code 1006 may not be sent"),
    "close 1015": (None, CloseConnection(1015), {}, "close code 1015 may not be sent"),
    "close 70000": (None, CloseConnection(70000), {}, "close code 70000 may not be sent"),
    "close with a str for a code": (None, CloseConnection("1000"), {}, "close code and reason are '1000' and ''"),
    "close with bytes for a reason": (None, CloseConnection(1000, b"x"), {}, "close code and reason are 1000 and b'x'"),
    "close with a surrogate": (None, CloseConnection(1000, "\udfff"), {}, "close reason has a lone surrogate at 0"),
    "long close reason": (None, CloseConnection(1000, "ä" * 62), {}, "close reason is 124 bytes; the limit is 123"),
    "unknown event": (None, "text", {}, "'text' is not an event that can be sent"),
    "none": (None, None, {}, "None is not an event that can be sent"),
    "request when open": (None, Request(), {}, "is not an event that can be sent on an open connection"),
    "accept when open": (None, AcceptConnection(), {}, "is not an event that can be sent on an open connection"),
    "compress without extension": (None, TextMessage("x"), {"compress": True}, "no extension that compresses"),
    "compressed ping": (None, Ping(), {"compress": True}, "compress is True on a control frame"),
    "close not to be compressed": (None, CloseConnection(), {"compress": False}, "compress is False on a control"),
    "text in a binary message": (
        lambda connection: in_fragment(connection, BytesMessage(b"1")),
        TextMessage("2"),
        {},
        "text message inside a fragmented binary message",
    ),
    "bytes in a text message": (
        lambda connection: in_fragment(connection, TextMessage("1")),
        BytesMessage(b"2"),
        {},
        "binary message inside a fragmented text message",
    ),
    "compress on a later fragment": (
        lambda connection: in_fragment(connection, TextMessage("1")),
        TextMessage("2"),
        {"compress": False},
        "compress is False on a fragment that is not a message's first",
    ),
    "text within a code point": (
        lambda connection: in_fragment(connection, EncodedTextMessage(b"\xc3")),
        TextMessage("2"),
        {},
        "text follows encoded text that ends within a code point",
    ),
    "text after close": (we_closed, TextMessage("x"), {}, "text message after a close frame"),
    "ping after close": (we_closed, Ping(), {}, "ping frame after a close frame"),
    "close after close": (we_closed, CloseConnection(), {}, "close frame after a close frame"),
}


CLIENT_MISTAKES = {
    "text before the request": (None, TextMessage("x"), {}, "TextMessage can't be sent now"),
    "accept by a client": (asked, AcceptConnection(), {}, "AcceptConnection can't be sent now"),
    "second request": (asked, Request("/", "localhost"), {}, "the request is sent already"),
    "target with a space": (None, Request("/ x", "localhost"), {}, "target"),
    "compress on a request": (None, Request("/", "localhost"), {"compress": False}, "compress is False during the"),
}


SERVER_MISTAKES = {
    "accept before the request": (None, AcceptConnection(), {}, "AcceptConnection can't be sent now"),
    "refusal before the request": (None, RejectConnection(), {}, "RejectConnection can't be sent now"),
    "request by a server": (None, Request("/", "localhost"), {}, "Request can't be sent now"),
    "text before acceptance": (requested, TextMessage("x"), {}, "TextMessage can't be sent now"),
    "subprotocol not offered": (requested, AcceptConnection("mqtt"), {}, "subprotocol 'mqtt' was not offered"),
    "refusal with 101": (requested, RejectConnection(101), {}, "status"),
}


class TestRule5Send:
    """send raises LocalProtocolError for our own mistakes, and then nothing has changed.

    A send that merely comes too late raises its subclass ConnectionClosed, which carries `close_info`.
    """

    @both_roles
    @pytest.mark.parametrize(("before", "event", "options", "words"), OUR_MISTAKES.values(), ids=OUR_MISTAKES)
    def test_mistake_on_an_open_connection(
        self, before: Any, event: Any, options: dict[str, Any], words: str, role: Role
    ) -> None:
        twins = [connect(role, random_bytes=bytes) for _ in range(2)]
        check_that_nothing_changes(*twins, before, event, options, words)

    @pytest.mark.parametrize(("before", "event", "options", "words"), CLIENT_MISTAKES.values(), ids=CLIENT_MISTAKES)
    def test_mistake_of_a_client(self, before: Any, event: Any, options: dict[str, Any], words: str) -> None:
        twins = [Connection(CLIENT, Settings(random_bytes=bytes)) for _ in range(2)]
        check_that_nothing_changes(*twins, before, event, options, words)

    @pytest.mark.parametrize(("before", "event", "options", "words"), SERVER_MISTAKES.values(), ids=SERVER_MISTAKES)
    def test_mistake_of_a_server(self, before: Any, event: Any, options: dict[str, Any], words: str) -> None:
        check_that_nothing_changes(Connection(SERVER), Connection(SERVER), before, event, options, words)

    @both_roles
    @pytest.mark.parametrize("event", [*SENDS.values(), AcceptConnection(), "text"], ids=repr)
    def test_too_late(self, role: Role, event: Any) -> None:
        """Also for what would have been a mistake: that is not worth telling any more."""
        connection = connect(role)
        peer_closed(connection)
        with pytest.raises(ConnectionClosed, match="closed 1000 by the peer") as raised:
            connection.send(event)
        assert raised.value.close_info == connection.close_info

    @both_roles
    @pytest.mark.parametrize("buffers", [False, True])
    def test_random_mistakes_leave_no_trace(self, role: Role, buffers: bool) -> None:
        """A connection on which all sorts of sends failed sends the same as one on which none did."""
        marred, clean = (connect(role, random_bytes=bytes) for _ in range(2))
        for before, event, options, _ in OUR_MISTAKES.values():
            for connection in (marred, clean):
                feed(connection, ping(role, b"!"))  # its Pong is queued, and not lost with a send that fails
            if before is None:
                with pytest.raises(LocalProtocolError):
                    (marred.send_buffers if buffers else marred.send)(event, **options)
            assert marred.send(TextMessage("x")) == clean.send(TextMessage("x"))


def check_that_nothing_changes(
    marred: Connection, clean: Connection, before: Any, event: Any, options: dict[str, Any], words: str
) -> None:
    """Do the same to both, with a send that fails to one of them between, and compare."""
    for twin in (marred, clean):
        if before is not None:
            before(twin)
    with pytest.raises(LocalProtocolError, match=words) as raised:
        marred.send(event, **options)
    assert type(raised.value) is LocalProtocolError
    with pytest.raises(LocalProtocolError, match=words):
        marred.send_buffers(event, **options)
    assert aftermath(marred) == aftermath(clean)


def aftermath(connection: Connection) -> list[Any]:
    """Look at a connection, then try all sorts of things on it and tell how they went."""
    told: list[Any] = [connection.state, connection.close_info, connection.output_size, connection.has_pending]
    for event in (Request("/", "localhost"), AcceptConnection(), EncodedTextMessage(b"\xa4"), *SENDS.values()):
        try:
            told.append(connection.send(event))
        except ProtocolError as error:
            told.append(str(error))
    role = connection.role
    told += feed(connection, text(role, "x") + ping(role) + close(role))
    told += [connection.data_to_send(), connection.close_info]
    return told
