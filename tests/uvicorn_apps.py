"""Applications for uvicorn, as people write them with Starlette and FastAPI. FastAPI is looked for when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

disconnects: list[list[Any]] = []


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"greeting": "hello from the lifespan"}


async def plain_http(request: Request) -> Response:
    return JSONResponse(disconnects)


async def echo(ws: WebSocket) -> None:
    """Echo what comes, and remember how it ended."""
    await ws.accept(ws.scope["subprotocols"][0] if ws.scope["subprotocols"] else None, [(b"x-one", b"1")])
    try:
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            await ws.send({**message, "type": "websocket.send"})
    except WebSocketDisconnect as end:
        disconnects.append([end.code, end.reason])


async def scope(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json(
        {
            "root_path": ws.scope["root_path"],
            "path": ws.scope["path"],
            "query": ws.query_params["a"],
            "client": ws.scope["client"],
            "greeting": ws.state.greeting,
        }
    )
    await ws.close(3000, "that is all")


async def denied(ws: WebSocket) -> None:
    await ws.send_denial_response(PlainTextResponse("not you", 401, {"www-authenticate": "Basic"}))


async def forbidden(ws: WebSocket) -> None:
    await ws.close()


async def refused(ws: WebSocket) -> None:
    raise HTTPException(429, "later")


async def slow(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive()
    await asyncio.Event().wait()


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/http", plain_http),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/scope", scope),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/forbidden", forbidden),
        WebSocketRoute("/refused", refused),
        WebSocketRoute("/slow", slow),
    ],
)


def make_fastapi() -> Any:
    """Make an application with a dependency, validation and errors of FastAPI's."""
    from fastapi import Depends, FastAPI, WebSocketException

    api = FastAPI()

    async def authenticated(token: str) -> str:
        if token != "secret":
            raise WebSocketException(1008, "wrong token")
        return token

    async def items(ws: WebSocket, number: int, token: str = Depends(authenticated)) -> None:
        await ws.accept()
        async for item in ws.iter_json():
            await ws.send_json({"number": number, "token": token, "item": item})

    # Here annotations are strings, which FastAPI looks up in the module.
    items.__annotations__ = {"ws": WebSocket, "number": int, "token": str}
    authenticated.__annotations__ = {"token": str}
    api.websocket("/items/{number}")(items)

    async def fails(ws: WebSocket) -> None:
        await ws.accept()
        raise WebSocketException(1008, "not any more")

    fails.__annotations__ = {"ws": WebSocket}
    api.websocket("/fails")(fails)
    return api
