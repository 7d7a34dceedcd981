"""The handshake over HTTP/1.1, the server's side: the bytes of a consent and of a refusal."""

from __future__ import annotations

import pytest
from handshake_samples import Reversal, head

from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.http11 import ServerUpgrade
from wsproto_lite.settings import Settings

SETTINGS = Settings()
HEAD = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def test_example_of_the_rfc() -> None:
    """RFC 6455 section 1.3."""
    upgrade = ServerUpgrade(SETTINGS)
    assert isinstance(upgrade.receive(HEAD), Request)
    data, handshake = upgrade.accept(AcceptConnection())
    assert data == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )
    assert handshake.status == 101


def test_names_are_written_as_everybody_does() -> None:
    upgrade = ServerUpgrade(Settings(extensions=(Reversal(),)))
    upgrade.receive(head(b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Extensions: reversal; times=8"))
    data, handshake = upgrade.accept(AcceptConnection("chat", [("x-my-header", "1"), ("SET-COOKIE", "a=b")]))
    assert data.split(b"\r\n")[4:] == [
        b"Sec-WebSocket-Protocol: chat",
        b"Sec-WebSocket-Extensions: reversal; times=4",
        b"X-My-Header: 1",
        b"Set-Cookie: a=b",
        b"",
        b"",
    ]
    assert len(handshake.extensions) == 1


class TestAccept:
    @pytest.mark.parametrize(
        "data", [b"", HEAD[:-1], head(request_line=b"POST / HTTP/1.1")], ids=["none", "part", "bad"]
    )
    def test_without_request(self, data: bytes) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        upgrade.receive(data)
        with pytest.raises(LocalProtocolError, match="no request"):
            upgrade.accept(AcceptConnection())

    @pytest.mark.parametrize("event", [AcceptConnection("chat"), AcceptConnection(headers=[("a", "\r")])], ids=repr)
    def test_mistake_changes_nothing(self, event: AcceptConnection) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        upgrade.receive(HEAD)
        with pytest.raises(LocalProtocolError):
            upgrade.accept(event)
        assert upgrade.accept(AcceptConnection())[1].status == 101


class TestReject:
    def test_whole_response(self) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        upgrade.receive(HEAD)
        with pytest.raises(LocalProtocolError):
            upgrade.reject(RejectConnection(403, [("Connection", "keep-alive")]))
        assert upgrade.reject(RejectConnection(403, [("X-Why", "because")], bytearray(b"no"))) == (  # type: ignore[arg-type] # lenient
            b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
        )

    def test_unregistered_status(self) -> None:
        assert ServerUpgrade(SETTINGS).reject(RejectConnection(599)).startswith(b"HTTP/1.1 599 \r\n")

    def test_before_the_request_is_complete(self) -> None:
        """RFC 9110 section 15.5.9: a request may take too long."""
        upgrade = ServerUpgrade(SETTINGS)
        upgrade.receive(HEAD[:-1])
        assert upgrade.reject(RejectConnection(408)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")

    def test_head_has_no_body(self) -> None:
        """RFC 9110 section 9.3.2."""
        upgrade = ServerUpgrade(SETTINGS)
        upgrade.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert upgrade.reject(RejectConnection(404, body=b"nothing")).endswith(b"Content-Length: 7\r\n\r\n")

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (head(request_line=b"PUT / HTTP/1.1"), b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"),
            (head(request_line=b"GET / HTTP/1.0"), b"HTTP/1.1 505 HTTP Version Not Supported\r\n"),
            (b"\x16", b"HTTP/1.1 400 Bad Request\r\n"),
            (bytes(1), b"HTTP/1.1 400 Bad Request\r\n"),
            (b"A" * 20_000, b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ],
        ids=["405", "505", "TLS", "NUL", "431"],
    )
    def test_own_refusals_can_be_sent(self, data: bytes, expected: bytes) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        refusal = upgrade.receive(data)
        assert isinstance(refusal, RejectConnection)
        assert upgrade.reject(refusal) == expected + b"Connection: close\r\nContent-Length: 0\r\n\r\n"

    def test_version_that_we_do_not_speak(self) -> None:
        upgrade = ServerUpgrade(SETTINGS)
        refusal = upgrade.receive(head(b"Sec-WebSocket-Version: 8", without=b"Sec-WebSocket-Version"))
        assert isinstance(refusal, RejectConnection)
        assert upgrade.reject(refusal) == (
            b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
            b"Connection: close, Upgrade\r\nContent-Length: 0\r\n\r\n"
        )
