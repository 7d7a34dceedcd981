"""The opening handshake as somebody saw it from outside, read by the library's own client and server.

Knows both heads and what they agree on. Must not know frames.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple, Union, cast

from .constants import CLIENT, CloseCode, Role
from .errors import RemoteProtocolError
from .events import ExtensionOffer, Headers, RejectConnection, Request
from .extension_header import parse_extensions
from .extensions import Codec, Extension, Params, PerMessageDeflate, finalize
from .handshake import Handshake, HandshakeResponse
from .headers import index, options
from .http11 import ClientUpgrade, ServerUpgrade
from .sections import section_of_request, section_of_response
from .settings import Settings

MAX_HEAD = 64 << 10

DEFLATE = PerMessageDeflate.name

Answer = Union[Handshake, RejectConnection]

_SWAPPED = {"server": "client", "client": "server"}


class Violation(NamedTuple):
    """A broken rule: what is wrong, which section says so, and the close code that answers it."""

    message: str
    section: str
    code: int


class SeenRequest(NamedTuple):
    """A client's request; None if it is none that could be read."""

    request: Request | None
    violation: Violation | None


class SeenResponse(NamedTuple):
    """A server's response. `status` is 0 for what isn't HTTP."""

    status: int
    headers: Headers
    subprotocol: str | None
    extensions: Sequence[ExtensionOffer]
    violation: Violation | None


class _Unknown(Extension):
    """Stands for an extension that we can't decode. A connection that has it is not judged."""

    def __init__(self, name: str) -> None:
        self.name = name

    def offer(self) -> Params:
        """Offer it; with which parameters doesn't matter to who only reads the answer."""
        return ()

    def finalize(self, params: Params) -> Codec:
        """Make no codec: nothing but the reserved bits is ever asked of it."""
        return cast(Codec, SimpleNamespace(rsv=0))


def make_server() -> ServerUpgrade:
    """Make what reads a request."""
    return ServerUpgrade(Settings(max_header_size=MAX_HEAD))


def make_client(request: Request) -> ClientUpgrade:
    """Make what reads the response to a request: a client that has sent it, its key included."""
    key = next(value for name, value in request.headers if name == b"sec-websocket-key")
    nonce = b64decode(key)
    settings = Settings(
        max_header_size=MAX_HEAD,
        extensions=_stand_ins(request.extensions),
        random_bytes=lambda size: nonce,
    )
    upgrade = ClientUpgrade(settings)
    upgrade.request(Request(request.target, request.host, request.subprotocols))
    return upgrade


def _stand_ins(extensions: Sequence[ExtensionOffer]) -> list[Extension]:
    names = dict.fromkeys(name for name, _ in extensions)
    return [PerMessageDeflate() if name == DEFLATE else _Unknown(name) for name in names]


def asks_for_websocket(upgrade: ServerUpgrade) -> bool:
    """Tell whether a request that was refused wanted to be an upgrade to WebSocket at all."""
    head = upgrade.head
    return head is not None and b"websocket" in options(index(head.headers).get(b"upgrade", ()))


def seen_request(answer: Request | RejectConnection) -> SeenRequest:
    """Say what was seen."""
    if isinstance(answer, Request):
        return SeenRequest(answer, None)
    message = str(answer.error)
    return SeenRequest(None, Violation(message, section_of_request(message), CloseCode.PROTOCOL_ERROR))


def seen_response(answer: Answer) -> SeenResponse:
    """Say what was seen."""
    if isinstance(answer, Handshake):
        return SeenResponse(answer.status, answer.headers, answer.subprotocol, agreed_extensions(answer), None)
    violation = None
    if answer.error is not None:
        message = str(answer.error)
        violation = Violation(message, section_of_response(message), answer.error.code)
    return SeenResponse(answer.status_code, answer.headers, None, (), violation)


def read_lone_response(head: bytes) -> Answer:
    """Judge a response, from its first byte to its blank line, without the request that it answers."""
    status = head[9:12]
    if status != b"101" and status.isdigit():
        return RejectConnection(int(status))
    try:
        response = HandshakeResponse.from_bytes(head)
        subprotocol = response.websocket_protocols
        answer = Handshake(101, response.headers, None if subprotocol is None else subprotocol.decode(), ())
        agreed = agreed_extensions(answer)
        finalize(agreed, _stand_ins(agreed))
    except RemoteProtocolError as error:
        return RejectConnection(101, error=error)
    return answer


def agreed_extensions(handshake: Handshake) -> tuple[ExtensionOffer, ...]:
    """Return what the server has accepted."""
    return parse_extensions(index(handshake.headers).get(b"sec-websocket-extensions", ()))


def codecs_for(sender: Role, agreed: Sequence[ExtensionOffer]) -> tuple[Codec, ...]:
    """Make what decodes the messages of `sender`, where nothing but permessage-deflate was agreed."""
    return tuple(
        PerMessageDeflate().finalize(_for_the_other(params) if sender is CLIENT else params) for _, params in agreed
    )


def _for_the_other(params: Params) -> Params:
    """Swap the ends in an answer: finalize() makes what a client decodes with, and here a server does."""
    return [(_SWAPPED[name[:6]] + name[6:], value) for name, value in params]
