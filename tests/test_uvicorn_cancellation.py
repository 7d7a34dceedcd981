"""Cancelling ASGI's receive and send at any of their awaits leaves no half-written frame, and loses no message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Callable

import pytest
from adapter_cancelling import Cancelling, cancelled_over_asyncio
from asyncio_helpers import Peer, in_loop, text
from uvicorn_helpers import ACCEPT, REQUEST, App, Message, Observed, Receive, Send, peer_of, serving, turns

CLOSE: Message = {"type": "websocket.close"}
REFUSE: Message = {"type": "websocket.http.response.start", "status": 404}
BODY: Message = {"type": "websocket.http.response.body", "body": b"no such thing"}

LONG = "x" * 100_000
"""A message after which the next has to wait its turn."""

SENT: Message = {"type": "websocket.send", "text": LONG}
AFTER: Message = {"type": "websocket.send", "text": "after"}

FRAME = b"\x81\x7f" + len(LONG).to_bytes(8, "big") + LONG.encode()
CLOSE_FRAME = b"\x88\x02\x03\xe8"
CLOSE_ANSWER = b"\x88\x82\0\0\0\0\x03\xe8"

FEW_FRAMES = 4


class Calls:
    """What is cancelled, and what of it has been done."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive = receive
        self.send = send
        self.done: list[Any] = []

    async def receives(self) -> None:
        while len(self.done) < FEW_FRAMES:
            self.done.append((await self.receive())["text"])

    async def sends(self) -> None:
        while len(self.done) < FEW_FRAMES:
            await self.send(SENT)
            self.done.append(LONG)

    async def sends_for_ever(self) -> None:
        while True:
            await self.send(SENT)

    async def echoes(self) -> None:
        for _ in range(FEW_FRAMES):
            await self.send({"type": "websocket.send", "text": (await self.receive())["text"]})

    async def closes(self) -> None:
        await self.sends()
        await self.send(CLOSE)
        self.done.append(1000)
        await self.receive()

    async def accepts(self) -> None:
        await self.receive()
        await self.send(ACCEPT)
        self.done.append(ACCEPT)

    async def refuses(self) -> None:
        await self.receive()
        await self.send(REFUSE)
        self.done.append(REFUSE)
        await self.send(BODY)
        self.done.append(BODY)


Work = Callable[[Calls], Awaitable[None]]


async def ask(peer: Peer) -> None:
    """Send what is to be received, one after the other."""
    for number in range(FEW_FRAMES):
        await peer.send(text(str(number)))
        await turns(2)


async def read_raw(peer: Peer) -> tuple[bytes, bytes]:
    """Do a handshake and read to the end. Returns the response's head, and the bytes behind it."""
    await peer.write(REQUEST)
    data = b""
    while chunk := await peer.reader.read(1 << 16):
        data += chunk
        if data.endswith(CLOSE_FRAME):
            await peer.write(CLOSE_ANSWER)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


# ---- a task of the application is cancelled: the connection goes on ----


@pytest.mark.parametrize("call", [Calls.receives, Calls.sends, Calls.echoes, Calls.closes])
@in_loop
async def test_open_connection(call: Work) -> None:
    is_over, count = False, 0
    received: list[list[str]] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal is_over
        await receive()
        await send(ACCEPT)
        calls = Calls(receive, send)
        is_over = await cancelled_over_asyncio(call(calls), count)
        if call is Calls.receives:
            await calls.receives()
            received.append(calls.done)
        if 1000 not in calls.done:
            await send(AFTER)
            await send(CLOSE)

    async with serving(app) as server:
        while not is_over:
            async with peer_of(server) as peer:
                if call in (Calls.receives, Calls.echoes):
                    await ask(peer)
                *messages, last = await peer.read_to_end()
            assert last == 1000
            assert set(messages) <= {LONG, "after", *"0123"}
            assert (messages[-1:] == ["after"]) is (call is not Calls.closes or not is_over)
            count += 1
    assert all(messages == [*"0123"] for messages in received)
    assert count > 1


@pytest.mark.parametrize("call", [Calls.accepts, Calls.refuses])
@in_loop
async def test_handshake(call: Work) -> None:
    """The application may go on where it was."""
    is_over, count = False, 0

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal is_over
        calls = Calls(receive, send)
        is_over = await cancelled_over_asyncio(call(calls), count)
        for message in [REFUSE, BODY]:
            if ACCEPT not in calls.done and message not in calls.done:
                await send(message)
        if ACCEPT in calls.done:
            await send(CLOSE)

    async with serving(app) as server:
        while not is_over:
            async with peer_of(server, opened=False) as peer:
                head, rest = await read_raw(peer)
            assert (head[:13], rest) in [(b"HTTP/1.1 101 ", CLOSE_FRAME), (b"HTTP/1.1 404 ", BODY["body"])]
            count += 1


@in_loop
async def test_send_to_one_who_does_not_read() -> None:
    """When all buffers are full."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        sending = [asyncio.ensure_future(Calls(receive, send).sends_for_ever()) for _ in range(3)]
        await Observed.seen[-1].blocked.wait()
        await turns()
        for task in sending:
            task.cancel()
        await asyncio.wait(sending)
        go.set()
        await send(AFTER)
        await send(CLOSE)

    go = asyncio.Event()
    async with serving(app, ws=Observed) as server, peer_of(server) as peer:
        await go.wait()
        *messages, after, code = await peer.read_to_end()
    Observed.seen.pop()
    assert (set(messages), after, code) == ({LONG}, "after", 1000)


# ---- the application itself is cancelled: the connection is closed ----


def cancelled(call: Work, count: int) -> App:
    """Make an application that is cancelled, as uvicorn does it when a shutdown takes too long."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        await receive()
        await send(ACCEPT)
        await Cancelling(call(Calls(receive, send)), count, task.cancel)
        await turns(1)

    return app


@pytest.mark.parametrize("call", [Calls.sends, Calls.closes])
@pytest.mark.parametrize("count", range(FEW_FRAMES + 1))
@in_loop
async def test_application_sends(call: Work, count: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with serving(cancelled(call, count)) as server, peer_of(server, opened=False) as peer:
        _, rest = await read_raw(peer)
    assert rest.replace(FRAME, b"") in (b"", CLOSE_FRAME)


@pytest.mark.parametrize("count", [0, 1])
@in_loop
async def test_application_receives(count: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(cancelled(Calls.receives, count)) as server, peer_of(server, opened=False) as peer:
        assert (await read_raw(peer))[1] == b""
    assert caplog.messages == ["Exception in ASGI application\n"]


@in_loop
async def test_application_that_waits_for_one_who_does_not_read(caplog: pytest.LogCaptureFixture) -> None:
    """What has been sent is still read, for the close timeout at most."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await Calls(receive, send).sends_for_ever()

    async with serving(app, ws=Observed) as server, peer_of(server, opened=False) as peer:
        await peer.write(REQUEST)
        await peer.reader.readuntil(b"\r\n\r\n")
        await Observed.seen.pop().blocked.wait()
        await turns()
        (task,) = server.server_state.tasks
        task.cancel()
        assert (await peer.reader.read()).replace(FRAME, b"") == b""
    assert caplog.messages == ["Exception in ASGI application\n"]
