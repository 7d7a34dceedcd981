"""An echo server for threads without the adapter, the core in a loop: python examples/bare_threads_echo.py [port]"""

from __future__ import annotations

import socket
import sys
import threading
from time import monotonic

from wsproto_lite import SERVER, AcceptConnection, BytesMessage, Connection, Event, Heartbeat, Request, TextMessage


def receive(sock: socket.socket, conn: Connection, heartbeat: Heartbeat) -> list[Event]:
    """Wait for what comes first: input, its end, or a deadline."""
    deadline = heartbeat.deadline()
    sock.settimeout(None if deadline is None else max(0.001, deadline - monotonic()))
    try:
        data = sock.recv(65536)
    except socket.timeout:
        return heartbeat.tick(monotonic())
    return conn.receive_data(data) if data else conn.receive_eof()


def echo(sock: socket.socket) -> None:
    conn = Connection(SERVER)
    heartbeat = Heartbeat(conn, monotonic())
    half_closed = False
    while not conn.should_close:
        events = receive(sock, conn, heartbeat)
        while events:
            for event in events:
                if isinstance(event, Request):
                    sock.sendall(conn.send(AcceptConnection()))
                elif isinstance(event, (TextMessage, BytesMessage)):
                    sock.sendall(conn.send(event))
            events = conn.receive_data(b"")  # what was held back, the end for example
        output = conn.data_to_send()  # what the connection sends by itself
        if output:
            sock.sendall(output)
        if conn.should_shutdown and not half_closed:
            # From here on input is only read away. To close before it ends could cost the client our last words.
            sock.shutdown(socket.SHUT_WR)
            half_closed = True


def run(sock: socket.socket) -> None:
    with sock:
        try:
            echo(sock)
        except OSError as error:
            print(f"lost a client: {error}", file=sys.stderr)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=run, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
