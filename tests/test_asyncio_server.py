"""The asyncio server: the opening handshake, plain HTTP, and how it listens."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from asyncio_helpers import SHORT, Peer, echo, handshake, in_loop, peer_of, port_of, running, uri_of

from wsproto_lite import LocalProtocolError, RejectConnection, Settings
from wsproto_lite.adapters.asyncio import HandshakeRejected, WebSocket, connect, serve
from wsproto_lite.http11 import RequestHead

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def http(peer: Peer, request: bytes) -> bytes:
    """Send a request and return the whole response."""
    await peer.write(request)
    return await peer.reader.read()


@pytest.mark.parametrize(
    ("supported", "offered", "expected"),
    [
        ([], ["a"], None),
        (["a"], [], None),
        (["a", "b"], ["b", "a"], "a"),
        (["a"], ["b"], None),
    ],
    ids=["none_supported", "none_offered", "servers_choice", "none_in_common"],
)
@in_loop
async def test_subprotocols(supported: list[str], offered: list[str], expected: str | None) -> None:
    chosen = []

    async def handler(ws: WebSocket) -> None:
        chosen.append(ws.subprotocol)

    async with running(handler, subprotocols=supported) as server, connect(uri_of(server), subprotocols=offered) as ws:
        assert ws.subprotocol == expected
    assert chosen == [expected]


@in_loop
async def test_what_a_handler_sees() -> None:
    seen: dict[str, Any] = {}

    async def handler(ws: WebSocket) -> None:
        assert ws.request is not None
        seen.update(target=ws.request.target, origin=ws.request.origin, remote=ws.remote_address)
        seen["header"] = dict(ws.request.extra_headers)[b"x-mine"]

    async with running(handler, additional_headers=[("X-Server", "yes")]) as server:
        headers = [("X-Mine", "1")]
        async with connect(uri_of(server, "/a?b=c"), origin="http://here", additional_headers=headers) as ws:
            assert ws.response is not None
            assert dict(ws.response.headers)[b"x-server"] == b"yes"
            assert ws.remote_address == ("127.0.0.1", port_of(server))
            seen_from_client = ws.local_address
    assert seen == {"target": "/a?b=c", "origin": "http://here", "remote": seen_from_client, "header": b"1"}


@in_loop
async def test_settings_refuse() -> None:
    async with running(settings=Settings(allowed_origins=["http://here"])) as server:
        with pytest.raises(HandshakeRejected) as caught:
            await connect(uri_of(server), origin="http://there")
        assert caught.value.status_code == 403


@in_loop
async def test_unsendable_header_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async with running(additional_headers=[("Connection", "close")]) as server, peer_of(server, opened=False) as peer:
        await peer.write(handshake())
        assert await peer.reader.read() == b""
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["wsproto_lite"]


@in_loop
async def test_early_data() -> None:
    """Frames that come with the request, though a client should wait for the response."""
    async with running() as server, peer_of(server, opened=False) as peer:
        await peer.write(handshake() + bytes.fromhex("81 85 37fa213d 7f9f4d5158"))
        response = await peer.reader.readuntil(b"\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 101 ")
        assert await peer.reader.readexactly(7) == b"\x81\x05Hello"
        peer.writer.write_eof()


@in_loop
async def test_too_much_early_data() -> None:
    asked = []
    go = asyncio.Event()

    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        asked.append(head.target)
        await go.wait()

    async with running(process_request=process_request) as server, peer_of(server, opened=False) as peer:
        await peer.write(handshake() + bytes(20_000))
        assert (await peer.reader.read(12)) == b"HTTP/1.1 400"
        go.set()
    assert asked == ["/"], "once, not for the refusal as well"


@pytest.mark.parametrize("request_bytes", [b"", handshake()[:-2]], ids=["nothing", "half_a_request"])
@in_loop
async def test_open_timeout(request_bytes: bytes) -> None:
    async with running(open_timeout=SHORT) as server, peer_of(server, opened=False) as peer:
        await peer.write(request_bytes)
        assert await peer.reader.read() == b""


@pytest.mark.parametrize("request_bytes", [b"", handshake()[:-2]], ids=["nothing", "half_a_request"])
@in_loop
async def test_client_leaves_during_the_handshake(request_bytes: bytes) -> None:
    async with running() as server, peer_of(server, opened=False) as peer:
        await peer.write(request_bytes)
        while not server.connections:
            await asyncio.sleep(0)
        peer.writer.write_eof()
        while server.connections:
            await asyncio.sleep(0)


# ---- plain HTTP ----


@in_loop
async def test_plain_http_is_refused() -> None:
    async with running() as server, peer_of(server, opened=False) as peer:
        assert (await http(peer, GET % b"/")).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (GET % b"/page", b"HTTP/1.1 200 "),
        (GET % b"/other", b"HTTP/1.1 400 "),
        (b"POST /other HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 405 "),
        (GET % b"/broken", b"HTTP/1.1 500 "),
        (GET % b"/unsendable", b"HTTP/1.1 500 "),
        (b"\x16\x03\x01 is no HTTP", b"HTTP/1.1 400 "),
    ],
    ids=["answered", "left_alone", "left_alone_by_method", "hook_raises", "hook_answers_nonsense", "no_http"],
)
@pytest.mark.parametrize("waits", [False, True], ids=["function", "coroutine"])
@in_loop
async def test_process_request(waits: bool, request_bytes: bytes, expected: bytes) -> None:
    def answer(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
        assert ws.remote_address[0] == "127.0.0.1"
        if head.target == "/broken":
            raise ValueError("broken")
        if head.target == "/unsendable":
            return RejectConnection(101)
        return RejectConnection(200, body=b"a page") if head.target == "/page" else None

    async def answer_later(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
        for _ in range(5):
            await asyncio.sleep(0)
        return answer(ws, head)

    hook = answer_later if waits else answer
    async with running(process_request=hook) as server, peer_of(server, opened=False) as peer:
        response = await http(peer, request_bytes)
        assert response.startswith(expected)
        assert response.endswith(b"a page") == (expected == b"HTTP/1.1 200 ")


@in_loop
async def test_process_request_refuses_an_upgrade() -> None:
    def process_request(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
        allowed = dict(head.headers).get(b"authorization") == b"Bearer right"
        return None if allowed else RejectConnection(401, [("WWW-Authenticate", "Bearer")], b"who are you?")

    async with running(process_request=process_request) as server:
        with pytest.raises(HandshakeRejected, match="HTTP 401") as caught:
            await connect(uri_of(server))
        assert caught.value.status_code == 401
        assert dict(caught.value.headers)[b"www-authenticate"] == b"Bearer"
        assert caught.value.body == b"who are you?"
        async with connect(uri_of(server), additional_headers=[("Authorization", "Bearer right")]) as ws:
            await ws.send("in")
            assert await ws.recv() == "in"


@in_loop
async def test_client_leaves_while_process_request_waits() -> None:
    go = asyncio.Event()

    async def process_request(ws: WebSocket, head: RequestHead) -> RejectConnection:
        await go.wait()
        return RejectConnection(200)

    for request_bytes in (handshake(), GET % b"/"):
        async with running(process_request=process_request) as server, peer_of(server, opened=False) as peer:
            await peer.write(request_bytes)
            while not server.connections:
                await asyncio.sleep(0)
            peer.reset()
            while server.connections:
                await asyncio.sleep(0)
            go.set()


@in_loop
async def test_process_request_takes_too_long() -> None:
    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        await asyncio.Event().wait()

    kwargs: dict[str, Any] = {"open_timeout": SHORT, "close_timeout": SHORT, "process_request": process_request}
    for request_bytes in (handshake(), GET % b"/"):
        async with running(**kwargs) as server, peer_of(server, opened=False) as peer:
            assert await http(peer, request_bytes) == b""


@in_loop
async def test_process_request_closes() -> None:
    async def process_request(ws: WebSocket, head: RequestHead) -> None:
        await ws.close()

    async with running(process_request=process_request) as server, peer_of(server, opened=False) as peer:
        await peer.write(handshake())
        assert await peer.is_cut_off()


# ---- listening ----


@in_loop
async def test_serve_can_be_awaited() -> None:
    async with await serve(echo, "127.0.0.1", 0) as server, connect(uri_of(server)) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"
    assert list(server.sockets) == []


@in_loop
async def test_existing_sockets() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    async with serve(echo, sock=listener), connect("ws://example.org/", sock=client) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@in_loop
async def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with serve(echo, path=path), connect("ws://localhost/", path=path) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@in_loop
async def test_port_in_use() -> None:
    async with running() as server:
        with pytest.raises(OSError, match="in use"):
            await serve(echo, "127.0.0.1", port_of(server))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"settings": Settings(delivery="frame")}, "use the core"),
        ({"settings": Settings(auto_reply=False)}, "use the core"),
        ({"max_queue": 0}, "max_queue is 0"),
        ({"close_timeout": -1}, "close_timeout is -1"),
    ],
    ids=["delivery", "auto_reply", "max_queue", "timeout"],
)
def test_arguments_that_make_no_sense(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        serve(echo, **kwargs)
    with pytest.raises(LocalProtocolError, match=message):
        connect("ws://localhost/", **kwargs)
