"""What there is to do: messages, and the bytes that carry them. Knows no candidate and no clock.

Everything comes from one seed: every run and every candidate works on the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Union

from . import wire

Content = Union[str, bytes]

KIB = 1 << 10
MIB = 1 << 20
READ_SIZE = 64 * KIB
"""What a server asks its socket for: the usual size of a read under load."""

SIZE = 128
"""Bytes of the usual message."""

LETTERS = "abcdefghijklmnopqrstuvwxyz      ,.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIGNS = "äöüéñß αβγδεζηθ жзийклмн 漢字仮名交文 😀🎉 the"

REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: https://example.com\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"\r\n"
)
"""A browser's opening handshake; the example key of RFC 6455 section 1.3. Nobody is set up to compress."""

ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer to that key, from the same section."""


@dataclass(frozen=True)
class Workload:
    """Messages for one kind of work: "receive", "send_server", "send_client", "handshake", "utf8"."""

    key: str
    title: str
    kind: str
    messages: Sequence[Content] = field(repr=False)
    chunks: Sequence[bytes] = field(default=(), repr=False)
    frames: int = 1
    """Frames in a message."""
    whole_frames: bool = False
    """Whether each chunk is exactly one whole message in one frame."""

    @property
    def size(self) -> int:
        """Payload bytes of all messages."""
        return sum(len(as_bytes(message)) for message in self.messages)


def as_bytes(content: Content) -> bytes:
    """Return what is on the wire for a message."""
    return content.encode() if isinstance(content, str) else content


def make_text(size: int, source: random.Random, *, ascii_only: bool = True) -> str:
    """Return random text of exactly `size` bytes of UTF-8; large ones repeat themselves every 4 KiB."""
    alphabet = LETTERS if ascii_only else SIGNS
    unit = "".join(source.choices(alphabet, k=min(size, 4 * KIB)))
    repeated = (unit * (size // len(unit.encode()) + 1)).encode()[:size]
    # A code point cut in half goes, and spaces fill up.
    return repeated.decode(errors="ignore").ljust(size) if ascii_only else _fill(repeated, size)


def _fill(encoded: bytes, size: int) -> str:
    text = encoded.decode(errors="ignore")
    return text + " " * (size - len(text.encode()))


def encode_message(content: Content, source: random.Random, *, frames: int = 1) -> bytes:
    """Return a client's frames for a message, masked with keys of their own (RFC 6455 sections 5.1 and 5.4)."""
    payload = as_bytes(content)
    opcode = wire.TEXT if isinstance(content, str) else wire.BINARY
    piece = -(-len(payload) // frames)
    encoded = []
    for number in range(frames):
        first = opcode if number == 0 else wire.CONTINUATION
        if number == frames - 1:
            first |= wire.FIN
        encoded.append(wire.encode_frame(first, payload[number * piece : (number + 1) * piece], _key(source)))
    return b"".join(encoded)


def _key(source: random.Random) -> bytes:
    # Never zero: some implementations could skip the work.
    return bytes(source.randrange(1, 256) for _ in range(4))


def split(stream: bytes, size: int) -> list[bytes]:
    """Cut a stream where reads of `size` bytes would: anywhere in a frame."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def receive(
    key: str,
    title: str,
    messages: Sequence[Content],
    *,
    frames: int = 1,
    read_size: int | None = None,
    per_chunk: int = 1,
) -> Workload:
    """Make a receiving workload: `per_chunk` whole messages a chunk, or reads of `read_size`."""
    source = random.Random(6455)
    encoded = [encode_message(message, source, frames=frames) for message in messages]
    if read_size is not None:
        chunks = split(b"".join(encoded), read_size)
    else:
        chunks = [b"".join(encoded[at : at + per_chunk]) for at in range(0, len(encoded), per_chunk)]
    whole_frames = frames == 1 and read_size is None and per_chunk == 1
    return Workload(key, title, "receive", messages, chunks, frames, whole_frames)


def make_texts(count: int, size: int = SIZE, *, ascii_only: bool = True) -> list[str]:
    """Return `count` different texts."""
    source = random.Random(7692)
    return [make_text(size, source, ascii_only=ascii_only) for _ in range(count)]


def core_workloads() -> list[Workload]:
    """Return the rows of the core table, in order."""
    source = random.Random(8441)
    texts = make_texts(4 * READ_SIZE // (SIZE + 8))
    few = texts[:256]
    whole = make_texts(1, 4 * MIB)
    large = source.randbytes(4 * MIB)
    signs = make_texts(len(texts), ascii_only=False)
    return [
        receive("receive_one", "receive, one frame per call", few),
        receive("receive_chunks", "receive, 64 KiB chunks", texts, read_size=READ_SIZE),
        receive("receive_signs", "receive non-ASCII text, 64 KiB chunks", signs, read_size=READ_SIZE),
        receive("receive_large", "receive 1 MiB binary", [source.randbytes(MIB)]),
        receive("receive_reads", "receive a 4 MiB message in 64 KiB reads", [large], read_size=READ_SIZE),
        receive("receive_text_reads", "receive a 4 MiB text in 64 KiB reads", whole, read_size=READ_SIZE),
        receive(
            "receive_fragments",
            "receive 1 KiB in 8 frames, 64 KiB chunks",
            make_texts(4 * READ_SIZE // (KIB + 8 * 8), KIB),
            frames=8,
            read_size=READ_SIZE,
        ),
        Workload("send_server", "send, server", "send_server", few),
        Workload("send_client", "send, client", "send_client", few),
        Workload("handshake", "handshake and first message", "handshake", few[:8], receive("", "", few[:8]).chunks),
    ]
