"""The uvicorn adapter: the scope, accepting, messages both ways, closing, and what an application may send when."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from asyncio_helpers import in_loop, text
from uvicorn_helpers import (
    ACCEPT,
    REQUEST,
    Message,
    Observed,
    Receive,
    Recorder,
    Send,
    address_of,
    answer_to,
    echo,
    peer_of,
    serving,
    uri_of,
)
from wsproto.events import CloseConnection

from wsproto_lite import LocalProtocolError, PerMessageDeflate, Settings
from wsproto_lite.adapters.asyncio import HandshakeRejected, connect

CLOSE = {"type": "websocket.close"}


# ---- the scope ----


@in_loop
async def test_scope() -> None:
    app = Recorder()
    async with serving(app, root_path="/api") as server:
        uri = uri_of(server, "/caf%C3%A9/x?a=1&b=%20")
        async with connect(
            uri, subprotocols=["v2", "v1"], additional_headers=[("X-One", "1"), ("x-one", b"\xe9")]
        ) as ws:
            (scope,) = app.scopes
            received = scope.pop("headers")
            assert scope == {
                "type": "websocket",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "scheme": "ws",
                "server": address_of(server),
                "client": ws.local_address,
                "root_path": "/api",
                "path": "/api/café/x",
                "raw_path": b"/api/caf%C3%A9/x",
                "query_string": b"a=1&b=%20",
                "subprotocols": ["v2", "v1"],
                "state": {},
                "extensions": {"websocket.http.response": {}},
            }
    assert received[0] == (b"host", b"%b:%d" % (scope["server"][0].encode(), scope["server"][1]))
    assert received[-2:] == [(b"x-one", b"1"), (b"x-one", b"\xe9")]
    assert (b"sec-websocket-version", b"13") in received


@in_loop
async def test_state_is_each_connections_own_copy() -> None:
    states = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["name"] = "shared"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(dict(scope["state"]))
        scope["state"]["name"] = "changed"
        await echo(scope, receive, send)

    async with serving(app, lifespan="on") as server:
        for _ in range(2):
            async with connect(uri_of(server)):
                pass
    assert states == [{"name": "shared"}] * 2


@in_loop
async def test_unix_socket(tmp_path: Path) -> None:
    app = Recorder()
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    async with serving(app, listener=listener), connect("ws://localhost/", path=path):
        pass
    assert app.scopes[0]["client"] is None
    assert app.scopes[0]["server"] in ((path, None), None), "which it is depends on uvicorn's version"


@in_loop
async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    app = Recorder()
    async with serving(app, ssl_certfile=str(certificate)) as server:
        async with connect(uri_of(server).replace("ws:", "wss:"), ssl=context) as ws:
            await ws.close(3000, "bye")
        await app.done.wait()
    assert app.scopes[0]["scheme"] == "wss"
    assert app.received == [{"type": "websocket.disconnect", "code": 3000, "reason": "bye"}]


# ---- accepting ----


@in_loop
async def test_accept(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({**ACCEPT, "subprotocol": "v1", "headers": [(b"x-one", b"1"), (b"x-one", b"2")]})
        await receive()

    caplog.set_level(logging.INFO)
    async with (
        serving(app, headers=[("x-two", "3")]) as server,
        connect(uri_of(server, "/a%20b?c"), subprotocols=["v2", "v1"]) as ws,
    ):
        assert ws.subprotocol == "v1"
        assert ws.response is not None
        headers = ws.response.headers
        assert [value for name, value in headers if name == b"x-one"] == [b"1", b"2"]
        assert [value for name, value in headers if name == b"x-two"] == [b"3"]
        assert [value for name, value in headers if name == b"server"] == [b"uvicorn"]
        assert len([value for name, value in headers if name == b"date"]) == 1
        assert '{}:{} - "WebSocket /a%20b?c" [accepted]'.format(*ws.local_address) in caplog.messages


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({**ACCEPT, "subprotocol": "v9"}, "subprotocol 'v9' was not offered; the offer is \\(\\)"),
        ({**ACCEPT, "headers": [(b"sec-websocket-accept", b"x")]}, "is set by the handshake"),
        ({**ACCEPT, "headers": [(b"x", b"a\r\nb: c")]}, "has a control character"),
    ],
    ids=["subprotocol", "reserved header", "injected header"],
)
@in_loop
async def test_what_cannot_be_accepted(message: Message, expected: str, caplog: pytest.LogCaptureFixture) -> None:
    """The application is told, and may think again; else it has failed."""
    seen = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        with pytest.raises(LocalProtocolError, match=expected):
            await send(message)
        seen.append(scope)
        await send(message)

    async with serving(app) as server:
        with pytest.raises(HandshakeRejected) as caught:
            await connect(uri_of(server))
    assert (len(seen), caught.value.status_code, caught.value.body) == (1, 500, b"Internal Server Error")
    assert "Exception in ASGI application\n" in caplog.messages


@in_loop
async def test_early_data_is_received_after_accepting() -> None:
    """What a client sends right after its request is kept."""
    async with serving(echo) as server, peer_of(server, opened=False) as peer:
        await peer.write(REQUEST)
        protocol = await first_connection(server)
        protocol.data_received(b"\x81\x80\x00\x00\x00\x00")
        head = await peer.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert await peer.reader.readexactly(2) == b"\x81\x00"


async def first_connection(server: Any) -> Any:
    while not any(hasattr(connection, "feed") for connection in server.server_state.connections):
        await asyncio.sleep(0)
    return next(iter(server.server_state.connections))


@in_loop
async def test_request_that_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """The application doesn't hear of it."""
    async with serving(None) as server:
        status, headers, body = await answer_to(server, REQUEST.replace(b"13", b"12"))
    assert status == b"HTTP/1.1 426 Upgrade Required"
    assert b"Sec-WebSocket-Version: 13" in headers
    assert body == b""
    assert [message for message in caplog.messages if "refused" in message] == [
        "WebSocket request refused: version is '12'; it has to be 13"
    ]


# ---- messages ----


@pytest.mark.parametrize("deflate", [True, False], ids=["compressed", "plain"])
@in_loop
async def test_messages(deflate: bool) -> None:
    settings = Settings(extensions=(PerMessageDeflate(),))
    async with (
        serving(echo, ws_per_message_deflate=deflate) as server,
        connect(uri_of(server), settings=settings) as ws,
    ):
        assert len(ws.conn.extensions) == deflate
        for message in ("", "hé", b"", b"\xff", "x" * (1 << 20), bytes(1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message


@in_loop
async def test_bytes_go_before_text() -> None:
    """As uvicorn's own protocols do, where an application gives both; None is as good as nothing."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "bytes": b"b", "text": "t"})
        await send({"type": "websocket.send", "bytes": None, "text": "t"})
        with pytest.raises(LocalProtocolError, match="text is NoneType; it must be str"):
            await send({"type": "websocket.send"})
        await send(CLOSE)

    async with serving(app) as server, connect(uri_of(server)) as ws:
        assert [message async for message in ws] == [b"b", "t"]


@in_loop
async def test_answers_to_one_chunk_are_one_write() -> None:
    async with serving(echo, ws=Observed) as server, peer_of(server) as peer:
        await peer.send(*[text(str(number)) for number in range(20)], CloseConnection(code=1000))
        assert await peer.read_to_end() == [*map(str, range(20)), 1000]
    assert len(Observed.seen.pop().writes[1:]) <= 2, "twenty messages, and the Close"


@in_loop
async def test_two_receivers_and_one_that_is_cancelled() -> None:
    """No message is lost, and each is received once."""
    received = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        given_up, *tasks = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        given_up.cancel()
        await send({"type": "websocket.send", "text": "go"})
        received.extend([message["text"] for message in await asyncio.gather(*tasks)])

    async with serving(app) as server, connect(uri_of(server)) as ws:
        await ws.recv()
        await ws.send("a")
        await ws.send("b")
        await ws.wait_closed()
    assert sorted(received) == ["a", "b"]


# ---- closing ----


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (CLOSE, 1000, ""),
        ({**CLOSE, "code": 1001}, 1001, ""),
        ({**CLOSE, "code": 4999, "reason": None}, 4999, ""),
        ({**CLOSE, "code": 3000, "reason": "bye"}, 3000, "bye"),
    ],
    ids=["plain", "code", "reason None", "reason"],
)
@in_loop
async def test_application_closes(message: Message, code: int, reason: str) -> None:
    received = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send(message)
        received.append(await receive())
        with pytest.raises(RuntimeError, match=r"Unexpected ASGI message 'websocket.close', after sending"):
            await send(CLOSE)

    async with serving(app) as server, connect(uri_of(server)) as ws:
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (code, reason)
    assert received == [{"type": "websocket.disconnect", "code": code, "reason": reason}]


@in_loop
async def test_close_that_cannot_be_sent() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        with pytest.raises(LocalProtocolError, match="close code 1006 may not be sent"):
            await send({**CLOSE, "code": 1006})
        await send({**CLOSE, "code": 4000})

    async with serving(app) as server, connect(uri_of(server)) as ws:
        await ws.wait_closed()
        assert ws.close_code == 4000
