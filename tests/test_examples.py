"""The examples, run as they are, against this library's client and others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets
from asyncio_helpers import UPLOAD, in_loop
from processes import program

from wsproto_lite.adapters.asyncio import connect

EXAMPLES = Path(__file__).parent.parent / "examples"

REPEATS = 20


ECHO_SERVERS = ["asyncio_echo", "threads_echo", "trio_echo", "bare_threads_echo", "bare_trio_echo"]


@contextmanager
def example(name: str) -> Iterator[str]:
    """Run an example on any free port. Gives its URI; it must not complain."""
    with program(str(EXAMPLES / f"{name}.py"), "0") as (process, uri):
        yield uri
        process.terminate()
        assert process.communicate()[1] == ""


@pytest.fixture(scope="module", params=ECHO_SERVERS)
def uri(request: pytest.FixtureRequest) -> Iterator[str]:
    with example(request.param) as uri:
        yield uri


@in_loop
async def test_echo(uri: str) -> None:
    async with connect(uri) as ws:
        for message in ("hello", b"bytes", "", "x" * (1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message
        assert await (await ws.ping()) < 10
    assert ws.close_info.received == (1000, "")


@in_loop
async def test_many_clients(uri: str) -> None:
    async def talk(number: int) -> None:
        async with websockets.connect(uri) as ws:
            await ws.send(str(number))
            assert await ws.recv() == str(number)

    await asyncio.gather(*[talk(number) for number in range(20)])


@in_loop
async def test_close_is_read_in_the_middle_of_an_upload(uri: str) -> None:
    for _ in range(REPEATS):
        ws = await websockets.connect(uri, compression=None)
        await asyncio.gather(ws.send(bytes(UPLOAD)), ws.wait_closed())
        assert ws.close_code == 1009


@in_loop
async def test_plain_http_is_refused(uri: str) -> None:
    host, _, port = uri[len("ws://") : -1].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()


def test_client() -> None:
    with example("asyncio_echo") as uri:
        command = [sys.executable, str(EXAMPLES / "asyncio_client.py"), uri, "hello", "world"]
        assert subprocess.check_output(command, text=True) == "hello\nworld\n"


@in_loop
async def test_chat() -> None:
    """What one says all read, whoever comes and goes."""
    with example("asyncio_chat") as uri:
        async with connect(f"{uri}?name=Ada") as ada:
            assert await ada.recv() == "Ada joins"
            async with connect(uri) as other:
                assert await ada.recv() == await other.recv() == "somebody joins"
                await other.send("hello")
                await ada.send(b"bytes")
                assert {await ada.recv(), await ada.recv()} == {"somebody: hello", "Ada: b'bytes'"}
                lost = await connect(f"{uri}?name=Eve")
                assert await ada.recv() == "Eve joins"
                lost.abort()
                assert await ada.recv() == "Eve leaves"
            assert await ada.recv() == "somebody leaves"
