"""A relay that counts bytes between a browser and a server. Knows nothing about what they say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from patience import PATIENCE


class Relay:
    """Passes bytes between one client and a server. `sent` and `received` count the client's."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self.sent = self.received = 0
        self._listener = listener
        self._destination = ("127.0.0.1", port)
        self.port: int = listener.getsockname()[1]

    def run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(self._destination, PATIENCE) as server:
            client.settimeout(PATIENCE)
            back = threading.Thread(target=self._pass_back, args=(server, client))
            back.start()
            for size in passed(client, server):
                self.sent += size
            back.join()

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        for size in passed(server, client):
            self.received += size


def passed(source: socket.socket, target: socket.socket) -> Iterator[int]:
    """Pass on all that comes, and the end of it. Gives the sizes of the pieces."""
    # Either side may reset a connection that the other is done with.
    with suppress(ConnectionError):
        while data := source.recv(1 << 16):
            target.sendall(data)
            yield len(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Run a relay for one connection; at the end of this it has ended, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        relay = Relay(listener, port)
        thread = threading.Thread(target=relay.run)
        thread.start()
        try:
            yield relay
        finally:
            thread.join()
