"""What the tests of captures share: packets and capture files, made by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

CLIENT_END = ("10.0.0.1", 50000)
SERVER_END = ("10.0.0.2", 80)

FIN, SYN, ACK = 0x01, 0x02, 0x10

ETHERNET = 1


def tcp(
    payload: bytes = b"",
    sequence: int = 0,
    *,
    source: tuple[str, int] = CLIENT_END,
    target: tuple[str, int] = SERVER_END,
    flags: int = ACK,
    options: bytes = b"",
) -> bytes:
    """Give an Ethernet frame with TCP over IPv4 or IPv6, by the addresses."""
    offset = 5 + len(options) // 4
    header = struct.pack("!HHIIBBHHH", source[1], target[1], sequence % 2**32, 0, offset << 4, flags, 65535, 0, 0)
    segment = header + options + payload
    if ":" in source[0]:
        return b"\xff" * 12 + b"\x86\xdd" + ipv6(segment, source[0], target[0])
    return b"\xff" * 12 + b"\x08\x00" + ipv4(segment, source[0], target[0])


def ipv4(
    data: bytes, source: str = "10.0.0.1", target: str = "10.0.0.2", *, protocol: int = 6, fragment: int = 0
) -> bytes:
    """Give an IPv4 packet."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, fragment, 64, protocol, 0)
    return header + ip_address(source).packed + ip_address(target).packed + data


def ipv6(data: bytes, source: str = "::1", target: str = "::2", *, kind: int = 6) -> bytes:
    """Give an IPv6 packet."""
    header = struct.pack("!IHBB", 0x60000000, len(data), kind, 64)
    return header + ip_address(source).packed + ip_address(target).packed + data


def pcap(packets: Iterable[bytes], *, order: str = "<", magic: int = 0xA1B2C3D4, link: int = ETHERNET) -> bytes:
    """Give a pcap file, whose packets are a millisecond apart."""
    units = 1_000_000 if magic == 0xA1B2C3D4 else 1_000_000_000
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 1 << 18, link)]
    for number, data in enumerate(packets):
        parts += [struct.pack(order + "IIII", 1, number * units // 1000, len(data), len(data)), data]
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Give a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """Give a pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", *, link: int = ETHERNET, options: bytes = b"") -> bytes:
    """Give a pcapng interface description."""
    return block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)


def enhanced(data: bytes, order: str = "<", *, time: int = 0, number: int = 0) -> bytes:
    """Give an enhanced packet block."""
    return block(
        6, struct.pack(order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), len(data)) + data, order
    )


class Talk(NamedTuple):
    """Two ends, and what they have sent so far."""

    client: tuple[str, int] = CLIENT_END
    server: tuple[str, int] = SERVER_END
    client_start: int = 1000
    server_start: int = 2**32 - 10  # so that numbers wrap

    def opening(self) -> list[bytes]:
        """Give SYN and SYN-ACK."""
        return [
            tcp(b"", self.client_start, source=self.client, target=self.server, flags=SYN),
            tcp(b"", self.server_start, source=self.server, target=self.client, flags=SYN | ACK),
        ]

    def from_client(self, payload: bytes, offset: int = 0) -> bytes:
        """Give a segment; `offset` counts from the first byte of payload."""
        return tcp(payload, self.client_start + 1 + offset, source=self.client, target=self.server)

    def from_server(self, payload: bytes, offset: int = 0) -> bytes:
        """Give a segment; `offset` counts from the first byte of payload."""
        return tcp(payload, self.server_start + 1 + offset, source=self.server, target=self.client)
