"""Cancelling the asyncio client's connect, at whichever turn of the loop: it ends cancelled, and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest
from asyncio_helpers import in_loop, running, uri_of

from wsproto_lite import RemoteProtocolError
from wsproto_lite.adapters.asyncio import connect

TURNS = range(61)
"""More than connecting takes."""

timeouts = pytest.mark.parametrize("open_timeout", [10.0, None], ids=["timeout", "no_timeout"])


async def stay(uri: str, **kwargs: Any) -> None:
    async with connect(uri, **kwargs):
        await asyncio.Event().wait()


async def turn(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@timeouts
@pytest.mark.parametrize("again", [None, 0, 1, 2, 3], ids=lambda again: f"again_after_{again}")
@in_loop
async def test_connect_cancelled(open_timeout: float | None, again: int | None) -> None:
    """Cancellation is never swallowed. A second one doesn't keep the first from cleaning up."""
    async with running() as server:
        for turns in TURNS:
            task = asyncio.ensure_future(stay(uri_of(server), open_timeout=open_timeout))
            await turn(turns)
            assert task.cancel()
            if again is not None:
                await turn(again)
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        while server.connections:
            await asyncio.sleep(0)


@timeouts
@in_loop
async def test_failing_connect_cancelled(open_timeout: float | None) -> None:
    """Whichever comes first, nothing is logged of the other."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()

    async with running() as server:
        refused = uri_of(server)
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        for uri, kwargs in ((refused, {}), (uri_of(listener), {}), (refused, {"path": "/nowhere/at/all"})):
            outcomes = set()
            for turns in TURNS:
                task = asyncio.ensure_future(stay(uri, open_timeout=open_timeout, **kwargs))
                await turn(turns)
                is_cancelled = task.cancel()
                await asyncio.wait([task])
                assert task.cancelled() == is_cancelled
                if not is_cancelled:
                    outcomes.add(type(task.exception()))
            assert outcomes in ({ConnectionRefusedError}, {RemoteProtocolError}, {FileNotFoundError})
    gc.collect()  # a task whose exception nobody has seen tells the loop
