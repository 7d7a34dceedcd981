"""WsDataUtil's five C functions, and the errors that they raise. Knows tuples of fields, no Frame."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, TypeVar, cast

from ... import codec, frames
from ...errors import LocalProtocolError, ProtocolError, RemoteProtocolError

_Function = TypeVar("_Function", bound=Callable[..., Any])


class InvalidArgument(LocalProtocolError, ValueError):
    """The caller gave what fits no frame and no header."""


class InvalidData(RemoteProtocolError, ValueError):
    """What was read is no frame and no header."""


def as_value_error(error: ProtocolError) -> ValueError:
    """Give an error as WsDataUtil's callers catch it."""
    if isinstance(error, ValueError):
        return error
    if isinstance(error, RemoteProtocolError):
        return InvalidData(str(error), error.code)
    return InvalidArgument(str(error))


def raises_value_errors(function: _Function) -> _Function:
    """Let `function` raise what WsDataUtil's callers catch."""

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except ProtocolError as error:
            raise as_value_error(error) from None

    return cast(_Function, call)


def bits(first: int) -> tuple[int, int, int, int, int]:
    """Take a first byte apart: fin, rsv1, rsv2, rsv3, opcode."""
    return first >> 7, first >> 6 & 1, first >> 5 & 1, first >> 4 & 1, first & 15


@raises_value_errors
def read_header(two_bytes: bytes, /) -> tuple[int, int, int, int, int, int, int, int]:
    """Return (fin, rsv1, rsv2, rsv3, opcode, masked, amount_spec, header_continuation)."""
    reader = frames.StreamReader("auto")
    reader.read_header(two_bytes)
    return (*bits(two_bytes[0]), int(reader.masked), reader.amount_spec, reader.header_continuation)


@raises_value_errors
def read_header_continuation(continuation_bytes: bytes, amount_spec: int, masked: bool, /) -> tuple[bytes, int]:
    """Return (masking key, payload's size); four zero bytes where there is no masking key."""
    size = frames.continuation_size(amount_spec, masked=bool(masked))
    data = frames.exactly(continuation_bytes, size, "header continuation")
    key, amount = frames.split_continuation(data, amount_spec, masked=bool(masked))
    return key or bytes(4), amount


@raises_value_errors
def parse(streamdata: bytes, auto_demask: bool, /) -> tuple[int, int, int, int, int, int, int, int, bytes, bytes]:
    """Return (fin, rsv1, rsv2, rsv3, opcode, masked, amount_spec, amount, mask, payload).

    `mask` is four zero bytes where there is no masking key.
    """
    first, key, amount_spec, payload = frames.split(streamdata, unmask=auto_demask)
    return (*bits(first), int(key is not None), amount_spec, len(payload), key or bytes(4), payload)


@raises_value_errors
def build(fin: int, rsv1: int, rsv2: int, rsv3: int, opcode: int, mask: bytes, payload: bytes, /) -> bytes:
    """Return a frame as it travels; `mask` is empty for none, and bits are whatever is true."""
    first = frames.first_byte(opcode, bool(fin), bool(rsv1), bool(rsv2), bool(rsv3))
    return frames.join(first, mask or None, payload)


@raises_value_errors
def masking(payload: bytes, mask: bytes, /) -> bytes:
    """Return the payload XORed with a masking key of 4 bytes."""
    return codec.mask(frames.as_bytes(payload, "payload"), frames.as_key(mask))
