"""Requests to judge, shared by the tests of the handshake."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

from wsproto_lite import http11
from wsproto_lite.errors import RemoteProtocolError
from wsproto_lite.events import RejectConnection, Request
from wsproto_lite.extensions import Codec, Extension, Params
from wsproto_lite.handshake import check_request
from wsproto_lite.settings import Settings

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = [
    (b"Host", b"server.example.com"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
]
CONNECT = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":path", b"/chat"),
    (b":authority", b"server.example.com"),
    (b"sec-websocket-version", b"13"),
]
SETTINGS = Settings()
CLOSE = (b"connection", b"close")
"""What every refusal over HTTP/1.1 says."""


def http11_without_reader() -> Any:
    """Load the module a second time, as it is where h11 has hidden its reader."""
    spec = http11.__spec__
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "h11._readers", None)
        spec.loader.exec_module(module)
    return module


def without(name: bytes, headers: list[tuple[bytes, bytes]] = UPGRADE) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0].lower() != name.lower()]


def upgrade(*headers: tuple[bytes, bytes], settings: Settings = SETTINGS, target: bytes = b"/chat") -> Any:
    """Judge the smallest upgrade with `headers` in the place of its own of the same names."""
    names = {name.lower() for name, _ in headers}
    kept = [header for header in UPGRADE if header[0].lower() not in names]
    return check_request(b"GET", target, [*kept, *headers], settings)


def connect(*headers: tuple[bytes, bytes], http: Any = "2") -> Any:
    names = {name.lower() for name, _ in headers}
    kept = [header for header in CONNECT if header[0].lower() not in names]
    return check_request("CONNECT", "/chat", [*kept, *headers], SETTINGS, http=http)


def status(answer: Request | RejectConnection) -> int:
    """Give the status that the answer leads to; a refusal says why in its error."""
    if isinstance(answer, Request):
        return 101
    assert isinstance(answer.error, RemoteProtocolError)
    return answer.status_code


def head(*lines: bytes, request_line: bytes = b"GET /chat HTTP/1.1", without: bytes = b"-") -> bytes:
    """Write an upgrade with further lines, less the header `without`."""
    own = [b"%b: %b" % header for header in UPGRADE if header[0] != without]
    return b"\r\n".join([request_line, *own, *lines, b"", b""])


class Reversal(Extension):
    """Takes the parameter `times`, of which the answer has the half."""

    name = "reversal"

    def offer(self) -> Params:
        return (("times", "8"), ("bare", None))

    def accept(self, params: Params) -> tuple[Params, Codec] | None:
        return ((("times", "4"),), ReversalCodec()) if dict(params).get("times") == "8" else None

    def finalize(self, params: Params) -> Codec:
        if dict(params) != {"times": "4"}:
            raise RemoteProtocolError("times is wrong")
        return ReversalCodec()


class ReversalCodec:
    rsv = 0x20
    has_pending = False

    def decode(self, data: bytes, *, final: bool, max_length: int) -> bytes:
        return data[::-1]

    def wants(self, size: int | None) -> bool:
        return True

    def encode(self, data: bytes, *, final: bool) -> bytes:
        return data[::-1]
