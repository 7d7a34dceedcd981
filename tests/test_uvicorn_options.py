"""What uvicorn and its applications may say that makes little sense, and means something nevertheless."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asyncio_helpers import in_loop
from uvicorn_helpers import ACCEPT, Message, Receive, Send, echo, serving, uri_of

from wsproto_lite import ConnectionClosed
from wsproto_lite.adapters.asyncio import connect


def sending(*messages: Message) -> Any:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "websocket.connect"}
        for message in messages:
            await send(message)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    return app


@pytest.mark.parametrize(
    "options",
    [
        {"ws_max_queue": 0},
        {"ws_max_queue": -1},
        {"ws_max_size": 0},
        {"ws_ping_timeout": -1.0},
        {"ws_ping_interval": -1.0},
        {"ws_ping_interval": 0.0, "ws_ping_timeout": 0.0},
    ],
    ids=str,
)
@in_loop
async def test_options(options: dict[str, Any]) -> None:
    """Uvicorn starts with them, so that connections have to work."""
    async with serving(echo, **options) as server, connect(uri_of(server)) as ws:
        for message in ("a", "b"):
            await ws.send(message)
            assert await ws.recv() == message


@pytest.mark.parametrize(
    ("message", "code"),
    [({"code": None}, 1005), ({}, 1000), ({"code": 4000, "reason": None}, 4000)],
    ids=["none", "no", "own"],
)
@in_loop
async def test_close_codes(message: Message, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """Without a code a Close is empty (RFC 6455 section 7.1.5)."""
    app = sending(ACCEPT, {"type": "websocket.close", **message})
    async with serving(app) as server, connect(uri_of(server)) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (code, "")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize("subprotocol", ["", None])
@in_loop
async def test_no_subprotocol(subprotocol: str | None) -> None:
    app = sending({**ACCEPT, "subprotocol": subprotocol})
    async with serving(app) as server, connect(uri_of(server), subprotocols=["a"]) as ws:
        assert ws.subprotocol is None
