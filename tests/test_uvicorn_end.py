"""The uvicorn adapter at the end of connections: what an application is told, and shutdown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncio_helpers import SHORT, Peer, in_loop, text
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_helpers import (
    ACCEPT,
    REQUEST,
    Message,
    Observed,
    Receive,
    Recorder,
    Send,
    answer_to,
    echo,
    peer_of,
    serving,
    turns,
    uri_of,
)
from wsproto.events import CloseConnection

from wsproto_lite.adapters.asyncio import connect

CLOSE = {"type": "websocket.close"}
LOST = {"type": "websocket.disconnect", "code": 1006}


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b"\x88\x80\0\0\0\0", 1005, ""),
        (b"\x88\x85\0\0\0\0\x0f\xa0bye", 4000, "bye"),
        (b"\x81\x01x", 1002, "frame from the client is not masked"),
        (b"\x81\x81\0\0\0\0\xff", 1007, None),
        (b"\x81\x8b\0\0\0\0", 1009, None),
    ],
    ids=["empty close", "close", "not masked", "not UTF-8", "too big"],
)
@in_loop
async def test_disconnect(data: bytes, code: int, reason: str | None) -> None:
    app = Recorder()
    async with serving(app, ws_max_size=10) as server, peer_of(server) as peer:
        await peer.write(data)
        await app.done.wait()
    (message,) = app.received
    given = message.pop("reason")
    assert message == {"type": "websocket.disconnect", "code": code}
    assert given == reason or (reason is None and given)


@in_loop
async def test_connection_is_lost() -> None:
    app = Recorder()
    async with serving(app) as server, peer_of(server) as peer:
        await peer.send(text("one"))
        peer.reset()
        await app.done.wait()
    assert app.received == [{"type": "websocket.receive", "text": "one"}, LOST]


def half_close(peer: Peer) -> None:
    peer.writer.write_eof()


@pytest.mark.parametrize("leave", [Peer.reset, half_close], ids=["resets", "half_closes"])
@in_loop
async def test_client_leaves_before_it_is_accepted(leave: Any) -> None:
    started, caught = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        started.set()
        assert await receive() == LOST
        with pytest.raises(ClientDisconnected):
            await send(ACCEPT)
        caught.set()
        await send(ACCEPT)  # which nobody complains of

    async with serving(app) as server, peer_of(server, opened=False) as peer:
        await peer.write(REQUEST)
        await started.wait()
        leave(peer)
        await caught.wait()


@in_loop
async def test_too_much_early_data() -> None:
    """The core refuses by itself, and the application finds the connection gone."""
    limit = 1000
    started, done = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        started.set()
        assert await receive() == LOST
        with pytest.raises(ClientDisconnected):
            await send(ACCEPT)
        done.set()

    async with serving(app, h11_max_incomplete_event_size=limit) as server, peer_of(server, opened=False) as peer:
        await peer.write(REQUEST)
        await started.wait()
        await peer.write(bytes(limit + 1))
        assert (await peer.reader.read()).startswith(b"HTTP/1.1 400 ")
        await done.wait()


@in_loop
async def test_messages_come_before_the_close_and_can_be_answered() -> None:
    go = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await go.wait()
        for _ in range(3):
            await send({"type": "websocket.send", "text": (await receive())["text"]})
        assert await receive() == {"type": "websocket.disconnect", "code": 1000, "reason": ""}
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send", "text": "late"})
        with pytest.raises(ClientDisconnected):
            await send(CLOSE)

    async with serving(app) as server, peer_of(server) as peer:
        await peer.send(text("a"), text("b"), text("c"), CloseConnection(code=1000))
        await turns()
        go.set()
        assert await peer.read_to_end() == ["a", "b", "c", 1000]


@in_loop
async def test_messages_after_our_close_are_dropped() -> None:
    received = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send(CLOSE)
        await closed.wait()
        received.append(await receive())

    closed = asyncio.Event()
    async with serving(app) as server, peer_of(server) as peer:
        assert [type(event) for event in await peer.read()] == [CloseConnection]
        await peer.write(b"\x81\x81\0\0\0\0x" * 100 + b"\x88\x82\0\0\0\0\x03\xe8")
        assert await peer.reader.read() == b""
        closed.set()
    assert received == [{"type": "websocket.disconnect", "code": 1000, "reason": ""}]


@in_loop
async def test_application_that_only_sends() -> None:
    """It finds out by sending that the client has closed, and the client's Close is answered before."""
    closed, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await closed.wait()
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send", "text": "late"})
        ended.set()

    async with serving(app) as server, connect(uri_of(server)) as ws:
        await ws.close(3000, "bye")
        assert ws.close_info.received == (3000, "")
        closed.set()
        await ended.wait()


# ---- shutdown ----


@in_loop
async def test_shutdown_of_an_open_connection() -> None:
    """Close 1012; what the application sends from then on comes too late, what the client sends isn't delivered."""
    late = asyncio.Event()
    app = Recorder()

    async def run(scope: Message, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send", "text": "late"})
        late.set()

    async with serving(run) as server, peer_of(server) as peer:
        await app.accepted.wait()
        for connection in list(server.server_state.connections):
            connection.shutdown()
            connection.shutdown()  # a second one changes nothing
        await peer.send(text("late"))
        assert await peer.read_to_end() == [1012]
        await late.wait()
    assert app.received == [{"type": "websocket.disconnect", "code": 1012}]


@in_loop
async def test_shutdown_before_it_is_accepted() -> None:
    started = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        started.set()
        assert await receive() == LOST

    async with serving(app) as server:
        answering = asyncio.ensure_future(answer_to(server))
        await started.wait()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        assert (await answering)[0] == b"HTTP/1.1 503 Service Unavailable"


class Impatient(Observed):
    """For an answer to a Close it waits for ever, except when the server ends."""

    close_timeout = None
    shutdown_timeout = SHORT


OPEN = [ACCEPT]
CLOSING = [ACCEPT, CLOSE]
REFUSED = [CLOSE]


@pytest.mark.parametrize("messages", [[], OPEN, CLOSING, REFUSED], ids=["asked", "open", "closing", "refused"])
@in_loop
async def test_shutdown_waits_for_no_client_that_is_gone(messages: list[Message]) -> None:
    """It reads no more, or is behind a network that is down. A deploy mustn't wait for it."""
    ready = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        ready.set()
        assert (await receive())["type"] == "websocket.disconnect"

    server = serving(app, ws=Impatient)
    async with peer_of(await server.__aenter__(), opened=False) as peer:
        await peer.write(REQUEST)
        await ready.wait()
        await server.__aexit__(None, None, None)
        assert (await peer.reader.read()).startswith(b"HTTP/1.1 ")
    assert Impatient.seen.pop().lost.done()


@in_loop
async def test_shutdown_waits_for_a_client_that_reads() -> None:
    """What was sent before is more than the network takes at once; it is read, and the Close behind it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(1 << 16)})

    class MoreImpatient(Impatient):
        shutdown_timeout = 0.0

    async with serving(app, ws=MoreImpatient) as server, peer_of(server) as peer:
        protocol = MoreImpatient.seen.pop()
        await protocol.blocked.wait()
        protocol.shutdown()
        await turns()
        *messages, code = await peer.read_to_end()
    assert set(messages) == {bytes(1 << 16)}
    assert code == 1012


@in_loop
async def test_server_waits_for_connections() -> None:
    """Whoever is in the middle of an answer may end in peace."""
    async with serving(echo) as server:
        ws = await connect(uri_of(server))
    assert ws.close_code == 1012
    await ws.wait_closed()
    assert server.server_state.connections == set()
    assert server.server_state.tasks == set()
