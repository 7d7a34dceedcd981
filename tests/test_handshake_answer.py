"""What a server answers to a request: consent and refusal, and what it can't be made to send."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import CLOSE, KEY, SETTINGS, Reversal, connect, upgrade

from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.handshake import accept, accept_key, reject
from wsproto_lite.settings import Settings


class TestAccept:
    def test_everything_at_once(self) -> None:
        settings = Settings(extensions=(Reversal(),))
        request = upgrade(
            (b"sec-websocket-protocol", b"chat, superchat"),
            (b"sec-websocket-extensions", b"unknown, reversal; times=8"),
        )
        event = AcceptConnection("superchat", [("Set-Cookie", "a=b"), (b"X-Caf", b"\xe9")])
        handshake = accept(request, event, settings, http="1.1")
        assert handshake.headers[3:] == [
            (b"sec-websocket-protocol", b"superchat"),
            (b"sec-websocket-extensions", b"reversal; times=4"),
            (b"set-cookie", b"a=b"),
            (b"x-caf", b"\xe9"),
        ]
        assert handshake.subprotocol == "superchat"
        assert [codec.rsv for codec in handshake.extensions] == [0x20]

    def test_bad_parameters_decline_the_extension(self) -> None:
        settings = Settings(extensions=(Reversal(),))
        request = upgrade((b"sec-websocket-extensions", b"reversal; times=7"))
        handshake = accept(request, AcceptConnection(), settings)
        assert handshake.extensions == ()
        assert b"sec-websocket-extensions" not in dict(handshake.headers)

    @pytest.mark.parametrize("http", [None, "2", "3"])
    def test_extended_connect(self, http: Any) -> None:
        request = connect((b"sec-websocket-protocol", b"chat"))
        handshake = accept(request, AcceptConnection("chat"), SETTINGS, http=http)
        assert handshake == (200, [(b"sec-websocket-protocol", b"chat")], "chat", ())

    @pytest.mark.parametrize("http", ["1.1", "2", None])
    def test_version_told_or_found(self, http: Any) -> None:
        """A request with a key is an upgrade, unless the caller says otherwise."""
        request = Request(headers=[("Sec-WebSocket-Key", KEY.decode())])
        assert accept(request, AcceptConnection(), SETTINGS, http=http).status == (200 if http == "2" else 101)

    @pytest.mark.parametrize(
        ("request_", "http"),
        [
            (Request(), "1.1"),
            (Request(headers=[(b"sec-websocket-key", b"x")]), None),
            (Request(headers=[(b"sec-websocket-key", b"\v" + KEY)]), None),
            (Request(headers=[(b"sec-websocket-key", KEY)]), "1.0"),
        ],
        ids=["no key", "bad key", "white space that is none", "no such version"],
    )
    def test_request_without_good_key(self, request_: Request, http: Any) -> None:
        with pytest.raises(LocalProtocolError):
            accept(request_, AcceptConnection(), SETTINGS, http=http)

    @pytest.mark.parametrize("subprotocol", ["other", "CHAT", "", "chat, superchat", 5, b"chat"], ids=repr)
    def test_subprotocol_that_was_not_offered(self, subprotocol: Any) -> None:
        """RFC 6455 section 4.2.2: one of the client's, or none."""
        request = upgrade((b"sec-websocket-protocol", b"chat, superchat"))
        with pytest.raises(LocalProtocolError, match="was not offered"):
            accept(request, AcceptConnection(subprotocol), SETTINGS)

    @pytest.mark.parametrize("subprotocol", ["a\r\nX: y", "", "caf\xe9"], ids=repr)
    def test_subprotocol_of_a_handmade_request(self, subprotocol: str) -> None:
        request = Request(subprotocols=[subprotocol], headers=[(b"sec-websocket-key", KEY)])
        with pytest.raises(LocalProtocolError, match=r"token|ASCII"):
            accept(request, AcceptConnection(subprotocol), SETTINGS)


RESERVED = [
    "Host", "Upgrade", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Content-Length",
    "Transfer-Encoding", "Sec-WebSocket-Key", "Sec-WebSocket-Accept", "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol", "SEC-WEBSOCKET-EXTENSIONS",
]  # fmt: skip


@pytest.mark.parametrize("event", [AcceptConnection, RejectConnection])
class TestHeadersOfTheAnswer:
    def send(self, event: type[AcceptConnection | RejectConnection], headers: Any) -> list[tuple[bytes, bytes]]:
        if event is AcceptConnection:
            return accept(upgrade(), AcceptConnection(headers=headers), SETTINGS).headers
        return reject(RejectConnection(headers=headers))

    @pytest.mark.parametrize("name", RESERVED)
    def test_reserved_names(self, event: Any, name: str) -> None:
        with pytest.raises(LocalProtocolError):
            self.send(event, [(name, "x")])

    def test_every_byte_in_a_value(self, event: Any) -> None:
        """RFC 9110 section 5.5: visible, space, tab and 0x80 to 0xff; CR, LF and NUL would be dangerous."""
        sent = []
        for byte in range(256):
            try:
                headers = self.send(event, [("x", b"a" + bytes([byte]) + b"b")])
            except LocalProtocolError:
                continue
            assert (b"x", b"a" + bytes([byte]) + b"b") in headers
            sent.append(byte)
        assert sent == [0x09, *range(0x20, 0x7F), *range(0x80, 0x100)]

    def test_every_byte_in_a_name(self, event: Any) -> None:
        """RFC 9110 section 5.6.2."""
        sent = []
        for byte in range(256):
            try:
                self.send(event, [(b"x" + bytes([byte]), b"")])
            except LocalProtocolError:
                continue
            sent.append(byte)
        assert bytes(sent) == (b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~")

    @pytest.mark.parametrize(
        "headers",
        [
            [("", "x")],
            [("x", " a")],
            [("x", "a\t")],
            [("x", "a\r\nb: c")],
            [("x", "caf\xe9")],
            [("x", "\ud800")],
            [("x", None)],
            [(5, "x")],
            [("x",)],
            None,
            5,
        ],
        ids=repr,
    )
    def test_what_can_not_be_sent(self, event: Any, headers: Any) -> None:
        with pytest.raises(LocalProtocolError):
            self.send(event, headers)


class TestReject:
    def test_http_1(self) -> None:
        """It says that the connection closes, since what follows can't be told from frames."""
        event = RejectConnection(403, [("X-Why", "because")], b"no")
        assert reject(event) == [(b"x-why", b"because"), CLOSE, (b"content-length", b"2")]

    @pytest.mark.parametrize("http", ["2", "3"])
    def test_http_2(self, http: Any) -> None:
        assert reject(RejectConnection(403), http=http) == [(b"content-length", b"0")]

    def test_caller_may_say_the_same(self) -> None:
        event = RejectConnection(403, [("Connection", "Close"), ("Content-Length", "2")], b"no")
        assert reject(event) == [CLOSE, (b"content-length", b"2")]

    @pytest.mark.parametrize(
        "header",
        [
            ("Content-Length", "3"),
            ("Connection", "keep-alive"),
            ("Connection", "close, x"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
        ],
        ids=repr,
    )
    def test_caller_may_not_contradict(self, header: tuple[str, str]) -> None:
        with pytest.raises(LocalProtocolError):
            reject(RejectConnection(403, [header], b"no"))

    @pytest.mark.parametrize("name", ["Connection", "Upgrade"])
    def test_fields_of_http_1_in_http_2(self, name: str) -> None:
        with pytest.raises(LocalProtocolError):
            reject(RejectConnection(426, [(name, "close")]), http="2")

    def test_upgrade_required(self) -> None:
        """RFC 9110 section 15.5.22: Upgrade has to be there; section 7.8: and Connection has to name it."""
        close = (b"connection", b"close, Upgrade")
        length = (b"content-length", b"0")
        assert reject(RejectConnection(426)) == [(b"upgrade", b"websocket"), close, length]
        own = upgrade((b"sec-websocket-version", b"8"))
        assert reject(own) == [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"), close, length]
        given = [(b"content-length", b"0"), (b"x-a", b"b")]
        assert reject(RejectConnection(426, given)) == [(b"x-a", b"b"), (b"upgrade", b"websocket"), close, length]

    def test_own_refusals_can_be_sent(self) -> None:
        for http, own in (("1.1", upgrade((b"host", b""))), ("2", connect((b"sec-websocket-version", b"8")))):
            assert reject(own, http=http)[:-1] == own.headers  # type: ignore[arg-type] # a literal in a tuple

    @pytest.mark.parametrize(
        ("status_code", "expected"), [(200, True), (302, True), (599, True), (199, False), (101, False), (600, False)]
    )
    def test_status(self, status_code: int, expected: bool) -> None:
        """An adapter may answer a plain GET with 200."""
        if expected:
            assert reject(RejectConnection(status_code)) == [CLOSE, (b"content-length", b"0")]
        else:
            with pytest.raises(LocalProtocolError):
                reject(RejectConnection(status_code))

    @pytest.mark.parametrize("status_code", [200, 299, None, "403", 403.0], ids=repr)
    def test_status_in_http_2(self, status_code: Any) -> None:
        """RFC 8441 section 5: any 2xx is consent."""
        assert reject(RejectConnection(300), http="2") == [(b"content-length", b"0")]
        with pytest.raises(LocalProtocolError):
            reject(RejectConnection(status_code), http="2")

    @pytest.mark.parametrize("status_code", [204, 205, 304])
    def test_status_without_body(self, status_code: int) -> None:
        """RFC 9110 sections 8.6, 15.3.5, 15.3.6 and 15.4.5."""
        length = [(b"content-length", b"0")] if status_code == 205 else []
        assert reject(RejectConnection(status_code)) == [CLOSE, *length]
        with pytest.raises(LocalProtocolError, match="has none"):
            reject(RejectConnection(status_code, body=b"x"))

    @pytest.mark.parametrize("body", ["text", None, 5], ids=repr)
    def test_body_is_bytes(self, body: Any) -> None:
        with pytest.raises(LocalProtocolError, match="it is bytes"):
            reject(RejectConnection(body=body))


def test_key_that_begins_with_any_letter() -> None:
    """Section 4.2.2, item 5.4: the key as it came, less the white space around it."""
    for first in b"AXx9+/":
        key = bytes([first]) + KEY[1:]
        answer = accept(upgrade((b"sec-websocket-key", b" " + key)), AcceptConnection(), SETTINGS)
        assert (b"sec-websocket-accept", accept_key(key)) in answer.headers
