"""Captures of other people's traffic, see captures/README.md: read as they are, and with their segments in disorder."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from packets import pcap

from wsproto_lite import SERVER
from wsproto_lite._cli_input import InputOptions, Located, read_records
from wsproto_lite._cli_json import as_object
from wsproto_lite.capture import MAGIC_SIZE, read_packets
from wsproto_lite.conversation import Note

FOLDER = Path(__file__).parent / "captures"
FILES = sorted(path.name for path in FOLDER.glob("*.pcap*"))

OPTIONS = InputOptions("auto", None, False, None, 10_000)

LONG = "".join(f"line {number}: the quick brown fox jumps over the lazy dog\n" for number in range(60))
BYTES = bytes(range(256)).hex()

HELLOS = [("client", "text", "Hello"), ("server", "text", "He"), ("server", "continuation", "llo")]

EXPECTED = {
    "websockets-aiohttp.pcap": [
        ("client", "request", "/echo?who=websockets"),
        ("server", "response", 101),
        ("client", "text", "Hello"),
        ("server", "text", "Hello"),
        ("client", "text", LONG),
        ("server", "text", LONG),
        ("client", "binary", BYTES),
        ("server", "binary", BYTES),
        ("client", "text", "Grüße, 世界 😀"),
        ("server", "text", "Grüße, 世界 😀"),
        ("client", "ping", b"are you there?".hex()),
        ("server", "pong", b"are you there?".hex()),
        ("client", "text", "in "),
        ("client", "continuation", "three "),
        ("client", "continuation", "parts"),
        ("client", "continuation", ""),
        ("server", "text", "in three parts"),
        ("client", "close", 1000),
        ("server", "close", 1000),
    ],
    "unmasked-websockets.pcap": [
        ("client", "request", "/echo"),
        ("server", "response", 101),
        *HELLOS,
        ("server", "continuation", ""),
        ("client", "text", "Hello"),
        ("server", "close", 1002),
    ],
}

TO_A_BROWSER = [
    *HELLOS,
    ("server", "continuation", ""),
    ("client", "text", "Hello again, hello again"),
    ("client", "binary", bytes(300).hex()),
    ("server", "text", "Hello again,"),
    ("server", "continuation", " hello again"),
    ("server", "continuation", ""),
    ("server", "binary", bytes(150).hex()),
    ("server", "continuation", bytes(150).hex()),
    ("server", "continuation", ""),
    ("client", "close", 1000),
    ("server", "close", 1000),
]
"""What goes over a connection of Chromium or Node, those of each end in order."""


def located(file: bytes) -> Iterator[Located]:
    """Give all records of a capture."""
    return read_records(io.BufferedReader(io.BytesIO(file)), OPTIONS)


def seen(file: bytes) -> list[tuple[str, str, object]]:
    """Say what is in a capture: who sends what."""
    words = []
    for record in map(as_object, located(file)):
        content = record.get("target") or record.get("status") or record.get("close_code")
        if content is None:
            content = record.get("text", record.get("inflated", record.get("payload")))
        words.append((record["sender"], record.get("name", record["type"]), content))
    return words


def by_sender(words: list[tuple[str, str, object]]) -> dict[str, list[tuple[str, str, object]]]:
    """Give what each end sends."""
    return {sender: [word for word in words if word[0] == sender] for sender in ("client", "server")}


@pytest.mark.parametrize("name", FILES)
def test_recorded(name: str) -> None:
    found = seen((FOLDER / name).read_bytes())
    if name in EXPECTED:
        assert found == EXPECTED[name]
    else:
        assert found[:2] == [("client", "request", "/echo"), ("server", "response", 101)]
        assert by_sender(found[2:]) == by_sender(TO_A_BROWSER)


@pytest.mark.parametrize("name", FILES)
def test_violations(name: str) -> None:
    """Others keep to the rules, but for the one that was made not to."""
    objects = list(map(as_object, located((FOLDER / name).read_bytes())))
    sections = [record["violation"]["section"] for record in objects if "violation" in record]
    assert sections == (["RFC 6455 section 5.1"] if name.startswith("unmasked") else [])
    assert all(record.get("complete", True) for record in objects)


def packets_of(name: str) -> list[bytes]:
    """Give the packets of a capture."""
    file = (FOLDER / name).read_bytes()
    return [packet.data for packet in read_packets(file[:MAGIC_SIZE], io.BytesIO(file[MAGIC_SIZE:]).read)]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(5))
def test_disorder(name: str, seed: int) -> None:
    """Segments that come late, twice, or cut otherwise when they are sent again make the same of each direction."""
    packets = packets_of(name)
    opening, rest = packets[:2], packets[2:]
    shuffled = opening + random.Random(seed).sample(rest + rest, 2 * len(rest))
    # Which end's bytes complete a record first depends on the order. Of the handshake it doesn't.
    assert by_sender(seen(pcap(shuffled))) == by_sender(seen(pcap(packets)))


@pytest.mark.parametrize("name", FILES)
def test_lost_packet(name: str) -> None:
    """Without the segment that has the server's consent nothing of the server can be told, and nothing is invented."""
    packets = packets_of(name)
    consent = next(index for index, data in enumerate(packets) if b"HTTP/1.1 101" in data)
    records = [item.record for item in located(pcap(packets[:consent] + packets[consent + 1 :]))]
    notes = [record for record in records if isinstance(record, Note)]
    assert [(note.sender, note.is_incomplete) for note in notes] == [(SERVER, True)]
    assert notes[0].message.startswith("capture lacks ")


@pytest.mark.parametrize("name", FILES)
def test_snapshots(name: str) -> None:
    """A capture that has only the beginning of each packet."""
    file = (FOLDER / name).read_bytes()
    cut = b"".join(struct.pack("<IIII", 0, 0, min(100, len(data)), len(data)) + data[:100] for data in packets_of(name))
    records = [item.record for item in located(pcap([]) + cut)]
    assert all(isinstance(record, Note) and record.is_incomplete for record in records)
    assert len(file) < 20_000
