"""The examples that need uvicorn, run as they are; one of them needs Redis, too."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import websockets
from asyncio_helpers import in_loop
from missing import needed_program
from processes import program
from uvicorn_processes import Served, served

from wsproto_lite.adapters.asyncio import WebSocket, connect

EXAMPLES = Path(__file__).parent.parent / "examples"


@in_loop
async def test_uvicorn_starlette() -> None:
    with program(str(EXAMPLES / "uvicorn_starlette.py"), "0") as (process, uri):
        async with connect(uri) as ws:
            for message in ("hello", b"bytes", "", "x" * (1 << 20)):
                await ws.send(message)
                assert await ws.recv() == message
        async with websockets.connect(uri) as other:
            await other.send("hello")
            assert await other.recv() == "hello"
        process.terminate()
        assert process.communicate()[1] == ""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """Run a Redis of our own, on a Unix socket, without files."""
    path = tmp_path / "redis"
    command = [needed_program("redis-server"), "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            # The wording differs between versions.
            assert any("ready to accept connections" in line.lower() for line in process.stdout)
            yield f"unix://{path}"
        finally:
            process.kill()


@pytest.fixture
def chat(redis: str) -> Iterator[Served]:
    environment = {**os.environ, "REDIS_URL": redis}
    with served(str(EXAMPLES / "redis_chat.py"), "0", env=environment, workers=2) as it:
        yield it
        log = it.stop()
        assert "Traceback" not in log
        assert "Exception" not in log


@in_loop
async def test_redis_chat(chat: Served) -> None:
    """What one says reaches the clients of all processes, once and in order."""
    async with AsyncExitStack() as stack:
        clients: list[WebSocket] = []
        processes = set()
        while len(processes) < 2 or len(clients) < 6:
            client = await stack.enter_async_context(connect(chat.uri))
            assert client.response is not None
            processes.add(dict(client.response.headers)[b"x-process"])
            clients.append(client)
        for number, client in enumerate(clients):
            await client.send(f"hello from {number}")
            # Others may be read later, but before the next is said this one has come back.
            assert await client.recv() == f"hello from {number}"
            others = [other.recv() for other in clients if other is not client]
            assert set(await asyncio.gather(*others)) == {f"hello from {number}"}
