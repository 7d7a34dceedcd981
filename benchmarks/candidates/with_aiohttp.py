"""aiohttp's reader and writer as a candidate, compiled where there is a compiled one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Callable

from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.http_websocket import WSMsgType

from ..workloads import Content
from .base import LIMIT, Candidate, Receive, Send

QUEUE_LIMIT = 1 << 18
"""Bytes that aiohttp's own server lets a queue hold before it stops reading."""

NEVER_FULL = 2**31 - 1
"""The queue doubles it and counts in 32 bits, which wrap around: it never stops reading."""


class AiohttpReader(Candidate):
    """Its WebSocketReader alone: messages stay in the queue's private deque, which is emptied by hand."""

    name = "aiohttp reader"
    distribution = "aiohttp"
    _limit = NEVER_FULL

    def __init__(self) -> None:
        compiled = WebSocketReader.__module__.endswith("_c")
        self.note = "compiled reader" if compiled else "plain Python reader"  # type: ignore[misc]  # known at run time
        self._loop = asyncio.new_event_loop()

    def make_receive(self) -> Receive:
        queue, feed_data = self._connect()
        buffer = queue._buffer
        popleft = buffer.popleft

        def receive(chunks: Sequence[bytes]) -> list[Any]:
            delivered: list[Any] = []
            for chunk in chunks:
                feed_data(chunk)
                # One by one costs least for one message, all at once for many.
                if len(buffer) == 1:
                    delivered = [popleft()]
                else:
                    delivered = list(buffer)
                    buffer.clear()
            return delivered

        return receive

    def _connect(self) -> tuple[WebSocketDataQueue, Callable[[bytes], Any]]:
        # The loop is for waiting, of which there is none here.
        protocol: Any = _Protocol()
        queue = WebSocketDataQueue(protocol, self._limit, loop=self._loop)
        return queue, _make_reader(queue).feed_data

    def contents(self, delivered: Any) -> list[Content]:
        return [message.data for message, _ in delivered]


class Aiohttp(AiohttpReader):
    """Its WebSocketReader, and the queue's read(), which is how its users get at the messages."""

    name = "aiohttp"
    _limit = QUEUE_LIMIT

    def make_receive(self) -> Receive:
        queue, feed_data = self._connect()
        buffer = queue._buffer
        read = queue.read

        async def read_and_keep(kept: list[Any]) -> None:
            kept.append(await read())

        async def receive_and_read(chunks: Sequence[bytes], read: Callable[[], Awaitable[Any]]) -> None:
            for chunk in chunks:
                feed_data(chunk)
                while buffer:
                    await read()

        def receive(chunks: Sequence[bytes]) -> list[Any]:
            kept: list[Any] = []
            # What is read is in the user's hands and needn't be kept; the check goes chunk by chunk.
            reading = partial(read_and_keep, kept) if len(chunks) == 1 else read
            # Runs to its end at the first step: there is never anything to wait for.
            with suppress(StopIteration):
                receive_and_read(chunks, reading).send(None)
            return kept

        return receive

    def contents(self, delivered: Any) -> list[Content]:
        return [message.data for message in delivered]

    def make_send(self, *, client: bool) -> Send:
        transport = _Transport()
        protocol: Any = _Protocol()
        writer = WebSocketWriter(protocol, transport, use_mask=client)
        send_frame = writer.send_frame
        written = transport.written

        def send_all(texts: Sequence[str]) -> list[bytes]:
            for text in texts:
                # Runs to its end at the first step: there is nothing to wait for.
                try:
                    send_frame(text.encode(), WSMsgType.TEXT).send(None)
                except StopIteration:
                    continue
            frames = written[:]
            written.clear()
            return frames

        return send_all


def _make_reader(queue: WebSocketDataQueue) -> WebSocketReader:
    try:
        return WebSocketReader(queue, LIMIT, compress=False, decode_text=True)
    except TypeError:  # before 3.14, the last for Python 3.9, text was always decoded
        return WebSocketReader(queue, LIMIT, compress=False)  # type: ignore[call-arg]  # see above


class _Protocol:
    """What a queue and a writer ask of aiohttp's own: to stop reading now and then, and whether to wait."""

    _reading_paused = False
    _paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []
        self.write = self.written.append  # type: ignore[method-assign,assignment]  # the cheapest there is

    def is_closing(self) -> bool:
        return False
