"""RFC 6455 sections 5.1 to 5.3 and 10.3, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

import os

import pytest
from helpers import (
    KEY,
    both_roles,
    connect,
    frame,
    header,
)
from rfc_checks import assert_fails, sent
from slow_codec import BINARY, FIN, PING, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Role,
    Settings,
    TextMessage,
)

EVENTS: list[Event] = [TextMessage("a"), BytesMessage(b"a"), Ping(b"a"), Pong(b"a"), CloseConnection(1000)]

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)


# ---- masking ----


@every_event
def test_5_1_client_masks(event: Event) -> None:
    """Sections 5.1, 5.3 and 6.1: a client MUST mask all frames that it sends, Close frames among them."""
    output = connect(CLIENT, random_bytes=lambda size: KEY * (size // 4)).send(event)
    assert (output[1] & 0x80, output[2:6]) == (0x80, KEY)


def test_5_1_server_closes_on_unmasked() -> None:
    """Section 5.1: the server MUST close the connection upon a frame that is not masked."""
    assert_fails(SERVER, b"\x81\x01a", words="not masked")


@every_event
def test_5_1_server_does_not_mask(event: Event) -> None:
    """Section 5.1: a server MUST NOT mask any frames."""
    assert connect(SERVER).send(event)[1] & 0x80 == 0


def test_5_1_client_closes_on_masked() -> None:
    """Section 5.1: a client MUST close the connection if it detects a masked frame."""
    assert_fails(CLIENT, b"\x81\x81" + KEY + b"\x56", words="masked")


def test_5_3_server_removes_masking() -> None:
    """Sections 5.3 and 6.2: a server MUST remove masking, by XOR with the key's bytes in turn."""
    masked = bytes(octet ^ KEY[at % 4] for at, octet in enumerate(b"0123456789"))
    assert connect(SERVER).receive_data(b"\x82\x8a" + KEY + masked) == [BytesMessage(b"0123456789")]


@pytest.mark.parametrize("size", [0, 1, 7, 70_000])
def test_5_3_fresh_key(size: int) -> None:
    """Sections 5.3 and 10.3: the client MUST pick a fresh masking key for each frame."""
    drawn = iter(range(1 << 20))
    client = connect(
        CLIENT, random_bytes=lambda count: b"".join(next(drawn).to_bytes(4, "big") for _ in range(count // 4))
    )
    keys = [key_of(client.send(BytesMessage(bytes(size)))) for _ in range(600)]
    keys += [key_of(client.send(TextMessage("a" * size))) for _ in range(600)]
    assert keys == [number.to_bytes(4, "big") for number in range(1200)]


def key_of(output: bytes) -> bytes:
    length = output[1] & 0x7F
    start = 2 + (2 if length == 126 else 8 if length == 127 else 0)
    return output[start : start + 4]


def test_5_3_strong_source() -> None:
    """Section 5.3: the masking key MUST be derived from a strong source of entropy: the system's own."""
    assert Settings().random_bytes is os.urandom
    assert len({key_of(connect(CLIENT).send(Ping())) for _ in range(100)}) > 95


def test_5_3_unpredictable_key() -> None:
    """Section 5.3: a key MUST NOT make it simple to predict the next: each is a draw of its own from the source."""
    source = os.urandom(4096)
    drawn = iter([source[at : at + 1024] for at in range(0, 4096, 1024)])
    client = connect(CLIENT, random_bytes=lambda size: next(drawn))
    assert b"".join([key_of(client.send(Ping())) for _ in range(1024)]) == source


# ---- a frame's header ----


@both_roles
@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10], ids=["RSV1", "RSV2", "RSV3"])
@pytest.mark.parametrize("first", [FIN | TEXT, BINARY, FIN | PING], ids=["text", "fragment", "ping"])
def test_5_2_reserved_bits_received(role: Role, bit: int, first: int) -> None:
    """Section 5.2: on a reserved bit that no extension has defined the endpoint MUST fail."""
    assert_fails(role, frame(role, first | bit, b""), words="reserved bits")


@both_roles
@every_event
def test_5_2_reserved_bits_sent(role: Role, event: Event) -> None:
    """Section 5.2: RSV1 to RSV3 MUST be 0 unless negotiated otherwise."""
    assert sent(role, event)[0][0] & 0x70 == 0


@both_roles
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_5_2_unknown_opcode(role: Role, opcode: int) -> None:
    """Section 5.2: on an unknown opcode the endpoint MUST fail."""
    assert_fails(role, frame(role, FIN | opcode, b""), words="is unknown")


@both_roles
def test_5_2_top_bit_of_the_length(role: Role) -> None:
    """Section 5.2: the most significant bit of a 64-bit length MUST be 0."""
    assert_fails(role, header(role, FIN | BINARY, 1 << 63, 8), words="most significant bit")


@both_roles
@pytest.mark.parametrize(("length", "extended"), [(0, 2), (125, 2), (125, 8), (126, 8), (65_535, 8)])
def test_5_2_minimal_length_received(role: Role, length: int, extended: int) -> None:
    """Section 5.2: the minimal number of bytes MUST be used to encode the length."""
    assert_fails(role, header(role, FIN | BINARY, length, extended), words="shortest form")


@both_roles
@pytest.mark.parametrize(("size", "extended"), [(125, 0), (126, 2), (65_535, 2), (65_536, 8)])
def test_5_2_minimal_length_sent(role: Role, size: int, extended: int) -> None:
    """Section 5.2: the minimal number of bytes MUST be used to encode the length."""
    for event in (BytesMessage(bytes(size)), TextMessage("a" * size)):
        assert len(connect(role).send(event)) == 2 + extended + (4 if role is CLIENT else 0) + size
        assert len(b"".join(connect(role).send_buffers(event))) == 2 + extended + (4 if role is CLIENT else 0) + size
