"""The code of docs/recipes.md, run as it stands there."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import pytest
import trio
from adapter_peers import Peer, server_that
from adapter_subjects import SUBJECTS
from asyncio_helpers import in_loop, running, uri_of
from patience import PATIENCE

from wsproto_lite import RejectConnection
from wsproto_lite.adapters.asyncio import HandshakeRejected, WebSocket
from wsproto_lite.http11 import RequestHead

RECIPES = Path(__file__).parent.parent / "docs" / "recipes.md"

BLOCKS = re.findall(r"```python\n(.*?)```", RECIPES.read_text(encoding="utf-8"), re.DOTALL)


def recipe(number: int) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(BLOCKS[number], f"{RECIPES}, block {number}", "exec"), namespace)
    return namespace


def test_number_of_recipes() -> None:
    assert len(BLOCKS) == 4


# ---- through a proxy ----

RUNS: dict[str, Callable[..., Any]] = {
    "asyncio": lambda talk, *arguments: asyncio.run(talk(*arguments)),
    "trio": lambda talk, *arguments: trio.run(talk, *arguments),
    "threads": lambda talk, *arguments: talk(*arguments),
}


def pump(source: socket.socket, sink: socket.socket) -> None:
    while data := source.recv(1 << 16):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def tunnel(peer: Peer) -> None:
    """Do what a proxy does, for one connection."""
    head = peer.sock.recv(1 << 16).decode()
    host, _, port = head.split()[1].partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as server:
        peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(server, peer.sock))
        back.start()
        pump(peer.sock, server)
        back.join(PATIENCE)


def refuse(peer: Peer) -> None:
    peer.sock.recv(1 << 16)
    peer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")


def hang_up(peer: Peer) -> None:
    peer.sock.recv(1 << 16)


@contextmanager
def proxy_that(behaves: Callable[[Peer], None]) -> Iterator[tuple[str, int]]:
    with server_that(behaves) as uri:
        host, _, port = uri[len("ws://") : -1].partition(":")
        yield host, int(port)


@pytest.mark.parametrize("number", range(3), ids=RUNS)
def test_proxy(number: int) -> None:
    run = list(RUNS.values())[number]
    talk = recipe(number)["talk"]
    with SUBJECTS["threads"].serving() as server:
        with proxy_that(tunnel) as proxy:
            assert run(talk, proxy, "127.0.0.1", server.port) == "hello"
        for behaves in (refuse, hang_up):
            with proxy_that(behaves) as proxy, pytest.raises(OSError, match="the proxy refused"):
                run(talk, proxy, "127.0.0.1", server.port)


# ---- redirects ----

LOCATIONS = {"/relative": "/echo", "/twice": "/relative", "/away": "http://example.org/", "/again": "/again"}


def redirect(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
    if head.target == "/full":
        location = f"http://127.0.0.1:{ws.local_address[1]}/echo"
    elif head.target in LOCATIONS:
        location = LOCATIONS[head.target]
    else:
        return None if head.target == "/echo" else RejectConnection(302 if head.target == "/nowhere" else 404)
    return RejectConnection(302, [("Location", location)])


@pytest.mark.parametrize("target", ["/echo", "/relative", "/twice", "/full"])
@in_loop
async def test_redirect_is_followed(target: str) -> None:
    connect_following = recipe(3)["connect_following"]
    async with running(process_request=redirect) as server, await connect_following(uri_of(server, target)) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@pytest.mark.parametrize(("target", "status"), [("/away", 302), ("/again", 302), ("/nowhere", 302), ("/none", 404)])
@in_loop
async def test_redirect_is_not_followed(target: str, status: int) -> None:
    """To another server, for ever, or without a place to go to."""
    connect_following = recipe(3)["connect_following"]
    async with running(process_request=redirect) as server:
        with pytest.raises(HandshakeRejected) as caught:
            await connect_following(uri_of(server, target))
        assert caught.value.status_code == status
