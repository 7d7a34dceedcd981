"""wsproto_lite as a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsproto_lite import CLIENT, SERVER, AcceptConnection, BytesMessage, Connection, Event, Settings, TextMessage

from ..workloads import Content
from .base import LIMIT, Candidate, Receive, Send, Shake

SETTINGS = Settings(max_message_size=LIMIT)


class Ours(Candidate):
    """A Connection: whole messages, every rule checked, automatic replies."""

    name = "wsproto_lite"
    distribution = "wsproto_lite"

    def make_receive(self) -> Receive:
        receive_data = Connection.established(SERVER, SETTINGS).receive_data

        def receive(chunks: Sequence[bytes]) -> list[Event]:
            events: list[Event] = []
            for chunk in chunks:
                events = receive_data(chunk)
            return events

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        return [event.data for event in delivered if isinstance(event, (TextMessage, BytesMessage))]

    def make_send(self, *, client: bool) -> Send:
        send = Connection.established(CLIENT if client else SERVER, SETTINGS).send

        def send_all(texts: Sequence[str]) -> list[bytes]:
            return [send(TextMessage(text)) for text in texts]

        return send_all

    def make_shake(self) -> Shake:
        def shake(request: bytes, frames: Sequence[bytes]) -> tuple[bytes, list[Event]]:
            response, events = b"", []
            for frame in frames:
                connection = Connection(SERVER, SETTINGS)
                connection.receive_data(request)
                response = connection.send(AcceptConnection())
                events = connection.receive_data(frame)
            return response, events

        return shake
