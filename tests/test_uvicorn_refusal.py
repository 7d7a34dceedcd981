"""The uvicorn adapter when an application refuses a connection, or fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asyncio_helpers import in_loop, text
from uvicorn_helpers import (
    ACCEPT,
    Message,
    Receive,
    Send,
    answer_to,
    peer_of,
    serving,
    uri_of,
)
from wsproto.events import CloseConnection

from wsproto_lite.adapters.asyncio import connect

CLOSE = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 404, "headers": [(b"x-one", b"1")]}
BODY = {"type": "websocket.http.response.body"}
HOP_BY_HOP = [
    (b"Transfer-Encoding", b"chunked"),
    (b"connection", b"keep-alive"),
    (b"keep-alive", b"max=9"),
    (b"x-one", b"1"),
]
LOST = {"type": "websocket.disconnect", "code": 1006}


def sending(*messages: Message) -> Any:
    """Make an application that sends these, and then waits for the end."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        assert await receive() == {"type": "websocket.connect"}
        assert await receive() == LOST

    return app


@pytest.mark.parametrize(
    ("messages", "status", "header", "body"),
    [
        ([CLOSE], b"403 Forbidden", b"content-length: 0", b""),
        ([START, BODY], b"404 Not Found", b"x-one: 1", b""),
        ([START, {**BODY, "body": b"no"}], b"404 Not Found", b"content-length: 2", b"no"),
        (
            [START, {**BODY, "body": b"n", "more_body": True}, {**BODY, "body": b"o", "more_body": False}],
            b"404 Not Found",
            b"content-length: 2",
            b"no",
        ),
        ([{"type": START["type"], "status": 204}, BODY], b"204 No Content", b"connection: close", b""),
        ([{**START, "headers": HOP_BY_HOP}, {**BODY, "body": b"no"}], b"404 Not Found", b"x-one: 1", b"no"),
    ],
    ids=["close", "no body", "body", "body in parts", "no headers", "headers of another connection"],
)
@in_loop
async def test_application_refuses(
    messages: list[Message], status: bytes, header: bytes, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(sending(*messages)) as server:
        status_line, headers, received = await answer_to(server)
    assert (status_line, received) == (b"HTTP/1.1 " + status, body)
    lower = [line.lower() for line in headers]
    assert {header, b"connection: close", b"server: uvicorn"} <= set(lower)
    assert [line for line in caplog.messages if line.endswith(f'"WebSocket /" {status[:3].decode()}')]
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([], b"500 Internal Server Error"),
        ([START], b"404 Not Found"),
        ([{**START, "headers": [(b"content-length", b"9")]}], b"500 Internal Server Error"),
    ],
    ids=["nothing", "in the middle of a refusal", "a refusal that can't be sent"],
)
@pytest.mark.parametrize("fails", [True, False], ids=["raises", "returns"])
@in_loop
async def test_application_ends_without_an_answer(
    messages: list[Message], status: bytes, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if fails:
            raise SystemExit

    async with serving(app) as server:
        assert (await answer_to(server))[0] == b"HTTP/1.1 " + status
    complaints = ["Exception in ASGI application\n", "ASGI callable returned without completing handshake."]
    assert caplog.messages == [complaints[0 if fails else 1]]


@pytest.mark.parametrize(
    ("result", "complaints"),
    [
        (None, []),
        (1, ["ASGI callable should return None, but returned '1'."]),
        (ValueError(), ["Exception in ASGI application\n"]),
    ],
    ids=["returns", "returns something", "raises"],
)
@in_loop
async def test_application_ends_without_a_close(
    result: Any, complaints: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is cut, as by uvicorn's own protocols, but not before what was sent has gone out."""

    async def app(scope: Message, receive: Receive, send: Send) -> Any:
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "last"})
        if isinstance(result, Exception):
            raise result
        return result

    async with serving(app) as server, connect(uri_of(server)) as ws:
        assert await ws.recv() == "last"
        await ws.wait_closed()
        assert (ws.close_code, ws.close_info.received) == (1006, None)
    assert caplog.messages == complaints


@in_loop
async def test_application_ends_when_the_client_has_closed() -> None:
    """Both at once: the client's Close, which waits until the message before it is taken, is answered."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await receive()
        await receive()

    async with serving(app) as server, peer_of(server) as peer:
        await peer.send(text("last"), CloseConnection(code=3000))
        assert await peer.read_to_end() == [3000]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [{"type": "websocket.send", "text": "x"}],
            "Expected ASGI message 'websocket.accept' or 'websocket.close' or 'websocket.http.response.start' "
            "but got 'websocket.send'.",
        ),
        ([ACCEPT, ACCEPT], "Expected ASGI message 'websocket.send' or 'websocket.close' but got 'websocket.accept'."),
        (
            [START, ACCEPT],
            "Expected ASGI message 'websocket.http.response.body' but got 'websocket.accept'.",
        ),
        (
            [CLOSE, ACCEPT],
            "Unexpected ASGI message 'websocket.accept', after sending 'websocket.close' "
            "or response already completed.",
        ),
        (
            [START, {**BODY, "more_body": False}, BODY],
            "Unexpected ASGI message 'websocket.http.response.body', after sending 'websocket.close' "
            "or response already completed.",
        ),
        ([{**START, "status": 700}], "Invalid HTTP status code '700' in response."),
        ([{**START, "status": 101}], "Invalid HTTP status code '101' in response."),
    ],
    ids=["send first", "accept twice", "accept in a refusal", "accept after close", "body after body", "700", "101"],
)
@in_loop
async def test_message_that_is_not_due(messages: list[Message], expected: str) -> None:
    complaints = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        *allowed, last = messages
        for message in allowed:
            await send(message)
        with pytest.raises(RuntimeError) as caught:
            await send(last)
        complaints.append(str(caught.value))

    async with serving(app) as server:
        await answer_to(server)
    assert complaints == [expected]
