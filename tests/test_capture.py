"""Capture files: both formats, either byte order, and what is wrong with them."""

from __future__ import annotations

import io
import struct

import pytest
from packets import block, enhanced, interface, pcap, section

from wsproto_lite.capture import MAGIC_SIZE, MAX_PACKET, CaptureError, Packet, is_capture, read_packets

DATA = [b"one", b"", b"three"]


def packets_of(file: bytes) -> list[Packet]:
    """Read a file."""
    magic = file[:MAGIC_SIZE]
    assert is_capture(magic)
    return list(read_packets(magic, io.BytesIO(file[MAGIC_SIZE:]).read))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D], ids=["micro", "nano"])
def test_pcap(order: str, magic: int) -> None:
    expected = [Packet(1 + number / 1000, 1, data) for number, data in enumerate(DATA)]
    assert packets_of(pcap(DATA, order=order, magic=magic)) == expected


def test_pcap_with_checksums() -> None:
    """The upper bits of the link layer's number tell of frame check sequences."""
    assert packets_of(pcap(DATA[:1], link=0x24000001)) == [Packet(1.0, 1, b"one")]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_pcapng(order: str) -> None:
    """Blocks of other kinds are skipped; a new section has interfaces of its own."""
    nano = struct.pack(order + "HHB3x", 9, 1, 9)
    comment = struct.pack(order + "HH", 1, 5) + b"hello\0\0\0"
    binary = struct.pack(order + "HHB3x", 9, 1, 0x80 | 10)
    file = (
        section(order)
        + interface(order, link=1)
        + interface(order, link=101, options=comment + nano + struct.pack(order + "HH", 0, 0))
        + interface(order, link=113, options=binary)
        + block(5, b"statistics", order)
        + enhanced(b"one", order, time=1_500_000)
        + enhanced(b"three", order, time=5 << 32, number=1)
        + enhanced(b"", order, time=512, number=2)
        + section(order)
        + interface(order, link=276)
        + block(3, struct.pack(order + "I", 4) + b"four", order)
    )
    assert packets_of(file) == [
        Packet(1.5, 1, b"one"),
        Packet((5 << 32) / 1e9, 101, b"three"),
        Packet(0.5, 113, b""),
        Packet(0.0, 276, b"four"),
    ]


def test_other_files() -> None:
    assert not is_capture(b"GET ")
    assert not is_capture(b"")


GOOD = section() + interface()

DAMAGED = {
    "pcap_cut_in_its_header": (pcap([])[:10], "capture ends within a packet"),
    "pcap_cut_in_a_header": (pcap([b"one"]) + b"12345", "capture ends within a packet"),
    "pcap_cut_in_a_packet": (pcap([b"one"])[:-1], "capture ends within a packet"),
    "pcap_huge_packet": (
        pcap([]) + struct.pack("<IIII", 0, 0, MAX_PACKET + 1, 0),
        f"capture has a packet of {MAX_PACKET + 1} bytes; the limit is {MAX_PACKET}",
    ),
    "pcapng_cut": (GOOD[:-1], "capture ends within a packet"),
    "pcapng_cut_in_a_skipped_block": (GOOD + block(5, b"statistics")[:-1], "capture ends within a packet"),
    "pcapng_huge_packet": (
        GOOD + struct.pack("<II", 6, MAX_PACKET + 13),
        f"capture has a packet of {MAX_PACKET + 1} bytes; the limit is {MAX_PACKET}",
    ),
    "pcapng_no_interface": (section() + enhanced(b"one"), "capture has a block that makes no sense"),
    "pcapng_simple_without_interface": (section() + block(3, b"\1\0\0\0x"), "capture has a block that makes no sense"),
    "pcapng_short_block": (GOOD + block(6, b"short"), "capture has a block that makes no sense"),
    "pcapng_size_too_small": (
        GOOD + struct.pack("<II", 5, 4),
        "capture has a block that is shorter than its header",
    ),
    "pcapng_packet_of_no_size": (GOOD + struct.pack("<III", 6, 0, 0), "capture has a block that makes no sense"),
}


@pytest.mark.parametrize(("file", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged(file: bytes, message: str) -> None:
    with pytest.raises(CaptureError) as caught:
        packets_of(file)
    assert str(caught.value) == message


def test_packets_before_the_damage() -> None:
    """They are given."""
    file = pcap([b"one", b"two"])[:-1]
    packets = read_packets(file[:4], io.BytesIO(file[4:]).read)
    assert next(packets).data == b"one"
    with pytest.raises(CaptureError):
        next(packets)
