"""An echo server for threads, with the adapter: python examples/threads_echo.py [port]"""

from __future__ import annotations

import sys

from wsproto_lite.adapters.threads import WebSocket, serve


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    with serve(echo, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
