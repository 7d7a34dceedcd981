"""compat.wsproto and callers' mistakes: LocalProtocolError, and nothing has changed. Also peers that go on and on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from memory import kept_memory

from wsproto_lite.compat.wsproto import WSConnection
from wsproto_lite.compat.wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto_lite.compat.wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto_lite.compat.wsproto.extensions import Extension
from wsproto_lite.compat.wsproto.handshake import server_extensions_handshake
from wsproto_lite.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: toy\r\n\r\n"
)


class Toy(Extension):
    """Offers and answers what it is told to."""

    name = "toy"

    def __init__(self, params: Any, name: str = "toy") -> None:
        self.params = params
        self.name = name

    def __repr__(self) -> str:
        return f"Toy({self.params!r})"

    def offer(self) -> Any:
        return self.params

    def accept(self, offer: str) -> Any:
        return self.params


class Duck:
    """An extension of no base class."""

    name = "duck"

    def offer(self) -> str:
        return "quack"


def asked() -> WSConnection:
    """Give a server that has a request."""
    server = WSConnection(SERVER)
    server.receive_data(REQUEST)
    return server


def lacks(event: Event, **fields: object) -> Event:
    """Put values into an event that its annotations don't allow."""
    vars(event).update(fields)
    return event


# ---- what extensions offer and answer ----


@pytest.mark.parametrize("params", [None, 5, b"a", "é"], ids=repr)
def test_an_offer_that_is_none(params: object) -> None:
    client = WSConnection(CLIENT)
    with pytest.raises(LocalProtocolError):
        client.send(Request("h", "/", [Toy(params)]))
    assert client.send(Request("h", "/", [Toy("a=b")]))


@pytest.mark.parametrize("params", [5, b"a", "é"], ids=repr)
def test_an_answer_that_is_none(params: object) -> None:
    with pytest.raises(LocalProtocolError):
        server_extensions_handshake(["toy"], [Toy(params)])
    server = asked()
    with pytest.raises(LocalProtocolError):
        server.send(AcceptConnection(extensions=[Toy(params)]))
    assert server.state is ConnectionState.CONNECTING
    assert server.send(AcceptConnection(extensions=[Toy(True)])).endswith(b"Extensions: toy\r\n\r\n")


@pytest.mark.parametrize(
    ("params", "expected"),
    [((True, False), None), ((False, "b"), b"toy; b"), (("a", "b"), b"toy; b"), (("a", True), b"toy")],
)
def test_the_last_offer_of_a_name_counts(params: tuple[object, object], expected: bytes | None) -> None:
    head = WSConnection(CLIENT).send(Request("h", "/", [Toy(value) for value in params]))
    _, found, rest = head.partition(b"Sec-WebSocket-Extensions: ")
    assert (rest.partition(b"\r\n")[0] if found else None) == expected


def test_the_first_answer_of_a_name_counts() -> None:
    assert server_extensions_handshake(["toy"], [Toy(False), Toy("a"), Toy("b")]) == b"toy; a"


def test_an_offer_by_an_extension_of_no_base_class() -> None:
    extensions: Any = [Duck()]
    assert b"Sec-WebSocket-Extensions: duck; quack\r\n" in WSConnection(CLIENT).send(Request("h", "/", extensions))


# ---- fields that can't be sent ----


@pytest.mark.parametrize(
    "event",
    [
        lacks(Request("h", "/"), host=None),
        lacks(Request("h", "/"), host=b"h"),
        lacks(Request("h", "/"), target=None),
        lacks(Request("h", "/"), extra_headers=None),
        lacks(Request("h", "/"), extra_headers=[None]),
        lacks(Request("h", "/"), subprotocols=5),
        lacks(Request("h", "/"), extensions=[None]),
        Request("h", "/", [Toy(True, "é")]),
    ],
    ids=repr,
)
def test_what_a_client_cannot_ask(event: Event) -> None:
    client = WSConnection(CLIENT)
    with pytest.raises(LocalProtocolError):
        client.send(event)
    nothing = lacks(Request("h", "/"), extensions=None, subprotocols=None)
    assert client.send(nothing).startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "event",
    [
        lacks(AcceptConnection(), extra_headers=None),
        lacks(AcceptConnection(), subprotocol=5),
        lacks(RejectConnection(), headers=None),
        lacks(RejectConnection(), headers=[5]),
        lacks(RejectConnection(), status_code=None),
    ],
    ids=repr,
)
def test_what_a_server_cannot_answer(event: Event) -> None:
    server = asked()
    with pytest.raises(LocalProtocolError):
        server.send(event)
    assert server.state is ConnectionState.CONNECTING
    assert server.send(AcceptConnection())


@pytest.mark.parametrize(
    "event",
    [
        lacks(CloseConnection(1000), reason=b"bytes"),
        lacks(CloseConnection(1000), reason=5),
        lacks(CloseConnection(1000), code="1000"),
        lacks(TextMessage("a"), message_finished=None),
        lacks(TextMessage("a"), message_finished="x"),
        lacks(BytesMessage(b"a"), message_finished=2),
    ],
    ids=repr,
)
def test_what_an_open_connection_cannot_send(event: Event) -> None:
    server = Connection(SERVER)
    for kind in (LocalProtocolError, TypeError, ValueError):
        with pytest.raises(kind):
            server.send(event)
    assert server.send(lacks(TextMessage("a"), message_finished=0)) == b"\x01\x01a"
    assert server.send(lacks(TextMessage("b"), message_finished=1)) == b"\x80\x01b"


# ---- peers that go on ----


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"\x16\x03\x01\0\r\n\r\n", id="no HTTP"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", id="refused"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
def test_what_follows_a_bad_request_is_discarded(first: bytes) -> None:
    """wsproto keeps all of it."""
    server, chunk = WSConnection(SERVER), bytes(65_536)
    with pytest.raises(RemoteProtocolError):
        server.receive_data(first)

    def go_on() -> None:
        for _ in range(100):
            with suppress(RemoteProtocolError):
                server.receive_data(chunk)

    assert kept_memory(go_on) < 100_000
    assert server.send(RejectConnection()).startswith(b"HTTP/1.1 400 ")
    server.receive_data(chunk)


def test_what_comes_during_a_refusal_is_discarded() -> None:
    server = asked()
    server.send(RejectConnection(403, [(b"content-length", b"2")], has_body=True))
    for _ in range(3):
        server.receive_data(bytes(65_536))
    server.receive_data(None)
    assert server.send(RejectData(b"no")) == b"no"
    assert server.state is ConnectionState.CLOSED


@pytest.mark.parametrize("closes_first", [False, True], ids=["answers it", "had closed"])
def test_what_follows_a_violation_is_discarded(closes_first: bool) -> None:
    """Also once our Close is sent, when all else that comes raises LocalProtocolError."""
    server = Connection(SERVER)
    if closes_first:
        server.send(CloseConnection(1000))
    server.receive_data(b"\x81\x00")
    assert [type(event) for event in server.events()] == [CloseConnection]
    if not closes_first:
        server.send(CloseConnection(1002))
    assert server.state is ConnectionState.CLOSED
    for _ in range(3):
        server.receive_data(b"more")
        assert list(server.events()) == []
    server.receive_data(None)
    assert list(server.events()) == [CloseConnection(1006)]


def test_subprotocols_that_are_not_one() -> None:
    """The reason has them all, as wsproto's has."""
    client = WSConnection(CLIENT)
    head = client.send(Request("h", "/", subprotocols=["a"]))
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    server = WSConnection(SERVER)
    server.receive_data(REQUEST.replace(b"dGhlIHNhbXBsZSBub25jZQ==", key))
    answer = server.send(AcceptConnection(extra_headers=[(b"Sec-WebSocket-Protocol", b"a, b")]))
    with pytest.raises(RemoteProtocolError, match=r"^unrecognized subprotocol a, b$"):
        client.receive_data(answer)
