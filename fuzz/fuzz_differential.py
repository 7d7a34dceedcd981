"""Fuzz Connection against other readers of the same bytes: the slow codec for any traffic, wsproto and websockets for
traffic that is good.

    python fuzz/fuzz_differential.py [--seconds N] [--seed N] [FILE ...]      run.py says more

It knows how the others tell the same things in their own words.
"""

from __future__ import annotations

import sys
from typing import Any, Union

import wsproto.connection
import wsproto.events
from driver import main
from source import Source
from traffic import Peer, slow_codec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    Ping,
    Pong,
    Role,
    Settings,
    TextMessage,
)

NAMES = {CLIENT: "client", SERVER: "server"}
OTHER = {CLIENT: SERVER, SERVER: CLIENT}
FEW = 6000
"""Bytes for which the slow codec is fast enough."""

Told = tuple[Union[str, bytes, int, bool], ...]


def ours(role: Role, settings: Settings, chunks: list[bytes]) -> list[Event]:
    """Tell what Connection makes of the chunks."""
    connection = Connection.established(role, settings)
    events = []
    for chunk in chunks:
        events += connection.receive_data(chunk)
        while connection.has_pending:
            events += connection.receive_data(b"")
    return events


def plain(event: Event) -> Told:
    """Say one of our events in the slow codec's words."""
    if isinstance(event, TextMessage):
        return ("text", event.data, event.message_finished)
    if isinstance(event, BytesMessage):
        return ("bytes", event.data, event.message_finished)
    if isinstance(event, (Ping, Pong)):
        return (type(event).__name__.lower(), event.payload)
    assert isinstance(event, CloseConnection)
    return ("fault", event.code) if event.error else ("close", event.code, event.reason)


def through_wsproto(role: Role, chunks: list[bytes]) -> list[Told]:
    """Tell what wsproto makes of good traffic."""
    kind = wsproto.connection.ConnectionType.CLIENT if role is CLIENT else wsproto.connection.ConnectionType.SERVER
    connection = wsproto.connection.Connection(kind)
    told: list[Told] = []
    parts: list[Any] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        for event in connection.events():
            if isinstance(event, wsproto.events.Message):
                parts.append(event.data)
                if event.message_finished:
                    told.append(("text" if isinstance(event.data, str) else "bytes", parts[0][:0].join(parts), True))
                    parts = []
            elif isinstance(event, wsproto.events.CloseConnection):
                return [*told, ("close", int(event.code), event.reason or "")]
            elif isinstance(event, (wsproto.events.Ping, wsproto.events.Pong)):
                told.append((type(event).__name__.lower(), bytes(event.payload)))
    return told


def through_websockets(role: Role, chunks: list[bytes]) -> list[Told]:
    """Tell what websockets makes of good traffic; it gives frames, which are put together here."""
    protocol: Any = ClientProtocol(parse_uri("ws://x/"), state=OPEN) if role is CLIENT else ServerProtocol(state=OPEN)
    protocol.max_message_size = None
    told: list[Told] = []
    parts: list[Frame] = []
    for chunk in chunks:
        protocol.receive_data(chunk)
        for frame in protocol.events_received():
            payload = bytes(frame.data)
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                told.append((frame.opcode.name.lower(), payload))
            elif frame.opcode is Opcode.CLOSE:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                return [*told, ("close", code, payload[2:].decode())]
            else:
                parts.append(frame)
                if frame.fin:
                    data = b"".join(bytes(part.data) for part in parts)
                    text = parts[0].opcode is Opcode.TEXT
                    told.append(("text", data.decode(), True) if text else ("bytes", data, True))
                    parts = []
    return told


def check_slow(role: Role, data: bytes, source: Source) -> None:
    """Any traffic, against the slow codec, which knows no chunks."""
    limits = {
        "max_message_size": source.choose((None, 1, 125, 1000, 1 << 20)),
        "max_frame_size": source.choose((None, None, 1, 125, 126)),
        "max_fragments": source.choose((None, None, 1, 2, 5)),
    }
    settings = Settings(**limits, delivery=source.choose(("message", "frame")), random_bytes=bytes)
    limits["max_fragments"] = settings.max_fragments
    told = slow_codec.events(data, role=NAMES[role], delivery=settings.delivery, **limits)
    frames, _ = slow_codec.decode(data, masked=role is SERVER)
    ends_in_close = bool(frames) and frames[-1].first & 0x0F == 0x08 and not frames[-1].whole
    for chunks in ([data], source.cut(data)):
        actual = [plain(event) for event in ours(role, settings, chunks)]
        if ends_in_close and actual[-1:] == [("fault", 1007)] and told == actual[:-1]:
            continue  # we judge a close reason as it comes, the slow codec when it is whole
        assert agree(actual, told), f"{role} {settings}\n{chunks}\nwe tell {actual}\nthe slow codec {told}"


def agree(actual: list[Told], told: list[Any]) -> bool:
    """Compare, but for one thing: of two faults in one frame's header either may be told, and when is open.

    We judge the sequence of frames when a header is whole and found good, the slow codec by its first byte.
    """
    if actual == told:
        return True
    faults = [events[-1] for events in (actual, told) if events and events[-1][0] == "fault"]
    without = [[event for event in events if event[0] != "fault"] for events in (actual, told)]
    return without[0] == without[1] and ("fault", 1002) in faults and len(faults) <= 2


def check_others(role: Role, data: bytes, source: Source) -> None:
    """Good traffic, against wsproto and websockets."""
    chunks = source.cut(data)
    expected = [plain(event) for event in ours(role, Settings(max_message_size=None), chunks)]
    assert not expected or expected[-1][0] != "fault", f"good traffic is refused: {expected[-1]}"
    for name, through in (("wsproto", through_wsproto), ("websockets", through_websockets)):
        actual = through(role, chunks)
        assert actual == expected, f"{role}: we tell {str(expected)[:500]}\n{name} {str(actual)[:500]}"


def run_case(data: bytes) -> None:
    """Run one case. Raises AssertionError where the readers differ."""
    source = Source(data)
    role = source.choose((SERVER, CLIENT))
    sender = Connection.established(OTHER[role], Settings(random_bytes=lambda size: bytes(range(256)) * (size // 256)))
    peer = Peer(source, OTHER[role], sender)
    if source.one_in(2):
        stream = peer.traffic()
        check_slow(role, stream[:FEW], source)
        return
    good = b"".join(source.choose((peer.message, peer.control))() for _ in range(1 + source.number(6)))
    if source.one_in(2):
        good += peer.frame(0x88, source.choose((b"\x03\xe8", b"", b"\x03\xe8bye", b"\x0b\xb8")))
    check_others(role, good, source)


if __name__ == "__main__":
    sys.exit(main(run_case, "differential"))
