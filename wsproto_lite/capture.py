"""Packets in capture files: pcap and pcapng, in either byte order, read as a stream.

Knows the two formats. Must not know what is in a packet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Callable, NamedTuple

from .errors import ProtocolError

Read = Callable[[int], bytes]
"""Gives as many bytes as are asked for, less only at the end of the file."""

MAGIC_SIZE = 4

# Byte order and units of a second's fraction, by the first four bytes of a pcap file.
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"

MAX_PACKET = 1 << 18
"""Bytes of a packet: the largest snapshot length that libpcap takes."""

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE = 1
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6

_TIME_RESOLUTION = 9
_DEFAULT_RESOLUTION = 1_000_000


class CaptureError(ProtocolError):
    """A capture can't be read, or not to its end."""


class Packet(NamedTuple):
    """A packet as captured: seconds since 1970, the number of its link layer (LINKTYPE_...), and its bytes."""

    time: float
    link: int
    data: bytes


class _Interface(NamedTuple):
    link: int
    resolution: float


def is_capture(magic: bytes) -> bool:
    """Tell whether a file that begins with these four bytes is a capture."""
    return magic in _PCAP or magic == _PCAPNG


def read_packets(magic: bytes, read: Read) -> Iterator[Packet]:
    """Give the packets of a capture, `magic` being read already. Raises CaptureError where it is damaged or cut."""
    yield from _read_pcapng(read) if magic == _PCAPNG else _read_pcap(magic, read)


def _exactly(read: Read, size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise CaptureError("capture ends within a packet")
    return data


def _check_size(size: int) -> int:
    if size > MAX_PACKET:
        raise CaptureError(f"capture has a packet of {size} bytes; the limit is {MAX_PACKET}")
    return size


def _read_pcap(magic: bytes, read: Read) -> Iterator[Packet]:
    order, units = _PCAP[magic]
    _, _, _, _, _, link = struct.unpack(order + "HHiIII", _exactly(read, 20))
    while True:
        header = read(16)
        if not header:
            return
        if len(header) < 16:
            raise CaptureError("capture ends within a packet")
        seconds, fraction, size, _ = struct.unpack(order + "IIII", header)
        # The upper bits can tell of a frame check sequence, which we do not look at.
        yield Packet(seconds + fraction / units, link & 0xFFFF, _exactly(read, _check_size(size)))


def _read_pcapng(read: Read) -> Iterator[Packet]:
    kind, order = _SECTION_HEADER, ">"
    interfaces: list[_Interface] = []
    raw_kind = _PCAPNG
    while raw_kind:
        size = _exactly(read, 4)
        if raw_kind == _PCAPNG:
            # The order of bytes, of the block's own size too, is told by what comes behind that.
            order = "<" if _exactly(read, 4) == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
            _skip(read, struct.unpack(order + "I", size)[0] - 12)
        else:
            (kind,) = struct.unpack(order + "I", raw_kind)
            length = struct.unpack(order + "I", size)[0] - 12
            if kind in (_INTERFACE, _SIMPLE_PACKET, _ENHANCED_PACKET):
                body = _exactly(read, _check_size(max(length, 0)))
                _exactly(read, 4)
                yield from _read_block(kind, body, order, interfaces)
            else:
                _skip(read, length + 4)
        raw_kind = read(4)


def _skip(read: Read, size: int) -> None:
    if size < 0:
        raise CaptureError("capture has a block that is shorter than its header")
    while size:
        size -= len(_exactly(read, min(size, MAX_PACKET)))


def _read_block(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Iterator[Packet]:
    try:
        if kind == _INTERFACE:
            (link,) = struct.unpack_from(order + "H", body)
            interfaces.append(_Interface(link, _read_resolution(body[8:], order)))
        elif kind == _SIMPLE_PACKET:
            (size,) = struct.unpack_from(order + "I", body)
            yield Packet(0.0, interfaces[0].link, body[4 : 4 + size])
        else:
            number, high, low, size, _ = struct.unpack_from(order + "IIIII", body)
            interface = interfaces[number]
            yield Packet((high << 32 | low) / interface.resolution, interface.link, body[20 : 20 + size])
    except (struct.error, IndexError):
        raise CaptureError("capture has a block that makes no sense") from None


def _read_resolution(options: bytes, order: str) -> float:
    """Return the units that a second has in the times of an interface."""
    while len(options) >= 5:
        code, size = struct.unpack_from(order + "HH", options)
        if code == _TIME_RESOLUTION:
            return float(2 ** (options[4] & 0x7F) if options[4] & 0x80 else 10 ** options[4])
        options = options[4 + (size + 3 & ~3) :]
    return _DEFAULT_RESOLUTION
