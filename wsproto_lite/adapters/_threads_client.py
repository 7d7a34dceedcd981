"""A WebSocket client for threads: from a URI to an open WebSocket (RFC 6455 section 4.1).

Knows how a connection is made. Must not know what it is used for.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ssl import SSLContext
from time import monotonic
from typing import Any

from ..constants import CLIENT
from ..events import Headers
from ..settings import Settings
from ._options import MAX_QUEUE, Destination, Timeouts, make_destination, make_options
from ._threads_websocket import WebSocket


def connect(
    uri: str,
    *,
    settings: Settings | None = None,
    subprotocols: Sequence[str] = (),
    additional_headers: Headers = (),
    origin: str | None = None,
    open_timeout: float | None = 10.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    close_timeout: float | None = 10.0,
    max_queue: int | None = MAX_QUEUE,
    ssl: SSLContext | None = None,
    server_hostname: str | None = None,
    path: str | None = None,
    sock: socket.socket | None = None,
    **kwargs: Any,
) -> WebSocket:
    """Connect to a WebSocket server: `with connect(uri) as ws:` or `ws = connect(uri)`.

    uri: ws:// or wss://, without user information or fragment.
    settings: what the connection allows; sizes, compression and so on.
    subprotocols: to offer, best first.
    additional_headers: names and values to send with the request.
    origin: the Origin header.
    open_timeout: seconds for all of connecting, TLS included; the system's name look-up knows no timeout.
    ping_interval, ping_timeout, close_timeout: seconds, see Heartbeat. None switches any timeout off.
    max_queue: messages to keep for the user before reading pauses; None for no limit.
    ssl, server_hostname: a context for wss://, else Python's default one, and the name to check.
    path: of a Unix socket to connect to, instead of the host and port in the URI.
    sock: a connected socket to use, through a proxy say. TLS is added to it for wss://. It is closed at the end.

    Further arguments go to socket.create_connection(), for example `source_address`.

    Raises HandshakeRejected for a refusal with its status, headers and body, redirects included; RemoteProtocolError
    for a server that breaks a rule; TimeoutError; LocalProtocolError for arguments that can't be sent; OSError.
    """
    destination = make_destination(uri, subprotocols, additional_headers, origin, ssl)
    # The heartbeat knows nothing of TCP and TLS, for which the open timeout is, too.
    options = make_options(settings, Timeouts(None, ping_interval, ping_timeout, close_timeout), max_queue)
    deadline = None if open_timeout is None else monotonic() + open_timeout
    try:
        if sock is None:
            sock = _open_socket(destination, path, deadline, kwargs)
        sock = _secure(sock, destination, server_hostname, deadline)
        return _open(sock, destination, options, deadline)
    except (socket.timeout, TimeoutError):  # which are one from Python 3.10 on
        raise TimeoutError(f"connecting took longer than {open_timeout} s") from None


def _left(deadline: float | None) -> float | None:
    """Give the seconds until a deadline; not 0, which to a socket means not to wait at all."""
    return None if deadline is None else max(1e-6, deadline - monotonic())


def _dial(host: str, port: int, deadline: float | None, kwargs: dict[str, Any]) -> socket.socket:
    """Try the addresses of a host in turn. socket.create_connection() alone gives each of them the whole timeout."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    while True:
        address = addresses.pop(0)
        left = _left(deadline)
        try:
            return socket.create_connection((address, port), left and left / (1 + len(addresses)), **kwargs)
        except OSError:
            if not addresses:
                raise


def _open_socket(
    destination: Destination, path: str | None, deadline: float | None, kwargs: dict[str, Any]
) -> socket.socket:
    if path is None:
        return _dial(destination.uri.host, destination.uri.port, deadline, kwargs)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_left(deadline))
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _secure(
    sock: socket.socket, destination: Destination, server_hostname: str | None, deadline: float | None
) -> socket.socket:
    if destination.ssl is None:
        return sock
    try:
        sock.getpeername()  # raises where the peer has reset the connection: wrap_socket() would leave that open
        sock.settimeout(_left(deadline))
        return destination.ssl.wrap_socket(sock, server_hostname=server_hostname or destination.uri.host)
    except BaseException:
        sock.close()
        raise


def _open(sock: socket.socket, destination: Destination, options: Any, deadline: float | None) -> WebSocket:
    try:
        websocket = WebSocket(sock, CLIENT, options)
    except BaseException:
        sock.close()
        raise
    websocket.start()
    try:
        websocket.begin(destination.request)
        websocket.wait_opened(_left(deadline))
    except BaseException:
        websocket.abort()
        websocket.wait_closed()
        raise
    return websocket
