"""A WebSocket client over HTTP/2: h2 speaks HTTP/2, this library the rest (RFC 8441)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from wsproto_lite import (
    CLIENT,
    BytesMessage,
    CloseConnection,
    Connection,
    Event,
    RejectConnection,
    Request,
    Settings,
    TextMessage,
)
from wsproto_lite.handshake import Handshake, check_response, request_headers


class Refused(Exception):
    """The server answered with something else than 2xx."""


class Http2Client:
    """One connection over HTTP/2, on which any number of WebSockets can be opened."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.responses: dict[int, list[tuple[bytes, bytes]]] = {}
        self.streams: dict[int, WebSocket] = {}
        self.ended: set[int] = set()
        self.early: dict[int, bytes] = {}  # what came right behind a response, a refusal's body too

    async def step(self) -> None:
        """Write what there is to write, and read once."""
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()
        data = await self.reader.read(65536)
        assert data, "the server ended the connection"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.responses[event.stream_id] = event.headers
            elif isinstance(event, h2.events.DataReceived):
                self.take(event.stream_id, event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended.add(event.stream_id)

    def take(self, stream_id: int, data: bytes) -> None:
        if stream_id in self.streams:
            self.streams[stream_id].feed(data)
        else:
            self.early[stream_id] = self.early.get(stream_id, b"") + data

    async def open(self, target: str, host: str, settings: Settings, **kwargs: Any) -> WebSocket:
        # RFC 8441 section 4: the client waits for the server's consent to extended CONNECT.
        while not self.h2.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL):
            await self.step()
        request = Request(target, host, **kwargs)
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, request_headers(request, settings, http="2", scheme="http"))
        while stream_id not in self.responses:
            await self.step()
        headers = self.responses[stream_id]
        fields = [field for field in headers if not field[0].startswith(b":")]
        answer = check_response(int(dict(headers)[b":status"]), fields, request, settings, http="2")
        if isinstance(answer, RejectConnection):
            raise Refused(answer.status_code)
        websocket = self.streams[stream_id] = WebSocket(self, stream_id, settings, answer)
        websocket.feed(self.early.pop(stream_id, b""))
        return websocket


class WebSocket:
    """One WebSocket on one stream."""

    def __init__(self, client: Http2Client, stream_id: int, settings: Settings, handshake: Handshake) -> None:
        self.client = client
        self.stream_id = stream_id
        self.conn = Connection.established(CLIENT, settings, handshake)
        self.events: list[Event] = []

    def feed(self, data: bytes) -> None:
        events = self.conn.receive_data(data)
        while events:
            self.events += events
            events = self.conn.receive_data(b"")

    async def write(self, data: bytes) -> None:
        """Write as the server's window allows."""
        http2 = self.client.h2
        while data:
            size = min(http2.local_flow_control_window(self.stream_id), http2.max_outbound_frame_size, len(data))
            if not size:
                await self.client.step()
                continue
            http2.send_data(self.stream_id, data[:size])
            data = data[size:]

    async def send(self, event: Event) -> None:
        await self.write(self.conn.send(event))

    async def receive(self) -> Event:
        while not self.events:
            await self.client.step()
        return self.events.pop(0)

    async def echo(self, message: str | bytes) -> None:
        """Send a message, and expect it to come back."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        await self.send(event)
        assert await self.receive() == event

    async def close(self, code: int = 1000, reason: str = "") -> Event:
        """Close, and return how that was answered. Ends the stream when the server has."""
        await self.send(CloseConnection(code, reason))
        answer = await self.receive()
        while self.stream_id not in self.client.ended:
            await self.client.step()
        return answer


@asynccontextmanager
async def http2_client(host: str, port: int) -> AsyncIterator[Http2Client]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Http2Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
