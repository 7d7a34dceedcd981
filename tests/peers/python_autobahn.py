"""autobahn-python as a peer, over asyncio; README.md says what a peer does."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from autobahn.asyncio.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)

MESSAGES: list[Any] = ["h\u00e9llo", bytes(range(256)), b"", "x" * (1 << 20)]
FRAGMENT = 5


class Client(WebSocketClientProtocol):  # type: ignore[misc]  # autobahn has no types
    """Turns what happens into a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: asyncio.Queue[Any] = asyncio.Queue()

    def onOpen(self) -> None:
        self.happened.put_nowait(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.happened.put_nowait(payload if isBinary else payload.decode())

    def onPong(self, payload: bytes) -> None:
        self.happened.put_nowait(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.happened.put_nowait([code, reason])

    async def ask(self, message: Any, **kwargs: Any) -> Any:
        binary = isinstance(message, bytes)
        self.sendMessage(message if binary else message.encode(), isBinary=binary, **kwargs)
        return await self.happened.get()


async def connect(uri: str) -> Client:
    factory = WebSocketClientFactory(uri, protocols=["chat"])
    factory.protocol = Client
    factory.setProtocolOptions(
        perMessageCompressionOffers=[PerMessageDeflateOffer()],
        perMessageCompressionAccept=lambda response: (
            PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None
        ),
    )
    loop = asyncio.get_running_loop()
    _, ws = await loop.create_connection(factory, factory.host, factory.port)
    assert await ws.happened.get() is ws
    result: Client = ws
    return result


async def client(uri: str) -> None:
    result: dict[str, Any] = {}
    ws = await connect(uri)
    result["subprotocol"] = ws.websocket_protocol_in_use
    result["compressed"] = ws.websocket_extensions_in_use != []
    result["echoed"] = 0
    for message in MESSAGES:
        result["echoed"] += await ws.ask(message) == message
    result["fragments"] = await ws.ask("one two three", fragmentSize=FRAGMENT) == "one two three"
    result["joined"] = await ws.ask("fragments") == "one two three"
    ws.sendPing(b"there?")
    result["pinged"] = await ws.happened.get() == b"there?"
    result["ponged"] = await ws.ask("ping") == "ponged"
    ws.sendClose(3000, "done")
    result["closed"] = (await ws.happened.get())[0]
    ws = await connect(uri + "close")
    result["server_closed"] = await ws.happened.get()
    print(json.dumps(result))


class Server(WebSocketServerProtocol):  # type: ignore[misc]  # as above
    def onConnect(self, request: Any) -> str | None:
        return "chat" if "chat" in request.protocols else None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload == b"fragments":
            self.sendMessage(b"one two three", fragmentSize=FRAGMENT)
        elif payload == b"ping":
            self.sendPing(b"there?")
        elif payload == b"close":
            self.sendClose(3001, "bye")
        else:
            self.sendMessage(payload, isBinary)

    def onPong(self, payload: bytes) -> None:
        self.sendMessage(b"ponged")

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        print("closed", code, reason, flush=True)


async def server() -> None:
    factory = WebSocketServerFactory(protocols=["chat"])
    factory.protocol = Server
    factory.setProtocolOptions(
        perMessageCompressionAccept=lambda offers: next(
            (PerMessageDeflateOfferAccept(offer) for offer in offers if isinstance(offer, PerMessageDeflateOffer)), None
        )
    )
    listener = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(client(sys.argv[2]) if sys.argv[1] == "client" else server())
