"""The opening handshake over every adapter, plain HTTP, and how servers listen."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from adapter_peers import Peer, client_of, server_that
from adapter_scripts import Steps, receive_all, subjects, wait_closed
from adapter_subjects import Subject
from asyncio_helpers import SHORT, handshake
from patience import PATIENCE

from wsproto_lite import (
    AcceptConnection,
    LocalProtocolError,
    RejectConnection,
    Settings,
    State,
)
from wsproto_lite.adapters.trio import HandshakeRejected
from wsproto_lite.http11 import RequestHead

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("supported", "offered", "expected"),
    [([], ["a"], None), (["a"], [], None), (["a", "b"], ["b", "a"], "a")],
    ids=["none_supported", "none_offered", "servers_choice"],
)
@subjects
def test_subprotocols(subject: Subject, supported: list[str], offered: list[str], expected: str | None) -> None:
    chosen = []

    def script(ws: Any) -> Steps:
        chosen.append(ws.subprotocol)
        yield from wait_closed(ws)

    def client(ws: Any) -> Steps:
        chosen.append(ws.subprotocol)
        yield ws.close()

    with subject.serving(script, subprotocols=supported) as server:
        subject.talk(client, server.uri, subprotocols=offered)
    assert chosen == [expected] * 2


@subjects
def test_what_a_handler_sees(subject: Subject) -> None:
    seen: dict[str, Any] = {}

    def script(ws: Any) -> Steps:
        seen.update(target=ws.request.target, origin=ws.request.origin, remote=ws.remote_address)
        seen["header"] = dict(ws.request.extra_headers)[b"x-mine"]
        yield from wait_closed(ws)

    def client(ws: Any) -> Steps:
        assert (ws.state, ws.latency, ws.waiting()) == (State.OPEN, None, 0)
        assert dict(ws.response.headers)[b"x-server"] == b"yes"
        yield ws.close()
        return ws.local_address

    with subject.serving(script, additional_headers=[("X-Server", "yes")]) as server:
        kwargs = {"origin": "http://here", "additional_headers": [("X-Mine", "1")]}
        address = subject.talk(client, server.uri + "a?b=c", **kwargs)
    assert seen == {"target": "/a?b=c", "origin": "http://here", "remote": address, "header": b"1"}


@subjects
def test_refusals(subject: Subject) -> None:
    def process_request(ws: Any, head: RequestHead) -> RejectConnection | None:
        allowed = dict(head.headers).get(b"authorization") == b"Bearer right"
        return None if allowed else RejectConnection(401, [("WWW-Authenticate", "Bearer")], b"who are you?")

    settings = Settings(allowed_origins=["http://here"])
    with subject.serving(settings=settings, process_request=process_request) as server:
        with pytest.raises(HandshakeRejected, match="HTTP 401") as caught:
            subject.talk(receive_all, server.uri, origin="http://here")
        assert caught.value.body == b"who are you?"
        headers = [("Authorization", "Bearer right")]
        with pytest.raises(HandshakeRejected, match="HTTP 403"):
            subject.talk(receive_all, server.uri, origin="http://there", additional_headers=headers)


@subjects
def test_redirects_are_not_followed(subject: Subject) -> None:
    """What is in the headers might not be for the other server to see."""
    elsewhere = socket.create_server(("127.0.0.1", 0))
    location = b"ws://127.0.0.1:%d/" % elsewhere.getsockname()[1]

    def behave(peer: Peer) -> None:
        assert b"Authorization: Bearer secret" in peer.sock.recv(1 << 16)
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)
        assert peer.sock.recv(1) == b""

    with elsewhere, server_that(behave) as uri:
        with pytest.raises(HandshakeRejected, match="HTTP 302") as caught:
            subject.talk(receive_all, uri, additional_headers=[("Authorization", "Bearer secret")])
        assert (b"location", location) in list(caught.value.headers)
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (GET % b"/page", b"HTTP/1.1 200 "),
        (GET % b"/other", b"HTTP/1.1 400 "),
        (GET % b"/broken", b"HTTP/1.1 500 "),
        (GET % b"/unsendable", b"HTTP/1.1 500 "),
        (b"\x16\x03\x01 is no HTTP", b"HTTP/1.1 400 "),
    ],
    ids=["answered", "left_alone", "hook_raises", "hook_answers_nonsense", "no_http"],
)
@subjects
def test_process_request(subject: Subject, request_bytes: bytes, expected: bytes) -> None:
    def process_request(ws: Any, head: RequestHead) -> RejectConnection | None:
        if head.target == "/broken":
            raise ValueError("broken")
        if head.target == "/unsendable":
            return RejectConnection(101)
        return RejectConnection(200, body=b"a page") if head.target == "/page" else None

    with (
        subject.serving(process_request=process_request) as server,
        client_of(server.port, opened=False) as peer,
    ):
        peer.write(request_bytes)
        response = b""
        while data := peer.sock.recv(1 << 16):
            response += data
        assert response.startswith(expected)
        assert response.endswith(b"a page") == (expected == b"HTTP/1.1 200 ")


requests = pytest.mark.parametrize("request_bytes", [handshake(), GET % b"/"], ids=["upgrade", "plain"])


@pytest.mark.parametrize("answer", ["no", AcceptConnection()], ids=["str", "consent"])
@requests
@subjects
def test_process_request_returns_something_else(
    subject: Subject, request_bytes: bytes, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        subject.serving(process_request=lambda ws, head: answer) as server,
        client_of(server.port, opened=False) as peer,
    ):
        peer.write(request_bytes)
        assert peer.sock.recv(1 << 16).startswith(b"HTTP/1.1 500 ")
        assert peer.is_cut_off()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (record.name, record.message) == ("wsproto_lite", "process_request failed")
    assert f"process_request returned {answer!r}; it must be a RejectConnection or None" in str(record.exc_info)


@requests
@subjects
def test_client_leaves_while_process_request_waits(subject: Subject, request_bytes: bytes) -> None:
    asked, go = threading.Event(), threading.Event()

    def process_request(ws: Any, head: RequestHead) -> Any:
        asked.set()
        return answer_blocking() if subject.name == "threads" else answer_later()

    def answer_blocking() -> RejectConnection:
        assert go.wait(PATIENCE)
        return RejectConnection(200)

    async def answer_later() -> RejectConnection:
        while not go.is_set():
            await subject.sleep(SHORT / 10)
        return RejectConnection(200)

    with subject.serving(process_request=process_request) as server, client_of(server.port, opened=False) as peer:
        peer.write(request_bytes)
        assert asked.wait(PATIENCE)
        peer.reset()
        threading.Event().wait(SHORT)
        go.set()


@subjects
def test_process_request_closes(subject: Subject) -> None:
    def process_request(ws: Any, head: RequestHead) -> None:
        ws.begin_close()

    with subject.serving(process_request=process_request) as server, client_of(server.port, opened=False) as peer:
        peer.write(handshake())
        assert peer.is_cut_off()


@subjects
def test_unsendable_header_of_ours(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    with (
        subject.serving(additional_headers=[("Connection", "close")]) as server,
        client_of(server.port, opened=False) as peer,
    ):
        peer.write(handshake())
        assert peer.is_cut_off()
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["wsproto_lite"]


@pytest.mark.parametrize(
    "kwargs",
    [{"subprotocols": ["not a token"]}, {"additional_headers": [("Host", "other")]}, {"origin": "a\nb"}],
    ids=["subprotocol", "header", "origin"],
)
@subjects
def test_what_cant_be_sent(subject: Subject, kwargs: dict[str, Any]) -> None:
    """Is known before there is a connection."""
    with pytest.raises(LocalProtocolError):
        subject.talk(receive_all, "ws://localhost:1/", **kwargs)


@subjects
def test_nobody_listens(subject: Subject) -> None:
    with subject.serving() as server:
        uri, port = server.uri, server.port
        with pytest.raises(OSError, match="in use"), subject.serving(port=port):
            pass
    with pytest.raises(OSError, match=r"refused|failed"):
        subject.talk(receive_all, uri)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"settings": Settings(delivery="frame")}, "use the core"),
        ({"max_queue": 0}, "max_queue is 0"),
        ({"close_timeout": -1}, "close_timeout is -1"),
    ],
    ids=["settings", "max_queue", "timeout"],
)
@subjects
def test_arguments_that_make_no_sense(subject: Subject, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message), subject.serving(**kwargs):
        pass
    with pytest.raises(LocalProtocolError, match=message):
        subject.talk(receive_all, "ws://localhost:1/", **kwargs)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@subjects
def test_unix_socket(subject: Subject, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    def script(ws: Any) -> Steps:
        yield ws.send("hello")
        return (yield ws.recv())

    with pytest.raises(FileNotFoundError):
        subject.talk(script, "ws://localhost/", path=path)
    for _ in range(2):  # the second time it is there already
        with subject.serving(host=None, port=None, path=path):
            assert subject.talk(script, "ws://localhost/", path=path) == "hello"
    with (
        pytest.raises(OSError, match="No such file"),
        subject.serving(host=None, port=None, path=str(tmp_path / "none" / "socket")),
    ):
        pass
