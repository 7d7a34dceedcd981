"""TCP in captured packets: the bytes of each direction of each connection, in order (RFC 9293).

Knows link layers, IP and TCP as far as payload needs them. Must not know what the bytes mean.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from ipaddress import ip_address
from typing import NamedTuple

from .capture import CaptureError, Packet

Endpoint = tuple[str, int]

SYN, ACK = 0x02, 0x10

_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP = 6
_VLAN_TAGS = (0x8100, 0x88A8)

# For each link layer: bytes before what it carries, and where among these is the EtherType, if anywhere.
_LINKS: dict[int, tuple[int, int | None]] = {
    0: (4, None),  # NULL: loopback of BSD and macOS
    1: (14, 12),  # ETHERNET
    12: (0, None),  # RAW, as some systems number it
    14: (0, None),
    101: (0, None),  # RAW
    108: (4, None),  # LOOP
    113: (16, 14),  # LINUX_SLL
    228: (0, None),  # IPV4
    229: (0, None),  # IPV6
    276: (20, 0),  # LINUX_SLL2
}

# IPv6 extension headers that may come before TCP (RFC 8200 section 4): hop-by-hop, routing, destination options.
_EXTENSION_HEADERS = (0, 43, 60)

MAX_HELD = 1 << 20
"""Bytes of a direction that wait for a segment before them, until that is given up."""

_HELD_COST = 64
"""Bytes that a segment counts beyond its payload, so that a great many small ones don't wait either."""

MAX_CONNECTIONS = 4096
"""Connections kept, finished ones included; beyond it the one that was silent for longest is forgotten."""

_SEQUENCES = 1 << 32


class Segment(NamedTuple):
    """A TCP segment, its payload as far as it was captured."""

    time: float
    source: Endpoint
    target: Endpoint
    sequence: int
    flags: int
    payload: bytes


def read_segment(packet: Packet) -> Segment | None:
    """Take a packet apart; None for what isn't TCP, or is a fragment of it. Raises CaptureError for its link layer."""
    if packet.link not in _LINKS:
        raise CaptureError(
            f"link layer {packet.link} is unknown; Ethernet, loopback, raw IP and Linux cooked are known"
        )
    try:
        data = _strip_link(packet)
        version = data[0] >> 4 if data else 0
        found = _read_ipv4(data) if version == 4 else _read_ipv6(data) if version == 6 else None
        return None if found is None else _read_tcp(packet.time, *found)
    except (struct.error, IndexError, ValueError):
        return None  # cut, or broken


def _strip_link(packet: Packet) -> bytes:
    start, type_at = _LINKS[packet.link]
    data = packet.data
    if type_at is None:
        return data[start:]
    (kind,) = struct.unpack_from("!H", data, type_at)
    while kind in _VLAN_TAGS:
        (kind,) = struct.unpack_from("!H", data, start + 2)
        start += 4
    return data[start:] if kind in (_IPV4, _IPV6) else b""


_Addressed = tuple[str, str, bytes]


def _read_ipv4(data: bytes) -> _Addressed | None:
    """Give addresses and what IP carries, without what pads a short Ethernet frame (RFC 791 section 3.1)."""
    size, _, fragment = struct.unpack_from("!HHH", data, 2)
    start = (data[0] & 15) * 4
    if data[9] != _TCP or fragment & 0x3FFF:
        return None
    # Where the network card cuts packets, the size may be left at 0.
    return str(ip_address(data[12:16])), str(ip_address(data[16:20])), data[start : size or None]


def _read_ipv6(data: bytes) -> _Addressed | None:
    """Do the same (RFC 8200 section 3)."""
    size, kind = struct.unpack_from("!HB", data, 4)
    start = 40
    end = start + size if size else len(data)
    while kind in _EXTENSION_HEADERS:
        kind, length = data[start], data[start + 1]
        start += (length + 1) * 8
    if kind != _TCP:
        return None
    return str(ip_address(data[8:24])), str(ip_address(data[24:40])), data[start:end]


def _read_tcp(time: float, source: str, target: str, data: bytes) -> Segment:
    source_port, target_port, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data)
    payload = data[(offset >> 4) * 4 :]
    return Segment(time, (source, source_port), (target, target_port), sequence, flags, payload)


class Gap(Exception):
    """Bytes are missing for good; `size` of them."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are missing")
        self.size = size


class Stream:
    """One direction: puts segments in order, drops what came before, waits for what is missing, within bounds."""

    def __init__(self) -> None:
        self._next: int | None = None  # sequence number
        self._position = 0  # the same, counted from the beginning of the stream
        self._waiting: list[int] = []  # positions, a heap
        self._held: dict[int, bytes] = {}
        self._size = 0

    def begin(self, sequence: int) -> None:
        """Take the number of a SYN, unless it comes again."""
        if self._next is None:
            self._next = (sequence + 1) % _SEQUENCES

    def has_begun_with(self, sequence: int) -> bool:
        """Tell whether a SYN with this number is the one it began with."""
        return self._next is not None and (self._next - self._position - 1 - sequence) % _SEQUENCES == 0

    def add(self, sequence: int, payload: bytes) -> bytes:
        """Take a payload; return what is in order now. Raises Gap when too much waits."""
        if self._next is None:
            self._next = sequence
        # RFC 9293 section 3.4: numbers wrap, so what is less than half of them ahead comes later.
        ahead = (sequence - self._next + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2
        if ahead > 0:
            self._hold(self._position + ahead, payload)
            return b""
        ready = [payload[-ahead:] if ahead else payload]
        self._advance(len(ready[0]))
        while self._waiting and self._waiting[0] <= self._position:
            position = heappop(self._waiting)
            held = self._held.pop(position)
            self._size -= len(held) + _HELD_COST
            ready.append(held[self._position - position :])
            self._advance(len(ready[-1]))
        return b"".join(ready)

    def _advance(self, size: int) -> None:
        assert self._next is not None
        self._next = (self._next + size) % _SEQUENCES
        self._position += size

    def _hold(self, position: int, payload: bytes) -> None:
        held = self._held.get(position)
        if held is None:
            heappush(self._waiting, position)
            self._size += _HELD_COST
        if held is None or len(payload) > len(held):
            self._size += len(payload) - len(held or b"")
            self._held[position] = payload
        if self._size > MAX_HELD:
            self.check()

    def check(self) -> None:
        """Raise Gap if anything waits."""
        if self._waiting:
            raise Gap(self._waiting[0] - self._position)


class Connection:
    """One TCP connection. `opener` has sent the SYN, None if that was not captured."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.opener: Endpoint | None = None
        self._streams: dict[Endpoint, Stream] = {}

    def stream(self, source: Endpoint) -> Stream:
        """Give the direction from `source`."""
        return self._streams.setdefault(source, Stream())

    def restart(self, opener: Endpoint) -> None:
        """Forget what came: only from now on does it matter, beginning with what `opener` says."""
        self.opener = opener
        self._streams.clear()

    def take(self, segment: Segment) -> bytes:
        """Return the payload of a segment's direction that is in order now. Raises Gap."""
        stream = self.stream(segment.source)
        sequence = segment.sequence
        if segment.flags & SYN:
            self.opener = segment.target if segment.flags & ACK else segment.source
            stream.begin(sequence)
            sequence += 1
        return stream.add(sequence, segment.payload) if segment.payload else b""


class Connections:
    """All TCP connections of a capture, as many as are kept."""

    def __init__(self) -> None:
        self._connections: OrderedDict[frozenset[Endpoint], Connection] = OrderedDict()
        self._count = 0

    def find(self, segment: Segment) -> tuple[Connection, Connection | None]:
        """Give the connection that a segment belongs to, and one that has to end, as this one needs its place."""
        key = frozenset((segment.source, segment.target))
        connection = self._connections.get(key)
        ended = None
        # The ports are used again, unless the SYN was only sent again.
        if (
            connection is not None
            and segment.flags & (SYN | ACK) == SYN
            and not connection.stream(segment.source).has_begun_with(segment.sequence)
        ):
            ended = self._connections.pop(key)
        if connection is None or ended is not None:
            self._count += 1
            connection = self._connections[key] = Connection(self._count)
            if len(self._connections) > MAX_CONNECTIONS:
                _, ended = self._connections.popitem(last=False)
        self._connections.move_to_end(key)
        return connection, ended

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._connections.values())
