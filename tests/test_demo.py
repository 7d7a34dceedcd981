"""The demo server: an echo to any client, a page to a browser, and to the page what goes over the wire."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from asyncio_helpers import Peer, in_loop, peer_of, port_of
from wsproto.events import AcceptConnection, Request

from wsproto_lite import ConnectionClosed, PerMessageDeflate, Settings, demo
from wsproto_lite.adapters.asyncio import Server, WebSocket, connect

NAME = "a-name"

OLD_UPGRADE = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"


def uri_of(server: Server, target: str) -> str:
    return f"ws://127.0.0.1:{port_of(server)}{target}"


def watch(server: Server, name: str = NAME) -> connect:
    return connect(uri_of(server, f"/watch?{name}"), subprotocols=[demo.SUBPROTOCOL])


async def next_report(page: WebSocket) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(await page.recv())
    return report


async def get(server: Server, request: bytes) -> tuple[bytes, bytes]:
    """Send a request; return head and body of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(request + b"Host: localhost\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head, body


@in_loop
async def test_echo_to_any_client() -> None:
    async with demo.listen("127.0.0.1", 0) as server, connect(uri_of(server, "/chat?x")) as ws:
        for message in ("text", b"bytes", "x" * (1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(bytes((1 << 20) + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            await ws.recv()


@in_loop
async def test_compression() -> None:
    settings = Settings(extensions=(PerMessageDeflate(),))
    async with demo.listen("127.0.0.1", 0) as server, connect(uri_of(server, "/"), settings=settings) as ws:
        assert len(ws.conn.extensions) == 1


@in_loop
async def test_page() -> None:
    """It comes whole, with nothing to load from elsewhere, and none of its answers keeps a connection open."""
    async with demo.listen("127.0.0.1", 0) as server:
        head, body = await get(server, b"GET / HTTP/1.1\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n")
        assert b"\r\nConnection: close\r\n" in head
        assert body.startswith(b"<!doctype html>")
        assert b"src=" not in body
        assert b"http://" not in body
        assert b"https://" not in body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"HEAD / HTTP/1.1\r\n", b"200 OK"),
        (b"GET /?query HTTP/1.1\r\n", b"200 OK"),
        (b"GET /favicon.ico HTTP/1.1\r\n", b"204 No Content"),
        (b"GET /other HTTP/1.1\r\n", b"404 Not Found"),
        (b"POST / HTTP/1.1\r\n", b"405 Method Not Allowed"),
        (OLD_UPGRADE, b"426 Upgrade Required"),
    ],
    ids=["head", "query", "icon", "elsewhere", "post", "upgrade_of_another_version"],
)
@in_loop
async def test_http(request_bytes: bytes, status: bytes) -> None:
    async with demo.listen("127.0.0.1", 0) as server:
        head, _ = await get(server, request_bytes)
        assert head.startswith(b"HTTP/1.1 " + status)


# ---- reports ----


@in_loop
async def test_reports() -> None:
    """Every frame of the connection of that name, both ways, from the first to the Closes."""
    async with demo.listen("127.0.0.1", 0) as server, watch(server) as page:
        assert page.subprotocol == demo.SUBPROTOCOL
        async with connect(uri_of(server, f"/?{NAME}")) as ws, connect(uri_of(server, "/?other")) as other:
            await other.send("not watched")
            await ws.send("Hello")
            received, sent = await next_report(page), await next_report(page)
        closes = await next_report(page), await next_report(page)
    assert received.pop("mask") is not None
    assert len(received.pop("payload")) == 10
    bits = {"fin": 1, "rsv1": 0, "rsv2": 0, "rsv3": 0, "opcode": 1, "length": 5}
    assert received == {"sender": "client", "header": "8185", **bits}
    assert sent == {"sender": "server", "header": "8105", "mask": None, "payload": b"Hello".hex(), **bits}
    assert [(report["sender"], report["opcode"]) for report in closes] == [("client", 8), ("server", 8)]
    assert closes[1]["payload"] == "03e8"


@pytest.mark.parametrize("name", ["", NAME], ids=["none", "taken"])
@in_loop
async def test_bad_name(name: str) -> None:
    async with demo.listen("127.0.0.1", 0) as server, watch(server), watch(server, name) as page:
        with pytest.raises(ConnectionClosed, match="1008"):
            await page.recv()


@in_loop
async def test_name_is_free_again() -> None:
    async with demo.listen("127.0.0.1", 0) as server:
        for _ in range(2):
            async with watch(server) as page:
                await page.send("said in vain")
        assert demo.watchers == {}


async def open_watched(server: Server, peer: Peer) -> None:
    await peer.send(Request(host="localhost", target=f"/?{NAME}"))
    assert isinstance((await peer.read())[0], AcceptConnection)


@in_loop
async def test_reports_end_where_frames_cant_be_told_apart() -> None:
    async with (
        demo.listen("127.0.0.1", 0) as server,
        watch(server) as page,
        peer_of(server, opened=False) as peer,
    ):
        await open_watched(server, peer)
        await peer.write(b"\x82" + b"\xff" * 13)
        assert await peer.read_to_end() == [1002]
        await page.close()
        with pytest.raises(ConnectionClosed):
            await page.recv()


@in_loop
async def test_reports_end_when_the_page_cant_keep_up() -> None:
    async with (
        demo.listen("127.0.0.1", 0) as server,
        watch(server) as page,
        peer_of(server, opened=False) as peer,
    ):
        await open_watched(server, peer)
        number = demo.MAX_REPORTS + 1
        pings = b"\x89\x80\0\0\0\0" * number
        await peer.write(pings + b"\x88\x80\0\0\0\0")
        await peer.read_to_end()
        for _ in range(demo.MAX_REPORTS):
            assert (await next_report(page))["opcode"] == 9
        await page.close()
        with pytest.raises(ConnectionClosed):
            await page.recv()


# ---- its life ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@in_loop
async def test_signal(number: int) -> None:
    """It ends in good order, and its clients hear of that."""
    clients = []

    async def client(url: str) -> None:
        async with connect(url.replace("http", "ws")) as ws:
            os.kill(os.getpid(), number)
            await ws.wait_closed()
            assert ws.close_code == 1001

    await demo.run("127.0.0.1", 0, lambda url: clients.append(asyncio.ensure_future(client(url))))
    await clients[0]


@in_loop
async def test_url_of_ipv6() -> None:
    try:
        server = await demo.listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        assert demo.url_of(server) == f"http://[::1]:{port_of(server)}/"
