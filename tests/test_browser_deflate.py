"""permessage-deflate with headless Chromium: every window of the server's, with and without context takeover."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from browser_fixtures import browser as browser  # a fixture
from patience import PATIENCE

from wsproto_lite import SERVER, AcceptConnection, BytesMessage, Connection, PerMessageDeflate, Request, Settings
from wsproto_lite import TextMessage as Text

EXCHANGE = """async ([url, count]) => {
    const noise = crypto.getRandomValues(new Uint8Array(3000));
    const words = "caf\\u00e9 \\u20ac \\ud83d\\ude00 ".repeat(100);
    const messages = [words, words, "", "a", noise, new Uint8Array(0), "0123456789".repeat(10000), words];
    const ws = new WebSocket(url);
    ws.binaryType = "arraybuffer";
    const received = [];
    await new Promise((resolve, reject) => {
        ws.onerror = () => reject(new Error("it failed"));
        ws.onopen = () => messages.forEach(message => ws.send(message));
        ws.onmessage = event => { if (received.push(event.data) == messages.length) resolve(); };
    });
    const closed = new Promise(resolve => { ws.onclose = event => resolve(event.code); });
    ws.close(1000);
    const same = (a, b) => typeof a == "string" ? a === b : String(a) === String(new Uint8Array(b));
    return [ws.extensions, await closed, messages.map((message, i) => same(message, received[i]))];
}"""


def serve(listener: socket.socket, extension: PerMessageDeflate, seen: list[Any]) -> None:
    """Echo all messages of one connection, long ones in fragments; take note of them, and of what was agreed."""
    sock, _ = listener.accept()
    with sock:
        sock.settimeout(PATIENCE)
        conn = Connection(SERVER, Settings(extensions=(extension,)))
        while not conn.should_close:
            data = sock.recv(65_536)
            events = conn.receive_data(data) if data else conn.receive_eof()
            while events:
                for event in events:
                    if isinstance(event, Request):
                        sock.sendall(conn.send(AcceptConnection()))
                    elif isinstance(event, (Text, BytesMessage)):
                        kind: Any = type(event)
                        sock.sendall(conn.send(kind(event.data[:1000], message_finished=False)))
                        sock.sendall(conn.send(kind(event.data[1000:])))
                    seen.append(event)
                events = conn.receive_data(b"")
            sock.sendall(conn.data_to_send())
            if conn.should_shutdown:
                break


@contextmanager
def server(extension: PerMessageDeflate) -> Iterator[tuple[str, list[Any]]]:
    """Run a server for one connection; give its address and the list of its events."""
    seen: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=serve, args=(listener, extension, seen))
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/", seen
        finally:
            thread.join()


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    yield page
    page.close()


FLAGS = {
    "takeover": {},
    "server without": {"server_no_context_takeover": True},
    "client without": {"client_no_context_takeover": True},
    "both without": {"server_no_context_takeover": True, "client_no_context_takeover": True},
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("bits", range(8, 16))
def test_every_window(page: Any, bits: int, flags: dict[str, bool]) -> None:
    """Chromium offers client_max_window_bits without a value, and takes what it is told."""
    extension = PerMessageDeflate(server_max_window_bits=bits, client_max_window_bits=bits, **flags)
    with server(extension) as (url, seen):
        extensions, code, same = page.evaluate(EXCHANGE, [url, 8])
    windows = [] if bits == 15 else [f"server_max_window_bits={bits}"]
    agreed = ["permessage-deflate", *flags, *windows, f"client_max_window_bits={bits}"]
    assert (extensions.split("; "), code, same) == (agreed, 1000, [True] * 8)
    assert seen[0].extensions == (("permessage-deflate", (("client_max_window_bits", None),)),)
