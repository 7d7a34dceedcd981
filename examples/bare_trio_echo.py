"""An echo server over trio without the adapter, the core in a loop: python examples/bare_trio_echo.py [port]"""

from __future__ import annotations

import math
import sys

import trio

from wsproto_lite import SERVER, AcceptConnection, BytesMessage, Connection, Event, Heartbeat, Request, TextMessage


async def receive(stream: trio.SocketStream, conn: Connection, heartbeat: Heartbeat) -> list[Event]:
    """Wait for what comes first: input, its end, or a deadline."""
    deadline = heartbeat.deadline()
    with trio.move_on_at(math.inf if deadline is None else deadline):
        data = await stream.receive_some(65536)
        return conn.receive_data(data) if data else conn.receive_eof()
    return heartbeat.tick(trio.current_time())


async def echo(stream: trio.SocketStream) -> None:
    conn = Connection(SERVER)
    heartbeat = Heartbeat(conn, trio.current_time())
    while not conn.should_close:
        events = await receive(stream, conn, heartbeat)
        while events:
            for event in events:
                if isinstance(event, Request):
                    await stream.send_all(conn.send(AcceptConnection()))
                elif isinstance(event, (TextMessage, BytesMessage)):
                    await stream.send_all(conn.send(event))
            events = conn.receive_data(b"")  # what was held back, the end for example
        output = conn.data_to_send()  # what the connection sends by itself
        if output:
            await stream.send_all(output)
        if conn.should_shutdown:
            # From here on input is only read away. To close before it ends could cost the client our last words.
            await stream.send_eof()


async def run(stream: trio.SocketStream) -> None:
    try:
        await echo(stream)
    except trio.BrokenResourceError as error:
        print(f"lost a client: {error}", file=sys.stderr)


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    print(f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/", flush=True)
    await trio.serve_listeners(run, listeners)


if __name__ == "__main__":
    trio.run(main)
