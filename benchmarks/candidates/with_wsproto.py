"""wsproto as a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsproto import WSConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, Event, Message, TextMessage

from ..workloads import Content
from .base import Candidate, Receive, Send, Shake


class Wsproto(Candidate):
    """Its Connection, and WSConnection for the handshake. It delivers pieces; the user joins them."""

    name = "wsproto"
    distribution = "wsproto"

    def make_receive(self) -> Receive:
        connection = Connection(ConnectionType.SERVER)
        receive_data, events = connection.receive_data, connection.events
        pieces: list[Any] = []

        def receive(chunks: Sequence[bytes]) -> list[Content]:
            messages: list[Content] = []
            for chunk in chunks:
                messages = []
                receive_data(chunk)
                for event in events():
                    if not isinstance(event, Message):
                        continue
                    if event.message_finished and not pieces:
                        messages.append(event.data)
                        continue
                    pieces.append(event.data)
                    if event.message_finished:
                        empty = "" if isinstance(event, TextMessage) else b""
                        messages.append(empty.join(pieces))
                        pieces.clear()
            return messages

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        # It hands out bytearrays.
        return [data if isinstance(data, str) else bytes(data) for data in delivered]

    def make_send(self, *, client: bool) -> Send:
        send = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER).send

        def send_all(texts: Sequence[str]) -> list[bytes]:
            return [send(TextMessage(data=text)) for text in texts]

        return send_all

    def make_shake(self) -> Shake:
        def shake(request: bytes, frames: Sequence[bytes]) -> tuple[bytes, list[Any]]:
            response, delivered = b"", []
            for frame in frames:
                connection = WSConnection(ConnectionType.SERVER)
                connection.receive_data(request)
                events: list[Event] = list(connection.events())
                response = connection.send(AcceptConnection())
                connection.receive_data(frame)
                events = list(connection.events())
                delivered = [event.data for event in events if isinstance(event, Message)]
            return response, delivered

        return shake
