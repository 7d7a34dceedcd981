"""Headless Chromium against the asyncio and the uvicorn adapter, with and without TLS: all that a page can do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser_fixtures import browser as browser  # a fixture
from browser_relay import relay_to
from missing import needed_module
from patience import PATIENCE
from processes import program
from uvicorn_processes import uvicorn

APPS = Path(__file__).with_name("browser_apps.py")

HEARTBEAT = ("--ws-ping-interval", "0.05")

SCRIPT = """patience => {
    const same = (sent, received) => {
        if (typeof sent == "string" || typeof received == "string") return sent === received;
        const bytes = new Uint8Array(received);
        return sent.length == bytes.length && sent.every((byte, i) => byte == bytes[i]);
    };

    // Send a message, close after the answer if that is asked for, and give all that happens until the end.
    window.talk = (uri, message, close) => new Promise((resolve, reject) => {
        const seen = [];
        const ws = new WebSocket(uri);
        ws.binaryType = "arraybuffer";
        ws.onopen = () => {
            seen.push(["open", ws.extensions]);
            ws.send(message);
        };
        ws.onmessage = event => {
            if (event.data === "null") {  // the server knows no answer yet
                ws.send(message);
                return;
            }
            seen.push(["message", same(message, event.data) ? "the same" : String(event.data)]);
            if (close) ws.close(...close);
        };
        ws.onerror = () => seen.push(["error"]);
        ws.onclose = event => {
            seen.push(["close", event.code, event.reason, event.wasClean]);
            resolve(seen);
        };
        setTimeout(() => reject(new Error("stuck after " + JSON.stringify(seen))), patience);
    });

    window.noise = size => {
        const bytes = new Uint8Array(size);
        for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
        return bytes;
    };
}"""

OPEN = ["open", "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"]


@contextmanager
def asyncio_server(*certificate: str) -> Iterator[str]:
    with program(str(APPS), *certificate) as (process, uri):
        yield uri
        process.terminate()
        assert process.communicate(timeout=PATIENCE)[1] == ""
        assert process.returncode == 0


@contextmanager
def uvicorn_server(*certificate: str) -> Iterator[str]:
    needed_module("uvicorn")
    options = ("--ssl-certfile", *certificate) if certificate else ()
    with uvicorn("browser_apps:app", *HEARTBEAT, *options) as it:
        yield it.uri.replace("ws:", "wss:") if certificate else it.uri
        log = it.stop()
        assert "Traceback" not in log
        assert "Warning" not in log


SERVERS = {
    "asyncio": (asyncio_server, False),
    "asyncio with TLS": (asyncio_server, True),
    "uvicorn": (uvicorn_server, False),
    "uvicorn with TLS": (uvicorn_server, True),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("certificate") / "server.pem"
    issued = needed_module("trustme").CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="module", params=SERVERS.values(), ids=list(SERVERS))
def uri(request: pytest.FixtureRequest, certificate: str) -> Iterator[str]:
    server, is_secure = request.param
    with server(*[certificate] * is_secure) as uri:
        yield uri


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.evaluate(SCRIPT, PATIENCE * 1000)
    yield page
    page.close()


def talk(page: Any, uri: str, message: str, close: list[Any] | None = None) -> Any:
    """Tell what happens in the page. The message is JavaScript."""
    return page.evaluate(f"([uri, close]) => talk(uri, {message}, close)", [uri, close])


def end_of(page: Any, uri: str, name: str) -> Any:
    """Tell the code and reason that the server has seen at the end of that connection."""
    opened, (kind, answer), closed = talk(page, uri + "ends/" + name, "''", [])
    assert (opened, kind, closed[0]) == (OPEN, "message", "close")
    return json.loads(answer)


MESSAGES = {
    "text": r"'h\u00e9llo \ud83d\ude00'",
    "binary": "Uint8Array.of(0, 127, 128, 255)",
    "empty text": "''",
    "empty binary": "new Uint8Array(0)",
    "1 MiB of text": r"'\u00e9'.repeat(1 << 19)",
    "1 MiB of binary": "noise(1 << 20)",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_echo(page: Any, uri: str, message: str) -> None:
    seen = talk(page, uri + "echo", message, [1000])
    assert seen == [OPEN, ["message", "the same"], ["close", 1000, "", True]]


def test_ping(page: Any, uri: str) -> None:
    """RFC 6455 section 5.5.2: upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response."""
    opened, (kind, latency), closed = talk(page, uri + "ping", "''", [1000])
    assert (opened, kind, closed) == (OPEN, "message", ["close", 1000, "", True])
    assert 0 <= float(latency) < PATIENCE  # the clock of uvloop ticks in milliseconds


BROWSER_CLOSES: dict[str, tuple[list[Any], list[Any]]] = {
    "code-and-reason": ([4001, "sch\u00f6n"], [4001, "sch\u00f6n"]),
    "longest-reason": ([4001, "x" * 123], [4001, "x" * 123]),
    "code-alone": ([3000], [3000, ""]),
    "nothing": ([], [1005, ""]),
}


@pytest.mark.parametrize("name", BROWSER_CLOSES)
def test_browser_closes(page: Any, uri: str, name: str) -> None:
    """RFC 6455 section 5.5.1: the answer to a Close typically echoes the status code."""
    close, end = BROWSER_CLOSES[name]
    seen = talk(page, uri + "watched/" + name, "'a'", close)
    assert seen == [OPEN, ["message", "the same"], ["close", end[0], "", True]]
    assert end_of(page, uri, name) == end


def test_browser_leaves(browser: Any, page: Any, uri: str) -> None:
    """RFC 6455 section 7.4.1: 1001 is for a browser that has navigated away from a page."""
    other = browser.new_page()
    connect = "uri => new Promise(resolve => { window.ws = new WebSocket(uri); ws.onopen = () => resolve(true); })"
    assert other.evaluate(connect, uri + "watched/leaving")
    other.close()
    assert end_of(page, uri, "leaving") == [1001, ""]


SERVER_CLOSES = {
    "code and reason": [4002, "sch\u00f6n"],
    "longest reason": [4002, "\u00e9" * 61 + "x"],
    "code alone": [1011, ""],
}


@pytest.mark.parametrize("close", SERVER_CLOSES.values(), ids=SERVER_CLOSES)
def test_server_closes(page: Any, uri: str, close: list[Any]) -> None:
    seen = talk(page, uri + "close", f"'{json.dumps(close, ensure_ascii=False)}'")
    assert seen == [OPEN, ["close", *close, True]]


TO_COMPRESS = {"words": ("'word '.repeat(200000)", True), "noise": ("noise(1000000)", False)}


@pytest.mark.parametrize(("message", "compresses"), TO_COMPRESS.values(), ids=TO_COMPRESS)
def test_compression(page: Any, uri: str, message: str, compresses: bool) -> None:
    """What both sides send is small where it can be; noise, which can't be, shows that all bytes are counted."""
    parts = urlsplit(uri)
    assert parts.port is not None
    with relay_to(parts.port) as relay:
        seen = talk(page, f"{parts.scheme}://127.0.0.1:{relay.port}/echo", message, [1000])
    assert seen == [OPEN, ["message", "the same"], ["close", 1000, "", True]]
    assert [relay.sent < 50_000, relay.received < 50_000] == [compresses] * 2
    assert [relay.sent > 1_000_000, relay.received > 1_000_000] == [not compresses] * 2


def test_refusal(page: Any, uri: str) -> None:
    """A page isn't told the status, lest it explores servers that it can't read; the console is."""
    with page.expect_console_message() as message:
        seen = talk(page, uri + "forbidden", "''")
    assert seen == [["error"], ["close", 1006, "", False]]
    assert message.value.text.endswith("Unexpected response code: 403")
