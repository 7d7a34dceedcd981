"""What HandshakeRequest and HandshakeResponse say of what can't be sent, or isn't a handshake."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY, head

from wsproto_lite.errors import LocalProtocolError, RemoteProtocolError
from wsproto_lite.handshake import HandshakeRequest, HandshakeResponse, accept_key

REQUEST = {
    "websocket_b64key": "key",
    "websocket_version": "version",
    "websocket_protocols": "subprotocols",
    "resource": "resource",
    "http_version": "http version",
    "host": "host",
}
RESPONSE = {"websocket_b64accept": "accept", "websocket_protocols": "subprotocol", "http_version": "http version"}


def words_of_a_mistake(kind: Any, **arguments: Any) -> str:
    with pytest.raises(LocalProtocolError) as raised:
        kind(**arguments)
    return str(raised.value)


@pytest.mark.parametrize("name", REQUEST)
def test_request(name: str) -> None:
    assert words_of_a_mistake(HandshakeRequest, **{name: 5}) == f"{REQUEST[name]} is of type int; it is str or bytes"
    what = "list of subprotocols" if name == "websocket_protocols" else REQUEST[name]
    assert words_of_a_mistake(HandshakeRequest, **{name: " "}) == f"{what} b' ' can't be sent"


@pytest.mark.parametrize("name", RESPONSE)
def test_response(name: str) -> None:
    arguments: dict[str, Any] = {"websocket_b64accept": accept_key(KEY)}
    words = words_of_a_mistake(HandshakeResponse, **{**arguments, name: 5})
    assert words == f"{RESPONSE[name]} is of type int; it is str or bytes"
    assert words_of_a_mistake(HandshakeResponse, **{**arguments, name: " "}) == f"{RESPONSE[name]} b' ' can't be sent"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (head()[:-2], "message has no blank line"),
        (head() + b"12", "2 bytes follow the blank line"),
        (head() + b"\r\n\r\n", "4 bytes follow the blank line"),
        (head(b"no field"), "'no field' is not a header field"),
        (head(b"a b: c"), "'a b: c' is not a header field"),
        (head(b"a: b\x0b"), r"'a: b\x0b' is not a header field"),
        (head(without=b"Upgrade"), "no upgrade header names websocket"),
        (head(without=b"Connection"), "no connection header names upgrade"),
        (head(without=b"Sec-WebSocket-Key"), "message has no sec-websocket-key header"),
        (head(b"Sec-WebSocket-Version: 13"), "message has 2 sec-websocket-version headers; the limit is 1"),
    ],
    ids=repr,
)
def test_parsing(data: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        HandshakeRequest.from_bytes(data)
    assert str(raised.value) == words
