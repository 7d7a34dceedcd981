"""A WebSocket server for threads: one to accept, and two for each connection, of which one runs its handler.

Knows how connections come and go. Must not know what a handler does with one.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from socket import SHUT_RDWR, socket
from ssl import SSLContext
from time import monotonic
from types import TracebackType
from typing import Any, Callable, Union

from ..closing import encode_close
from ..constants import SERVER, CloseCode
from ..errors import ConnectionClosed
from ..events import Headers, RejectConnection
from ..http11 import RequestHead
from ..settings import Settings
from ._options import MAX_QUEUE, Options, Timeouts, make_options
from ._service import Service, check_answer, code_after, logger
from ._sockets import close_all, listen_on, listen_on_path
from ._threads_poll import READ, Poller
from ._threads_websocket import WebSocket

Handler = Callable[[WebSocket], None]
ProcessRequest = Callable[[WebSocket, RequestHead], Union[RejectConnection, None]]

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What accept() says when there are too many connections already."""

RETRY_DELAY = 0.1
"""Seconds to wait then, as trio does."""

_numbers = count(1)


def serve(
    handler: Handler,
    host: str | None = None,
    port: int = 0,
    *,
    settings: Settings | None = None,
    subprotocols: Sequence[str] = (),
    additional_headers: Headers = (),
    process_request: ProcessRequest | None = None,
    open_timeout: float | None = 10.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    close_timeout: float | None = 10.0,
    max_queue: int | None = MAX_QUEUE,
    ssl: SSLContext | None = None,
    path: str | None = None,
    sock: socket | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSockets: `with serve(handler, host, port) as server:`.

    handler: called in a thread of its own with each WebSocket that opens. When it returns the connection is closed with
        1000; when it raises, with 1011, and the exception is logged.
    settings: what connections allow; sizes, compression, origins and so on.
    subprotocols: those supported, best first. A client that offers none of them is served without.
    additional_headers: names and values to send with the acceptance.
    process_request: called with the WebSocket and the RequestHead of any HTTP request, an upgrade or not. Returns a
        RejectConnection to answer with, whatever its status, or None to go on as usual.
    open_timeout, ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches one off.
    max_queue: messages of a connection to keep for its handler before reading pauses; None for no limit.
    ssl: a context, for TLS.
    path: of a Unix socket to listen on, instead of host and port.
    sock: a socket that listens already; it is closed at the end.

    Further arguments go to socket.create_server(), for example `backlog` or `reuse_port`. Port 0 is any that is free,
    see `Server.sockets`. Raises LocalProtocolError for settings or timeouts that make no sense, and OSError when it
    can't listen.
    """
    timeouts = Timeouts(open_timeout, ping_interval, ping_timeout, close_timeout)
    options = make_options(settings, timeouts, max_queue)
    if path is not None:
        listeners = [listen_on_path(path)]
    else:
        listeners = listen_on(host, port, **kwargs) if sock is None else [sock]
    service = Service(handler, subprotocols, additional_headers, process_request)
    server = Server(service, options, listeners, ssl)
    server.start()
    return server


class Server:
    """A server that listens. `with` closes it at the end; its connections are in `connections`."""

    def __init__(self, service: Service, options: Options, listeners: Sequence[socket], ssl: SSLContext | None) -> None:
        self._service = service
        self._options = options
        self._listeners = listeners
        self._ssl = ssl
        self._changed = threading.Condition()
        self._securing: set[socket] = set()
        self._connections: set[WebSocket] = set()
        self._threads: set[threading.Thread] = set()
        self._is_closing = False
        self._is_over = False
        self._poller = Poller(listeners)
        self._thread = threading.Thread(target=self._run, name="wsproto_lite server", daemon=True)

    # ---- the server ----

    def start(self) -> None:
        """Begin to accept connections."""
        for listener in self._listeners:
            listener.setblocking(False)
        self._thread.start()

    @property
    def sockets(self) -> Sequence[socket]:
        """The sockets it listens on; none once it is closed."""
        return [listener for listener in self._listeners if listener.fileno() >= 0]

    @property
    def connections(self) -> set[WebSocket]:
        """Its connections, those that are only opening included. A copy."""
        with self._changed:
            return set(self._connections)

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stop listening and close all connections, but don't wait for that: wait_closed does.

        Raises LocalProtocolError for a code or reason that can't be sent.
        """
        encode_close(code, reason)
        # First, so that a connection is either among those that there are now, or finds that it is late.
        with self._changed:
            if not self._is_closing:
                self._is_closing = True
                self._poller.wake()
        for websocket in self.connections:
            websocket.go_away(code, reason)

    def wait_closed(self) -> None:
        """Wait until the server is closed, all its connections are, too, and all handlers are done.

        After close() connections are cut off when the close timeout has passed. A handler that goes on for as long
        again nevertheless is left behind, and logged: nobody can stop a thread.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_over)

    def serve_forever(self) -> None:
        """Wait until another thread has closed the server. Where this is interrupted, close it."""
        try:
            self.wait_closed()
        except BaseException:
            self.close()
            self.wait_closed()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self.wait_closed()

    def _run(self) -> None:
        while not self._is_closing:
            for listener in self._poller.wait(READ, None):
                self._accept_from(listener)
        close_all(self._listeners)
        with self._changed:
            for sock in self._securing:
                _cut(sock)
        if not self._wait_for_all():
            for websocket in self.connections:
                websocket.abort()
            self._wait_for_all()
            for thread in tuple(self._threads):
                logger.error("a handler doesn't end: %s", thread.name)
        with self._changed:
            self._is_over = True
            self._poller.close()
            self._changed.notify_all()

    def _wait_for_all(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, self._options.timeouts.close_timeout)

    # ---- its connections ----

    def _accept_from(self, listener: socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in SHORTAGES:
                logger.error("accept() failed; trying again in %s seconds", RETRY_DELAY, exc_info=error)
                self._poller.wait(0, monotonic() + RETRY_DELAY)
            return  # else the client has left already
        name = f"wsproto_lite handler {next(_numbers)}"
        thread = threading.Thread(target=self._serve_socket, name=name, args=(sock,), daemon=True)
        with self._changed:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            logger.error("a connection is refused", exc_info=error)
            sock.close()
            with self._changed:
                self._threads.discard(thread)

    def _serve_socket(self, sock: socket) -> None:
        websocket = None
        try:
            websocket = self._open(sock)
            if websocket is not None:
                self._serve(websocket)
        finally:
            with self._changed:
                if websocket is not None:
                    self._connections.discard(websocket)
                self._threads.discard(threading.current_thread())
                self._changed.notify_all()

    def _open(self, sock: socket) -> WebSocket | None:
        try:
            sock = self._secure(sock)
            websocket = WebSocket(sock, SERVER, self._options)
            websocket.hold_refusal(is_held=self._service.process_request is not None)
            websocket.start()
        except (OSError, RuntimeError) as error:
            sock.close()
            logger.warning("a connection can't be opened: %s", error)
            return None
        with self._changed:
            self._connections.add(websocket)
            is_late = self._is_closing
        if is_late:
            websocket.abort()
        return websocket

    def _secure(self, sock: socket) -> socket:
        if self._ssl is None:
            return sock
        sock.getpeername()  # raises where the peer has reset the connection: wrap_socket() would leave that open
        sock.settimeout(self._options.timeouts.open_timeout)
        secure = self._ssl.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with self._changed:
            self._securing.add(secure)
            if self._is_closing:
                _cut(secure)
        try:
            secure.do_handshake()
        except OSError:
            secure.close()
            raise
        finally:
            with self._changed:
                self._securing.discard(secure)
        return secure

    def _serve(self, websocket: WebSocket) -> None:
        code = CloseCode.NORMAL_CLOSURE
        try:
            websocket.wait_asked()
            is_answered = self._is_answered(websocket)
            websocket.hold_refusal(is_held=False)
            if not is_answered and websocket.request is not None:
                websocket.accept(self._service.acceptance(websocket.request))
                self._service.handler(websocket)
        except Exception as error:
            code = code_after(error, websocket)
        except BaseException:
            websocket.abort()  # SystemExit, which ends this thread
            raise
        websocket.close(code)

    def _is_answered(self, websocket: WebSocket) -> bool:
        """Ask process_request for an answer of its own. Tell whether it gave one."""
        head = websocket.conn.request_head
        if self._service.process_request is None or head is None:
            return False
        try:
            answer = self._service.process_request(websocket, head)
            if answer is None:
                return False
            websocket.refuse(check_answer(answer))
        except ConnectionClosed:
            pass
        except Exception:
            logger.exception("process_request failed")
            websocket.refuse(RejectConnection(500))
        return True


def _cut(sock: socket) -> None:
    """End a TLS handshake that another thread waits for."""
    with suppress(OSError):
        socket.shutdown(sock, SHUT_RDWR)
