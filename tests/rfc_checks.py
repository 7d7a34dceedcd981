"""What the tests of single rules of RFC 6455 share: what is sent, and what _Fail the WebSocket Connection_ means."""

from __future__ import annotations

from typing import Any

from helpers import connect, feed, frames_from
from slow_codec import CLOSE, FIN

from wsproto_lite import CloseConnection, Event, Role, State


def sent(role: Role, *events: Event, **settings: Any) -> list[tuple[int, bytes]]:
    """Give the first byte and the payload of each frame that a connection of `role` sends."""
    connection = connect(role, **settings)
    return frames_from(role, b"".join([connection.send(event) for event in events]))


def assert_fails(role: Role, data: bytes, code: int = 1002, words: str = "") -> None:
    """_Fail the WebSocket Connection_: the one event is a fault, and a Close with its code goes out."""
    connection = connect(role)
    (event,) = feed(connection, data)
    assert isinstance(event, CloseConnection)
    assert (event.code, words in str(event.error)) == (code, True)
    ((first, payload),) = frames_from(role, connection.data_to_send())
    assert (first, payload[:2]) == (FIN | CLOSE, code.to_bytes(2, "big"))
    assert connection.state is State.CLOSED
