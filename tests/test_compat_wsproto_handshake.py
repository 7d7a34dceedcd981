"""compat.wsproto's opening handshake: wsproto's bytes, events and words; the core's rules."""

from __future__ import annotations

import pytest

from wsproto_lite import Settings
from wsproto_lite.compat.wsproto import ConnectionType, H11Handshake, WSConnection
from wsproto_lite.compat.wsproto.connection import CLIENT, SERVER, ConnectionState
from wsproto_lite.compat.wsproto.events import (
    AcceptConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto_lite.compat.wsproto.extensions import Extension, PerMessageDeflate
from wsproto_lite.compat.wsproto.handshake import client_extensions_handshake, server_extensions_handshake
from wsproto_lite.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

KEY = "dGhlIHNhbXBsZSBub25jZQ=="

HEADERS = {
    "Host": "h",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(line: str = "GET / HTTP/1.1", **changes: str | None) -> bytes:
    """Make a request; None leaves a header out."""
    headers = {**HEADERS, **changes}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


def asked(**fields: object) -> tuple[WSConnection, bytes]:
    """Give a client that has sent its request, and the 101 that fits, without its blank line."""
    client = WSConnection(CLIENT)
    head = client.send(Request(host="h", target="/", **fields))  # type: ignore[arg-type]
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    token = generate_accept_token(key)
    start = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + token + b"\r\n"
    return client, start


class Toy(Extension):
    """An extension with parameters that are set."""

    name = "toy"

    def __init__(self, params: bool | str | None = True) -> None:
        self.params = params
        self.seen: list[str] = []

    def offer(self) -> bool | str:
        return self.params or False

    def accept(self, offer: str) -> bool | str | None:
        self.seen.append(offer)
        return self.params

    def finalize(self, offer: str) -> None:
        if "bad" in offer:
            raise KeyError(offer)
        self.seen.append(offer)


# ---- both sides ----


def test_the_bytes_of_a_handshake() -> None:
    """Order and case of headers are wsproto's."""
    client, server = WSConnection(CLIENT), WSConnection(SERVER)
    fields = {"subprotocols": ["a", "b"], "extensions": [PerMessageDeflate()], "extra_headers": [(b"x-Y", b"z")]}
    head = client.send(Request("h", "/t?q", **fields))  # type: ignore[arg-type]
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    assert head == (
        b"GET /t?q HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %b\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate; "
        b"client_max_window_bits=15; server_max_window_bits=15\r\nx-Y: z\r\n\r\n" % key
    )
    server.receive_data(head)
    (received,) = server.events()
    assert isinstance(received, Request)
    assert (received.host, received.target, received.subprotocols) == ("h", "/t?q", ["a", "b"])
    assert (b"x-y", b"z") in received.extra_headers
    answer = server.send(AcceptConnection("b", [PerMessageDeflate()], [(b"x-Y", b"z")]))
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
        b"Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15; "
        b"server_max_window_bits=15\r\nx-Y: z\r\n\r\n" % generate_accept_token(key)
    )
    client.receive_data(answer + server.send(TextMessage("first")))
    accepted, first = client.events()
    assert accepted == AcceptConnection("b", fields["extensions"], [(b"x-y", b"z")])  # type: ignore[arg-type]
    assert first == TextMessage("first")
    assert (client.state, server.state) == (ConnectionState.OPEN, ConnectionState.OPEN)
    server.receive_data(client.send(TextMessage("second")))
    assert list(server.events()) == [TextMessage("second")]
    assert repr(client.handshake) == "H11Handshake(client=True, state=ConnectionState.OPEN)"


@pytest.mark.parametrize("early", ["with the request", "after it"])
def test_early_frames_are_kept(early: str) -> None:
    """wsproto's server drops what comes before it has accepted."""
    server, frame = WSConnection(SERVER), b"\x81\x81\0\0\0\0a"
    server.receive_data(request() + (frame if early == "with the request" else b""))
    server.receive_data(frame) if early == "after it" else None
    server.send(AcceptConnection())
    assert [type(event).__name__ for event in server.events()] == ["Request", "TextMessage"]


def test_early_bytes_are_limited() -> None:
    server = WSConnection(SERVER, settings=Settings(max_header_size=1000))
    server.receive_data(request())
    with pytest.raises(RemoteProtocolError, match="1001 bytes came before"):
        server.receive_data(bytes(1001))


@pytest.mark.parametrize("kind", list(ConnectionType))
@pytest.mark.parametrize("event", [Request("h", "/"), AcceptConnection(), RejectConnection(), RejectData(b""), Ping()])
def test_out_of_turn(kind: ConnectionType, event: Event) -> None:
    handshake = H11Handshake(kind)
    if kind is CLIENT:
        handshake.send(Request("h", "/"))
    elif isinstance(event, RejectConnection):
        handshake.send(RejectConnection())
    with pytest.raises(LocalProtocolError):
        handshake.send(event)


def test_a_handshake_passes_on_what_comes_after_it() -> None:
    server = H11Handshake(SERVER)
    server.receive_data(request())
    server.send(AcceptConnection())
    server.receive_data(b"\x89\x80\0\0\0\0")
    assert server.connection is not None
    assert list(server.connection.events()) == [Ping()]


# ---- the server ----


@pytest.mark.parametrize(
    ("wire", "text", "hint"),
    [
        (request("POST / HTTP/1.1"), "Request method must be GET", RejectConnection()),
        (request(Connection="notupgrade"), "Missing header, 'Connection: Upgrade'", RejectConnection()),
        (
            request(**{"Sec-WebSocket-Version": None}),
            "Missing header, 'Sec-WebSocket-Version'",
            RejectConnection(400, [(b"Sec-WebSocket-Version", b"13")]),
        ),
        (
            request(**{"Sec-WebSocket-Version": "8"}),
            "Missing header, 'Sec-WebSocket-Version'",
            RejectConnection(426, [(b"Sec-WebSocket-Version", b"13")]),
        ),
        (request(**{"Sec-WebSocket-Key": None}), "Missing header, 'Sec-WebSocket-Key'", RejectConnection()),
        (request(Upgrade="h2c"), "Missing header, 'Upgrade: websocket'", RejectConnection()),
        (request("GET / HTTP/1.0", Host=None), "Missing header, 'Host'", RejectConnection()),
        (b"nonsense\r\n\r\n", "Bad HTTP message", RejectConnection()),
        (
            request(**{"Sec-WebSocket-Key": "QUJD"}),
            "sec-websocket-key 'QUJD' is not 16 bytes in base64",
            RejectConnection(400, [(b"connection", b"close")]),
        ),
        (
            request("GET / HTTP/1.0"),
            "request is HTTP/1.0; it has to be HTTP/1.1, 2 or 3",
            RejectConnection(505, [(b"connection", b"close")]),
        ),
    ],
)
def test_refused_requests_in_wsprotos_words(wire: bytes, text: str, hint: RejectConnection) -> None:
    server = WSConnection(SERVER)
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(wire)
    assert str(caught.value) == text
    assert caught.value.event_hint == hint
    assert server.state is ConnectionState.CONNECTING
    assert server.send(hint).startswith(b"HTTP/1.1 %d " % hint.status_code)


@pytest.mark.parametrize(
    "changes",
    [
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Sec-WebSocket-Protocol": "\xe9"},
        {"Sec-WebSocket-Extensions": "a;="},
        {"Host": "\xff"},
        {"Origin": "\xff"},
    ],
    ids=str,
)
def test_what_wsproto_lets_pass_or_chokes_on(changes: dict[str, str]) -> None:
    """Smuggled bodies, and bytes outside ASCII, for which wsproto raises UnicodeDecodeError."""
    with pytest.raises(RemoteProtocolError):
        WSConnection(SERVER).receive_data(request(**changes))


@pytest.mark.parametrize(
    ("host", "expected"), [("xn--tda", "\xfc"), ("xn--" + "a" * 70, "xn--" + "a" * 70)], ids=["idna", "no idna"]
)
def test_hosts_are_decoded(host: str, expected: str) -> None:
    server = WSConnection(SERVER)
    server.receive_data(request(Host=host))
    (event,) = server.events()
    assert isinstance(event, Request)
    assert event.host == expected


def test_a_request_that_somebody_else_has_read() -> None:
    server = WSConnection(SERVER)
    server.initiate_upgrade_connection([(name.encode(), value.encode()) for name, value in HEADERS.items()], "/")
    assert [type(event) for event in server.events()] == [Request]
    with pytest.raises(LocalProtocolError):
        WSConnection(SERVER).initiate_upgrade_connection([(b"a b", b"c")], "/")
    with pytest.raises(LocalProtocolError):
        WSConnection(CLIENT).initiate_upgrade_connection([], "/")


def test_a_refusal_with_a_body() -> None:
    server = WSConnection(SERVER)
    server.receive_data(request())
    head = server.send(RejectConnection(403, [(b"content-length", b"4")], has_body=True))
    assert head == b"HTTP/1.1 403 \r\ncontent-length: 4\r\n\r\n"
    assert server.state is ConnectionState.REJECTING
    assert server.send(RejectData(b"no", False)) + server.send(RejectData(b"pe")) == b"nope"
    assert server.state is ConnectionState.CLOSED
    server.receive_data(b"discarded")
    assert len(list(server.events())) == 1


@pytest.mark.parametrize(
    "event",
    [
        AcceptConnection("unknown"),
        AcceptConnection(extra_headers=[(b"a", b"b\r\nc: d")]),
        AcceptConnection(extra_headers=[("é", "b")]),  # type: ignore[list-item]
        RejectConnection(99),
    ],
    ids=repr,
)
def test_what_a_server_cannot_send(event: Event) -> None:
    server = WSConnection(SERVER)
    server.receive_data(request())
    with pytest.raises(LocalProtocolError):
        server.send(event)
    assert server.state is ConnectionState.CONNECTING


def test_a_body_of_a_refused_request_is_not_looked_at() -> None:
    server = WSConnection(SERVER)
    with pytest.raises(RemoteProtocolError):
        server.receive_data(request("POST / HTTP/1.1", **{"Content-Length": "4"}))
    server.receive_data(b"body")
    assert list(server.events()) == []


# ---- the client ----


def test_a_host_outside_ascii_is_idna() -> None:
    assert b"Host: xn--tda\r\n" in WSConnection(CLIENT).send(Request("\xfc", "/"))


@pytest.mark.parametrize(
    "event",
    [
        Request("\xfc" * 100, "/"),
        Request("h", "no path"),
        Request("h", "/", subprotocols=["not a token"]),
        Request("h", "/", extra_headers=[(b"a", b"\n")]),
        Request("h", "/", extensions=["permessage-deflate"]),
    ],
    ids=repr,
)
def test_what_a_client_cannot_send(event: Event) -> None:
    client = WSConnection(CLIENT)
    with pytest.raises(LocalProtocolError):
        client.send(event)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"Connection: Upgrade", b"Connection: close", "Missing header, 'Connection: Upgrade'"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "Missing header, 'Upgrade: websocket'"),
        (b"Accept: ", b"Accept: x", "Bad accept token"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: p\r\n\r\n", "unrecognized subprotocol p"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: e\r\n\r\n", "unrecognized extension e"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: toy; bad\r\n\r\n", "extension toy: 'toy; bad'"),
        (
            b"\r\n\r\n",
            b"\r\nSec-WebSocket-Extensions: ;\r\n\r\n",
            "sec-websocket-extensions is malformed at byte 0: ';'",
        ),
        (
            b"\r\n\r\n",
            b"\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n\r\n",
            "response has 2 sec-websocket-protocol headers; the limit is 1",
        ),
        (b"HTTP/1.1 101", b"FTP", "Bad HTTP message"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_101_that_breaks_a_rule(old: bytes, new: bytes, text: str) -> None:
    client, head = asked(extensions=[Toy()], subprotocols=["a"])
    with pytest.raises(RemoteProtocolError) as caught:
        client.receive_data((head + b"\r\n").replace(old, new))
    assert str(caught.value) == text
    assert client.state is ConnectionState.CLOSED
    client.receive_data(b"discarded")
    assert list(client.events()) == []


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_responses_are_no_refusal(status: bytes) -> None:
    """RFC 9110 section 15.2: any number of them may come before the final response."""
    client, head = asked()
    client.receive_data(b"HTTP/1.1 %b\r\n\r\n" % status + head + b"\r\n")
    assert list(client.events()) == [AcceptConnection()]


def test_a_100_alone_is_what_programs_expect() -> None:
    """Nobody asks for one. It counts as refusal, as with wsproto, but a 101 still opens the connection."""
    client, head = asked()
    client.receive_data(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert list(client.events()) == [RejectConnection(100)]
    assert list(client.events()) == []
    client.receive_data(head + b"\r\n")
    assert list(client.events()) == [AcceptConnection()]


def test_an_answer_to_the_key_with_another_status_is_a_refusal() -> None:
    client, head = asked()
    client.receive_data(head.replace(b"101 S", b"102 P") + b"\r\n")
    assert [type(event) for event in client.events()] == [RejectConnection]
    assert client.state is ConnectionState.CLOSED


def test_a_refusal_comes_as_it_comes() -> None:
    client = asked()[0]
    client.receive_data(b"HTTP/1.1 403 No\r\nX: y\r\n\r\nab")
    assert list(client.events()) == [RejectConnection(403, [(b"x", b"y")], True), RejectData(b"ab", False)]
    assert client.state is ConnectionState.REJECTING
    client.receive_data(None)
    assert list(client.events()) == [RejectData(b"", True)]
    assert client.state is ConnectionState.CLOSED


def test_the_end_before_an_answer() -> None:
    client = asked()[0]
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        client.receive_data(None)
    server = WSConnection(SERVER)
    server.receive_data(None)
    with pytest.raises(RemoteProtocolError, match="Bad HTTP message"):
        server.receive_data(b"after the end")


# ---- extensions ----


@pytest.mark.parametrize(
    ("params", "expected"), [(True, b"toy"), ("", b"toy"), ("a=b", b"toy; a=b"), (False, None), (None, None)]
)
def test_what_a_server_answers(params: bool | str | None, expected: bytes | None) -> None:
    assert server_extensions_handshake(["other", "toy; x"], [Toy(params)]) == expected


def test_the_first_offer_that_is_accepted_counts() -> None:
    """wsproto has the extension accept each, and answers with the last."""
    toy = Toy("a")
    assert server_extensions_handshake(["toy; 1", "toy; 2"], [toy]) == b"toy; a"
    assert toy.seen == ["toy; 1"]


def test_what_a_client_is_answered() -> None:
    toy = Toy()
    assert client_extensions_handshake(["toy; 1"], [toy]) == [toy]
    assert toy.seen == ["toy; 1"]
    with pytest.raises(RemoteProtocolError, match="server accepted twice the extension toy"):
        client_extensions_handshake(["toy", "toy"], [toy])


@pytest.mark.parametrize("answer", [None, Toy(False)], ids=["none accepted", "declined"])
def test_no_header_without_an_extension(answer: Extension | None) -> None:
    server = WSConnection(SERVER)
    server.receive_data(request(**{"Sec-WebSocket-Extensions": "toy"}))
    assert b"Extensions" not in server.send(AcceptConnection(extensions=[answer] if answer else []))
    assert b"Extensions" not in WSConnection(CLIENT).send(Request("h", "/", [answer] if answer else []))
