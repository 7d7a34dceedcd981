"""An echo server over HTTP/2 (RFC 8441), many WebSockets on one connection: python examples/http2_echo.py [port]

The h2 library speaks HTTP/2, in clear text here (RFC 9113 section 3.3). The handshake is values in, values out, and
each stream has a Connection that is established from the start.
"""

from __future__ import annotations

import asyncio
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from wsproto_lite import (
    SERVER,
    AcceptConnection,
    BytesMessage,
    Connection,
    Event,
    PerMessageDeflate,
    RejectConnection,
    Settings,
    TextMessage,
)
from wsproto_lite.handshake import accept, check_request, reject

SETTINGS = Settings(extensions=(PerMessageDeflate(),))
SUBPROTOCOL = "echo"


class Stream:
    """A WebSocket on one stream, and what waits for the flow control of HTTP/2."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.output = bytearray()
        self.unacknowledged = 0

    def receive(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, (TextMessage, BytesMessage)):
                self.output += self.conn.send(event)
        self.output += self.conn.data_to_send()


class Http2:
    """One connection over HTTP/2."""

    def __init__(self) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.streams: dict[int, Stream] = {}
        self.h2.initiate_connection()
        # RFC 8441 section 3: without it no client may ask for a WebSocket.
        self.h2.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})

    def receive(self, data: bytes) -> bytes:
        """Take what came in; return what is to go out."""
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.open(event)
            elif isinstance(event, h2.events.DataReceived):
                self.take(event)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.streams:
                stream = self.streams[event.stream_id]
                stream.receive(stream.conn.receive_eof())
            elif isinstance(event, h2.events.StreamReset):
                self.streams.pop(event.stream_id, None)
        for stream_id in list(self.streams):
            self.flush(stream_id)
        return self.h2.data_to_send()

    def open(self, event: h2.events.RequestReceived) -> None:
        headers = dict(event.headers)
        request = check_request(headers[b":method"], headers.get(b":path", b""), event.headers, SETTINGS, http="2")
        if isinstance(request, RejectConnection):
            status, answer = request.status_code, reject(request, http="2")
        else:
            subprotocol = SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
            handshake = accept(request, AcceptConnection(subprotocol), SETTINGS, http="2")
            status, answer = handshake.status, handshake.headers
            self.streams[event.stream_id] = Stream(Connection.established(SERVER, SETTINGS, handshake))
        is_refused = event.stream_id not in self.streams
        self.h2.send_headers(event.stream_id, [(b":status", b"%d" % status), *answer], end_stream=is_refused)

    def take(self, event: h2.events.DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return
        stream.unacknowledged += event.flow_controlled_length
        stream.receive(stream.conn.receive_data(event.data))

    def flush(self, stream_id: int) -> None:
        """Send what there is to send. No more is taken from a client that doesn't let us."""
        stream = self.streams[stream_id]
        while self.send(stream_id, stream.output):
            if not stream.conn.has_pending:
                break
            stream.receive(stream.conn.receive_data(b""))  # what was held back, the end for example
        else:
            return
        if stream.unacknowledged:
            self.h2.acknowledge_received_data(stream.unacknowledged, stream_id)
            stream.unacknowledged = 0
        if stream.conn.should_shutdown:
            # RFC 8441 section 5: END_STREAM is to a WebSocket what FIN is over TCP.
            self.h2.end_stream(stream_id)
            del self.streams[stream_id]

    def send(self, stream_id: int, output: bytearray) -> bool:
        """Send what the client's window lets through, and tell whether that was all."""
        while output:
            size = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
            if size <= 0:
                return False
            self.h2.send_data(stream_id, bytes(output[:size]))
            del output[:size]
        return True


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    http2 = Http2()
    data = b""
    try:
        while True:
            writer.write(http2.receive(data))
            await writer.drain()
            data = await reader.read(65536)
            if not data:
                break
    except h2.exceptions.ProtocolError as error:
        print(f"not good HTTP/2: {error}", file=sys.stderr)
        writer.write(http2.h2.data_to_send())
    except OSError as error:
        print(f"lost a client: {error}", file=sys.stderr)
    writer.close()


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
