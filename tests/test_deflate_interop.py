"""permessage-deflate between a connection and other libraries: offered by either, every window, bytes in memory."""

from __future__ import annotations

import asyncio
import json
import random
from types import SimpleNamespace
from typing import Any, Union

import pytest
import wsproto
import wsproto.events
import wsproto.extensions
from deflate_backends import every_backend, noise
from helpers import OTHER, both_roles, feed, frames_from
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    Connection,
    PerMessageDeflate,
    Request,
    Role,
    Settings,
    TextMessage,
)
from wsproto_lite.extensions import finalize, format_extensions, negotiate, parse_extensions
from wsproto_lite.handshake import Handshake

Data = Union[str, bytes]

_random = random.Random(7692)
ITEMS = [json.dumps({"id": i, "price": round(_random.random(), 4), "of": "caf\u00e9 \u20ac"}) for i in range(2000)]

MESSAGES: dict[str, Data] = {
    "text": "".join(ITEMS[:10]),
    "the same again": "".join(ITEMS[:10]),
    "one character": "\u20ac",
    "empty text": "",
    "binary": noise(3000),
    "empty binary": b"",
    "empty binary again": b"",
    "100 KB": ("".join(ITEMS) * 2)[:100_000],
    "100 KB, binary": bytes(70_000) + noise(30_000),
    "text at last": "".join(ITEMS[5:15]),
}

CONTENT: dict[type, Any] = {TextMessage: str, BytesMessage: bytes}


def in_pieces(message: Data) -> list[Data]:
    """Cut a message into fragments, an empty one among them."""
    third = len(message) // 3
    return [message[:third], message[:0], message[third : 2 * third], message[2 * third :]]


class Websockets:
    """websockets' protocol without I/O. Its zlib can't compress with 8 bits."""

    def __init__(self, role: Role, options: dict[str, Any]) -> None:
        self.protocol: Any
        if role is CLIENT:
            extensions = [ClientPerMessageDeflateFactory(**options)]
            self.protocol = ClientProtocol(parse_uri("ws://localhost/"), extensions=extensions)
        else:
            self.protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory(**options)])

    def request(self) -> bytes:
        self.protocol.send_request(self.protocol.connect())
        return self._output()

    def answer(self, request: bytes) -> bytes:
        self.protocol.receive_data(request)
        self.protocol.send_response(self.protocol.accept(self.protocol.events_received()[0]))
        return self._output()

    def finish(self, response: bytes) -> None:
        self.protocol.receive_data(response)
        assert self.protocol.events_received()[0].status_code == 101

    def _output(self) -> bytes:
        return b"".join(self.protocol.data_to_send())

    def send(self, pieces: list[Data]) -> bytes:
        *others, last = (piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        sends = [self.protocol.send_text if isinstance(pieces[0], str) else self.protocol.send_binary]
        sends += [self.protocol.send_continuation] * len(others)
        for send, piece in zip(sends, others):
            send(piece, fin=False)
        sends[-1](last, fin=True)
        return self._output()

    def receive(self, data: bytes) -> Data:
        self.protocol.receive_data(data)
        frames = self.protocol.events_received()
        assert [frame.fin for frame in frames] == [False] * (len(frames) - 1) + [True]
        content = b"".join(frame.data for frame in frames)
        return content.decode() if frames[0].opcode is Opcode.TEXT else content


class Wsproto:
    """wsproto. It has windows of 9 bits and more."""

    def __init__(self, role: Role, options: dict[str, Any]) -> None:
        kind = wsproto.ConnectionType.CLIENT if role is CLIENT else wsproto.ConnectionType.SERVER
        self.connection = wsproto.WSConnection(kind)
        self.extensions: list[Any] = [wsproto.extensions.PerMessageDeflate(**options)]

    def request(self) -> bytes:
        return self.connection.send(wsproto.events.Request("localhost", "/", extensions=self.extensions))

    def answer(self, request: bytes) -> bytes:
        self.connection.receive_data(request)
        assert [type(event) for event in self.connection.events()] == [wsproto.events.Request]
        return self.connection.send(wsproto.events.AcceptConnection(extensions=self.extensions))

    def finish(self, response: bytes) -> None:
        self.connection.receive_data(response)
        assert [type(event) for event in self.connection.events()] == [wsproto.events.AcceptConnection]

    def send(self, pieces: list[Data]) -> bytes:
        kind: Any = wsproto.events.TextMessage if isinstance(pieces[0], str) else wsproto.events.BytesMessage
        numbered = enumerate(pieces, 1)
        return b"".join(self.connection.send(kind(piece, message_finished=n == len(pieces))) for n, piece in numbered)

    def receive(self, data: bytes) -> Data:
        self.connection.receive_data(data)
        events: list[Any] = list(self.connection.events())
        assert [event.message_finished for event in events] == [False] * (len(events) - 1) + [True]
        if isinstance(events[0], wsproto.events.TextMessage):
            return "".join(event.data for event in events)
        return b"".join(bytes(event.data) for event in events)


PEERS = [
    *(pytest.param(Websockets, bits, id=f"websockets-{bits}") for bits in range(8, 16)),
    *(pytest.param(Wsproto, bits, id=f"wsproto-{bits}") for bits in range(9, 16)),
]

LEAST = 9
"""Neither can compress with a window of 8 bits, and wsproto has none at all."""

TAKEOVER = {
    "takeover": {},
    "server without": {"server_no_context_takeover": True},
    "client without": {"client_no_context_takeover": True},
    "both without": {"server_no_context_takeover": True, "client_no_context_takeover": True},
}

takeover = pytest.mark.parametrize("flags", TAKEOVER.values(), ids=TAKEOVER)


def options_for(theirs: str, bits: int, flags: dict[str, bool]) -> dict[str, Any]:
    """Give what both ask for, with a window that `theirs` can compress with, "server" or "client"."""
    sides = ("server", "client")
    sizes = {f"{side}_max_window_bits": max(bits, LEAST) if side == theirs else bits for side in sides}
    return {**sizes, **flags}


def send(connection: Connection, pieces: list[Data]) -> bytes:
    """Send a message in fragments."""
    kind: Any = TextMessage if isinstance(pieces[0], str) else BytesMessage
    numbered = enumerate(pieces, 1)
    return b"".join(connection.send(kind(piece, message_finished=n == len(pieces))) for n, piece in numbered)


def receive(connection: Connection, data: bytes) -> Data:
    """Receive one message in reads of at most 64 KiB."""
    (event,) = feed(connection, *(data[i : i + 65_536] for i in range(0, len(data), 65_536)))
    content: Data = event.data  # type: ignore[union-attr]  # a message
    assert type(content) is CONTENT[type(event)]
    return content


def is_compressed(sender: Role, data: bytes) -> bool:
    """Tell whether a message has RSV1 on its first frame and no other."""
    first, *others = (first & 0x40 for first, _ in frames_from(sender, data))
    assert not any(others)
    return bool(first)


@every_backend
@takeover
@both_roles
@pytest.mark.parametrize(("kind", "bits"), PEERS)
def test_protocols(kind: Any, bits: int, role: Role, flags: dict[str, bool], backend: Any) -> None:
    """Our side is `role`: a client offers, a server accepts."""
    options = options_for("client" if role is SERVER else "server", bits, flags)
    ours = Connection(role, Settings(extensions=(PerMessageDeflate(backend=backend, **options),)))
    theirs = kind(OTHER[role], options)
    if role is CLIENT:
        events = feed(ours, theirs.answer(ours.send(Request("/", "localhost"))))
    else:
        events = feed(ours, theirs.request())
        theirs.finish(ours.send(AcceptConnection()))
    assert [type(event) for event in events] == [AcceptConnection if role is CLIENT else Request]
    assert len(ours.extensions) == 1
    for message in MESSAGES.values():
        for pieces in ([message], in_pieces(message)):
            data = send(ours, pieces)
            assert theirs.receive(data) == message
            assert is_compressed(role, data) is ours.extensions[0].wants(len(message))
            data = theirs.send(pieces)
            assert receive(ours, data) == message
            assert is_compressed(OTHER[role], data)


class Aiohttp:
    """aiohttp's reader and writer, and its way with the header."""

    def __init__(self, role: Role, compress: int, *, notakeover: bool) -> None:
        reader = pytest.importorskip("aiohttp._websocket.reader")
        self.written: list[bytes] = []
        transport = SimpleNamespace(write=self.written.append, is_closing=lambda: False)
        protocol = SimpleNamespace(_paused=False, _reading_paused=False, pause_reading=lambda: None)
        self.queue = reader.WebSocketDataQueue(protocol, 1 << 20, loop=asyncio.get_running_loop())
        try:
            self.reader = reader.WebSocketReader(self.queue, 1 << 20, True, True)
        except TypeError:  # before 3.14 it had no choice but to decode text
            self.reader = reader.WebSocketReader(self.queue, 1 << 20)
        self.writer = pytest.importorskip("aiohttp.http_websocket").WebSocketWriter(
            protocol, transport, use_mask=role is CLIENT, compress=compress, notakeover=notakeover
        )

    async def send(self, message: Data) -> bytes:
        """Write a message in one frame: it has no others."""
        content = message.encode() if isinstance(message, str) else message
        await self.writer.send_frame(content, 1 if isinstance(message, str) else 2)
        data = b"".join(map(bytes, self.written))
        self.written.clear()
        return data

    async def receive(self, data: bytes) -> Data:
        self.reader.feed_data(data)
        message: Any = await self.queue.read()
        content: Data = message.data
        return content


async def exchange(ours: Connection, compress: int, *, notakeover: bool) -> None:
    """Send all messages both ways."""
    theirs = Aiohttp(OTHER[ours.role], compress, notakeover=notakeover)
    for message in MESSAGES.values():
        for pieces in ([message], in_pieces(message)):
            assert await theirs.receive(send(ours, pieces)) == message
        data = await theirs.send(message)
        assert receive(ours, data) == message
        assert is_compressed(OTHER[ours.role], data)


@takeover
@pytest.mark.parametrize("bits", range(9, 16))
class TestAiohttp:
    """It has windows of 9 bits and more, and no say in the client's context."""

    @pytest.fixture(autouse=True)
    def _find(self) -> None:
        self.header = pytest.importorskip("aiohttp.http_websocket")

    def test_offers(self, bits: int, flags: dict[str, bool]) -> None:
        offer = self.header.ws_ext_gen(bits, server_notakeover="server_no_context_takeover" in flags)
        extension = PerMessageDeflate(server_max_window_bits=bits, client_max_window_bits=bits, **flags)
        answers, codecs = negotiate(parse_extensions([offer.encode()]), [extension])
        compress, notakeover = self.header.ws_ext_parse(format_extensions(answers).decode())
        assert (compress, notakeover) == (bits, "client_no_context_takeover" in flags)
        ours = Connection.established(SERVER, Settings(), Handshake(101, [], None, codecs))
        asyncio.run(exchange(ours, compress, notakeover=notakeover))

    def test_accepts(self, bits: int, flags: dict[str, bool]) -> None:
        extension = PerMessageDeflate(server_max_window_bits=bits, client_max_window_bits=bits, **flags)
        offer = format_extensions([(extension.name, tuple(extension.offer()))])
        compress, notakeover = self.header.ws_ext_parse(offer.decode(), isserver=True)
        assert (compress, notakeover) == (bits, "server_no_context_takeover" in flags)
        answer = self.header.ws_ext_gen(compress, isserver=True, server_notakeover=notakeover)
        codecs = finalize(parse_extensions([answer.encode()]), [extension])
        ours = Connection.established(CLIENT, Settings(), Handshake(101, [], None, codecs))
        asyncio.run(exchange(ours, compress, notakeover=notakeover))
