"""Clients and servers of other makes, with ours at the other end. tests/peers/README.md says what they do."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncio_helpers import in_loop, running
from missing import missing, needed_program
from patience import PATIENCE

from wsproto_lite import PerMessageDeflate, Settings, TextMessage
from wsproto_lite.adapters.asyncio import WebSocket, connect

PEERS = Path(__file__).parent / "peers"
BUILD = PEERS.parent.parent / "build" / "peers"

SETTINGS = Settings(max_message_size=2 << 20, extensions=(PerMessageDeflate(),))

MESSAGES = ["h\u00e9llo", bytes(range(256)), b"", "x" * (1 << 20)]


def python(module: str, program: str | None = None) -> list[str]:
    if importlib.util.find_spec(module) is None:
        missing(module)
    return [sys.executable, str(PEERS / f"python_{program or module}.py")]


def node(package: str) -> list[str]:
    if not (BUILD / "node_modules" / package).is_dir():
        missing(f"{package} for Node, which `make peers` installs,")
    return [needed_program("node"), str(PEERS / f"node_{package}.cjs")]


def beast() -> list[str]:
    path = BUILD / "boost_beast"
    return [str(path)] if path.exists() else missing("boost_beast, which `make peers` compiles,")


COMMANDS = {
    "websockets": lambda: python("websockets"),
    "aiohttp": lambda: python("aiohttp"),
    "websocket-client": lambda: python("websocket", "websocket_client"),
    "autobahn": lambda: python("autobahn"),
    "ws": lambda: node("ws"),
    "undici": lambda: node("undici"),
    "beast": beast,
}

ENVIRONMENT = {**os.environ, "NODE_PATH": str(BUILD / "node_modules")}

ALL_IT_CAN = {
    "subprotocol": "chat",
    "compressed": True,
    "echoed": len(MESSAGES),
    "fragments": True,
    "joined": True,
    "pinged": True,
    "ponged": True,
    "closed": 3000,
    "server_closed": [3001, "bye"],
}

CANNOT: dict[str, dict[str, None]] = {
    "aiohttp": {"fragments": None},
    "websocket-client": {"compressed": None},
    "undici": {"fragments": None, "pinged": None},
}

SERVERS = [name for name in COMMANDS if name not in ("websocket-client", "undici")]


async def serve_peer(ws: WebSocket) -> None:
    """Do what a server has to do for its peers."""
    assert ws.request is not None
    if ws.request.target == "/close":
        await ws.close(3001, "bye")
        return
    async for message in ws:
        if message == "fragments":
            send_fragments(ws)
        elif message == "ping":
            await (await ws.ping())
            await ws.send("ponged")
        else:
            await ws.send(message)


def send_fragments(ws: WebSocket) -> None:
    """The adapter sends whole messages; what it embeds sends frames."""
    for part, is_last in (("one ", False), ("two ", False), ("three", True)):
        ws.put(TextMessage(part, message_finished=is_last))


@pytest.mark.parametrize("name", COMMANDS)
@in_loop
async def test_client(name: str) -> None:
    """Another's client, our server."""
    command = COMMANDS[name]()
    ends: list[tuple[int | None, str | None]] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await serve_peer(ws)
        finally:
            await ws.wait_closed()
            ends.append((ws.close_code, ws.close_reason))

    async with running(handler, settings=SETTINGS, subprotocols=["chat"]) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await run([*command, "client", f"ws://127.0.0.1:{port}/"])
        while server.connections:
            await asyncio.sleep(0)
    assert json.loads(answer) == {**ALL_IT_CAN, **CANNOT.get(name, {})}
    # With which code a peer answers 3001 is up to it.
    assert (ends[0], len(ends)) == ((3000, "done"), 2)


async def run(command: Sequence[str]) -> str:
    """Run a program to its end; give what it says."""
    process = await asyncio.create_subprocess_exec(
        *command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


@asynccontextmanager
async def peer_server(name: str) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """Run a server; give its URI, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[name](), "server", env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"ws://127.0.0.1:{port}/", process.stdout
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("name", SERVERS)
@in_loop
async def test_server(name: str) -> None:
    """Another's server, our client."""
    async with peer_server(name) as (uri, output):
        async with connect(uri, settings=SETTINGS, subprotocols=["chat"]) as ws:
            assert ws.subprotocol == "chat"
            assert len(ws.conn.extensions) == 1
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
            send_fragments(ws)
            assert await ws.recv() == "one two three"
            await ws.send("fragments")
            assert await ws.recv() == ("fragments" if name == "aiohttp" else "one two three")
            assert await (await ws.ping(b"there?")) < PATIENCE
            await ws.send("ping")
            assert await ws.recv() == "ponged"
            await ws.close(3000, "done")
        assert ws.close_info.received is not None, "with which code is up to the peer"
        assert await output.readline() == b"closed 3000 done\n"
        async with connect(uri, settings=SETTINGS, subprotocols=["chat"]) as ws:
            await ws.send("close")
            await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (3001, "bye")
