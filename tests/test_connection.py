"""The connection opens: the RFC's examples, the flows of the handshake, established()."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    KEY,
    OTHER,
    UPGRADE,
    both_roles,
    connect,
    frames_from,
    text,
)
from slow_codec import FIN, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    ConnectionClosed,
    Event,
    LocalProtocolError,
    Ping,
    Pong,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)
from wsproto_lite.extensions import PerMessageDeflate
from wsproto_lite.handshake import Handshake

CONNECTING, OPEN, CLOSED = State.CONNECTING, State.OPEN, State.CLOSED


class TestRfcExamples:
    """What the RFC prints byte by byte."""

    def test_opening_handshake(self) -> None:
        """Sections 1.2 and 1.3: the sample nonce gives the sample accept value."""
        server = Connection(SERVER)
        (request,) = server.receive_data(UPGRADE)
        assert isinstance(request, Request)
        assert request.target == "/chat"
        assert request.host == "server.example.com"
        assert request.origin == "http://example.com"
        assert list(request.subprotocols) == ["chat", "superchat"]
        assert server.state is CONNECTING
        response = server.send(AcceptConnection("chat"))
        assert response.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response
        assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in response
        assert (server.state, server.subprotocol) == (OPEN, "chat")

    @pytest.mark.parametrize(
        ("role", "data", "events"),
        [
            pytest.param(CLIENT, "810548656c6c6f", [TextMessage("Hello")], id="unmasked text"),
            pytest.param(SERVER, "818537fa213d7f9f4d5158", [TextMessage("Hello")], id="masked text"),
            pytest.param(CLIENT, "010348656c80026c6f", [TextMessage("Hello")], id="fragmented text"),
            pytest.param(CLIENT, "890548656c6c6f", [Ping(b"Hello")], id="unmasked ping"),
            pytest.param(SERVER, "8a8537fa213d7f9f4d5158", [Pong(b"Hello")], id="masked pong"),
            pytest.param(CLIENT, "827e0100" + "7f" * 256, [BytesMessage(b"\x7f" * 256)], id="256 bytes"),
            pytest.param(
                CLIENT, "827f0000000000010000" + "7f" * 65536, [BytesMessage(b"\x7f" * 65536)], id="64 KiB of bytes"
            ),
        ],
    )
    def test_frames(self, role: Role, data: str, events: list[Event]) -> None:
        """Section 5.7, both ways."""
        assert connect(role).receive_data(bytes.fromhex(data)) == events
        if data[0] != "0":
            peer = connect(OTHER[role], random_bytes=lambda size: KEY * (size // 4))
            assert peer.send(events[0]).hex() == data

    def test_fragments_sent(self) -> None:
        server = connect(SERVER)
        first = server.send(TextMessage("Hel", message_finished=False))
        assert (first + server.send(TextMessage("lo"))).hex() == "010348656c80026c6f"


class TestOpening:
    """The flows of the opening handshake; what requests and responses may look like is tested with handshake.py."""

    def test_both_sides(self) -> None:
        client, server = Connection(CLIENT), Connection(SERVER)
        output = client.send(Request("/chat?x=1", "localhost:8000", ["mqtt", "wamp"], [("X-Trace", "7")]))
        (request,) = server.receive_data(output)
        assert isinstance(request, Request)
        assert (request.target, request.host) == ("/chat?x=1", "localhost:8000")
        assert (b"x-trace", b"7") in request.headers
        (accepted,) = client.receive_data(server.send(AcceptConnection("wamp", [("X-Seen", b"yes")])))
        assert isinstance(accepted, AcceptConnection)
        assert (accepted.subprotocol, client.subprotocol, server.subprotocol) == ("wamp", "wamp", "wamp")
        assert (b"x-seen", b"yes") in accepted.headers
        assert (client.state, server.state) == (OPEN, OPEN)
        assert (client.extensions, server.extensions) == ((), ())

    def test_refusal_with_a_body(self) -> None:
        client, server = Connection(CLIENT), Connection(SERVER)
        server.receive_data(client.send(Request("/", "localhost")))
        output = server.send(RejectConnection(404, [("X-Why", "gone")], b"no such place"))
        assert (server.state, server.should_shutdown, server.should_close) == (CLOSED, True, False)
        assert server.close_info == CloseInfo(initiator=SERVER, cause="refused 404 by us")
        (refusal,) = client.receive_data(output)
        assert isinstance(refusal, RejectConnection)
        assert (refusal.status_code, refusal.body, refusal.error) == (404, b"no such place", None)
        assert (b"x-why", b"gone") in refusal.headers
        assert (client.state, client.should_shutdown, client.should_close) == (CLOSED, True, True)
        assert client.close_info == CloseInfo(initiator=SERVER, cause="refused 404 by the peer")

    def test_refusal_that_ends_with_the_transport(self) -> None:
        """RFC 9112 section 6.3: without a length the body goes up to the end."""
        client = Connection(CLIENT)
        client.send(Request("/", "localhost"))
        assert client.receive_data(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nlat") == []
        assert client.receive_data(b"er") == []
        (refusal,) = client.receive_eof()
        assert isinstance(refusal, RejectConnection)
        assert (refusal.status_code, refusal.body) == (503, b"later")

    def test_body_of_a_refusal_that_is_broken(self) -> None:
        """It is a refusal still, and says what was wrong."""
        client = Connection(CLIENT, Settings(max_message_size=4))
        client.send(Request("/", "localhost"))
        (refusal,) = client.receive_data(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater")
        assert isinstance(refusal, RejectConnection)
        assert refusal.status_code == 503
        assert isinstance(refusal.error, RemoteProtocolError)

    def test_response_that_is_not_http(self) -> None:
        client = Connection(CLIENT)
        client.send(Request("/", "localhost"))
        (event,) = client.receive_data(b"SSH-2.0-OpenSSH_9.2\r\n")
        assert isinstance(event, CloseConnection)
        assert event.code == 1006
        assert (client.state, client.should_close, client.data_to_send()) == (CLOSED, True, b"")

    @pytest.mark.parametrize("data", [b"HTTP/1.1 101 Switching", b"\x81\x05Hello"], ids=["response", "frame"])
    def test_server_that_speaks_first(self, data: bytes) -> None:
        client = Connection(CLIENT)
        assert client.receive_data(b"") == []
        (event,) = client.receive_data(data)
        assert event.error == RemoteProtocolError("the server sent something, or ended, before it was asked", 1006)
        with pytest.raises(ConnectionClosed):
            client.send(Request("/", "localhost"))

    def test_nothing_yet(self) -> None:
        server, client = Connection(SERVER), Connection(CLIENT)
        assert server.receive_data(b"") == []
        client.send(Request("/", "localhost"))
        assert client.receive_data(b"") == client.receive_data(b"HTTP/1.1 1") == []
        assert (server.has_pending, client.has_pending) == (False, False)

    def test_end_before_the_answer(self) -> None:
        """What the client sent after its request is of no use to anybody any more."""
        server = Connection(SERVER)
        server.receive_data(UPGRADE + text(SERVER, "early"))
        (event,) = server.receive_eof()
        assert event.error == RemoteProtocolError("the transport ended during the handshake", 1006)
        with pytest.raises(ConnectionClosed):
            server.send(AcceptConnection())

    def test_plain_http_request(self) -> None:
        """An adapter offers it to its user before it is refused: the connection's own refusal can be replaced."""
        server = Connection(SERVER)
        assert server.request_head is None
        (refusal,) = server.receive_data(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert isinstance(refusal, RejectConnection)
        assert refusal.error is not None
        assert server.request_head is not None
        assert (server.request_head.method, server.request_head.target) == ("GET", "/health")
        output = server.send(RejectConnection(200, [("Content-Type", "text/plain")], b"fine"))
        assert output.startswith(b"HTTP/1.1 200 OK\r\n")
        assert output.endswith(b"fine")
        assert (server.data_to_send(), server.close_info.cause) == (b"", "refused 200 by us")
        with pytest.raises(ConnectionClosed):
            server.send(RejectConnection(200))

    def test_plain_http_request_whose_refusal_is_taken(self) -> None:
        server = Connection(SERVER)
        server.receive_data(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert server.output_size == len(server.data_to_send()) > 0
        with pytest.raises(ConnectionClosed):
            server.send(RejectConnection(200))

    def test_request_head_of_an_upgrade(self) -> None:
        server, client = Connection(SERVER), Connection(CLIENT)
        server.receive_data(UPGRADE)
        assert server.request_head is not None
        assert server.request_head.target == "/chat"
        server.send(AcceptConnection())
        assert server.request_head is client.request_head is None

    def test_answer_that_never_comes(self) -> None:
        """The server's input is bounded while its user makes up his mind: after max_header_size bytes it is 400."""
        server = Connection(SERVER)
        server.receive_data(UPGRADE)
        assert server.receive_data(bytes(16 << 10)) == []
        (refusal,) = server.receive_data(b"x")
        error = RemoteProtocolError("16385 bytes came before the request was answered; the limit is 16384")
        assert refusal == RejectConnection(400, error=error)
        assert server.close_info == CloseInfo(None, None, SERVER, f"refused 400 by us: {error}")
        assert server.data_to_send().startswith(b"HTTP/1.1 400 ")

    def test_end_before_the_response(self) -> None:
        client = Connection(CLIENT)
        client.send(Request("/", "localhost"))
        (event,) = client.receive_eof()
        assert event.error == RemoteProtocolError("the transport ended during the handshake", 1006)

    def test_what_can_not_be_sent_yet(self) -> None:
        """Mistakes, and nothing has changed: the handshake goes on."""
        client, server = Connection(CLIENT), Connection(SERVER)
        for conn, event in ((client, TextMessage("x")), (server, AcceptConnection()), (server, Request())):
            with pytest.raises(LocalProtocolError, match="can't be sent now: the opening handshake is not over"):
                conn.send(event)
        with pytest.raises(LocalProtocolError, match="compress is True during the handshake"):
            client.send(Request("/", "localhost"), compress=True)
        request = client.send(Request("/", "localhost"))
        with pytest.raises(LocalProtocolError, match="the request is sent already"):
            client.send(Request("/", "localhost"))
        server.receive_data(request)
        with pytest.raises(LocalProtocolError, match="TextMessage can't be sent now"):
            server.send(TextMessage("x"))
        client.receive_data(server.send(AcceptConnection()))
        assert (client.state, server.state) == (OPEN, OPEN)

    @both_roles
    def test_nothing_is_agreed_yet(self, role: Role) -> None:
        conn = Connection(role)
        assert (conn.state, conn.subprotocol, conn.extensions) == (CONNECTING, None, ())

    @pytest.mark.parametrize("role", [None, "server", 1, State.OPEN], ids=repr)
    def test_role_that_is_none(self, role: Any) -> None:
        with pytest.raises(LocalProtocolError, match=r"role is .*; it is CLIENT or SERVER"):
            Connection(role)
        with pytest.raises(LocalProtocolError, match=r"role is .*; it is CLIENT or SERVER"):
            Connection.established(role)


class TestEstablished:
    """Connection.established(): HTTP/2, HTTP/3, or a server that has read the request itself."""

    @both_roles
    def test_is_open(self, role: Role) -> None:
        conn = Connection.established(role)
        assert (conn.role, conn.state, conn.subprotocol, conn.extensions) == (role, OPEN, None, ())
        assert conn.settings == Settings()
        assert conn.close_info == CloseInfo(None, None, None, "")
        assert (conn.should_shutdown, conn.should_close, conn.has_pending) == (False, False, False)
        assert (conn.bytes_received, conn.output_size, conn.data_to_send()) == (0, 0, b"")

    @both_roles
    def test_takes_what_the_handshake_agreed(self, role: Role) -> None:
        deflate = PerMessageDeflate()
        accepted = deflate.accept([])
        assert accepted is not None
        conn = Connection.established(role, Settings(), Handshake(200, [], "mqtt", (accepted[1],)))
        assert (conn.subprotocol, conn.extensions) == ("mqtt", (accepted[1],))
        ((first, _),) = frames_from(role, conn.send(TextMessage("compress me " * 9)))
        assert first == FIN | 0x40 | TEXT

    @both_roles
    @pytest.mark.parametrize("event", [Request("/", "h"), AcceptConnection(), RejectConnection()])
    def test_has_no_handshake_any_more(self, role: Role, event: Event) -> None:
        with pytest.raises(LocalProtocolError, match="can be sent on an open connection"):
            Connection.established(role).send(event)
