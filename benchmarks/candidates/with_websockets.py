"""websockets' sans-IO layer as a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, Side
from websockets.server import ServerProtocol

from ..workloads import Content
from .base import LIMIT, Candidate, Receive, Send, Shake

CONTINUATION = Opcode.CONT
TEXT = Opcode.TEXT
BINARY = Opcode.BINARY


class Websockets(Candidate):
    """Its Protocol. It delivers frames; the user joins them and decodes the text."""

    name = "websockets"
    distribution = "websockets"
    note = "sans-IO layer"

    def make_receive(self) -> Receive:
        protocol = Protocol(Side.SERVER, max_size=LIMIT)
        receive_data = protocol.receive_data
        # Frames, once the connection is open, with bytes or a bytearray.
        events_received: Callable[[], list[Any]] = protocol.events_received
        pieces: list[Any] = []
        is_text = False

        def receive(chunks: Sequence[bytes]) -> list[Any]:
            nonlocal is_text
            messages: list[Any] = []
            for chunk in chunks:
                messages = []
                receive_data(chunk)
                for frame in events_received():
                    opcode = frame.opcode
                    if frame.fin and opcode is TEXT:
                        messages.append(frame.data.decode())
                    elif frame.fin and opcode is BINARY:
                        messages.append(frame.data)
                    elif opcode in (TEXT, BINARY, CONTINUATION):
                        if opcode is not CONTINUATION:
                            is_text = opcode is TEXT
                        pieces.append(frame.data)
                        if frame.fin:
                            data = b"".join(pieces)
                            messages.append(data.decode() if is_text else data)
                            pieces.clear()
            return messages

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        # It hands out bytearrays.
        return [data if isinstance(data, str) else bytes(data) for data in delivered]

    def make_send(self, *, client: bool) -> Send:
        protocol = Protocol(Side.CLIENT if client else Side.SERVER)
        send_text, data_to_send = protocol.send_text, protocol.data_to_send

        def send_all(texts: Sequence[str]) -> list[bytes]:
            frames: list[bytes] = []
            for text in texts:
                send_text(text.encode())
                frames += data_to_send()
            return frames

        return send_all

    def make_shake(self) -> Shake:
        def shake(request: bytes, frames: Sequence[bytes]) -> tuple[bytes, list[Any]]:
            response, delivered = b"", []
            for frame in frames:
                protocol = ServerProtocol()
                protocol.receive_data(request)
                (event,) = protocol.events_received()
                assert isinstance(event, Request)
                protocol.send_response(protocol.accept(event))
                response = b"".join(protocol.data_to_send())
                protocol.receive_data(frame)
                events = protocol.events_received()
                delivered = [bytes(frame.data).decode() for frame in events if isinstance(frame, Frame)]
            return response, delivered

        return shake
