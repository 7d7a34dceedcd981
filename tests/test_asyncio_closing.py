"""How connections over the asyncio adapter end: by either side, in failure, by silence, half-closed and cut."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import aiohttp
import pytest
import websockets
from asyncio_helpers import LINGER_NOT, SHORT, UPLOAD, echo, in_loop, peer_of, port_of, running, text, uri_of
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

from wsproto_lite import (
    CLIENT,
    SERVER,
    CloseInfo,
    ConnectionClosed,
    LocalProtocolError,
    PerMessageDeflate,
    Settings,
    State,
)
from wsproto_lite.adapters._asyncio_options import Options, Timeouts
from wsproto_lite.adapters._asyncio_server import Service
from wsproto_lite.adapters.asyncio import Server, ServerWebSocket, WebSocket, connect

REPEATS = 20


async def hang(ws: WebSocket) -> None:
    await asyncio.Event().wait()


# ---- in good order ----


@in_loop
async def test_client_closes() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            raise AssertionError("there is no message")
        ends.append((ws.close_code, ws.close_reason, ws.close_info))

    async with running(handler) as server, connect(uri_of(server)) as ws:
        assert (ws.close_code, ws.close_reason, ws.state) == (None, None, State.OPEN)
        await ws.close(3000, "done")
        await ws.close(3001, "again")
        assert (ws.close_code, ws.close_reason, ws.state) == (3000, "", State.CLOSED)
        assert ws.close_info == CloseInfo((3000, "done"), (3000, ""), CLIENT, "closed 3000 by us: done")
    # The handler's loop raised, for 3000 is no normal end; but that is no fault of its own, and isn't logged.
    assert ends == []


@pytest.mark.parametrize("code", [1000, 1001, 1005])
@in_loop
async def test_iteration_stops_at_a_normal_end(code: int) -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        assert [message async for message in ws] == ["hello"]
        ends.append((ws.close_code, ws.close_reason))

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.send("hello")
        await ws.close(code, "" if code == 1005 else "bye")
    assert ends == [(code, "" if code == 1005 else "bye")]


@in_loop
async def test_iteration_raises_at_any_other_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(1011, "broken")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed, match="closed 1011 by the peer: broken") as caught:
            await ws.__anext__()
        assert caught.value.close_info.received == (1011, "broken")


@in_loop
async def test_handler_that_returns() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("bye")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        assert [message async for message in ws] == ["bye"]
        assert ws.close_info == CloseInfo((1000, ""), (1000, ""), SERVER, "closed 1000 by the peer")


@in_loop
async def test_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        raise ValueError("my mistake")

    async with running(handler) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011
    (record,) = [record for record in caplog.records if record.name == "wsproto_lite"]
    assert record.levelno == logging.ERROR
    assert "my mistake" in str(record.exc_text)


@in_loop
async def test_handler_that_finds_another_connection_closed(caplog: pytest.LogCaptureFixture) -> None:
    """ConnectionClosed is no failure of a handler if it is about its own connection."""

    async def handler(ws: WebSocket) -> None:
        raise ConnectionClosed("another", CloseInfo())

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.wait_closed()
        assert ws.close_code == 1011
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["wsproto_lite"]


@in_loop
async def test_handler_that_finds_its_connection_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()

    async with running(handler) as server, connect(uri_of(server)) as ws:
        await ws.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_loop
async def test_bad_close_code() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        with pytest.raises(LocalProtocolError, match="close code 1006 may not be sent"):
            await ws.close(1006)
        await ws.send("still open")
        assert await ws.recv() == "still open"


@in_loop
async def test_exception_in_the_body_of_a_client() -> None:
    codes = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        codes.append(ws.close_code)

    async with running(handler) as server:
        with pytest.raises(ValueError, match="mine"):
            async with connect(uri_of(server)):
                raise ValueError("mine")
        with pytest.raises(asyncio.CancelledError):
            async with connect(uri_of(server)):
                raise asyncio.CancelledError
    assert codes == [1011, 1001]


@in_loop
async def test_a_websocket_closes_itself() -> None:
    async with running() as server:
        async with await connect(uri_of(server)) as ws:
            pass
        assert ws.close_code == 1000


@in_loop
async def test_messages_under_way_when_we_close() -> None:
    """They can still be received, as many as the queue holds; there is nobody who must take them."""
    go = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await go.wait()
        for number in range(100):
            await ws.send(str(number))
        await ws.wait_closed()

    async with running(handler) as server, connect(uri_of(server), max_queue=10) as ws:
        closing = asyncio.ensure_future(ws.close())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionClosed, match="closing or closed"):
            await ws.send("too late")
        go.set()
        await closing
        assert [message async for message in ws] == [str(number) for number in range(10)]


@in_loop
async def test_answers_after_half_close() -> None:
    """A client that has no more to send may still want to read."""
    async with running() as server, peer_of(server) as peer:
        await peer.send(text("one"), text("two"))
        peer.writer.write_eof()
        assert await peer.read_to_end() == ["one", "two"]


# ---- failure ----


@in_loop
async def test_peer_reads_our_close_in_the_middle_of_its_upload() -> None:
    """Without a half-close and draining (section 7.1.1) this fails most of the time with a reset."""
    async with running() as server:
        for _ in range(REPEATS):
            async with peer_of(server) as peer:
                writing = asyncio.ensure_future(peer.send(BytesMessage(data=bytes(UPLOAD))))
                assert await peer.read_to_end() == [1009]
                await writing


@in_loop
async def test_websockets_client_reads_our_close_in_the_middle_of_its_upload() -> None:
    async with running() as server:
        for _ in range(REPEATS):
            ws = await websockets.connect(uri_of(server), compression=None)
            await asyncio.gather(ws.send(bytes(UPLOAD)), ws.wait_closed())
            assert ws.close_code == 1009


@in_loop
async def test_aiohttp_client_reads_our_close_in_the_middle_of_its_upload() -> None:
    async with running() as server, aiohttp.ClientSession() as session:
        for _ in range(REPEATS):
            async with session.ws_connect(uri_of(server)) as ws:
                _, closing = await asyncio.gather(ws.send_bytes(bytes(UPLOAD)), ws.receive())
                assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1009)


@in_loop
async def test_server_reads_the_close_of_a_client_in_the_middle_of_its_message() -> None:
    codes = []

    async def handler(ws: websockets.ServerConnection) -> None:
        await asyncio.gather(ws.send(bytes(UPLOAD)), ws.wait_closed())
        codes.append(ws.close_code)

    async with websockets.serve(handler, "127.0.0.1", 0, compression=None) as server:
        for _ in range(REPEATS):
            async with connect(uri_of(server)) as ws:
                with pytest.raises(ConnectionClosed):
                    await ws.recv()
                assert ws.close_code == 1009
                assert ws.close_info.initiator is CLIENT
    assert codes == [1009] * REPEATS


@in_loop
async def test_violation() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        assert [await ws.recv(), await ws.recv()] == ["one", "two"]
        with pytest.raises(ConnectionClosed, match="closed 1002 by us") as caught:
            await ws.recv()
        ends.append((ws.close_code, caught.value.close_info.received))

    async with running(handler) as server, peer_of(server) as peer:
        # An unmasked frame behind two good ones.
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        assert await peer.read_to_end() == [1002]
    assert ends == [(1002, None)]


@in_loop
async def test_reset() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed, match="closed 1006"):
            await ws.recv()
        with pytest.raises(ConnectionClosed):
            await ws.send("late")
        ends.append((ws.close_code, ws.close_info.initiator, ws.remote_address[0]))

    async with running(handler) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])
        peer.reset()
        while not ends:
            await asyncio.sleep(0)
    assert ends == [(1006, None, "127.0.0.1")]


@in_loop
async def test_lost_with_messages_still_compressed() -> None:
    """They are inflated as the handler takes them, and it may stop at any."""
    settings = Settings(extensions=(PerMessageDeflate(),))
    sizes = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        while ws.has_messages():
            sizes.append(len(await ws.recv()))

    async with running(handler, settings=settings) as server:
        # Over a socket that closes with a reset.
        sock = socket.create_connection(("127.0.0.1", port_of(server)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        async with connect(uri_of(server), settings=settings, sock=sock) as ws:
            for _ in range(10):
                await ws.send(bytes(1 << 20))
            while not any(connection.has_messages() for connection in server.connections):
                await asyncio.sleep(0)
            ws.abort()
    assert sizes
    assert set(sizes) == {1 << 20}


@in_loop
async def test_reset_noticed_when_half_closing() -> None:
    """Between our Close and our half-close the peer may be gone, and the transport has not told yet."""

    class Gone(asyncio.Transport):
        aborted = False

        def is_closing(self) -> bool:
            return self.aborted

        def can_write_eof(self) -> bool:
            return True

        def write(self, data: Any) -> None:
            assert data.startswith(b"HTTP/1.1 400 ")

        def write_eof(self) -> None:
            raise OSError(107, "Transport endpoint is not connected")

        def abort(self) -> None:
            self.aborted = True

    async with running() as server:
        service, options = Service(echo, (), (), None), Options(Settings(), Timeouts(None, None, None, None), None)
        ws, transport = ServerWebSocket(Server(service, None), options), Gone()
        ws.connection_made(transport)
        ws.feed(b"GET / HTTP/1.1\r\n\r\n")
        while not transport.aborted:
            await asyncio.sleep(0)
        ws.connection_lost(None)
    assert not server.connections


@in_loop
async def test_reset_while_a_send_waits() -> None:
    ends = []
    blocked = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed):
            while True:
                blocked.set()
                await ws.send(bytes(1 << 20))
        ends.append(ws.close_code)

    async with running(handler) as server, peer_of(server) as peer:
        await blocked.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        peer.reset()
        while not ends:
            await asyncio.sleep(0)


@in_loop
async def test_reset_behind_messages_that_wait() -> None:
    """The messages that came are not lost, but sending fails from now on."""
    lost, go = asyncio.Event(), asyncio.Event()
    received = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        with pytest.raises(ConnectionClosed):
            await ws.send("nobody reads")
        with pytest.raises(ConnectionClosed):
            async for message in ws:
                received.append(message)

    async with running(handler) as server, peer_of(server) as peer:
        # The violation is held back by the messages before it.
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        await peer.send(Ping(payload=b"all is read"))
        peer.reset()
        while len(received) < 2:
            await asyncio.sleep(0)
    assert received == ["one", "two"]


@pytest.mark.parametrize("taken", range(3))
@in_loop
async def test_handler_returns_when_the_connection_is_lost(taken: int) -> None:
    """Whether it has taken the messages that came before the end or not."""

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        for _ in range(taken):
            await ws.recv()

    async with running(handler) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("one")) + peer.wsproto.send(text("two")) + b"\x81\x01x")
        peer.reset()
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
    assert ws.close_code == 1002


# ---- silence ----


@in_loop
async def test_silence_after_a_ping() -> None:
    """A message that stalls in the middle is silence, too."""
    ends = []

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed, match="closed 1011 by us"):
            await ws.recv()
        ends.append(ws.close_code)

    async with running(handler, ping_interval=SHORT, ping_timeout=SHORT) as server, peer_of(server) as peer:
        await peer.write(peer.wsproto.send(text("cut in the middle"))[:-3])
        assert isinstance((await peer.read())[0], Ping)
        assert await peer.read_to_end() == [1011]
    assert ends == [1011]


@in_loop
async def test_pongs_keep_a_connection_open() -> None:
    async with (
        running(ping_interval=SHORT, ping_timeout=SHORT) as server,
        connect(uri_of(server), ping_interval=SHORT, ping_timeout=SHORT) as ws,
    ):
        assert ws.latency is None
        while ws.latency is None:
            await asyncio.sleep(SHORT)
        assert 0 < ws.latency < 10
        assert ws.state is State.OPEN


@pytest.mark.parametrize("ping_timeout", [SHORT, None], ids=["pings_checked", "pings_only"])
@in_loop
async def test_silence_of_our_own_making(ping_timeout: float | None) -> None:
    """While we don't read, Pongs can't be seen: that is no reason to give the connection up."""
    go = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await go.wait()
        await echo(ws)

    timeouts: dict[str, Any] = {"ping_interval": SHORT, "ping_timeout": ping_timeout}
    async with running(handler, max_queue=1, **timeouts) as server, peer_of(server) as peer:
        await peer.send(*[text(str(number)) for number in range(10)])
        for _ in range(4):
            await asyncio.sleep(SHORT)
        go.set()
        await peer.send(CloseConnection(code=1000))
        seen = [event for event in await peer.read_to_end() if not isinstance(event, (Ping, Pong))]
        assert seen == [*map(str, range(10)), 1000]


@in_loop
async def test_reading_pauses_without_timeouts() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("read me")
        await (await ws.ping())
        await echo(ws)

    timeouts: dict[str, Any] = {"ping_interval": None, "ping_timeout": None}
    async with running(handler, max_queue=1, **timeouts) as server, peer_of(server) as peer:
        messages = [text(str(number)) for number in range(10)]
        events = await peer.read()
        while not isinstance(events[-1], Ping):
            events += await peer.read()
        await peer.send(*messages, events[-1].response())
        await peer.send(CloseConnection(code=1000))
        assert (await peer.read_to_end())[-1] == 1000


@in_loop
async def test_peer_does_not_answer_our_close() -> None:
    async with running(lambda ws: ws.close(), close_timeout=SHORT) as server, peer_of(server) as peer:
        (closing,) = await peer.read()
        assert closing == CloseConnection(code=1000, reason="")
        assert await peer.reader.read() == b""


@in_loop
async def test_peer_answers_our_close_but_not_the_end_of_the_stream() -> None:
    ends = []

    async def handler(ws: WebSocket) -> None:
        await ws.close()
        ends.append((ws.close_code, ws.conn.should_close))

    async with running(handler, close_timeout=SHORT) as server, peer_of(server) as peer:
        (closing,) = await peer.read()
        await peer.send(closing.response())
        assert await peer.reader.read() == b""
        while not ends:
            await asyncio.sleep(0)
    assert ends == [(1000, True)]


@in_loop
async def test_peer_that_closes_but_does_not_read() -> None:
    """What is not written by the close deadline is thrown away."""

    async def handler(ws: WebSocket) -> None:
        sending = [asyncio.ensure_future(ws.send(bytes(1 << 20))) for _ in range(100)]
        for _ in range(100):
            await asyncio.sleep(0)
        for task in sending:
            task.cancel()

    async with running(handler, close_timeout=SHORT) as server, peer_of(server, limit=1 << 10) as peer:
        peer.writer.write_eof()
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
        await ws.wait_closed()
        assert ws.close_code == 1006


@in_loop
async def test_server_that_never_closes() -> None:
    """A client waits for the server to close TCP, but not for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conn = _server_side(await reader.readuntil(b"\r\n\r\n"), writer)
        while data := await reader.read(1 << 16):
            conn.receive_data(data)
            conn.receive_data(b"")
            writer.write(conn.data_to_send())
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        async with connect(uri_of(listener), close_timeout=SHORT) as ws:  # type: ignore[arg-type]  # it has sockets
            pass
        assert (ws.close_code, ws.close_info.sent, ws.close_info.received) == (1000, (1000, ""), (1000, ""))


def _server_side(request: bytes, writer: asyncio.StreamWriter) -> Any:
    from wsproto_lite import AcceptConnection, Connection

    conn = Connection(SERVER)
    conn.receive_data(request)
    writer.write(conn.send(AcceptConnection()))
    return conn


@in_loop
async def test_no_close_timeout() -> None:
    async with running(close_timeout=None) as server, connect(uri_of(server), close_timeout=None) as ws:
        await ws.close()
        assert ws.close_code == 1000


# ---- cancellation ----


@in_loop
async def test_cancelled_close_goes_on() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        closing = asyncio.ensure_future(ws.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await ws.wait_closed()
        assert ws.close_code == 1000


@in_loop
async def test_cancelled_exit_cuts_the_connection() -> None:
    async with running(hang, close_timeout=SHORT) as server:

        async def use() -> None:
            async with connect(uri_of(server), close_timeout=None):
                pass

        using = asyncio.ensure_future(use())
        while not server.connections:
            await asyncio.sleep(0)
        (ws,) = server.connections
        while ws.state is not State.CLOSED:
            await asyncio.sleep(0)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using


# ---- Pings ----


@in_loop
async def test_ping() -> None:
    async with running() as server, connect(uri_of(server)) as ws:
        assert 0 < await (await ws.ping()) < 10
        answered = await ws.ping(b"mine")
        with pytest.raises(LocalProtocolError, match="on its way already"):
            await ws.ping(b"mine")
        assert 0 < await answered < 10
        await ws.pong(b"nobody asked")


@in_loop
async def test_pong_answers_earlier_pings() -> None:
    """Section 5.5.3: a Pong may be sent for the latest Ping alone."""

    async def handler(ws: WebSocket) -> None:
        first, second, third, fourth, fifth = [await ws.ping(bytes([number])) for number in range(5)]
        for cancelled in (second, fifth):
            assert isinstance(cancelled, asyncio.Future)
            cancelled.cancel()
        assert await third < 10
        assert await first >= 0
        with pytest.raises(ConnectionClosed):
            await fourth

    async with running(handler) as server, peer_of(server) as peer:
        pings = await peer.read()
        while len(pings) < 5:
            pings += await peer.read()
        await peer.send(Pong(payload=b"unknown"), pings[2].response())
        await peer.send(CloseConnection(code=1000))
        assert await peer.read_to_end() == [1000]


@in_loop
async def test_pings_that_nobody_awaits_end_in_silence() -> None:
    async with running(hang, close_timeout=SHORT) as server, connect(uri_of(server)) as ws:
        answered = await ws.ping()
        cancelled = await ws.ping()
        assert isinstance(cancelled, asyncio.Future)
        cancelled.cancel()
        del answered


@in_loop
async def test_limits_are_the_settings() -> None:
    settings = Settings(max_message_size=10)
    async with running(settings=settings) as server, connect(uri_of(server)) as ws:
        await ws.send("x" * 11)
        with pytest.raises(ConnectionClosed, match="closed 1009 by the peer"):
            await ws.recv()
