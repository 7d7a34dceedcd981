"""WebSocket frames written and read by the simplest code there is, so that no candidate checks itself.

Slow by design, never timed.
"""

from __future__ import annotations

import struct
from typing import Optional

FIN = 0x80
TEXT = 1
BINARY = 2
CONTINUATION = 0

Frame = tuple[int, Optional[bytes], bytes]
"""A frame's first byte, its masking key if it has one, and its payload, unmasked."""


def xor(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask `payload` (RFC 6455 section 5.3)."""
    size = len(payload)
    keys = key * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys[:size], "big")).to_bytes(size, "big")


def encode_frame(first: int, payload: bytes, key: bytes | None = None) -> bytes:
    """Return a frame on the wire (RFC 6455 section 5.2)."""
    size = len(payload)
    masked = 0x80 if key else 0
    if size < 126:
        header = bytes((first, masked | size))
    elif size < 65536:
        header = struct.pack("!BBH", first, masked | 126, size)
    else:
        header = struct.pack("!BBQ", first, masked | 127, size)
    return header + key + xor(payload, key) if key else header + payload


def decode_frames(data: bytes) -> list[Frame]:
    """Take whole frames apart. Raises ValueError when `data` ends within one."""
    frames: list[Frame] = []
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        extended = {126: 2, 127: 8}.get(second & 0x7F, 0)
        at += 2
        size = int.from_bytes(data[at : at + extended], "big") if extended else second & 0x7F
        at += extended
        key = data[at : at + 4] if second & 0x80 else None
        at += 4 if key else 0
        payload = data[at : at + size]
        if len(payload) != size:
            raise ValueError(f"frame of {size} bytes is cut short after {len(payload)}")
        frames.append((first, key, xor(payload, key) if key else payload))
        at += size
    return frames
