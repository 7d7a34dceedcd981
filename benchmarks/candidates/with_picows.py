"""picows' parser as a candidate, behind a transport that goes nowhere."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows import picows as _compiled

from ..workloads import READ_SIZE, REQUEST, Content
from .base import LIMIT, Candidate, Receive, Send

compiled: Any = _compiled  # its stub leaves the protocol out

TEXT = WSMsgType.TEXT
BINARY = WSMsgType.BINARY


class Picows(Candidate):
    """Its asyncio protocol, called as the event loop would, with a listener in Python, as its users write them.

    It parses in the buffer that the loop reads the socket into, so the copy into it stands for the kernel's.
    """

    name = "picows"
    distribution = "picows"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def make_receive(self) -> Receive:
        listener = _Listener()
        protocol = self._loop.run_until_complete(_connect(listener))
        get_buffer, buffer_updated = protocol.get_buffer, protocol.buffer_updated
        messages = listener.messages

        def receive(chunks: Sequence[bytes]) -> list[Content]:
            for chunk in chunks:
                messages.clear()
                size = len(chunk)
                buffer = get_buffer(-1)
                if len(buffer) >= size:
                    buffer[:size] = chunk
                    buffer_updated(size)
                    continue
                at = 0
                while at < size:
                    buffer = get_buffer(-1)
                    part = chunk[at : at + len(buffer)]
                    buffer[: len(part)] = part
                    buffer_updated(len(part))
                    at += len(part)
            return messages

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        return list(delivered)

    def make_send(self, *, client: bool) -> Send:
        protocol = self._loop.run_until_complete(_connect(_Listener(), client=client))
        transport = protocol.transport
        send = transport.send
        written = transport.underlying_transport.written

        def send_all(texts: Sequence[str]) -> list[bytes]:
            for text in texts:
                send(TEXT, text)
            frames: list[bytes] = written[:]
            written.clear()
            return frames

        return send_all


class _Listener(WSListener):
    def __init__(self) -> None:
        self.messages: list[Content] = []
        self._pieces: list[bytes] = []
        self._type = TEXT

    def on_ws_connected(self, transport: WSTransport) -> None:
        pass

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.fin and not self._pieces:
            kind = frame.msg_type
            if kind == TEXT:
                self.messages.append(frame.get_payload_as_utf8_text())
            elif kind == BINARY:
                self.messages.append(frame.get_payload_as_bytes())
            return
        if not self._pieces:
            self._type = frame.msg_type
        self._pieces.append(frame.get_payload_as_bytes())
        if frame.fin:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self.messages.append(data.decode() if self._type == TEXT else data)


class _Transport(asyncio.Transport):
    """Has bytes waiting, so that picows writes to it and not to the socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self._socket = socket.socket()
        self.write = self.written.append  # type: ignore[method-assign,assignment]  # the cheapest transport there is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 1


async def _connect(listener: _Listener, *, client: bool = False) -> Any:
    protocol = compiled.WSProtocol(
        "server.example.com" if client else None,
        "/" if client else None,
        client,
        lambda *_: listener,
        logging.getLogger("picows"),
        False,  # disconnect_on_exception
        None,  # websocket_handshake_timeout
        False,  # enable_auto_ping
        10,
        10,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        True,  # enable_auto_pong
        LIMIT,
        None,
        4 * READ_SIZE,
    )
    transport = _Transport()
    protocol.connection_made(transport)
    if not client:
        protocol.get_buffer(-1)[: len(REQUEST)] = REQUEST
        protocol.buffer_updated(len(REQUEST))
    transport.written.clear()
    return protocol
