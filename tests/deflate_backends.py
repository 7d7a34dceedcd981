"""The deflate libraries that the tests run with, and codecs of one end made with them."""

from __future__ import annotations

import random
import sys
import zlib
from types import ModuleType

import pytest

from wsproto_lite.deflate import DeflateCodec

BACKENDS: list[ModuleType] = [zlib]
LEVELS = {"zlib": range(-1, 10)}

if sys.implementation.name == "cpython":
    from isal import isal_zlib
    from zlib_ng import zlib_ng

    BACKENDS += [isal_zlib, zlib_ng]
    LEVELS["isal.isal_zlib"] = range(4)
    LEVELS["zlib_ng.zlib_ng"] = range(-1, 10)

every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)

every_level = pytest.mark.parametrize(
    ("backend", "level"),
    [
        pytest.param(backend, level, id=f"{backend.__name__}-{level}")
        for backend in BACKENDS
        for level in LEVELS[backend.__name__]
    ],
)

only_with_tracemalloc = pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy has no tracemalloc")

only_on_cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs zlib-ng or ISA-L")

TAIL = b"\x00\x00\xff\xff"


def make_codec(
    backend: ModuleType = zlib,
    *,
    bits: int = 15,
    takeover: bool = True,
    level: int | None = None,
    mem_level: int = 5,
    threshold: int = 0,
) -> DeflateCodec:
    """Make a codec with the same agreement for both directions."""
    return DeflateCodec(
        backend,
        level=backend.Z_DEFAULT_COMPRESSION if level is None else level,
        mem_level=mem_level,
        threshold=threshold,
        compress_bits=bits,
        compress_takeover=takeover,
        decompress_bits=bits,
        decompress_takeover=takeover,
    )


def decode(codec: DeflateCodec, *pieces: bytes, max_length: int = 1 << 16) -> bytes:
    """Feed the pieces of one message, and take all that comes of it."""
    message = b""
    for number, piece in enumerate(pieces, 1):
        is_last = number == len(pieces)
        message += _checked(codec.decode(piece, final=is_last, max_length=max_length), max_length)
        while codec.has_pending:
            message += _checked(codec.decode(b"", final=is_last, max_length=max_length), max_length)
    return message


def _checked(output: bytes, max_length: int) -> bytes:
    assert len(output) <= max_length
    return output


def deflate(data: bytes, history: bytes = b"", *, final: bool = False, level: int = 9) -> bytes:
    """Make raw deflate data of whole blocks, the last of them final or an empty stored one."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, history)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH if final else zlib.Z_FULL_FLUSH)


def payload(data: bytes, history: bytes = b"", *, level: int = 9) -> bytes:
    """Make the payload of a message (RFC 7692 section 7.2.1), with references to what came before it."""
    return deflate(data, history, level=level)[: -len(TAIL)]


def noise(size: int, seed: int = 1) -> bytes:
    """Give bytes that don't compress, the same for the same arguments."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big") if size else b""
