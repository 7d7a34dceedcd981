"""Records of `dissect` as JSON, one object a line. Knows their fields, and names them for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from ._cli_input import Located
from .closing import parse_close
from .constants import Opcode, Role
from .conversation import Note
from .errors import RemoteProtocolError
from .events import CloseConnection, ExtensionOffer, Headers
from .judge import JudgedFrame
from .seen_handshake import SeenRequest, SeenResponse, Violation

_NAMES = {int(opcode): opcode.name.lower() for opcode in Opcode}


class JsonOutput:
    """Writes each record as it comes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def show(self, located: Located) -> None:
        """Write a record."""
        self._file.write(json.dumps(as_object(located)) + "\n")

    def flush(self) -> None:
        """Let all that was shown be seen."""
        self._file.flush()


def as_object(located: Located) -> dict[str, Any]:
    """Put a record into JSON's types: bytes in hexadecimal, what is unknown left out."""
    where: dict[str, Any] = {}
    if located.connection:
        where = {"connection": located.connection, "time": located.time}
    record = located.record
    if isinstance(record, JudgedFrame):
        fields = _frame(record)
    elif isinstance(record, SeenRequest):
        where |= _endpoints(located)
        fields = _request(record)
    elif isinstance(record, SeenResponse):
        fields = _response(record)
    else:
        fields = _note(record)
    return {"type": fields.pop("type"), **where, **fields}


def _endpoints(located: Located) -> dict[str, Any]:
    if located.client is None or located.server is None:
        return {}
    return {"client": list(located.client), "server": list(located.server)}


def _request(record: SeenRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": "request", "sender": "client"}
    request = record.request
    if request is not None:
        fields |= {
            "target": request.target,
            "host": request.host,
            "origin": request.origin,
            "subprotocols": list(request.subprotocols),
            "extensions": _extensions(request.extensions),
            "headers": _headers(request.headers),
        }
    return fields | _violation(record.violation)


def _response(record: SeenResponse) -> dict[str, Any]:
    return {
        "type": "response",
        "sender": "server",
        "status": record.status,
        "subprotocol": record.subprotocol,
        "extensions": _extensions(record.extensions),
        "headers": _headers(record.headers),
        **_violation(record.violation),
    }


def _extensions(extensions: Sequence[ExtensionOffer]) -> list[dict[str, Any]]:

    return [{"name": name, "parameters": dict(params)} for name, params in extensions]


def _headers(headers: Headers) -> list[list[str]]:
    return [[_latin(name), _latin(value)] for name, value in headers]


def _latin(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _frame(record: JudgedFrame) -> dict[str, Any]:
    frame = record.frame
    fields: dict[str, Any] = {
        "type": "frame",
        "sender": name_of(record.sender),
        "offset": record.offset,
        "fin": frame.fin,
        "rsv1": frame.rsv1,
        "rsv2": frame.rsv2,
        "rsv3": frame.rsv3,
        "opcode": frame.opcode,
        "name": opcode_name(frame.opcode),
        "header": frame.header.hex(),
        "masking_key": None if frame.mask is None else frame.mask.hex(),
        "length": frame.length,
        "complete": record.is_complete,
        "payload": record.payload.hex(),
    }
    data, length = content_of(record)
    if record.inflated is not None:
        fields |= {"inflated_length": length, "inflated": data.hex()}
    if record.is_text and frame.opcode in (Opcode.TEXT, Opcode.CONTINUATION):
        fields["text"] = data.decode("utf-8", "replace")
    close = close_of(record)
    if close is not None:
        fields |= {"close_code": int(close.code), "close_reason": close.reason}
    return fields | _violation(record.violation)


def _violation(violation: Violation | None) -> dict[str, Any]:
    return {} if violation is None else {"violation": violation._asdict()}


def _note(record: Note) -> dict[str, Any]:
    sender = None if record.sender is None else name_of(record.sender)
    return {"type": "note", "sender": sender, "message": record.message, "incomplete": record.is_incomplete}


# ---- what the table says as well ----


def name_of(role: Role) -> str:
    """Name an end."""
    return role.name.lower()


def opcode_name(opcode: int) -> str:
    """Name a type of frames."""
    return _NAMES.get(opcode, f"{opcode:#x}")


def content_of(record: JudgedFrame) -> tuple[bytes, int]:
    """Return what is in a frame, as far as it is shown, and its whole length: inflated where it was compressed."""
    if record.inflated is not None:
        return record.inflated, record.inflated_length or 0
    return record.payload, record.frame.length


def close_of(record: JudgedFrame) -> CloseConnection | None:
    """Return what a Close frame says, None for what is none, or can't be read."""
    frame = record.frame
    if frame.opcode != Opcode.CLOSE or len(record.payload) < frame.length:
        return None
    try:
        return parse_close(record.payload)
    except RemoteProtocolError:
        return None
