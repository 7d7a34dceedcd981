"""What has gone wrong in WebSocket libraries, and holds here: masking keys."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading

import pytest
from helpers import (
    both_roles,
    connect,
    feed,
    frames_from,
    ping,
)
from patience import PATIENCE
from slow_codec import FIN, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Ping,
    Role,
    Settings,
    State,
    TextMessage,
)


class TestMaskKeys:
    """curl CVE-2025-10148, picows' unseeded rand(): a fresh key per frame from the system's generator."""

    EVENTS = (TextMessage("x"), BytesMessage(b"x"), Ping(b"x"), TextMessage("x" * 70_000), TextMessage("x"))

    def keys(self, conn: Connection, count: int) -> list[bytes]:
        """Send so many one-byte messages, and take the keys off the wire."""
        return [conn.send(TextMessage("x"))[2:6] for _ in range(count)]

    def test_each_key_is_drawn_from_the_source_and_used_once(self) -> None:
        counter = itertools.count()

        def numbers(size: int) -> bytes:
            return b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))

        client = connect(CLIENT, random_bytes=numbers)
        keys = self.keys(client, 25_000)
        keys += [client.send(event)[2:6] for event in (Ping(b"x"), BytesMessage(b"x"))]
        feed(client, ping(CLIENT) * 5)
        replies = client.data_to_send()
        keys += [replies[at + 2 : at + 6] for at in range(0, len(replies), 6)]
        keys += [client.send(CloseConnection(1005))[2:6]]
        assert len(keys) == len(set(keys)) == 25_008

    def test_default_source_does_not_repeat(self) -> None:
        """100,000 keys of 32 bits collide once or twice by chance: anything worse than rand() shows."""
        client = connect(CLIENT)
        assert len(set(self.keys(client, 100_000))) > 99_980

    def test_two_connections_share_a_source_and_no_key(self) -> None:
        counter = itertools.count()
        shared = Settings(
            random_bytes=lambda size: b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))
        )
        one, other = (Connection.established(CLIENT, shared) for _ in range(2))
        keys = [key for _ in range(1000) for conn in (one, other) for key in self.keys(conn, 1)]
        assert len(set(keys)) == 2000

    def test_two_settings(self) -> None:
        keys = self.keys(connect(CLIENT), 500) + self.keys(connect(CLIENT), 500)
        assert len(set(keys)) == 1000

    def test_threads(self) -> None:
        """Drawing a key is one atomic step."""
        lock, counter = threading.Lock(), itertools.count()

        def numbers(size: int) -> bytes:
            with lock:
                return b"".join(next(counter).to_bytes(4, "big") for _ in range(size // 4))

        shared = Settings(random_bytes=numbers)
        keys: list[list[bytes]] = []

        def work() -> None:
            keys.append(self.keys(Connection.established(CLIENT, shared), 5000))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(itertools.chain(*keys))) == 20_000

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_fork(self) -> None:
        """The child must not use what the parent has drawn."""
        script = (
            "import os, sys\n"
            "from wsproto_lite import CLIENT, Connection, Ping\n"
            "client = Connection.established(CLIENT)\n"
            "client.send(Ping())\n"
            "child = os.fork() == 0\n"
            "print(''.join(client.send(Ping())[2:6].hex() + ' ' for _ in range(100)), flush=True)\n"
            "child or os.wait()\n"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=3 * PATIENCE)
        assert len(set(result.stdout.split())) == 200

    @both_roles
    def test_source_that_fails(self, role: Role) -> None:
        """Nothing has been sent then, and nothing has changed."""
        ok = False
        conn = connect(role, random_bytes=lambda size: bytes(size) if ok else b"")
        if role is SERVER:
            assert conn.send(Ping())
            return
        for event in self.EVENTS:
            with pytest.raises(LocalProtocolError, match="returned 0 bytes"):
                conn.send(event)
        with pytest.raises(LocalProtocolError):
            conn.send(CloseConnection())
        assert (conn.state, conn.close_info.sent) == (State.OPEN, None)
        ok = True
        assert frames_from(CLIENT, conn.send(TextMessage("x"))) == [(FIN | TEXT, b"x")]
