"""The asyncio client: from a URI to an open connection, and all that can go wrong on the way."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncio_helpers import SHORT, echo, in_loop, running, uri_of

from wsproto_lite import LocalProtocolError, RemoteProtocolError, Settings
from wsproto_lite.adapters._shared import Uri, parse_uri
from wsproto_lite.adapters.asyncio import ClientWebSocket, HandshakeRejected, connect

URIS = {
    "ws://example.org": Uri(False, "example.org", 80, "example.org", "/"),
    "WS://Example.org:80/": Uri(False, "example.org", 80, "example.org", "/"),
    "wss://example.org/a/b?c=d&e": Uri(True, "example.org", 443, "example.org", "/a/b?c=d&e"),
    "wss://example.org:80/": Uri(True, "example.org", 80, "example.org:80", "/"),
    "ws://127.0.0.1:8765?q": Uri(False, "127.0.0.1", 8765, "127.0.0.1:8765", "/?q"),
    "ws://[::1]:8765/": Uri(False, "::1", 8765, "[::1]:8765", "/"),
}

BAD_URIS = {
    "http://example.org/": "scheme 'http'",
    "example.org": "scheme ''",
    "ws:///path": "has no host",
    "ws://user:secret@example.org/": "uri has user information",
    "ws://user@example.org/": "uri has user information",
    "ws://example.org/#fragment": "has a fragment",
    "ws://example.org/#": "has a fragment",
    "ws://example.org:99999/": "malformed",
    "ws://[::1/": "malformed",
    "ws://example.org/a b": "visible ASCII",
    "ws://example.org/\r\nX: y": "visible ASCII",
    "ws://ex\u00e4mple.org/": "visible ASCII",
    'ws://ex"ample.org/': "host",
    "ws://example.org/ex\u00e4mple": "visible ASCII",
    "ws://example.org/?ex\u00e4mple": "visible ASCII",
}


@pytest.mark.parametrize(("uri", "expected"), URIS.items(), ids=URIS)
def test_uri(uri: str, expected: Uri) -> None:
    assert parse_uri(uri) == expected


@pytest.mark.parametrize(("uri", "message"), BAD_URIS.items(), ids=range(len(BAD_URIS)))
def test_bad_uri(uri: str, message: str) -> None:
    """RFC 6455 section 3. What is secret in one is not quoted."""
    with pytest.raises(LocalProtocolError, match=message) as caught:
        connect(uri)
    assert "secret" not in str(caught.value)


def test_ssl_without_wss() -> None:
    with pytest.raises(LocalProtocolError, match="has to begin with wss"):
        connect("ws://localhost/", ssl=ssl.create_default_context())


@pytest.mark.parametrize(
    "kwargs",
    [{"subprotocols": ["not a token"]}, {"additional_headers": [("Host", "other")]}, {"origin": "a\nb"}],
    ids=["subprotocol", "header", "origin"],
)
@in_loop
async def test_what_cant_be_sent(kwargs: dict[str, Any]) -> None:
    """Is known before there is a connection."""
    with pytest.raises(LocalProtocolError):
        await connect("ws://localhost:1/", **kwargs)


@in_loop
async def test_connection_refused() -> None:
    async with running() as server:
        uri = uri_of(server)
    with pytest.raises(ConnectionRefusedError):
        await connect(uri)


@asynccontextmanager
async def answering(response: bytes, *, then_close: bool = True) -> AsyncIterator[str]:
    """Run a server that answers any request with fixed bytes. Gives its URI."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        if then_close:
            writer.write_eof()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@in_loop
async def test_rejection() -> None:
    response = b"HTTP/1.1 403 Forbidden\r\nX-Why: closed\r\nContent-Length: 4\r\n\r\nsorr"
    async with answering(response, then_close=False) as uri:
        with pytest.raises(HandshakeRejected, match="HTTP 403") as caught:
            await connect(uri)
    assert caught.value.status_code == 403
    assert (b"x-why", b"closed") in list(caught.value.headers)
    assert caught.value.body == b"sorr"
    assert isinstance(caught.value, RemoteProtocolError)


@in_loop
async def test_redirects_are_not_followed() -> None:
    """What is in the headers might not be for the other server to see."""
    async with running() as server:
        location = uri_of(server).encode()
        response = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
        async with answering(response) as uri:
            with pytest.raises(HandshakeRejected) as caught:
                await connect(uri, additional_headers=[("Authorization", "Bearer secret")])
        assert caught.value.status_code == 302
        assert (b"location", location) in list(caught.value.headers)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
        b"HTTP/1.1 101 Swi",
    ],
    ids=["no_accept", "no_http", "nothing", "half"],
)
@in_loop
async def test_answers_that_break_a_rule(response: bytes) -> None:
    async with answering(response) as uri:
        with pytest.raises(RemoteProtocolError) as caught:
            await connect(uri)
    assert not isinstance(caught.value, HandshakeRejected)


@in_loop
async def test_server_that_closes_at_once() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with pytest.raises(RemoteProtocolError):
            await connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@in_loop
async def test_open_timeout() -> None:
    async with answering(b"", then_close=False) as uri:
        with pytest.raises(TimeoutError, match=f"connecting took longer than {SHORT} s"):
            await connect(uri, open_timeout=SHORT)


@in_loop
async def test_cancelled_while_the_server_thinks() -> None:
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        connecting = asyncio.ensure_future(connect(uri).__aenter__())
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


@pytest.mark.parametrize("turns", range(12))
@in_loop
async def test_cancelled_at_any_moment(turns: int) -> None:
    """Whenever it is cancelled, either there is a connection or there is nothing."""

    async def open_and_close(uri: str) -> None:
        async with connect(uri) as ws:
            await ws.send("hello")
            await ws.recv()

    async with running(echo) as server:
        task = asyncio.ensure_future(open_and_close(uri_of(server)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


@in_loop
async def test_cancelled_as_the_server_accepts() -> None:
    """The answer finds nobody waiting."""
    async with running() as server:
        connecting = asyncio.ensure_future(connect(uri_of(server)).__aenter__())
        original = ClientWebSocket.take

        def take(self: ClientWebSocket, events: Any) -> None:
            if events:
                connecting.cancel()
                self.opened.cancel()
            original(self, events)

        ClientWebSocket.take = take
        try:
            with pytest.raises(asyncio.CancelledError):
                await connecting
        finally:
            ClientWebSocket.take = original


@in_loop
async def test_limits_of_a_refusal() -> None:
    """A body over the limit is not kept."""
    response = b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    async with answering(response) as uri:
        with pytest.raises(HandshakeRejected) as caught:
            await connect(uri, settings=Settings(max_message_size=50))
    assert caught.value.body == b""
