"""From packets to the bytes of each direction: link layers, IP, TCP, segments in any order."""

from __future__ import annotations

import random
import struct
from itertools import permutations

import pytest
from packets import ACK, CLIENT_END, SERVER_END, SYN, Talk, ipv4, ipv6, tcp

from wsproto_lite import tcp as module
from wsproto_lite.capture import CaptureError, Packet
from wsproto_lite.tcp import Connection, Connections, Gap, Segment, Stream, read_segment

ETHERNET_HEADER = 14
FRAME = tcp(b"Hello", 7)
IP = FRAME[ETHERNET_HEADER:]
EXPECTED = Segment(0.0, CLIENT_END, SERVER_END, 7, ACK, b"Hello")

TCP6 = tcp(b"Hello", 7, source=("::1", 1), target=("::2", 2))[ETHERNET_HEADER + 40 :]
EXPECTED6 = Segment(0.0, ("::1", 1), ("::2", 2), 7, ACK, b"Hello")

LINKS = {
    "ethernet": (1, FRAME),
    "ethernet_padded": (1, FRAME + bytes(20)),
    "vlan": (1, FRAME[:12] + b"\x81\x00\x00\x05" + FRAME[12:]),
    "two_vlans": (1, FRAME[:12] + b"\x88\xa8\x00\x05\x81\x00\x00\x06" + FRAME[12:]),
    "null": (0, b"\x02\0\0\0" + IP),
    "loop": (108, b"\0\0\0\x02" + IP),
    "raw": (101, IP),
    "raw_12": (12, IP),
    "raw_14": (14, IP),
    "ipv4": (228, IP),
    "linux_cooked": (113, bytes(14) + b"\x08\x00" + IP),
    "linux_cooked_2": (276, b"\x08\x00" + bytes(18) + IP),
    "options": (1, tcp(b"Hello", 7, options=b"\x01" * 12)),
    "size_left_to_the_network_card": (101, IP[:2] + b"\0\0" + IP[4:]),
}


@pytest.mark.parametrize(("link", "data"), LINKS.values(), ids=LINKS)
def test_link_layers(link: int, data: bytes) -> None:
    assert read_segment(Packet(0.0, link, data)) == EXPECTED


IPV6 = {
    "plain": ipv6(TCP6),
    "extension_headers": ipv6(b"\x3c\x00" + bytes(6) + b"\x06\x01" + bytes(14) + TCP6, kind=0),
    "padded": ipv6(TCP6) + bytes(10),
    "size_left_to_the_network_card": ipv6(TCP6)[:4] + b"\0\0" + ipv6(TCP6)[6:],
}


@pytest.mark.parametrize("data", IPV6.values(), ids=IPV6)
def test_ipv6(data: bytes) -> None:
    assert read_segment(Packet(0.0, 229, data)) == EXPECTED6


OTHERS = {
    "arp": (1, FRAME[:12] + b"\x08\x06" + IP),
    "udp": (101, ipv4(b"data", protocol=17)),
    "udp6": (101, ipv6(b"data", kind=17)),
    "fragment": (101, ipv4(IP[20:], fragment=1)),
    "first_fragment": (101, ipv4(IP[20:], fragment=0x2000)),
    "fragment6": (101, ipv6(b"\x06\0\0\1" + bytes(4) + TCP6, kind=44)),
    "neither_4_nor_6": (101, b"\x50" + IP[1:]),
    "nothing": (101, b""),
    "cut_in_ethernet": (1, FRAME[:13]),
    "cut_in_ip": (101, IP[:9]),
    "cut_in_tcp": (101, ipv4(b"short")),
    "cut_in_ipv6": (101, ipv6(TCP6)[:6]),
    "cut_in_an_address": (101, ipv6(TCP6)[:30]),
}


@pytest.mark.parametrize(("link", "data"), OTHERS.values(), ids=OTHERS)
def test_nothing_to_read(link: int, data: bytes) -> None:
    assert read_segment(Packet(0.0, link, data)) is None


def test_unknown_link_layer() -> None:
    with pytest.raises(CaptureError, match="link layer 105 is unknown"):
        read_segment(Packet(0.0, 105, FRAME))


def test_snapshot_of_a_packet() -> None:
    """What was not captured is missing."""
    segment = read_segment(Packet(0.0, 101, IP[:-2]))
    assert segment is not None
    assert segment.payload == b"Hel"


# ---- streams ----

PARTS = [(0, b"abc"), (3, b"defg"), (7, b"h"), (2, b"cdefgh"), (0, b"a"), (3, b"de")]


@pytest.mark.parametrize("start", [0, 2**32 - 4], ids=["zero", "numbers_wrap"])
def test_any_order(start: int) -> None:
    """Segments that come late, twice or overlapping make the same stream."""
    for order in permutations(PARTS):
        stream = Stream()
        stream.begin(start - 1)
        data = b"".join(stream.add((start + offset) % 2**32, payload) for offset, payload in order)
        assert data == b"abcdefgh"
        stream.check()


def test_without_syn() -> None:
    """The first segment that was seen begins the stream."""
    stream = Stream()
    assert stream.add(500, b"abc") == b"abc"
    assert stream.add(499, b"xabc") == b""
    assert stream.add(503, b"d") == b"d"


def test_gap_at_the_end() -> None:
    stream = Stream()
    stream.add(0, b"abc")
    stream.add(10, b"later")
    with pytest.raises(Gap) as caught:
        stream.check()
    assert (caught.value.size, str(caught.value)) == (7, "7 bytes are missing")


@pytest.mark.parametrize("size", [1, 1000])
def test_no_end_of_waiting(size: int) -> None:
    """What waits is bounded, its number too."""
    stream = Stream()
    stream.add(0, b"abc")

    def fill() -> None:
        for number in range(module.MAX_HELD // size):
            stream.add(5 + number * size, bytes(size))

    with pytest.raises(Gap) as caught:
        fill()
    assert caught.value.size == 2


def test_retransmissions_that_wait_count_once() -> None:
    stream = Stream()
    stream.add(0, b"abc")
    for _ in range(2 * module.MAX_HELD // 1000):
        stream.add(5, bytes(1000))
    assert stream.add(3, b"de") == b"de" + bytes(1000)


def test_shuffled_at_random() -> None:
    data = random.Random(1).randbytes(50_000)
    parts = [(at, data[at : at + 700]) for at in range(0, len(data), 500)] * 2
    random.Random(2).shuffle(parts)
    stream = Stream()
    stream.begin(2**32 - 1000)
    assert b"".join(stream.add((2**32 - 999 + at) % 2**32, part) for at, part in parts) == data


# ---- connections ----


def segment_of(data: bytes) -> Segment:
    """Read an Ethernet frame."""
    segment = read_segment(Packet(0.0, 1, data))
    assert segment is not None
    return segment


@pytest.mark.parametrize("seen", [[0], [1], [0, 1], [0, 0, 1, 1]], ids=["syn", "syn_ack", "both", "again"])
def test_opener(seen: list[int]) -> None:
    """Who has sent the SYN is known from either of the first two segments."""
    talk = Talk()
    connection = Connection(1)
    for index in seen:
        assert connection.take(segment_of(talk.opening()[index])) == b""
    assert connection.opener == CLIENT_END
    assert connection.take(segment_of(talk.from_client(b"data"))) == b"data"


def test_data_with_the_syn() -> None:
    """RFC 7413."""
    connection = Connection(1)
    assert connection.take(segment_of(tcp(b"data", 9, flags=SYN))) == b"data"
    assert connection.take(segment_of(tcp(b" and more", 14))) == b" and more"


def test_connections_are_told_apart() -> None:
    connections = Connections()
    other = Talk(client=("10.0.0.1", 50001))
    frames = [*Talk().opening(), *other.opening(), Talk().from_server(b"x"), other.from_client(b"y")]
    assert [connections.find(segment_of(frame))[0].number for frame in frames] == [1, 1, 2, 2, 1, 2]
    assert [connection.number for connection in connections] == [1, 2]


def test_ports_used_again() -> None:
    """A SYN with another number begins a new connection, one with the same number doesn't."""
    connections = Connections()
    first, _ = connections.find(segment_of(Talk().opening()[0]))
    first.take(segment_of(Talk().opening()[0]))
    assert connections.find(segment_of(Talk().opening()[0])) == (first, None)
    again, ended = connections.find(segment_of(Talk(client_start=77).opening()[0]))
    assert (again.number, ended) == (2, first)


def test_syn_after_data_that_began_without() -> None:
    connections = Connections()
    first, _ = connections.find(segment_of(Talk().from_client(b"x")))
    assert connections.find(segment_of(Talk().opening()[0]))[1] is first


def test_silent_connections_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    connections = Connections()
    talks = [Talk(client=("10.0.0.1", port)) for port in (1, 2, 3)]
    first, second = (connections.find(segment_of(talk.opening()[0]))[0] for talk in talks[:2])
    connections.find(segment_of(talks[0].opening()[1]))
    third, ended = connections.find(segment_of(talks[2].opening()[0]))
    assert ended is second
    assert list(connections) == [first, third]


def test_header_longer_than_the_segment() -> None:
    """It has no payload."""
    data = tcp(b"", 7)
    broken = data[:46] + struct.pack("!B", 0xF0) + data[47:]
    assert segment_of(broken).payload == b""
