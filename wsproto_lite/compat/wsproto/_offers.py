"""Extensions in the opening handshake: wsproto's objects on one side, elements of a header on the other.

Knows wsproto's Extension. What an extension makes of its parameters is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ... import errors
from ...extensions import parse_extensions
from .events import RejectConnection
from .extensions import Extension
from .typing import Headers
from .utilities import RemoteProtocolError, Unsendable, split_comma_header


def offer_extensions(extensions: Sequence[Any]) -> tuple[Headers, list[Extension]]:
    """Client: give the header that offers extensions, if there is one, and those that are in it."""
    offers: dict[str, str | None] = {}
    for extension in extensions:
        if isinstance(extension, str) or not callable(getattr(extension, "offer", None)):
            raise Unsendable(f"extension is {extension!r}; it must be an Extension")
        # Of two with one name the last has its say, as in wsproto.
        offers[extension.name] = _element(extension.name, extension.offer(), "offer")
    header = _header(offers)
    if header is None:
        return [], []
    return [(b"Sec-WebSocket-Extensions", header)], [extension for extension in extensions if offers[extension.name]]


def _element(name: str, params: object, method: str) -> str | None:
    """Give an extension's element of the header, None where it is not to be in it. Raises LocalProtocolError."""
    if params is False or (params is None and method == "accept"):
        return None
    if params is True or (params == "" and method == "accept"):
        return name
    if isinstance(params, str):
        return f"{name}; {params}"
    raise Unsendable(f"{method}() of extension {name} returned {params!r}; it must be str or bool")


def _header(elements: dict[str, str | None]) -> bytes | None:
    text = ", ".join(filter(None, elements.values()))
    try:
        return text.encode("ascii") or None
    except UnicodeEncodeError:
        raise Unsendable(f"extensions have characters outside ASCII: {text!r}") from None


def elements(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Give the elements of all Sec-WebSocket-Extensions headers as they came."""
    return [
        element
        for name, value in headers
        if name == b"sec-websocket-extensions"
        for element in split_comma_header(value)
    ]


def check_syntax(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise RemoteProtocolError for a header that RFC 6455 section 9.1 doesn't allow."""
    try:
        parse_extensions([value for name, value in headers if name == b"sec-websocket-extensions"])
    except errors.RemoteProtocolError as error:
        raise RemoteProtocolError(str(error), event_hint=RejectConnection()) from None


def server_extensions_handshake(requested: Iterable[str], supported: Sequence[Extension]) -> bytes | None:
    """Server: let extensions answer the elements of an offer. Give the header, None without any.

    We take the first offer of a name that is accepted (RFC 7692 section 5); wsproto lets each later one overwrite it.
    """
    answers: dict[str, str | None] = {}
    for offer in requested:
        name = offer.split(";", 1)[0].strip()
        for extension in supported:
            if extension.name == name and not answers.get(name):
                answers[name] = _element(name, extension.accept(offer), "accept")
    return _header(answers)


def client_extensions_handshake(accepted: Iterable[str], supported: Sequence[Extension]) -> list[Extension]:
    """Client: give each extension its element of the answer. Raises RemoteProtocolError for what isn't `supported`."""
    extensions: list[Extension] = []
    for answer in accepted:
        name = answer.split(";", 1)[0].strip()
        extension = next((extension for extension in supported if extension.name == name), None)
        if extension is None or extension in extensions:
            what = "unrecognized extension" if extension is None else "server accepted twice the extension"
            raise RemoteProtocolError(f"{what} {name}", event_hint=RejectConnection())
        try:
            extension.finalize(answer)
        except Exception as error:
            # Extensions are the user's: whatever one raises for a peer's answer, receive_data doesn't.
            raise RemoteProtocolError(f"extension {name}: {error}", event_hint=RejectConnection()) from error
        extensions.append(extension)
    return extensions
