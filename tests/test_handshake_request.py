"""HandshakeRequest and HandshakeResponse: the smallest handshake, written and read as bytes."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.handshake import HandshakeRequest, HandshakeResponse

REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Connection: Upgrade\r\n"
    b"Upgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\n"
    b"\r\n"
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: chat\r\n"
    b"\r\n"
)


def sample() -> HandshakeRequest:
    return HandshakeRequest(KEY, b"13", b"chat, superchat", b"/chat", b"1.1", b"server.example.com")


def test_request_is_written() -> None:
    assert sample().to_bytes() == REQUEST


def test_smallest_request() -> None:
    assert HandshakeRequest(KEY).to_bytes() == (
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )


def test_every_instance_has_a_key_of_its_own() -> None:
    """RFC 6455 section 4.1, item 7: "The nonce MUST be selected randomly for each connection"."""
    assert len({HandshakeRequest().websocket_b64key for _ in range(100)}) == 100


def test_text_is_taken_like_bytes() -> None:
    request = HandshakeRequest(KEY.decode(), "13", "chat, superchat", "/chat", "1.1", "server.example.com")
    assert request == sample()


def test_request_is_read() -> None:
    assert HandshakeRequest.from_bytes(REQUEST) == sample()


def test_response_is_made() -> None:
    """RFC 6455 section 1.3; the subprotocol is the response's, and the request stays as it was."""
    request = sample()
    response = request.make_response(b"chat")
    assert response == HandshakeResponse(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", b"chat")
    assert response.to_bytes() == RESPONSE
    assert request == sample()


def test_response_is_read() -> None:
    assert HandshakeResponse.from_bytes(RESPONSE) == sample().make_response("chat")


def test_response_without_subprotocol() -> None:
    response = sample().make_response()
    assert b"Protocol:" not in response.to_bytes()
    assert HandshakeResponse.from_bytes(response.to_bytes()) == response


def test_other_headers_are_kept() -> None:
    headers = [(b"origin", b"https://a"), (b"sec-websocket-extensions", b"X; x"), (b"cookie", b"\xe9"), (b"te", b"x")]
    request = HandshakeRequest(KEY, headers=headers)
    assert HandshakeRequest.from_bytes(request.to_bytes()).headers == headers
    answered = [(b"sec-websocket-version", b"13"), (b"sec-websocket-extensions", b"foo"), (b"x", b"")]
    response = request.make_response(headers=answered)
    assert HandshakeResponse.from_bytes(response.to_bytes()).headers == answered


def test_form_of_other_writers() -> None:
    """Names without case, white space around values, tokens in lists, one list in several headers."""
    request = HandshakeRequest.from_bytes(
        b"GET / HTTP/1.1\r\nUPGRADE:h2c,WebSocket\r\nconnection: keep-alive, upgrade \r\nsec-websocket-key:\tAAAA\t\r\n"
        b"sec-websocket-version:13\r\nsec-websocket-protocol: a\r\nsec-websocket-protocol: b\r\n\r\n"
    )
    assert request == HandshakeRequest(b"AAAA", websocket_protocols=b"a, b")
    response = HandshakeResponse.from_bytes(
        b"HTTP/1.1 101\r\nupgrade:websocket\r\nconnection:upgrade\r\nsec-websocket-accept:AAAA\r\n\r\n"
    )
    assert response == HandshakeResponse(b"AAAA")


def test_subprotocol_that_was_not_offered() -> None:
    """RFC 6455 section 4.2.2: one of the client's, or none."""
    for request in (sample(), HandshakeRequest()):
        with pytest.raises(LocalProtocolError, match="was not offered"):
            request.make_response(b"other")


REQUEST_FIELDS = {
    "websocket_b64key": "+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "websocket_version": "0123456789",
    "websocket_protocols": "!#$%&'*+,-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~",
    "resource": "".join(map(chr, range(0x21, 0x7F))).replace("#", ""),
    "http_version": "",
    "host": "!$%&'()*+,-.0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~",
}


@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_every_byte_in_every_field_of_a_request(name: str) -> None:
    """No value can smuggle in another field, whether given at first or set later."""
    start, end = {"resource": ("/", "1"), "http_version": ("1.", "")}.get(name, ("1", "2"))
    allowed = "0123456789" if name == "http_version" else REQUEST_FIELDS[name]
    sent = ""
    for byte in range(256):
        value = start.encode() + bytes([byte]) + end.encode()
        later = HandshakeRequest()
        setattr(later, name, value)
        try:
            data = HandshakeRequest(**{name: value}).to_bytes()
        except LocalProtocolError:
            with pytest.raises(LocalProtocolError):
                later.to_bytes()
            continue
        sent += chr(byte)
        assert value in data
        assert value in later.to_bytes()
    assert sorted(sent) == sorted(allowed)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("websocket_b64accept", REQUEST_FIELDS["websocket_b64key"]),
        ("websocket_protocols", REQUEST_FIELDS["websocket_protocols"].replace(",", "")),
    ],
)
def test_every_byte_in_every_field_of_a_response(name: str, allowed: str) -> None:
    sent = ""
    for byte in range(256):
        value = b"1" + bytes([byte]) + b"2"
        later = HandshakeResponse(b"AAAA")
        setattr(later, name, value)
        try:
            HandshakeResponse(**{"websocket_b64accept": b"AAAA", name: value}).to_bytes()
        except LocalProtocolError:
            with pytest.raises(LocalProtocolError):
                later.to_bytes()
            continue
        sent += chr(byte)
    assert sorted(sent) == sorted(allowed)


@pytest.mark.parametrize(
    "changes",
    [
        {"websocket_b64key": b""},
        {"websocket_b64key": b"a==="},
        {"websocket_b64key": 5},
        {"websocket_version": b""},
        {"websocket_version": b"1300"},
        {"websocket_protocols": b""},
        {"websocket_protocols": b"a, a"},
        {"resource": b""},
        {"resource": b"chat"},
        {"resource": b"/caf\xe9"},
        {"http_version": b"11"},
        {"http_version": b"1.10"},
        {"host": b""},
        {"headers": [("Host", "a")]},
        {"headers": [("Connection", "close")]},
        {"headers": [("Content-Length", "5")]},
        {"headers": [("Transfer-Encoding", "chunked")]},
        {"headers": [("Sec-WebSocket-Key", "a")]},
        {"headers": [("x", "a\r\nb: c")]},
        {"headers": [("x\r\nb: c", "a")]},
    ],
    ids=repr,
)
def test_request_that_can_not_be_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        HandshakeRequest(**changes)


LATER = {
    "websocket_b64key": "AAAA",
    "websocket_version": "8",
    "websocket_protocols": "chat",
    "resource": "/chat",
    "http_version": "1.0",
    "host": "example.com",
}


@pytest.mark.parametrize("name", LATER)
def test_text_can_be_set_later(name: str) -> None:
    """An attribute takes what the constructor takes."""
    request, expected = HandshakeRequest(KEY), HandshakeRequest(**{"websocket_b64key": KEY, name: LATER[name]})
    setattr(request, name, LATER[name])
    assert request.to_bytes() == expected.to_bytes()
    assert request == HandshakeRequest.from_bytes(request.to_bytes()) == expected


def test_text_set_later_is_answered() -> None:
    request = HandshakeRequest()
    request.websocket_b64key = KEY.decode()  # type: ignore[assignment] # the point
    request.websocket_protocols = "chat, superchat"  # type: ignore[assignment] # the point
    response = request.make_response("chat")
    assert response.to_bytes() == RESPONSE
    response.websocket_b64accept = response.websocket_b64accept.decode()  # type: ignore[assignment] # the point
    response.websocket_protocols = "chat"  # type: ignore[assignment] # the point
    response.http_version = "1.1"  # type: ignore[assignment] # the point
    assert response.to_bytes() == RESPONSE


@pytest.mark.parametrize("value", [None, 5, "caf\u00e9", ["chat"]], ids=repr)
@pytest.mark.parametrize("name", LATER)
def test_nonsense_set_later(name: str, value: Any) -> None:
    """The key, too: only the constructor makes one."""
    request = HandshakeRequest(KEY, host="localhost")
    setattr(request, name, value)
    if value is None and name in ("host", "websocket_protocols"):
        assert HandshakeRequest.from_bytes(request.to_bytes()) == request
        return
    for use in (request.to_bytes, request.make_response):
        with pytest.raises(LocalProtocolError):
            use()


@pytest.mark.parametrize(
    "value",
    [
        *["", ",", "a,", ",a", "a,,b", "a, ,b", "a, ", " a", "a ", "\ta", "a,b\t"],
        *[f"a{separator}b" for separator in '()<>@;:\\"/[]?={} \t'],
        *["a\x1fb", "a\x7fb", "a,a", "a, b, a"],
    ],
)
def test_4_1_subprotocols(value: str) -> None:
    """RFC 6455 section 4.1, item 10: the elements MUST be non-empty tokens, each one unique. Case counts."""
    assert HandshakeRequest(websocket_protocols="a.b, A.b").websocket_protocols == b"a.b, A.b"
    with pytest.raises(LocalProtocolError, match="list of subprotocols"):
        HandshakeRequest(websocket_protocols=value)
    request = HandshakeRequest()
    request.websocket_protocols = value.encode()
    with pytest.raises(LocalProtocolError, match="list of subprotocols"):
        request.to_bytes()


@pytest.mark.parametrize("value", [b"a", b"X", b"a,b", b"a, b", b"a ,\tb"])
def test_subprotocols_stay_as_they_are_written(value: bytes) -> None:
    request = HandshakeRequest(websocket_protocols=value)
    assert b"\r\nSec-WebSocket-Protocol: %b\r\n" % value in request.to_bytes()
    assert HandshakeRequest.from_bytes(request.to_bytes()) == request


@pytest.mark.parametrize(
    ("value", "expected"), [(b",a", b"a"), (b"a, ", b"a"), (b"a,,b", b"a,b"), (b"a , ,\t, b", b"a , b")]
)
def test_empty_elements_of_a_peer_are_ignored(value: bytes, expected: bytes) -> None:
    """RFC 9110 section 5.6.1.2: a recipient MUST parse and ignore a reasonable number of empty list elements."""
    request = HandshakeRequest.from_bytes(changed(REQUEST, b"chat, superchat", value))
    assert request.websocket_protocols == expected
    assert HandshakeRequest.from_bytes(request.to_bytes()) == request


def test_headers_set_later_are_checked() -> None:
    request, response = HandshakeRequest(), HandshakeResponse(b"AAAA")
    request.headers = response.headers = [(b"x", b"a\r\nb: c")]
    for message in (request, response):
        with pytest.raises(LocalProtocolError):
            message.to_bytes()


def changed(message: bytes, old: bytes, new: bytes) -> bytes:
    assert old in message
    return message.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET ", b"POST "),
        (b"GET ", b"GET  "),
        (b"/chat", b"chat"),
        (b"/chat", b"/ch at"),
        (b"HTTP/1.1", b"HTTP/11"),
        (b"HTTP/1.1", b"http/1.1"),
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n\r\n", b"\n\n"),
        (b"\r\n\r\n", b"\r\n\r\nx"),
        (b"Host:", b"Host :"),
        (b"Host:", b" Host:"),
        (b"Host:", b":"),
        (b"Host:", b"Host"),
        (b"Host: s", b"Host: a\r\nHost: s"),
        (b"Host: s", b"Host: \xff"),
        (b"Host: s", b"X: \x00\r\nHost: s"),
        (b"Host: s", b"X: a\nb\r\nHost: s"),
        (b"Host: s", b"X: a\rb\r\nHost: s"),
        (b"Host: s", b"Content-Length: 5\r\nHost: s"),
        (b"Upgrade: websocket\r\n", b""),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade\r\n", b""),
        (b"Connection: Upgrade", b"Connection: close"),
        (b"Sec-WebSocket-Key: d", b"X: d"),
        (b"Sec-WebSocket-Key: d", b"Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Key: d"),
        (b"Sec-WebSocket-Key: d", b"Sec-WebSocket-Key: \xe9"),
        (b"Sec-WebSocket-Version: 13\r\n", b""),
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"),
        (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: x"),
        (b"chat, superchat", b""),
        (b"chat, superchat", b", ,"),
        (b"chat, superchat", b"super chat"),
        (b"chat, superchat", b"chat, chat"),
    ],
    ids=repr,
)
def test_malformed_request(old: bytes, new: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        HandshakeRequest.from_bytes(changed(REQUEST, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 101 ", b" 200 "),
        (b" 101 ", b" 1011 "),
        (b" 101 ", b" "),
        (b"HTTP/1.1", b"HTTP/x"),
        (b"Switching", b"Swit\x00ching"),
        (b"\r\n\r\n", b"\r\n\r\n\x81"),
        (b"Upgrade: websocket\r\n", b""),
        (b"Connection: Upgrade\r\n", b""),
        (b"Sec-WebSocket-Accept: s", b"X: s"),
        (b"Sec-WebSocket-Accept: s", b"Sec-WebSocket-Accept: AAAA\r\nSec-WebSocket-Accept: s"),
        (b"Sec-WebSocket-Accept: s", b"Sec-WebSocket-Accept: \xe9"),
        (b"Protocol: chat", b"Protocol: chat, superchat"),
        (b"Protocol: chat", b"Protocol: "),
        (b"Protocol: chat", b"Protocol: chat\r\nSec-WebSocket-Protocol: chat"),
        (b"Upgrade: w", b"Transfer-Encoding: chunked\r\nUpgrade: w"),
    ],
    ids=repr,
)
def test_malformed_response(old: bytes, new: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        HandshakeResponse.from_bytes(changed(RESPONSE, old, new))


@pytest.mark.parametrize("message", [HandshakeRequest, HandshakeResponse])
def test_any_damage_is_the_peers_fault(message: Any) -> None:
    """Nothing but RemoteProtocolError for what comes from a peer: every prefix, and every byte in every place."""
    whole = REQUEST if message is HandshakeRequest else RESPONSE
    for end in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            message.from_bytes(whole[:end])
    for position in range(len(whole)):
        for byte in b"\x00\t\n\r :,/=\x7f\x80\xff":
            try:
                read = message.from_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
            except RemoteProtocolError:
                continue
            assert message.from_bytes(read.to_bytes()) == read


@pytest.mark.parametrize("data", [None, 5, ["GET"]], ids=repr)
def test_wrong_type_is_the_callers_mistake(data: Any) -> None:
    with pytest.raises(LocalProtocolError):
        HandshakeRequest.from_bytes(data)
