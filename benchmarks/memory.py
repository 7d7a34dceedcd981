"""Memory of open connections that have done the handshake and exchanged one message each way.

`python -m benchmarks million` makes a million of ours in one process.
"""

from __future__ import annotations

import gc
import re
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any, Callable

from . import wire
from .workloads import REQUEST, make_texts

COUNT = 1000
MILLION = 1_000_000
TEXT = make_texts(1)[0]
FROM_CLIENT = wire.encode_frame(wire.FIN | wire.TEXT, TEXT.encode(), b"\x37\xfa\x21\x3d")
FROM_SERVER = wire.encode_frame(wire.FIN | wire.TEXT, TEXT.encode())

Open = Callable[[], Any]
"""Make a connection, bring it through the handshake, exchange a message each way, and return what is to be kept."""


def measure_memory() -> dict[str, dict[str, float]]:
    """Return bytes a connection, by library and end. Who is not installed is left out."""
    found: dict[str, dict[str, float]] = {}
    for load in (_ours, _wsproto, _websockets):
        try:
            name, openers = load()
        except ImportError:
            continue
        found[name] = {end: bytes_per_connection(opener) for end, opener in openers.items()}
    return found


def bytes_per_connection(opener: Open, count: int = COUNT) -> float:
    """Return what each of `count` connections adds to the traced memory."""
    warm = [opener() for _ in range(10)]
    gc.collect()
    tracemalloc.start()
    kept: list[Any] = [None] * count
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        kept[number] = opener()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del warm, kept
    return (after - before) / count


def accept_response(request: bytes) -> bytes:
    """Answer a client's request as a server would."""
    from wsproto_lite import SERVER, AcceptConnection, Connection

    server = Connection(SERVER)
    server.receive_data(request)
    return server.send(AcceptConnection())


def _ours() -> tuple[str, dict[str, Open]]:
    from wsproto_lite import CLIENT, Connection, Request, TextMessage

    def client() -> Any:
        connection = Connection(CLIENT)
        request = connection.send(Request("/chat", "server.example.com"))
        connection.receive_data(accept_response(request))
        connection.send(TextMessage(TEXT))
        _expect([event.data for event in connection.receive_data(FROM_SERVER) if isinstance(event, TextMessage)])
        return connection

    return "wsproto_lite", {"server": open_server, "client": client}


def open_server() -> Any:
    """Open one of ours, as a server."""
    from wsproto_lite import SERVER, AcceptConnection, Connection, TextMessage

    connection = Connection(SERVER)
    connection.receive_data(REQUEST)
    connection.send(AcceptConnection())
    _expect([event.data for event in connection.receive_data(FROM_CLIENT) if isinstance(event, TextMessage)])
    connection.send(TextMessage(TEXT))
    return connection


def _wsproto() -> tuple[str, dict[str, Open]]:
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, Request, TextMessage

    def server() -> Any:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(REQUEST)
        list(connection.events())
        connection.send(AcceptConnection())
        connection.receive_data(FROM_CLIENT)
        _expect([event.data for event in connection.events() if isinstance(event, TextMessage)])
        connection.send(TextMessage(data=TEXT))
        return connection

    def client() -> Any:
        connection = WSConnection(ConnectionType.CLIENT)
        request = connection.send(Request(host="server.example.com", target="/chat"))
        connection.receive_data(accept_response(request))
        list(connection.events())
        connection.send(TextMessage(data=TEXT))
        connection.receive_data(FROM_SERVER)
        _expect([event.data for event in connection.events() if isinstance(event, TextMessage)])
        return connection

    return "wsproto", {"server": server, "client": client}


def _websockets() -> tuple[str, dict[str, Open]]:
    from websockets.client import ClientProtocol
    from websockets.frames import Frame
    from websockets.http11 import Request
    from websockets.server import ServerProtocol
    from websockets.uri import parse_uri

    uri = parse_uri("ws://server.example.com/chat")

    def server() -> Any:
        protocol = ServerProtocol()
        protocol.receive_data(REQUEST)
        (event,) = protocol.events_received()
        assert isinstance(event, Request)
        protocol.send_response(protocol.accept(event))
        protocol.data_to_send()
        protocol.receive_data(FROM_CLIENT)
        _expect([bytes(frame.data).decode() for frame in protocol.events_received() if isinstance(frame, Frame)])
        protocol.send_text(TEXT.encode())
        protocol.data_to_send()
        return protocol

    def client() -> Any:
        protocol = ClientProtocol(uri)
        protocol.send_request(protocol.connect())
        protocol.receive_data(accept_response(b"".join(protocol.data_to_send())))
        protocol.events_received()
        protocol.send_text(TEXT.encode())
        protocol.data_to_send()
        protocol.receive_data(FROM_SERVER)
        _expect([bytes(frame.data).decode() for frame in protocol.events_received() if isinstance(frame, Frame)])
        return protocol

    return "websockets", {"server": server, "client": client}


def _expect(delivered: Sequence[str]) -> None:
    if list(delivered) != [TEXT]:
        raise AssertionError(f"delivered {list(delivered)!r}")


def run_million(count: int = MILLION) -> dict[str, float]:
    """Open `count` connections as a server, and exchange another message on each. Return CPU seconds, and bytes."""
    from wsproto_lite import TextMessage

    gc.collect()
    before = resident_bytes()
    start = time.process_time()
    connections = [open_server() for _ in range(count)]
    opened = time.process_time()
    for connection in connections:
        _expect([event.data for event in connection.receive_data(FROM_CLIENT)])
        connection.send(TextMessage(TEXT))
    exchanged = time.process_time()
    return {
        "connections": count,
        "seconds to open": opened - start,
        "seconds to exchange a message each": exchanged - opened,
        "resident bytes": resident_bytes(),
        "resident bytes a connection": (resident_bytes() - before) / count,
    }


def resident_bytes() -> int:
    """Return the process's resident set, from Linux's /proc."""
    with open("/proc/self/status", encoding="ascii") as status:
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
    return int(found.group(1)) * 1024 if found else 0
