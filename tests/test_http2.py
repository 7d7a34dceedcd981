"""WebSockets over HTTP/2 (RFC 8441): h2 on both ends with the example, and Hypercorn with compat installed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncio_helpers import in_loop
from http2_client import Http2Client, Refused, http2_client
from processes import program

from wsproto_lite import BytesMessage, CloseConnection, PerMessageDeflate, Ping, Pong, Settings, TextMessage

EXAMPLES = Path(__file__).parent.parent / "examples"

DEFLATE = Settings(extensions=(PerMessageDeflate(),))

Address = tuple[str, int]


@pytest.fixture(scope="module")
def example() -> Iterator[Address]:
    with program(str(EXAMPLES / "http2_echo.py"), "0") as (process, uri):
        yield address_in(uri)
        process.terminate()
        assert process.communicate()[1] == ""


HYPERCORN = """
from wsproto_lite.compat import install
install()
from hypercorn.__main__ import main
main(["--bind", "127.0.0.1:0", "uvicorn_apps:app"])
"""

# wsproto is gone from under Hypercorn, which must not notice.
PROOF = "import hypercorn.protocol.ws_stream as s; assert s.Connection.__module__.startswith('wsproto_lite.compat')\n"


@pytest.fixture(scope="module")
def hypercorn() -> Iterator[Address]:
    script = HYPERCORN.replace("main([", PROOF + "main([")
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
        assert process.stderr is not None
        log = ""
        try:
            while "Running on" not in log:
                line = process.stderr.readline()
                assert line, log
                log += line
            yield address_in(log)
            process.terminate()
            log += process.communicate()[1]
        finally:
            process.kill()
    assert "Traceback" not in log


def address_in(text: str) -> Address:
    found = re.search(r"http://([\d.]+):(\d+)", text)
    assert found is not None, text
    return found[1], int(found[2])


# ---- h2 on both ends ----


@in_loop
async def test_messages(example: Address) -> None:
    async with http2_client(*example) as client:
        ws = await client.open("/", "localhost", Settings())
        for message in ("hé", b"\xff", "", "x" * (1 << 20), bytes(1 << 20)):
            await ws.echo(message)
        await ws.send(Ping(b"there?"))
        assert await ws.receive() == Pong(b"there?")
        assert await ws.close(3000, "bye") == CloseConnection(3000)


@in_loop
async def test_subprotocol_and_extension(example: Address) -> None:
    """Negotiated by the same rules as over HTTP/1.1, in the headers of the request and the 200."""
    async with http2_client(*example) as client:
        ws = await client.open("/", "localhost", DEFLATE, subprotocols=("other", "echo"))
        assert ws.conn.subprotocol == "echo"
        assert len(ws.conn.extensions) == 1
        received = ws.conn.bytes_received
        await ws.echo("x" * (1 << 20))
        assert ws.conn.bytes_received - received < 10_000, "it was compressed"
        assert (await ws.close()) == CloseConnection(1000)
        plain = await client.open("/", "localhost", Settings(), subprotocols=("other",))
        assert (plain.conn.subprotocol, plain.conn.extensions) == (None, ())


@in_loop
async def test_many_websockets_on_one_connection(example: Address) -> None:
    """Each has its own order, limits and end."""
    async with http2_client(*example) as client:
        sockets = [await client.open(f"/{number}", "localhost", Settings()) for number in range(10)]
        for number, ws in enumerate(sockets):
            await ws.send(TextMessage(f"from {number}"))
        for number, ws in enumerate(sockets):
            assert await ws.receive() == TextMessage(f"from {number}")
        failing, *others = sockets
        await failing.write(b"\x81\x00")  # not masked
        end = await failing.receive()
        assert isinstance(end, CloseConnection)
        assert end.code == 1002
        for ws in others:
            await ws.echo("still here")


@in_loop
async def test_flow_control(example: Address) -> None:
    """The server waits while the client doesn't let it send, and other streams go on."""
    async with http2_client(*example) as client:
        slow = await client.open("/slow", "localhost", Settings())
        other = await client.open("/other", "localhost", Settings())
        acknowledge = client.h2.acknowledge_received_data
        client.h2.acknowledge_received_data = lambda size, stream: (  # type: ignore[method-assign]  # to hold back
            None if stream == slow.stream_id else acknowledge(size, stream)
        )
        for _ in range(2):
            await slow.send(BytesMessage(bytes(30_000)))
            assert await slow.receive() == BytesMessage(bytes(30_000))
        await slow.send(BytesMessage(bytes(30_000)))
        client.h2.increment_flow_control_window(60_000)  # of the connection, not of the stream
        await other.echo("meanwhile")
        assert slow.events == []
        client.h2.increment_flow_control_window(60_000, slow.stream_id)
        assert await slow.receive() == BytesMessage(bytes(30_000))


@in_loop
async def test_end_of_stream_without_a_close(example: Address) -> None:
    """RFC 8441 section 5: END_STREAM stands for the end of TCP."""
    async with http2_client(*example) as client:
        ws = await client.open("/", "localhost", Settings())
        client.h2.end_stream(ws.stream_id)
        while ws.stream_id not in client.ended:
            await client.step()
        assert ws.events == []
        assert await reset(client) is None


async def reset(client: Http2Client) -> None:
    """Give a WebSocket up with RST_STREAM; the next one works."""
    ws = await client.open("/", "localhost", Settings())
    client.h2.reset_stream(ws.stream_id)
    await (await client.open("/", "localhost", Settings())).echo("fine")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({b":method": b"GET", b":protocol": None}, 405),
        ({b":protocol": b"connect-udp"}, 501),
        ({b"sec-websocket-version": b"12"}, 426),
        ({b"content-length": b"3"}, 400),
    ],
    ids=["GET", "another protocol", "another version", "a body"],
)
@in_loop
async def test_refusals(example: Address, changes: dict[bytes, bytes | None], status: int) -> None:
    async with http2_client(*example) as client:
        ws = await client.open("/", "localhost", Settings())
        stream_id = client.h2.get_next_available_stream_id()
        fields: dict[bytes, bytes | None] = {
            b":method": b"CONNECT",
            b":protocol": b"websocket",
            b":scheme": b"http",
            b":path": b"/",
            b":authority": b"localhost",
            b"sec-websocket-version": b"13",
            **changes,
        }
        client.h2.send_headers(stream_id, [(name, value) for name, value in fields.items() if value is not None])
        while stream_id not in client.responses:
            await client.step()
        assert dict(client.responses[stream_id])[b":status"] == b"%d" % status
        await ws.echo("others go on")


# ---- Hypercorn, with compat installed ----


@in_loop
async def test_hypercorn_messages(hypercorn: Address) -> None:
    async with http2_client(*hypercorn) as client:
        first = await client.open("/echo", "localhost", Settings())
        second = await client.open("/echo", "localhost", Settings())
        for message in ("hé", b"\xff", "", "x" * (1 << 20)):
            for ws in (first, second):
                await ws.echo(message)
        await first.send(Ping(b"there?"))
        assert await first.receive() == Pong(b"there?")
        await first.send(CloseConnection(3000, "bye"))
        assert await first.receive() == CloseConnection(3000, "bye")
        await second.echo("still here")


@in_loop
async def test_hypercorn_subprotocol_and_extension(hypercorn: Address) -> None:
    async with http2_client(*hypercorn) as client:
        ws = await client.open("/echo", "localhost", DEFLATE, subprotocols=("v1",))
        assert ws.conn.subprotocol == "v1"
        assert len(ws.conn.extensions) == 1
        await ws.echo("x" * (1 << 20))
        assert ws.conn.bytes_received < 10_000


@in_loop
async def test_hypercorn_server_closes(hypercorn: Address) -> None:
    async with http2_client(*hypercorn) as client:
        ws = await client.open("/scope?a=b", "localhost", Settings())
        assert isinstance(await ws.receive(), TextMessage)
        assert await ws.receive() == CloseConnection(3000, "that is all")


@pytest.mark.parametrize(("target", "status"), [("/forbidden", 403), ("/denied", 401), ("/refused", 429)])
@in_loop
async def test_hypercorn_refusals(hypercorn: Address, target: str, status: int) -> None:
    async with http2_client(*hypercorn) as client:
        with pytest.raises(Refused, match=str(status)):
            await client.open(target, "localhost", Settings())


@in_loop
async def test_hypercorn_over_http_1(hypercorn: Address) -> None:
    from wsproto_lite.adapters.asyncio import connect

    async with connect("ws://{}:{}/echo".format(*hypercorn)) as ws:
        await ws.send("hello")
        assert await asyncio.wait_for(ws.recv(), 10) == "hello"
