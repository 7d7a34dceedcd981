"""The uvicorn adapter as its users have it: uvicorn from the command line, with Starlette and FastAPI applications."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator

import pytest
import websockets
from asyncio_helpers import in_loop
from missing import needed_module
from uvicorn_processes import Served, uvicorn

from wsproto_lite.adapters.asyncio import HandshakeRejected, WebSocket, connect

LOOPS = ["asyncio", "uvloop"]
PARSERS = ["h11", "httptools"]


@pytest.fixture(scope="module", params=list(zip(LOOPS, PARSERS)), ids=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    loop, parser = request.param
    if loop != "asyncio":
        needed_module(loop)
        needed_module(parser)
    with uvicorn("uvicorn_apps:app", "--loop", loop, "--http", parser, "--root-path", "/api") as it:
        yield it
        log = it.stop()
        assert "Traceback" not in log
        assert "Warning" not in log
        assert '- "WebSocket /api/scope?a=%20b" [accepted]' in log
        assert '- "WebSocket /api/denied" 401' in log
        assert '- "WebSocket /api/forbidden" 403' in log
        assert "Finished server process" in log


@in_loop
async def test_echo(server: Served) -> None:
    async with connect(server.uri + "echo", subprotocols=["v1"]) as ws:
        assert ws.subprotocol == "v1"
        for message in ("hé", b"\xff", "", "x" * (1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message


@in_loop
async def test_scope(server: Served) -> None:
    async with connect(server.uri + "scope?a=%20b") as ws:
        scope = json.loads(await ws.recv())
        host, port = ws.local_address
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (3000, "that is all")
    assert scope == {
        "root_path": "/api",
        "path": "/api/scope",
        "query": " b",
        "client": [host, port],
        "greeting": "hello from the lifespan",
    }


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [("denied", 401, b"not you"), ("forbidden", 403, b""), ("refused", 429, b"later"), ("unknown", 403, b"")],
)
@in_loop
async def test_refusals(server: Served, target: str, status: int, body: bytes) -> None:
    with pytest.raises(HandshakeRejected) as caught:
        await connect(server.uri + target)
    rejected = caught.value
    assert (rejected.status_code, rejected.body) == (status, body)
    if target == "denied":
        assert (b"www-authenticate", b"Basic") in list(rejected.headers)


@in_loop
async def test_disconnects_and_plain_http(server: Served) -> None:
    """Another client than ours; and HTTP is served beside it, as ever."""
    async with websockets.connect(server.uri + "echo") as other:
        await other.send("x" * 1000)
        assert await other.recv() == "x" * 1000
        await other.close(4001, "bye")
    loop = asyncio.get_running_loop()
    assert [4001, "bye"] in json.loads(await loop.run_in_executor(None, get, server.uri + "http"))


def get(uri: str) -> bytes:
    with urllib.request.urlopen(uri.replace("ws:", "http:")) as response:
        body: bytes = response.read()
    return body


@in_loop
async def test_fastapi() -> None:
    needed_module("fastapi")
    with uvicorn("uvicorn_apps:make_fastapi", "--factory") as it:
        async with connect(it.uri + "items/7?token=secret") as ws:
            await ws.send('{"a": 1}')
            assert json.loads(await ws.recv()) == {"number": 7, "token": "secret", "item": {"a": 1}}
        for target in ("items/7?token=wrong", "items/x?token=secret"):
            with pytest.raises(HandshakeRejected) as caught:
                await connect(it.uri + target)
            assert caught.value.status_code == 403
        async with connect(it.uri + "fails") as ws:
            await ws.wait_closed()
            assert (ws.close_code, ws.close_reason) == (1008, "not any more")
        assert "Traceback" not in it.stop()


@in_loop
async def test_options_of_the_command_line() -> None:
    options = ["--ws-max-size", "10", "--ws-ping-interval", "0.01", "--ws-per-message-deflate", "false"]
    with uvicorn("uvicorn_apps:app", *options) as it:
        async with websockets.connect(it.uri + "echo", ping_interval=None) as ws:
            assert ws.protocol.extensions == []
            await ws.send("0123456789")
            assert await ws.recv() == "0123456789"
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.gather(ws.send("0123456789x"), ws.recv())
            assert ws.close_code == 1009
        assert "Traceback" not in it.stop()


@in_loop
async def test_shutdown() -> None:
    """On a signal every connection gets 1012, and the process ends when they have ended."""
    with uvicorn("uvicorn_apps:app", "--timeout-graceful-shutdown", "5") as it:
        connections: list[WebSocket] = [await connect(it.uri + "echo") for _ in range(10)]
        stopping = asyncio.get_running_loop().run_in_executor(None, it.stop)
        for ws in connections:
            await ws.wait_closed()
        assert [ws.close_code for ws in connections] == [1012] * 10
        log = await stopping
    assert it.process.returncode in (0, -15)  # uvicorn raises the signal again when it is done
    assert "Finished server process" in log
    assert "Traceback" not in log
