"""Record the captures beside this file anew: real traffic between other people's programs, over loopback.

Needs Linux, root (for a packet socket), Node 20, Chromium, websockets and aiohttp. Run it in this folder:

    sudo python record.py

Each capture is one connection, but for the violation at the end of which the server hangs up.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import aiohttp
import websockets
from aiohttp import web

FOLDER = Path(__file__).parent
ETH_P_ALL = 3
PACKET_OUTGOING = 4
LONG = "".join(f"line {number}: the quick brown fox jumps over the lazy dog\n" for number in range(60))

Packet = tuple[float, bytes]


class Recorder:
    """Collects what goes over loopback to or from one port."""

    def __init__(self, port: int) -> None:
        self.packets: list[Packet] = []
        self._port = port
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        time.sleep(0.5)
        self._is_stopping = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._is_stopping:
            with suppress(socket.timeout):
                data, address = self._socket.recvfrom(1 << 18)
                if address[2] != PACKET_OUTGOING and self._is_ours(data):  # each is seen twice
                    self.packets.append((time.time(), data))

    def _is_ours(self, data: bytes) -> bool:
        start = 14 + (40 if data[12:14] == b"\x86\xdd" else 20)
        return self._port in struct.unpack_from("!HH", data, start)


def write_pcap(name: str, packets: list[Packet]) -> None:
    """Write a pcap file with times in microseconds."""
    with (FOLDER / name).open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
        for seconds, data in packets:
            file.write(struct.pack("<IIII", int(seconds), int(seconds % 1 * 1e6), len(data), len(data)) + data)


def write_pcapng(name: str, packets: list[Packet]) -> None:
    """Write a pcapng file with times in nanoseconds."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    with (FOLDER / name).open("wb") as file:
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        file.write(block(1, struct.pack("<HHI", 1, 0, 1 << 18) + struct.pack("<HHB3xI", 9, 1, 9, 0)))
        for seconds, data in packets:
            units = int(seconds * 1e9)
            head = struct.pack("<IIIII", 0, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
            file.write(block(6, head + data))


# ---- servers ----


async def aiohttp_echo(request: web.Request) -> web.WebSocketResponse:
    """Echo, with permessage-deflate if it is offered."""
    response = web.WebSocketResponse(protocols=("echo",))
    await response.prepare(request)
    async for message in response:
        if message.type == aiohttp.WSMsgType.TEXT:
            await response.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await response.send_bytes(message.data)
    return response


async def websockets_echo(connection: Any) -> None:
    """Echo in two fragments, with permessage-deflate if it is offered."""
    async for message in connection:
        middle = len(message) // 2
        await connection.send([message[:middle], message[middle:]])


async def with_aiohttp(host: str, run: Callable[[int], Awaitable[None]]) -> list[Packet]:
    """Record what `run` does with aiohttp's server."""
    app = web.Application()
    app.router.add_get("/echo", aiohttp_echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port = runner.addresses[0][1]
    with Recorder(port) as recorder:
        await run(port)
    await runner.cleanup()
    return recorder.packets


async def with_websockets(host: str, run: Callable[[int], Awaitable[None]]) -> list[Packet]:
    """Record what `run` does with the server of websockets."""
    async with websockets.serve(websockets_echo, host, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with Recorder(port) as recorder:
            await run(port)
    return recorder.packets


# ---- clients ----


async def websockets_client(port: int) -> None:
    """Text, compressed; bytes; a Ping; a message in fragments; the end."""
    uri = f"ws://127.0.0.1:{port}/echo?who=websockets"
    async with websockets.connect(uri, subprotocols=["echo"], origin="http://example.com") as connection:
        for message in ("Hello", LONG, bytes(range(256)), "Grüße, 世界 😀"):
            await connection.send(message)
            assert await connection.recv() == message
        await (await connection.ping(b"are you there?"))
        await connection.send(["in ", "three ", "parts"])
        assert await connection.recv() == "in three parts"


SCRIPT = """
const socket = new WebSocket("ws://%s:%d/echo");
socket.binaryType = "arraybuffer";
let count = 0;
socket.onopen = () => {
    socket.send("Hello");
    socket.send("Hello again, hello again");
    socket.send(new Uint8Array(300));
};
socket.onmessage = () => { count += 1; if (count == 3) socket.close(1000, "done"); };
socket.onclose = (event) => { document.title = "closed " + event.code; };
"""


async def run_program(*arguments: str) -> None:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await asyncio.wait_for(process.wait(), 30)


async def chromium_client(port: int) -> None:
    """A page in headless Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(f"<script>{SCRIPT % ('127.0.0.1', port)}</script>")
        chromium = shutil.which("chromium") or "google-chrome"
        switches = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--timeout=3000",
            f"--user-data-dir={folder}/profile",
        )
        await run_program(chromium, *switches, "--dump-dom", page.as_uri())


async def node_client(port: int) -> None:
    """Node, over IPv6; it has no document."""
    script = "globalThis.document = {};" + SCRIPT % ("[::1]", port)
    await run_program("node", "--experimental-websocket", "-e", script)


async def bad_client(port: int) -> None:
    """A good handshake and a good message, then a frame that isn't masked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes.fromhex("818537fa213d7f9f4d5158"))
    await reader.readexactly(4)
    writer.write(b"\x81\x05Hello")
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    """Record all."""
    write_pcap("websockets-aiohttp.pcap", await with_aiohttp("127.0.0.1", websockets_client))
    write_pcap("chromium-websockets.pcap", await with_websockets("127.0.0.1", chromium_client))
    write_pcapng("node-websockets-ipv6.pcapng", await with_websockets("::1", node_client))
    write_pcap("unmasked-websockets.pcap", await with_websockets("127.0.0.1", bad_client))


if __name__ == "__main__":
    asyncio.run(main())
