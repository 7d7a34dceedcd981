"""The client's side of the handshake on plain values: what is sent, and which responses are believed."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY, SETTINGS, Reversal

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.events import AcceptConnection, RejectConnection, Request
from wsproto_lite.handshake import Handshake, accept, check_request, check_response, request_headers
from wsproto_lite.settings import Settings

REQUEST = Request("/chat", "server.example.com", ("chat", "superchat"))
EXTENDED = Settings(extensions=(Reversal(),))
SWITCH = [
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
]


def judge(*headers: tuple[bytes, bytes], request: Request = REQUEST, settings: Settings = EXTENDED) -> Any:
    """Judge the smallest 101 with `headers` in the place of its own of the same names."""
    names = {name.lower() for name, _ in headers}
    kept = [header for header in SWITCH if header[0].lower() not in names]
    return check_response(101, [*kept, *headers], request, settings, key=KEY)


def fault(answer: Handshake | RejectConnection) -> int:
    """Give the code of what is wrong with a consent."""
    assert isinstance(answer, RejectConnection)
    assert isinstance(answer.error, RemoteProtocolError)
    return answer.error.code


class TestRequest:
    def test_smallest(self) -> None:
        """RFC 6455 section 4.1, items 2 to 9; RFC 9110 section 7.2: Host first."""
        assert request_headers(Request("/chat", "server.example.com:81"), SETTINGS, key=KEY) == [
            (b"host", b"server.example.com:81"),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", KEY),
            (b"sec-websocket-version", b"13"),
        ]

    def test_everything(self) -> None:
        request = Request("/", "a", ["chat", "superchat"], [("Cookie", "a=b"), (b"X", b"\xe9")], "https://a")
        assert request_headers(request, EXTENDED, key=KEY.decode())[4:] == [
            (b"sec-websocket-version", b"13"),
            (b"origin", b"https://a"),
            (b"sec-websocket-protocol", b"chat, superchat"),
            (b"sec-websocket-extensions", b"reversal; times=8; bare"),
            (b"cookie", b"a=b"),
            (b"x", b"\xe9"),
        ]

    @pytest.mark.parametrize("http", ["2", "3"])
    def test_extended_connect(self, http: Any) -> None:
        """RFC 8441 section 5.1: pseudo-header fields, and neither key nor connection fields."""
        request = Request("/chat", "server.example.com", ["chat"], origin="null")
        assert request_headers(request, SETTINGS, http=http) == [
            (b":method", b"CONNECT"),
            (b":protocol", b"websocket"),
            (b":scheme", b"https"),
            (b":path", b"/chat"),
            (b":authority", b"server.example.com"),
            (b"sec-websocket-version", b"13"),
            (b"origin", b"null"),
            (b"sec-websocket-protocol", b"chat"),
        ]
        assert request_headers(request, SETTINGS, http=http, scheme="http")[2] == (b":scheme", b"http")

    def test_fresh_key_for_each_request(self) -> None:
        """RFC 6455 section 4.1, item 7."""
        keys = {dict(request_headers(REQUEST, SETTINGS))[b"sec-websocket-key"] for _ in range(100)}
        assert len(keys) == 100

    def test_key_comes_from_the_settings(self) -> None:
        settings = Settings(random_bytes=lambda size: b"\x01" * size)
        assert dict(request_headers(REQUEST, settings))[b"sec-websocket-key"] == b"AQEBAQEBAQEBAQEBAQEBAQ=="

    @pytest.mark.parametrize("http", ["1.1", "2"])
    def test_server_of_ours_understands_it(self, http: Any) -> None:
        headers = request_headers(REQUEST, EXTENDED, http=http, key=KEY)
        method = "GET" if http == "1.1" else "CONNECT"
        request = check_request(method, REQUEST.target, headers, SETTINGS, http=http)
        assert isinstance(request, Request)
        handshake = accept(request, AcceptConnection("superchat"), EXTENDED)
        answer = check_response(handshake.status, handshake.headers, REQUEST, EXTENDED, http=http, key=KEY)
        assert isinstance(answer, Handshake)
        assert answer[:3] == handshake[:3]
        assert len(answer.extensions) == 1

    @pytest.mark.parametrize("http", ["1.1", "2"])
    @pytest.mark.parametrize("field", ["target", "host", "origin", "subprotocols"])
    def test_every_byte_in_every_field(self, field: str, http: Any) -> None:
        """CR, LF and NUL could add a header or end the head; the rest is what each grammar allows."""
        token = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
        visible = "".join(map(chr, range(0x21, 0x7F)))
        allowed = {
            "target": visible.replace("#", ""),
            "host": "!$%&'()*+,-.0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~",
            "origin": " " + visible,
            "subprotocols": token,
        }
        sent = ""
        for character in map(chr, [*range(256), 0x20AC, 0xD800]):
            value: Any = ("/" if field == "target" else "1") + character + "1"
            request = Request(**{"host": "a", field: [value] if field == "subprotocols" else value})
            try:
                headers = request_headers(request, SETTINGS, http=http)
            except LocalProtocolError:
                continue
            sent += character
            assert not any(byte in name + content for name, content in headers for byte in b"\r\n\0")
        assert sent == allowed[field]

    @pytest.mark.parametrize(
        "changes",
        [
            {"target": ""},
            {"target": "*"},
            {"target": "chat"},
            {"target": "http://a/"},
            {"target": b"/"},
            {"target": None},
            {"host": ""},
            {"host": "a b"},
            {"host": "u@a"},
            {"host": b"a"},
            {"host": None},
            {"origin": ""},
            {"origin": b"null"},
            {"subprotocols": [""]},
            {"subprotocols": ["a", "a"]},
            {"subprotocols": ["a, b"]},
            {"subprotocols": "chat"},
            {"subprotocols": [b"chat"]},
            {"subprotocols": None},
            {"subprotocols": {"chat"}},
            {"origin": "null", "headers": [("Origin", "null")]},
            {"headers": [("Origin", "null"), ("origin", "null")]},
            {"headers": [("x", "a\r\nb: c")]},
            {"headers": [(":path", "/")]},
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("http", ["1.1", "2"])
    def test_what_can_not_be_sent(self, changes: dict[str, Any], http: Any) -> None:
        with pytest.raises(LocalProtocolError):
            request_headers(Request(**{"host": "a", **changes}), SETTINGS, http=http)

    def test_origin_may_be_a_header(self) -> None:
        headers = request_headers(Request(host="a", headers=[("Origin", "null")]), SETTINGS)
        assert headers[-1] == (b"origin", b"null")

    @pytest.mark.parametrize(
        "name",
        [
            "Host", "Upgrade", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Content-Length",
            "Transfer-Encoding", "Sec-WebSocket-Key", "Sec-WebSocket-Accept", "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol", "SEC-WEBSOCKET-EXTENSIONS",
        ],
    )  # fmt: skip
    def test_reserved_names(self, name: str) -> None:
        with pytest.raises(LocalProtocolError, match="set by the handshake"):
            request_headers(Request(host="a", headers=[(name, "x")]), SETTINGS)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"key": "x"},
            {"key": b""},
            {"key": KEY + b"\r\n"},
            {"key": 5},
            {"http": "1.0"},
            {"http": "2", "scheme": "wss"},
        ],
        ids=repr,
    )
    def test_bad_arguments(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(LocalProtocolError):
            request_headers(REQUEST, SETTINGS, **arguments)

    def test_forwarded_headers_can_be_sent(self) -> None:
        """A proxy sends on what it received."""
        sent = request_headers(Request("/", "a", headers=[("X-A", "b")], origin="null"), EXTENDED)
        received = check_request("GET", "/", [*sent, (b"Connection", b"keep-alive"), (b"TE", b"x")], SETTINGS)
        assert isinstance(received, Request)
        onwards = Request(received.target, "b", received.subprotocols, received.extra_headers, received.origin)
        assert request_headers(onwards, SETTINGS)[-2:] == [(b"origin", b"null"), (b"x-a", b"b")]


class TestResponse:
    def test_smallest(self) -> None:
        headers = [(name.lower(), value) for name, value in SWITCH]
        assert judge() == Handshake(101, headers, None, ())

    def test_everything(self) -> None:
        answer = judge(
            (b"Upgrade", b"WebSocket"),
            (b"Connection", b"keep-alive, upgrade"),
            (b"Sec-WebSocket-Protocol", b" superchat"),
            (b"Sec-WebSocket-Extensions", b"reversal; times=4"),
            (b"Set-Cookie", b"\xe9"),
        )
        assert isinstance(answer, Handshake)
        assert answer.headers[-1] == (b"set-cookie", b"\xe9")
        assert answer.subprotocol == "superchat"
        assert [codec.rsv for codec in answer.extensions] == [0x20]

    @pytest.mark.parametrize("name", [name for name, _ in SWITCH], ids=bytes.decode)
    def test_header_is_missing(self, name: bytes) -> None:
        """RFC 6455 section 4.1, items 2 to 4 of what a client validates."""
        headers = [header for header in SWITCH if header[0] != name]
        assert fault(check_response(101, headers, REQUEST, SETTINGS, key=KEY)) == 1002

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            (b"Upgrade", [b"h2c"]),
            (b"Upgrade", [b"websocket, h2c"]),
            (b"Upgrade", [b"websockets"]),
            (b"Connection", [b"close"]),
            (b"Connection", [b"notupgrade"]),
            (b"Sec-WebSocket-Accept", [b""]),
            (b"Sec-WebSocket-Accept", [b"S3PPLMBITXAQ9KYGZZHZRBK+XOO="]),
            (b"Sec-WebSocket-Accept", [KEY]),
            (b"Sec-WebSocket-Accept", [b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] * 2),
            (b"Sec-WebSocket-Protocol", [b"other"]),
            (b"Sec-WebSocket-Protocol", [b"CHAT"]),
            (b"Sec-WebSocket-Protocol", [b""]),
            (b"Sec-WebSocket-Protocol", [b"chat, superchat"]),
            (b"Sec-WebSocket-Protocol", [b"chat", b"chat"]),
            (b"Sec-WebSocket-Protocol", [b"\xe9"]),
        ],
        ids=repr,
    )
    def test_header_is_wrong(self, name: bytes, values: list[bytes]) -> None:
        """RFC 6455 section 4.1, items 2, 3, 4 and 6; sections 11.3.3 and 11.3.4: once in a response."""
        answer = judge(*[(name, value) for value in values])
        assert fault(answer) == 1002
        assert answer.status_code == 101

    def test_subprotocol_without_offer(self) -> None:
        assert fault(judge((b"sec-websocket-protocol", b"chat"), request=Request(host="a"))) == 1002

    @pytest.mark.parametrize(
        "values",
        [
            [b"unknown"],
            [b"reversal; times=5"],
            [b"reversal; times=4, reversal; times=4"],
            [b"reversal; times=4", b""],
            [b"reversal; times=4;"],
            [b""],
            [b"\xe9"],
        ],
        ids=repr,
    )
    def test_extensions_are_wrong(self, values: list[bytes]) -> None:
        """RFC 6455 sections 4.1, item 5, 7.4.1 (1010) and 11.3.2 (once in a response)."""
        assert fault(judge(*[(b"sec-websocket-extensions", value) for value in values])) == 1010

    def test_extension_without_offer(self) -> None:
        assert fault(judge((b"sec-websocket-extensions", b"reversal; times=4"), settings=SETTINGS)) == 1010

    @pytest.mark.parametrize("status", [200, 204, 301, 401, 403, 426, 503, 999])
    def test_refusal(self, status: int) -> None:
        answer = check_response(status, [("Location", "/b")], REQUEST, SETTINGS)
        assert answer == RejectConnection(status, [(b"location", b"/b")])

    @pytest.mark.parametrize(("status", "http"), [(100, "1.1"), (103, "1.1"), (199, "1.1"), (100, "2"), (101, "2")])
    def test_interim_response_is_no_answer(self, status: int, http: Any) -> None:
        """RFC 9110 section 15.2. In HTTP/2, 101 means nothing (RFC 9113 section 8.6)."""
        with pytest.raises(LocalProtocolError, match="interim"):
            check_response(status, SWITCH, REQUEST, SETTINGS, http=http, key=KEY)

    @pytest.mark.parametrize("http", ["1.1", "2"])
    @pytest.mark.parametrize("status", ["101", b"200", None, 101.0, []], ids=repr)
    def test_status_is_a_number(self, status: Any, http: Any) -> None:
        with pytest.raises(LocalProtocolError, match=r"status is .*; it is an int"):
            check_response(status, SWITCH, REQUEST, SETTINGS, http=http, key=KEY)

    def test_invalid_consent_keeps_its_headers(self) -> None:
        answer = check_response(101, [("X-A", "b")], REQUEST, SETTINGS, key=KEY)
        assert isinstance(answer, RejectConnection)
        assert answer.headers == [(b"x-a", b"b")]

    def test_only_space_and_tab_surround_a_value(self) -> None:
        """RFC 9110 section 5.6.3: optional white space is those two."""
        accept = dict(SWITCH)[b"Sec-WebSocket-Accept"]
        assert isinstance(judge((b"sec-websocket-accept", b"\t " + accept + b" \t")), Handshake)
        assert isinstance(judge((b"sec-websocket-accept", accept + b"\x0b")), RejectConnection)

    def test_without_key(self) -> None:
        with pytest.raises(LocalProtocolError, match="key"):
            check_response(101, SWITCH, REQUEST, SETTINGS)

    @pytest.mark.parametrize(
        "name",
        [name for name, _ in SWITCH] + [b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"X"],
        ids=bytes.decode,
    )
    def test_no_byte_in_any_header_raises(self, name: bytes) -> None:
        for byte in range(256):
            for value in (bytes([byte]), b"a" + bytes([byte]) + b"b"):
                assert isinstance(judge((name, value)), (Handshake, RejectConnection))


@pytest.mark.parametrize("http", ["2", "3"])
class TestResponseToExtendedConnect:
    @pytest.mark.parametrize("status", [200, 204, 299])
    def test_consent(self, status: int, http: Any) -> None:
        """RFC 8441 section 5: any 2xx."""
        answer = check_response(status, [("Sec-WebSocket-Protocol", "chat")], REQUEST, SETTINGS, http=http)
        assert answer == Handshake(status, [(b"sec-websocket-protocol", b"chat")], "chat", ())

    @pytest.mark.parametrize("status", [300, 401, 501])
    def test_refusal(self, status: int, http: Any) -> None:
        assert check_response(status, [], REQUEST, SETTINGS, http=http) == RejectConnection(status, [])

    @pytest.mark.parametrize("name", ["Connection", "Upgrade", "Transfer-Encoding"])
    def test_fields_of_http_1(self, name: str, http: Any) -> None:
        """RFC 9113 section 8.2.2: malformed."""
        assert fault(check_response(200, [(name, "x")], REQUEST, SETTINGS, http=http)) == 1002

    def test_subprotocol_and_extensions_are_judged(self, http: Any) -> None:
        assert fault(check_response(200, [("Sec-WebSocket-Protocol", "x")], REQUEST, SETTINGS, http=http)) == 1002
        assert fault(check_response(200, [("Sec-WebSocket-Extensions", "x")], REQUEST, SETTINGS, http=http)) == 1010
