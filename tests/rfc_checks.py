"""What the tests of single rules of RFC 6455 share: what is sent, and what _Fail the WebSocket Connection_ means."""

from __future__ import annotations

from typing import Any

from helpers import byte_by_byte, connect, cut, feed, frames_from
from slow_codec import CLOSE, FIN
from toy_codecs import Repeat

from wsproto_lite import CloseConnection, Connection, Event, Role, Settings, State
from wsproto_lite.handshake import Handshake


def sent(role: Role, *events: Event, **settings: Any) -> list[tuple[int, bytes]]:
    """Give the first byte and the payload of each frame that a connection of `role` sends."""
    connection = connect(role, **settings)
    return frames_from(role, b"".join([connection.send(event) for event in events]))


def extended(role: Role, *reserved_bits: int) -> Connection:
    """Give an open connection of `role` with an extension for each of these bits, which changes nothing but the bit."""
    codecs: Any = tuple([Repeat(1, rsv=bit) for bit in reserved_bits])
    return Connection.established(role, Settings(), Handshake(101, [], None, codecs))


def assert_fails(
    role: Role,
    data: bytes,
    code: int = 1002,
    words: str = "",
    *,
    after: bytes = b"",
    reserved_bits: tuple[int, ...] = (),
) -> None:
    """_Fail the WebSocket Connection_: the one event is a fault, and a Close with its code goes out.

    It makes no difference whether `data` comes with the good bytes `after` which it comes, or in a read of its own, or
    byte by byte, or with more behind it. Bits in `reserved_bits` are defined by extensions.
    """
    whole = after + data
    for chunks in ([whole], [after, data], cut(whole, *range(1000)), [after, data + bytes(14)]):
        connection = extended(role, *reserved_bits)
        (event,) = feed(connection, *chunks)
        assert isinstance(event, CloseConnection)
        assert (event.code, words in str(event.error)) == (code, True)
        ((first, payload),) = frames_from(role, connection.data_to_send())
        assert (first, payload[:2]) == (FIN | CLOSE, code.to_bytes(2, "big"))
        assert connection.state is State.CLOSED


def in_one_and_byte_by_byte(data: bytes) -> list[list[bytes]]:
    """Cut a stream in the two ways that matter: fragments of one chunk are put together before the rules are asked."""
    return [[data], byte_by_byte(data)]
