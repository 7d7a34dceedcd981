"""WebSockets for uvicorn: `uvicorn --ws wsproto_lite.adapters.uvicorn:WebSocketProtocol app:app`.

Knows ASGI's messages and uvicorn's configuration, and honours all its ws_* options. Must not know how bytes travel:
that is _asyncio_link's. Where ASGI leaves something open this does as uvicorn's own protocols do.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Callable, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_client_addr, get_path_with_query_string
from uvicorn.server import ServerState

from ..constants import SERVER, CloseCode
from ..errors import ConnectionClosed, LocalProtocolError, RemoteProtocolError
from ..events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Header,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from ._asyncio_link import Link
from ._options import WRITE_SIZE
from ._uvicorn_config import (
    CLOSE_TIMEOUT,
    HOP_BY_HOP,
    SHUTDOWN_TIMEOUT,
    Message,
    Phase,
    complaint,
    make_scope,
    read_options,
)

logger = logging.getLogger("uvicorn.error")

_KINDS: dict[type, str] = {TextMessage: "text", BytesMessage: "bytes"}


class WebSocketProtocol(Link):
    """One WebSocket of an ASGI application. Made by uvicorn, which hands over the request it has read.

    uvicorn has no options for how long to wait for the client's Close. A subclass may have other seconds than these:
    `close_timeout`, and `shutdown_timeout` for when the server ends. For the first, None means for ever.
    """

    close_timeout: float | None = CLOSE_TIMEOUT
    shutdown_timeout: float = SHUTDOWN_TIMEOUT

    __slots__ = (
        "_app_state",
        "_body",
        "_config",
        "_ending",
        "_has_input",
        "_is_told",
        "_max_queue",
        "_messages",
        "_phase",
        "_refusal",
        "_scope",
        "_server_state",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(SERVER, read_options(config, self.close_timeout))
        self._config = config
        self._app_state = app_state
        self._server_state = server_state
        self._scope: Message = {}
        self._phase = Phase.ASKED
        self._is_told = False  # that there is a connection
        self._max_queue = max(1, config.ws_max_queue)
        self._messages: deque[Message] = deque()
        self._ending: Message | None = None  # what it is told when there are no more messages
        self._has_input = asyncio.Event()
        self._refusal = RejectConnection()
        self._body = bytearray()

    # ---- what uvicorn calls, besides asyncio's methods of a protocol ----

    data_received = Link.feed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """End the connection, because the server does."""
        self.loop.call_later(self.shutdown_timeout, self._hang_up)
        if self._ending is not None:
            return
        if self._phase is Phase.ACCEPTED:
            self.put(CloseConnection(CloseCode.SERVICE_RESTART))
            self._end(CloseCode.SERVICE_RESTART)
        else:
            self._refuse_by_ourselves(503)

    def _hang_up(self) -> None:
        """Wait no longer for the client to close, unless it is busy reading: that has the close timeout."""
        if not self.unsent:
            self.abort()

    # ---- what the link asks ----

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            kind = _KINDS.get(type(event))
            if kind is None:
                self._take_other(event)
                self.schedule()
            elif self._ending is None:
                self._messages.append({"type": "websocket.receive", kind: cast(Any, event).data})
        if len(self._messages) > self._max_queue:
            self.schedule()
        self._has_input.set()

    def _take_other(self, event: Event) -> None:
        if isinstance(event, Request):
            self._start(event)
        elif isinstance(event, Pong):
            self.tick()
        elif isinstance(event, CloseConnection):
            is_lost = event.code == CloseCode.ABNORMAL_CLOSURE
            if event.error is not None and not is_lost:
                # RFC 6455 section 7.1.7.
                logger.info("WebSocket %s", self.conn.close_info.cause)
            self._end(event.code, None if is_lost else event.reason)
        elif isinstance(event, RejectConnection):
            logger.warning("WebSocket request refused: %s", event.error)
            self._end(CloseCode.ABNORMAL_CLOSURE)

    def waiting(self) -> int:
        return len(self._messages)

    def is_full(self) -> bool:
        return len(self._messages) > (self._max_queue if self._is_reading else self._max_queue // 4)

    def _end(self, code: int, reason: str | None = None) -> None:
        """Take note of how the connection ends, if that isn't known."""
        if self._ending is None:
            self._ending = {"type": "websocket.disconnect", "code": int(code)}
            if reason is not None:
                self._ending["reason"] = reason
        self._has_input.set()

    # ---- the application ----

    def _start(self, request: Request) -> None:
        assert self._info is not None
        self._scope = make_scope(request, self._info, self._config, self._app_state)
        task = self.loop.create_task(self._run())
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    async def _run(self) -> None:
        app: Any = self._config.loaded_app
        try:
            result = await app(self._scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            # A task that lets SystemExit through would end the server.
            logger.exception("Exception in ASGI application\n")
        else:
            if self._phase in (Phase.ASKED, Phase.REFUSING):
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
        if self._ending is None:
            self._fail()

    def _fail(self) -> None:
        """The application has ended without an end to the connection."""
        if self._phase is Phase.ACCEPTED:
            self.take(self.conn.receive_data(b""))  # perhaps a Close from the client, which waits to be taken
            if self._ending is None:
                error = RemoteProtocolError("the application ended without a close", CloseCode.ABNORMAL_CLOSURE)
                self.take(self.conn.fail(error))
            return
        if self._phase is Phase.REFUSING:
            with suppress(LocalProtocolError):
                self._finish_refusal()
                return
        self._refuse_by_ourselves(500)

    def _refuse_by_ourselves(self, status: int) -> None:
        headers = [*self._default_headers(), (b"content-type", b"text/plain; charset=utf-8")]
        self._refuse(RejectConnection(status, headers, HTTPStatus(status).phrase.encode()))

    # ---- what the application receives ----

    async def receive(self) -> Message:
        """ASGI's receive: websocket.connect, then messages, then websocket.disconnect however often it is called."""
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        while not self._messages:
            self.come_back()
            if self._ending is not None:
                return dict(self._ending)
            self._has_input.clear()
            await self._has_input.wait()
        message = self._messages.popleft()
        self._is_answering = True
        if self._is_holding:
            self.make_progress()
        return message

    # ---- what it sends ----

    async def send(self, message: Message) -> None:
        """ASGI's send. Waits while the peer reads too slowly.

        Raises an OSError when the peer or the server has ended the connection, RuntimeError for a message that isn't
        due, LocalProtocolError for what can't be sent.
        """
        try:
            # A Close doesn't wait for room, for its deadline begins when it is sent.
            may_wait = self._transport is None or message["type"] != "websocket.close"
            if may_wait and (self._is_paused or self._output_size > WRITE_SIZE):
                await self.wait_writable()
            send = _SENDERS[self._phase].get(message["type"])
            if send is None:
                raise RuntimeError(complaint(message["type"], _SENDERS[self._phase]))
            if self._ending is not None:
                raise ClientDisconnected
            send(self, message)
        except ConnectionClosed as error:
            raise ClientDisconnected from error

    def _accept(self, message: Message) -> None:
        headers = [*self._default_headers(), *message.get("headers", ())]
        self.put(AcceptConnection(message.get("subprotocol") or None, headers))
        self._phase = Phase.ACCEPTED
        self._log("[accepted]")

    def _send(self, message: Message) -> None:
        data = message.get("bytes")
        if data is None:
            self.write(self.conn.send(TextMessage(message.get("text"))))  # type: ignore[arg-type]  # the core checks
        else:
            self.write(self.conn.send(BytesMessage(data)))
        self.come_back()

    def _close(self, message: Message) -> None:
        code, reason = message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason") or ""
        if code is None:
            code = CloseCode.NO_STATUS_RCVD
        self.put(CloseConnection(code, reason))
        self._phase = Phase.DONE
        self._end(code, reason)

    def _forbid(self, message: Message) -> None:
        self._log("403")
        self._refuse(RejectConnection(403, self._default_headers()))

    def _begin_refusal(self, message: Message) -> None:
        status = message["status"]
        if not 200 <= status <= 599:
            raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
        self._log(str(status))
        headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in HOP_BY_HOP]
        self._refusal = RejectConnection(status, [*self._default_headers(), *headers])
        self._phase = Phase.REFUSING

    def _continue_refusal(self, message: Message) -> None:
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self._finish_refusal()

    def _finish_refusal(self) -> None:
        self._refusal.body = bytes(self._body)
        self._refuse(self._refusal)

    def _refuse(self, refusal: RejectConnection) -> None:
        self.put(refusal)
        self._phase = Phase.DONE
        self._end(CloseCode.ABNORMAL_CLOSURE)

    def _default_headers(self) -> list[Header]:
        """The date, the server and what else uvicorn was told to send."""
        return list(self._server_state.default_headers)

    def _log(self, answer: str) -> None:
        scope: Any = self._scope
        logger.info('%s - "WebSocket %s" %s', get_client_addr(scope), get_path_with_query_string(scope), answer)


_Sender = Callable[[WebSocketProtocol, Message], None]

_SENDERS: dict[Phase, dict[str, _Sender]] = {
    Phase.ASKED: {
        "websocket.accept": WebSocketProtocol._accept,
        "websocket.close": WebSocketProtocol._forbid,
        "websocket.http.response.start": WebSocketProtocol._begin_refusal,
    },
    Phase.REFUSING: {"websocket.http.response.body": WebSocketProtocol._continue_refusal},
    Phase.ACCEPTED: {"websocket.send": WebSocketProtocol._send, "websocket.close": WebSocketProtocol._close},
    Phase.DONE: {},
}
"""What an application may send, and what that does."""
