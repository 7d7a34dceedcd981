"""`wsproto-lite connect`: pipes, what is typed, options, refusals, exit codes."""

from __future__ import annotations

import asyncio
import io
import os
import ssl
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, cast

import pytest
import trustme
from asyncio_helpers import port_of
from patience import PATIENCE
from processes import program

from wsproto_lite import BytesMessage, PerMessageDeflate, Ping, Pong, RejectConnection, Settings, TextMessage
from wsproto_lite._cli_console import Console, Lines, paint
from wsproto_lite._cli_dialogue import Dialogue, make_class
from wsproto_lite.adapters.asyncio import Server, WebSocket, serve
from wsproto_lite.adapters.asyncio import connect as connect_to
from wsproto_lite.cli import main
from wsproto_lite.errors import LocalProtocolError
from wsproto_lite.http11 import RequestHead

REQUESTS: list[Any] = []
"""What has been asked of the server."""


async def handle(ws: WebSocket) -> None:
    """Do what the target of the request says."""
    assert ws.request is not None
    REQUESTS.append(ws.request)
    path = ws.request.target
    if path.startswith("/close"):
        await ws.close(int(path[6:]), "bye\x1b")
    if path == "/ping":
        await (await ws.ping(b"are you there?"))
    if path == "/binary":
        await ws.send(bytes(range(40)))
        await ws.send(bytes(300))
    if path == "/lost":
        ws.abort()
    if path == "/once":
        await ws.send("once")
        await ws.recv()
    async for message in ws:
        await ws.send(message)


def answer(ws: WebSocket, head: RequestHead) -> RejectConnection | None:
    """Refuse some requests."""
    if head.target == "/moved":
        return RejectConnection(302, [("Location", "ws://elsewhere/\xe9".encode("latin-1"))], b"no\nmore\x1b[2J")
    return RejectConnection(404) if head.target == "/nowhere" else None


class Background:
    """A server in a thread of its own."""

    def __init__(self, **kwargs: Any) -> None:
        self._started = threading.Event()
        self._kwargs = kwargs
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        settings = Settings(extensions=(PerMessageDeflate(),))
        async with serve(
            handle,
            None if "path" in self._kwargs else "127.0.0.1",
            None if "path" in self._kwargs else 0,
            settings=settings,
            subprotocols=["chat"],
            process_request=answer,
            **self._kwargs,
        ) as server:
            self.server: Server = server
            self._started.set()
            await self._stopped.wait()

    def __enter__(self) -> Background:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def uri(self, path: str = "/echo") -> str:
        """Give the address of a target."""
        return f"ws://127.0.0.1:{port_of(self.server)}{path}"


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    with Background() as background:
        yield background


class Input:
    """A standard input that is a pipe, or pretends to be a terminal."""

    def __init__(self, data: bytes, *, is_terminal: bool = False, stays_open: bool = False) -> None:
        self._descriptor, self._end = os.pipe()
        os.write(self._end, data)
        if not stays_open:
            os.close(self._end)
        self._is_terminal = is_terminal
        self._stays_open = stays_open

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._is_terminal

    def close(self) -> None:
        if self._stays_open:
            os.close(self._end)


Connect = Callable[..., "tuple[int, str, list[str]]"]


@pytest.fixture
def connect(
    background: Background, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Connect]:
    """Run the command; give its exit code, standard output, and the lines of standard error."""
    inputs: list[Input] = []

    def run(
        path: str,
        *arguments: str,
        data: bytes = b"",
        typed: bool = False,
        stays_open: bool = False,
        linger: str = "0.05",
    ) -> tuple[int, str, list[str]]:
        source = Input(data, is_terminal=typed, stays_open=stays_open)
        inputs.append(source)
        monkeypatch.setattr(sys, "stdin", source)
        uri = path if ":" in path else background.uri(path)
        code = main(["connect", uri, "--linger", linger, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    yield run
    for source in inputs:
        source.close()


def opened(background: Background, path: str = "/echo", *more: str) -> str:
    return ", ".join([f"* connected to {background.uri(path)}", *more])


# ---- pipes ----


def test_pipe(connect: Connect, background: Background) -> None:
    """Lines are sent as they are, messages are lines, and the rest goes to standard error."""
    code, output, error = connect("/echo", data="hello\r\n/ping\n\n  Grüße".encode())
    assert (code, output) == (0, "hello\n/ping\n\n  Grüße\n")
    assert error == [opened(background), "* closed 1000 by us"]


def test_quiet(connect: Connect) -> None:
    assert connect("/echo", "-q", data=b"hello") == (0, "hello\n", [])


def test_quiet_about_what_goes_wrong(connect: Connect) -> None:
    """It still says why it fails."""
    code, _, error = connect("/close1011", "-q", linger="20")
    assert (code, error) == (1, ["wsproto-lite: closed 1011 by the peer: bye\\x1b"])


def test_many_lines(connect: Connect) -> None:
    """More than one read gives, and lines longer than that."""
    lines = b"".join(b"%d\n" % number for number in range(2000)) + b"x" * 50_000
    code, output, _ = connect("/echo", data=lines)
    assert (code, output) == (0, lines.decode() + "\n")


def test_count(connect: Connect) -> None:
    """It closes when enough has come, whatever else is to be sent."""
    code, output, _ = connect("/once", "-n", "1", data=b"", stays_open=True)
    assert (code, output) == (0, "once\n")


def test_count_of_what_came_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages that came with the last one are left out."""
    console = Console(raw=False, quiet=False, count=2)
    for text in "xyz":
        console.show(TextMessage(text))
    assert capsys.readouterr().out == "x\ny\n"


def test_staying(connect: Connect) -> None:
    code, output, error = connect("/close1001", linger="0")
    assert (code, output, error[-1]) == (0, "", "* closed 1001 by the peer: bye\\x1b")


def test_pings_are_told(connect: Connect) -> None:
    _, _, error = connect("/ping")
    assert "* ping are you there?" in error


def test_binary(connect: Connect) -> None:
    code, output, _ = connect("/echo", "--hex", data=b"00 ff # comment\n0x0a\n")
    assert (code, output) == (0, "00ff\n0a\n")


def test_binary_as_it_is(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    console = Console(raw=True, quiet=False)
    console.show(BytesMessage(b"\x00\xff"))
    console.show(TextMessage("x"))
    console.show(Pong(b""))
    assert capsysbinary.readouterr().out == b"\x00\xffx\n"


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        (["--hex"], b"00\nzz\n00\n", "line 1 has 'zz', which is not bytes in hexadecimal"),
        ([], b"good\n\xff\n", "line 2 is not UTF-8"),
    ],
    ids=["hex", "utf8"],
)
def test_lines_that_cant_be_sent(arguments: list[str], data: bytes, message: str, connect: Connect) -> None:
    code, _, error = connect("/echo", *arguments, data=data)
    assert code == 2
    assert f"wsproto-lite: {message}" in error


ENDS = {"1000": 0, "1001": 0, "1011": 1, "4000": 1}


@pytest.mark.parametrize(("close_code", "expected"), ENDS.items(), ids=ENDS)
def test_exit_codes(close_code: str, expected: int, connect: Connect) -> None:
    code, _, error = connect(f"/close{close_code}", linger="20")
    assert (code, error[-1]) == (expected, f"* closed {close_code} by the peer: bye\\x1b")


def test_lost_connection(connect: Connect) -> None:
    code, _, error = connect("/lost", linger="20", stays_open=True)
    assert (code, error[-1]) == (1, "* closed 1006: the transport ended without a close frame")


def test_violation(connect: Connect) -> None:
    code, _, error = connect("/echo", "--max-size", "4", data=b"hello", linger="20")
    assert (code, error[-1]) == (1, "* closed 1009 by us: message is 5 bytes; the limit is 4")


def test_server_that_ends_while_lines_are_sent(connect: Connect) -> None:
    code, _, error = connect("/close1000", data=b"x\n" * 30_000, linger="20")
    assert (code, error[-1]) == (0, "* closed 1000 by the peer: bye\\x1b")


# ---- what is asked ----


def test_what_is_asked(connect: Connect, background: Background) -> None:
    arguments = [
        "-H",
        "X-One: 1",
        "--header",
        "Cookie: a=b; c",
        "-s",
        "other",
        "-s",
        "chat",
        "-o",
        "http://example.com",
    ]
    _, _, error = connect("/echo?query", *arguments, "--deflate", data=b"x")
    request = REQUESTS[-1]
    assert (request.target, request.subprotocols, request.origin) == (
        "/echo?query",
        ("other", "chat"),
        "http://example.com",
    )
    assert {(b"x-one", b"1"), (b"cookie", b"a=b; c")} <= set(request.headers)
    extensions = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    assert error[0] == opened(background, "/echo?query", "subprotocol chat", f"extensions {extensions}")


def test_refusal(connect: Connect, background: Background) -> None:
    code, output, error = connect("/moved")
    assert (code, output) == (1, "")
    assert error == [
        f"wsproto-lite: {background.uri('/moved')} is refused: HTTP 302",
        "* it points to ws://elsewhere/é",
        "* no",
        "* more\\x1b[2J",
    ]


def test_refusal_without_words(connect: Connect, background: Background) -> None:
    code, _, error = connect("/nowhere")
    assert (code, error) == (1, [f"wsproto-lite: {background.uri('/nowhere')} is refused: HTTP 404"])


UNREACHABLE = {
    "refused": ("ws://127.0.0.1:1/", "Connection refused"),
    "no_host": ("ws://no-such-host.invalid/", ""),
}


@pytest.mark.parametrize(("uri", "reason"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_unreachable(uri: str, reason: str, connect: Connect) -> None:
    code, _, (line,) = connect(uri)
    assert code == 1
    assert line.startswith(f"wsproto-lite: can't connect to {uri}: {reason}")


def test_open_timeout(connect: Connect) -> None:
    """A server that never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        code, _, error = connect(uri, "--open-timeout", "0.05")
    assert (code, error) == (1, [f"wsproto-lite: can't connect to {uri}: connecting took longer than 0.05 s"])


MISTAKES = {
    "scheme": (["http://127.0.0.1/"], "wsproto-lite: uri 'http://127.0.0.1/' has the scheme 'http'; it is ws or wss\n"),
    "header": (["ws://x/", "-H", "no colon"], "header is 'no colon'; it is 'NAME: VALUE'"),
    "reserved_header": (["ws://x/", "-H", "Host: y"], "wsproto-lite: header 'host' is set by the handshake"),
    "insecure": (["ws://x/", "--insecure"], "uri 'ws://x/' is not secure; --ca-file and --insecure are for wss"),
    "no_such_authority": (
        ["wss://x/", "--ca-file", "no-such-file"],
        "can't use the certificates in no-such-file: No such",
    ),
    "time": (["ws://x/", "--linger", "soon"], "time is 'soon'; it is seconds, 0 for no limit"),
    "negative_time": (["ws://x/", "--linger=-1"], "time is '-1'; it is seconds, 0 for no limit"),
    "endless_time": (["ws://x/", "--linger", "inf"], "time is 'inf'; it is seconds, 0 for no limit"),
    "count": (["ws://x/", "-n", "0"], "number is '0'; it is 1 or more"),
    "size": (["ws://x/", "--max-size", "x"], "number is 'x'; it is 1 or more"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(["connect", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


# ---- TLS, Unix ----


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Background]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Background(ssl=context) as background:
        yield background


@pytest.mark.parametrize(
    ("host", "arguments", "expected"),
    [
        ("localhost", ["--ca-file"], 0),
        ("127.0.0.1", ["--ca-file"], 1),
        ("localhost", [], 1),
        ("127.0.0.1", ["--insecure"], 0),
    ],
    ids=["trusted", "other_name", "not_trusted", "insecure"],
)
def test_tls(
    host: str,
    arguments: list[str],
    expected: int,
    secure: Background,
    authority: trustme.CA,
    connect: Connect,
    tmp_path: Path,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if arguments == ["--ca-file"]:
        arguments = ["--ca-file", str(tmp_path / "ca.pem")]
    code, output, error = connect(f"wss://{host}:{port_of(secure.server)}/", *arguments, data=b"hello")
    assert (code, output) == (expected, "" if expected else "hello\n")
    if expected:
        assert "certificate" in error[0]


def test_unix_socket(connect: Connect, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Background(path=path):
        assert connect("ws://localhost/", "--unix", path, "-q", data=b"hello") == (0, "hello\n", [])


# ---- what is typed ----


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make standard output and error terminals without colours. To be called in the test: before, they are others."""

    def become() -> None:
        monkeypatch.setitem(sys.modules, "rich.console", None)
        for file in (sys.stdout, sys.stderr):
            monkeypatch.setattr(file, "isatty", lambda: True)

    return become


def test_typed(connect: Connect, background: Background, terminal: Callable[[], None]) -> None:
    terminal()
    lines = b"hello\n//x\n/hex 00ff\n/hex 0g\n/what\n/close x\n/ping\n/ping\n/ping me\n/close 3000 done\nlate\n"
    code, output, error = connect("/echo", data=lines, typed=True, stays_open=True)
    assert code == 0
    assert output.splitlines()[0] == "< hello"
    assert error[0] == opened(background)
    assert "wsproto-lite: line 1 has '0g', which is not bytes in hexadecimal" in error
    assert "* /ping [TEXT], /hex DIGITS, /close [CODE [REASON]], // for a line that begins with /" in error
    assert "wsproto-lite: close code is 'x'; it is a number" in error
    assert error[-1] == "* closed 3000 by us: done"


def test_end_of_what_is_typed(connect: Connect, terminal: Callable[[], None]) -> None:
    """Ctrl-D closes at once."""
    terminal()
    code, _, error = connect("/echo", data=b"x\n", typed=True, linger="20")
    assert (code, error[-1]) == (0, "* closed 1000 by us")


def test_hexadecimal_typed(connect: Connect, terminal: Callable[[], None]) -> None:
    terminal()
    code, output, _ = connect("/echo", "--hex", "-n", "1", data=b"00ff\n", typed=True, stays_open=True)
    assert (code, output) == (0, "< (2 bytes) 00ff\n")


def test_binary_on_a_terminal(connect: Connect, terminal: Callable[[], None]) -> None:
    terminal()
    _, output, _ = connect("/binary", "-n", "2", stays_open=True)
    first, second = output.splitlines()
    assert first.startswith("< (40 bytes) 00010203 04050607 ")
    assert second.startswith("< (300 bytes) 00000000 ")
    assert second.endswith("...")


def test_pong_is_told(connect: Connect, terminal: Callable[[], None]) -> None:
    terminal()
    code, _, error = connect("/echo", "-n", "1", data=b"/ping\nx\n", typed=True, stays_open=True)
    assert code == 0
    assert [line.partition(" after ")[0] for line in error[1:-1]] == ["* pong"]


def test_pong_that_never_comes(connect: Connect, terminal: Callable[[], None]) -> None:
    terminal()
    code, _, error = connect("/lost", data=b"/ping\n/close\n", typed=True, stays_open=True)
    assert code == 1
    assert [line for line in error if "pong" in line] == []


def test_what_comes_is_escaped(terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    terminal()
    console = Console(raw=False, quiet=False)
    console.show(TextMessage("\x1b[2J\u202e"))
    console.show(Ping(b"\x1b"))
    console.show(Ping(b""))
    assert capsys.readouterr() == ("< \\x1b[2J\\u202e\n", "* ping \\x1b\n* ping\n")


def test_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    paint("< [bold]x", "cyan")
    assert capsys.readouterr().out == "\x1b[36m< [bold]x\x1b[0m\n"


def test_characters_that_a_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    paint("ä", "")
    sys.stdout.flush()
    assert buffer.getvalue() == b"\\xe4\n"


# ---- when it is too late ----


class Gone:
    """A standard output that nobody reads any more."""

    def __init__(self, descriptor: int) -> None:
        self.buffer = self
        self._descriptor = descriptor

    def write(self, data: object) -> None:
        raise BrokenPipeError

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._descriptor


def test_output_that_nobody_reads(connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", Gone(file.fileno()))
        code, _, error = connect("/echo", data=b"x\n", linger="20")
    assert (code, len(error)) == (141, 1)


def test_count_that_is_reached_at_the_end(connect: Connect) -> None:
    code, output, _ = connect("/echo", "-n", "2", data=b"x\ny\n", linger="20")
    assert (code, output) == (0, "x\ny\n")


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "piped"])
def test_line_that_comes_too_late(
    typed: bool, background: Background, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is told elsewhere."""
    monkeypatch.setattr(sys, "stdin", Input(b"late\n", is_terminal=typed))

    async def run() -> None:
        console = Console(raw=False, quiet=True)
        websocket: Any = await connect_to(background.uri(), websocket_class=make_class(console))
        await websocket.close()
        await Dialogue(websocket, console, Namespace(hex=False))._send()

    asyncio.run(run())
    assert capsys.readouterr() == ("", "")


def test_pong_that_is_lost(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input(b""))

    async def run() -> None:
        console = Console(raw=False, quiet=False)
        dialogue = Dialogue(cast(Any, None), console, Namespace())
        answers: list[asyncio.Future[float]] = [asyncio.get_running_loop().create_future() for _ in range(2)]
        answers[0].cancel()
        answers[1].set_exception(LocalProtocolError("lost"))
        for answer in answers:
            dialogue._tell_pong(answer)

    asyncio.run(run())


# ---- lines ----


def all_lines(descriptor: int) -> list[str]:
    """Read lines to the end, and wait for the thread's: it must not read what gets the same descriptor later."""

    async def read() -> list[str]:
        return [line async for line in Lines(descriptor)]

    before = set(threading.enumerate())
    try:
        return asyncio.run(read())
    finally:
        for thread in set(threading.enumerate()) - before:
            thread.join(20)


def test_lines_of_a_terminal_that_is_gone() -> None:
    assert all_lines(-1) == []


def test_lines_in_parts() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        for part in (b"a", b"b\nc", b"\n\nd", b"\n"):
            os.write(writing, part)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    assert all_lines(reading) == ["ab", "c", "", "d"]
    thread.join()
    os.close(reading)


@pytest.mark.parametrize("data", [b"line\n", b"no line break"])
def test_lines_that_nobody_wants(data: bytes) -> None:
    """The thread ends with what it reads next."""
    reading, writing = os.pipe()

    async def begin() -> None:
        Lines(reading)

    before = set(threading.enumerate())
    asyncio.run(begin())
    (thread,) = set(threading.enumerate()) - before
    os.write(writing, data)
    os.close(writing)
    thread.join(20)
    assert not thread.is_alive()
    os.close(reading)


def test_line_that_is_not_utf8() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\xff\n")
    os.close(writing)
    with pytest.raises(LocalProtocolError, match="line 1 is not UTF-8"):
        all_lines(reading)
    os.close(reading)


# ---- as a process ----


def test_process(tmp_path: Path) -> None:
    """With a file, which not every loop can wait for."""
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntwo\n")
    with program("-m", "wsproto_lite", "serve", "--port", "0") as (_, url), file.open("rb") as source:
        command = [sys.executable, "-W", "error", "-m", "wsproto_lite", "connect", url.replace("http", "ws")]
        done = subprocess.run(command, stdin=source, capture_output=True, timeout=3 * PATIENCE, text=True, check=False)
    assert (done.stdout, done.stderr.splitlines()[1:], done.returncode) == ("one\ntwo\n", ["* closed 1000 by us"], 0)


def test_reader_that_has_seen_enough(background: Background) -> None:
    command = [sys.executable, "-W", "error", "-m", "wsproto_lite", "connect", background.uri(), "-q"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write("x\n")
        process.stdin.flush()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.stdin.close()
