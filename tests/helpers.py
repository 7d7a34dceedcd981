"""What the tests share: frames as a peer sends them, ways to cut a stream, events in the oracle's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import slow_codec
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    EncodedTextMessage,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    Role,
    Settings,
    TextMessage,
)
from wsproto_lite.extensions import PerMessageDeflate

KEY = bytes.fromhex("37fa213d")
"""The masking key of RFC 6455 section 5.7."""

ROLES = (CLIENT, SERVER)
OTHER = {CLIENT: SERVER, SERVER: CLIENT}
ROLE_IDS = {CLIENT: "client", SERVER: "server"}

both_roles = pytest.mark.parametrize("role", ROLES, ids=ROLE_IDS.get)

MIB = 1 << 20
RSV1 = 0x40
LIMITS_OFF = {"max_message_size": None, "max_frame_size": None, "max_fragments": None}

LAST_EVENTS = (CloseConnection, RejectConnection)

SEQUENCE_FAULTS = ("nothing_to_continue", "message_interrupted")

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
"""The request of RFC 6455 section 1.2."""

RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The consent to it."""


def rfc_nonce(size: int) -> bytes:
    """Give the nonce of RFC 6455 section 1.3, and masking keys of zeros."""
    return b"the sample nonce" if size == 16 else bytes(size)


# ---- connections ----


def connect(role: Role, **settings: Any) -> Connection:
    """Give an open connection of `role`."""
    return Connection.established(role, Settings(**settings))


def handshake(client_settings: Settings, server_settings: Settings) -> tuple[Connection, Connection]:
    """Give a client and a server that have opened over HTTP/1.1, extensions negotiated."""
    client, server = Connection(CLIENT, client_settings), Connection(SERVER, server_settings)
    assert [type(event) for event in server.receive_data(client.send(Request("/", "localhost")))] == [Request]
    events = client.receive_data(server.send(AcceptConnection()))
    assert [type(event) for event in events] == [AcceptConnection]
    return client, server


def deflating(role: Role, **limits: Any) -> tuple[Connection, Connection]:
    """Give a connection of `role` with limits, and a peer without, that compress."""
    extensions = (PerMessageDeflate(),)
    own, peer = Settings(extensions=extensions, **limits), Settings(extensions=extensions, **LIMITS_OFF)
    client, server = handshake(*((own, peer) if role is CLIENT else (peer, own)))
    return (client, server) if role is CLIENT else (server, client)


def feed(connection: Connection, *chunks: bytes) -> list[Event]:
    """Give the connection some chunks; return all that it makes of them, the held-back last event included."""
    events = []
    for chunk in chunks:
        events += connection.receive_data(chunk)
        while connection.has_pending:
            more = connection.receive_data(b"")
            assert more or not connection.has_pending, "a step that made no progress"
            events += more
    return events


# ---- frames ----


def frame(role: Role, first: int, payload: bytes = b"") -> bytes:
    """Give a frame as the peer of a connection of `role` sends it."""
    return slow_codec.frame(first, payload, KEY if role is SERVER else None)


def header(role: Role, first: int, length: int, extended: int | None = None) -> bytes:
    """Give a header that claims `length`, in `extended` further bytes if that is not None."""
    return slow_codec.header(first, length, KEY if role is SERVER else None, extended)


def text(role: Role, data: str) -> bytes:
    """Give a whole text message as the peer of a connection of `role` sends it."""
    return frame(role, FIN | TEXT, data.encode())


def ping(role: Role, payload: bytes = b"") -> bytes:
    """Give a Ping as the peer of a connection of `role` sends it."""
    return frame(role, FIN | PING, payload)


def pong(role: Role, payload: bytes = b"") -> bytes:
    """Give a Pong as the peer of a connection of `role` sends it."""
    return frame(role, FIN | PONG, payload)


def close(role: Role, code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Give a Close as the peer of a connection of `role` sends it; empty if `code` is None."""
    return frame(role, FIN | CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def messages(role: Role, payloads: Iterable[bytes], opcode: int = BINARY) -> bytes:
    """Give one message in as many frames as there are payloads."""
    fragments = list(payloads)
    firsts = [opcode] + [CONTINUATION] * (len(fragments) - 1)
    firsts[-1] |= FIN
    return b"".join(frame(role, first, payload) for first, payload in zip(firsts, fragments))


def frames_from(role: Role, data: bytes) -> list[tuple[int, bytes]]:
    """Read what a connection of `role` sent: the first byte and the payload of each frame."""
    frames, fault = slow_codec.decode(data, masked=role is CLIENT, reserved_bits=0x40)
    assert fault is None
    assert all(each.whole for each in frames)
    return [(each.first, each.payload) for each in frames]


# ---- cutting ----


def cut(data: bytes, *positions: int) -> list[bytes]:
    """Cut `data` at some positions."""
    ends = sorted({min(position, len(data)) for position in positions} | {0, len(data)})
    return [data[start:end] for start, end in zip(ends, ends[1:])] if len(ends) > 1 else [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    """Cut `data` into single bytes."""
    return [data[at : at + 1] for at in range(len(data))]


def all_cuts(data: bytes) -> Iterator[list[bytes]]:
    """Give `data` whole, cut once at each position, and byte by byte."""
    yield [data]
    for position in range(1, len(data)):
        yield cut(data, position)
    yield byte_by_byte(data)


# ---- the oracle ----


def plain(event: Event) -> slow_codec.Event:
    """Say an event in the oracle's words."""
    if isinstance(event, TextMessage):
        return ("text", event.data, event.message_finished)
    if isinstance(event, EncodedTextMessage):
        return ("text", event.data.decode(), event.message_finished)
    if isinstance(event, BytesMessage):
        return ("bytes", event.data, event.message_finished)
    if isinstance(event, (Ping, Pong)):
        return (type(event).__name__.lower(), event.payload)
    assert isinstance(event, CloseConnection)
    if event.error is not None:
        return ("fault", event.code)
    return ("close", event.code, event.reason)


def expected(data: bytes, role: Role, settings: Settings) -> list[slow_codec.Event]:
    """Ask the oracle what an open connection makes of `data`."""
    limits = {
        "max_message_size": settings.max_message_size,
        "max_frame_size": settings.max_frame_size,
        "max_fragments": settings.max_fragments,
    }
    told = slow_codec.events(data, role=ROLE_IDS[role], delivery=settings.delivery, **limits)
    frames, fault = slow_codec.decode(data, masked=role is SERVER, sequence=True, **limits)
    if frames and not frames[-1].whole and frames[-1].first == FIN | CLOSE and told[-1:] != [("fault", 1002)]:
        # The oracle judges a Close when it is whole. We do at the earliest byte.
        return told + begun_close(frames[-1].payload)
    if fault is None or fault.name not in SEQUENCE_FAULTS or told[-1] != ("fault", 1002):
        return told
    # The oracle judges the sequence by a frame's first byte. We do when the header is complete, and found good.
    without, other = slow_codec.decode(data, masked=role is SERVER, **limits)
    if other is not None and len(without) == len(frames) and other.name != "invalid_utf8":
        return [*told[:-1], ("fault", other.code)]
    return told if other is not None or len(without) > len(frames) else told[:-1]


def begun_close(payload: bytes) -> list[slow_codec.Event]:
    """Tell what is wrong with as much of a Close as there is."""
    judged = slow_codec.events(slow_codec.frame(FIN | CLOSE, payload[:2]), role="client") if len(payload) > 1 else []
    if judged and judged[0][0] == "fault":
        return judged
    return [("fault", 1007)] if slow_codec.utf8(payload[2:])[0] is not None else []


def is_last(event: Event) -> bool:
    """Tell whether the stream of events ends with `event`."""
    return isinstance(event, LAST_EVENTS)


def only_code(events: list[Event]) -> int:
    """Give the code of the one event, which must be a fault."""
    (event,) = events
    assert isinstance(event, CloseConnection)
    assert event.error is not None
    return event.code
