"""What a client's side of the handshake says: the value that is wrong, and what it has to be."""

from __future__ import annotations

from typing import Any

import pytest
from handshake_samples import KEY, SETTINGS

from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.events import RejectConnection, Request
from wsproto_lite.handshake import accept_key, check_response, request_headers

REQUEST: dict[str, Any] = {"target": "/", "host": "a"}
SWITCH = {b"upgrade": b"websocket", b"connection": b"Upgrade", b"sec-websocket-accept": accept_key(KEY)}
ACCEPT = accept_key(KEY).decode()

MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "target's type": ({"target": 5}, {}, "target is of type int; it is str"),
    "host's type": ({"host": 5}, {}, "host is of type int; it is str"),
    "origin's type": ({"origin": 5}, {}, "origin is of type int; it is str"),
    "origin": ({"origin": ""}, {}, "origin '' is not an origin in visible ASCII"),
    "two origins": (
        {"origin": "null", "headers": [("Origin", "null")]},
        {},
        "origin is given twice; a request has at most one",
    ),
    "subprotocol's type": ({"subprotocols": [5]}, {}, "subprotocol is of type int; it is str"),
    "subprotocols' type": ({"subprotocols": "chat"}, {}, "subprotocols is 'chat'; it is a sequence of names"),
    "key": ({}, {"key": "x"}, "key 'x' is not 16 bytes in base64"),
    "scheme": ({}, {"http": "2", "scheme": "wss"}, "scheme is 'wss'; it is 'http' or 'https'"),
}


@pytest.mark.parametrize(("fields", "arguments", "words"), MISTAKES.values(), ids=MISTAKES)
def test_words_of_a_mistake(fields: dict[str, Any], arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        request_headers(Request(**{**REQUEST, **fields}), SETTINGS, **arguments)
    assert str(raised.value) == words


FAULTS: dict[str, tuple[bytes, bytes | None, str]] = {
    "upgrade": (b"upgrade", b"h2c", "upgrade header of the response is not websocket"),
    "connection": (b"connection", b"close", "no connection header of the response names upgrade"),
    "accept": (b"sec-websocket-accept", b"x", f"sec-websocket-accept is 'x'; the key asks for '{ACCEPT}'"),
    "no accept": (b"sec-websocket-accept", None, f"sec-websocket-accept is missing; the key asks for '{ACCEPT}'"),
}


@pytest.mark.parametrize(("name", "value", "words"), FAULTS.values(), ids=FAULTS)
def test_words_of_a_fault(name: bytes, value: bytes | None, words: str) -> None:
    fields = {**SWITCH, name: value}
    headers = [(name, value) for name, value in fields.items() if value is not None]
    answer = check_response(101, headers, Request(**REQUEST), SETTINGS, key=KEY)
    assert isinstance(answer, RejectConnection)
    assert str(answer.error) == words


def test_words_of_connection_fields_in_http_2() -> None:
    answer = check_response(200, [(b"upgrade", b"websocket")], Request(**REQUEST), SETTINGS, http="2")
    assert isinstance(answer, RejectConnection)
    assert str(answer.error) == "response has upgrade headers, which belong to HTTP/1.1"


def test_words_of_a_missing_key() -> None:
    with pytest.raises(LocalProtocolError) as raised:
        check_response(101, list(SWITCH.items()), Request(**REQUEST), SETTINGS)
    assert str(raised.value) == "key is None; an HTTP/1.1 response is judged by the key that was sent"
