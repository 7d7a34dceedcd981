"""Parts of wsproto_lite on their own: masking against memcpy, UTF-8 validation, and send_buffers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from wsproto_lite import SERVER, BytesMessage, Connection, EncodedTextMessage, Settings, _codec, codec

from . import wire
from .candidates import OURS
from .candidates.floor import MEMCPY
from .jobs import Job, WrongContent
from .results import Timing
from .workloads import MIB, READ_SIZE, SIZE, Workload, as_bytes, make_texts, receive

ffi: Any = _codec.ffi  # its stub has what the package uses
lib = _codec.lib

MASK = "mask"
MASK_NOTHING = "mask nothing"

IN_PYTHON = "in Python"
"""What the interpreter can do by itself instead of a call into C."""

KEY = b"\x37\xfa\x21\x3d"


def kernel_jobs() -> list[Job]:
    """Return the jobs behind the targets that concern a part of the library only."""
    return [*_mask_jobs(), *_validate_jobs(), *_call_jobs()]


def _mask_jobs() -> list[Job]:
    """Mask 64 KiB from one buffer to another, in C, and once more nothing: that is what the call costs."""
    source = ffi.new("uint8_t[]", random.Random(5).randbytes(READ_SIZE))
    target = ffi.new("uint8_t[]", READ_SIZE)
    jobs = []
    for key, title, size in ((MASK, "mask 64 KiB, in C, without the call", READ_SIZE), (MASK_NOTHING, "", 0)):
        workload = Workload(key, title, "kernel", [bytes(size)])
        jobs.append(Job(workload, OURS, partial(lib.wsl_mask, target, source, 0, size, KEY, 0)))
        jobs.append(Job(workload, MEMCPY, partial(ffi.memmove, target, source, size)))
    return jobs


def without_calls(timings: list[Timing]) -> list[Timing]:
    """Take what a call costs off the timings of masking: the two functions' arguments differ."""
    calls = {timing.candidate: timing for timing in timings if timing.workload == MASK_NOTHING}
    for index, timing in enumerate(timings):
        if timing.workload == MASK:
            call = calls[timing.candidate]
            best, median = timing.best - call.best, timing.median - call.median
            timings[index] = replace(timing, best=best, median=median)
    return [timing for timing in timings if timing.workload != MASK_NOTHING]


def _validate_jobs() -> list[Job]:
    """Receive multi-byte text as bytes: the whole of receive_data."""
    texts = make_texts(1, READ_SIZE - 100, ascii_only=False)
    workload = receive("validate", "receive 64 KiB of multi-byte text as bytes", texts)
    connection = Connection.established(SERVER, Settings(text_as_bytes=True))
    (chunk,) = workload.chunks
    if connection.receive_data(chunk) != [EncodedTextMessage(as_bytes(texts[0]))]:
        raise WrongContent(workload.title)
    return [Job(workload, OURS, lambda: connection.receive_data(chunk))]


def _call_jobs() -> list[Job]:
    """Do short work by a call into C, and without: is the call worth it?"""
    jobs = []
    for size in (16, SIZE, READ_SIZE):
        texts = make_texts(max(1, 32 * SIZE // size), size, ascii_only=False)
        payloads = [as_bytes(text) for text in texts]
        title = f"{size} bytes" if size < READ_SIZE else "64 KiB"
        for key, what, in_c, in_python in (
            ("call_mask", "mask", _mask_in_c, _mask_in_python),
            ("call_validate", "validate UTF-8,", _validate_in_c, _validate_in_python),
        ):
            workload = Workload(f"{key}_{size}", f"{what} {title}, by one call", "kernel", texts)
            if in_c(payloads) != in_python(payloads):
                raise WrongContent(workload.title)
            jobs.append(Job(workload, OURS, partial(in_c, payloads)))
            jobs.append(Job(workload, IN_PYTHON, partial(in_python, payloads)))
    return jobs


def _mask_in_c(payloads: Sequence[bytes]) -> list[bytes]:
    return [codec.mask(payload, KEY) for payload in payloads]


def _mask_in_python(payloads: Sequence[bytes]) -> list[bytes]:
    return [wire.xor(payload, KEY) for payload in payloads]


def _validate_in_c(payloads: Sequence[bytes]) -> list[bool]:
    return [codec.is_utf8(payload) for payload in payloads]


def _validate_in_python(payloads: Sequence[bytes]) -> list[bool]:
    return [_can_be_decoded(payload) for payload in payloads]


def _can_be_decoded(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def copied_by_send_buffers() -> float:
    """Return the bytes that send_buffers of 1 MiB from a server allocates; raise WrongContent if it copies."""
    import tracemalloc  # PyPy has none

    payload = bytes(MIB)
    connection = Connection.established(SERVER, Settings(max_message_size=None))
    event = BytesMessage(payload)
    connection.send_buffers(event)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    header, view = connection.send_buffers(event)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if not isinstance(view, memoryview) or view.obj is not payload or len(header) != 10:
        raise WrongContent("send_buffers does not hand out the payload itself")
    return peak - before
