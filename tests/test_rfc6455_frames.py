"""RFC 6455 sections 5.1 to 5.3 and 10.3, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

import os

import pytest
from helpers import KEY, both_roles, connect, cut, feed, frame, header
from rfc_checks import assert_fails, extended, sent
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    EncodedTextMessage,
    Event,
    Ping,
    Pong,
    Role,
    Settings,
    TextMessage,
)

EVENTS: dict[str, Event] = {
    "text": TextMessage("a"),
    "text of 126": TextMessage("a" * 126),
    "text of 1,000": TextMessage("a" * 1000),
    "text of 2,000": TextMessage("a" * 2000),
    "text of 70,000": TextMessage("a" * 70_000),
    "fragment": TextMessage("a", message_finished=False),
    "encoded text": EncodedTextMessage(b"a"),
    "bytes": BytesMessage(b"a"),
    "bytes of 126": BytesMessage(b"a" * 126),
    "bytes of 1,000": BytesMessage(b"a" * 1000),
    "bytes of 65,536": BytesMessage(b"a" * 65_536),
    "bytes of 70,000": BytesMessage(b"a" * 70_000),
    "bytearray": BytesMessage(bytearray(b"a")),
    "Ping": Ping(b"a"),
    "Pong": Pong(b"a"),
    "Close": CloseConnection(1000),
}
"""What becomes a frame, on each way that there is to one."""

every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)

FIRST_BYTES = {
    "text": FIN | TEXT,
    "fragment": BINARY,
    "continuation": FIN | CONTINUATION,
    "close": FIN | CLOSE,
    "ping": FIN | PING,
    "pong": FIN | PONG,
}

every_first_byte = pytest.mark.parametrize("first", FIRST_BYTES.values(), ids=FIRST_BYTES)


def before(role: Role, first: int) -> bytes:
    """Give what has to come before a frame that begins with `first`: a continuation has something to continue."""
    return b"" if first & 0x0F else frame(role, TEXT, b"a")


# ---- masking ----


@every_event
def test_5_1_client_masks(event: Event) -> None:
    """Sections 5.1, 5.3 and 6.1: a client MUST mask all frames that it sends, Close frames among them."""
    settings = Settings(random_bytes=lambda size: KEY * (size // 4))
    ((first, payload),) = sent(SERVER, event)
    masked = frame(SERVER, first, payload)
    assert Connection.established(CLIENT, settings).send(event) == masked
    assert b"".join(Connection.established(CLIENT, settings).send_buffers(event)) == masked


@every_first_byte
def test_5_1_server_closes_on_unmasked(first: int) -> None:
    """Section 5.1: the server MUST close the connection upon a frame that is not masked."""
    assert_fails(SERVER, bytes((first, 126)), words="not masked", after=before(SERVER, first))


@every_event
def test_5_1_server_does_not_mask(event: Event) -> None:
    """Section 5.1: a server MUST NOT mask any frames."""
    assert connect(SERVER).send(event)[1] & 0x80 == 0
    assert b"".join(connect(SERVER).send_buffers(event))[1] & 0x80 == 0


@every_first_byte
def test_5_1_client_closes_on_masked(first: int) -> None:
    """Section 5.1: a client MUST close the connection if it detects a masked frame."""
    assert_fails(CLIENT, bytes((first, 0x80 | 126)), words="is masked", after=before(CLIENT, first))


DIGITS = b"0123456789"


@pytest.mark.parametrize(
    ("opcode", "content", "event"),
    [
        pytest.param(TEXT, DIGITS, TextMessage(DIGITS.decode()), id="text"),
        pytest.param(TEXT, DIGITS * 7000, TextMessage(DIGITS.decode() * 7000), id="long text"),
        pytest.param(TEXT, DIGITS * 30_000, TextMessage(DIGITS.decode() * 30_000), id="very long text"),
        pytest.param(BINARY, DIGITS, BytesMessage(DIGITS), id="binary"),
        pytest.param(BINARY, DIGITS * 7000, BytesMessage(DIGITS * 7000), id="long binary"),
        pytest.param(BINARY, DIGITS * 30_000, BytesMessage(DIGITS * 30_000), id="very long binary"),
        pytest.param(PING, DIGITS, Ping(DIGITS), id="ping"),
    ],
)
def test_5_3_server_removes_masking(opcode: int, content: bytes, event: Event) -> None:
    """Sections 5.3 and 6.2: a server MUST remove masking, by XOR with the key's bytes in turn, however they come."""
    masked = bytes(octet ^ KEY[at % 4] for at, octet in enumerate(content))
    data = header(SERVER, FIN | opcode, len(content)) + masked
    for chunks in ([data], cut(data, *range(20)), cut(data, 15, 40_002)):
        assert feed(connect(SERVER), *chunks) == [event]


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


RESERVED_BITS = {"RSV1": 0x40, "RSV2": 0x20, "RSV3": 0x10}

every_bit = pytest.mark.parametrize("bit", RESERVED_BITS.values(), ids=RESERVED_BITS)


def others(bit: int) -> list[tuple[int, ...]]:
    """Give all sets of reserved bits without this one."""
    one, two = [other for other in RESERVED_BITS.values() if other != bit]
    return [(), (one,), (two,), (one, two)]


@both_roles
@every_bit
@every_first_byte
def test_5_2_reserved_bits_received(role: Role, bit: int, first: int) -> None:
    """Section 5.2: on a reserved bit that no extension has defined the endpoint MUST fail, whatever others have."""
    # What an extension defines is for the first frame of a message.
    sets = others(bit) if first & 0x0F in (TEXT, BINARY) else [*others(bit), (bit,)]
    for defined in sets:
        data, after = bytes((first | bit,)), before(role, first)
        assert_fails(role, data, words="in the first byte", after=after, reserved_bits=defined)


@both_roles
@every_bit
@every_event
def test_5_2_reserved_bits_sent(role: Role, bit: int, event: Event) -> None:
    """Section 5.2: RSV1 to RSV3 MUST be 0 unless an extension was negotiated that defines this very bit."""
    for defined in others(bit):
        assert extended(role, *defined).send(event)[0] & bit == 0
    is_control = isinstance(event, (Ping, Pong, CloseConnection))
    assert extended(role, bit).send(event)[0] & bit == (0 if is_control else bit)


@both_roles
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_5_2_unknown_opcode(role: Role, opcode: int) -> None:
    """Section 5.2: on an unknown opcode the endpoint MUST fail."""
    assert_fails(role, bytes((FIN | opcode,)), words="is unknown")
    known = b"".join([frame(role, FIN | each) for each in (TEXT, BINARY, PING, PONG, CLOSE)])
    assert feed(connect(role), known)[-1] == CloseConnection(1005)


@both_roles
def test_5_2_top_bit_of_the_length(role: Role) -> None:
    """Section 5.2: the most significant bit of a 64-bit length MUST be 0."""
    assert_fails(role, header(role, FIN | BINARY, 1 << 63, 8), words="most significant bit")


@both_roles
@pytest.mark.parametrize(("length", "extended"), [(0, 2), (125, 2), (125, 8), (126, 8), (65_535, 8)])
def test_5_2_minimal_length_received(role: Role, length: int, extended: int) -> None:
    """Section 5.2: the minimal number of bytes MUST be used to encode the length."""
    assert_fails(role, header(role, FIN | BINARY, length, extended), words="shortest form")
    for shortest in (126, 65_535, 65_536):
        assert feed(connect(role), header(role, FIN | BINARY, shortest)) == []


@both_roles
@pytest.mark.parametrize(("size", "extended"), [(125, 0), (126, 2), (65_535, 2), (65_536, 8)])
def test_5_2_minimal_length_sent(role: Role, size: int, extended: int) -> None:
    """Section 5.2: the minimal number of bytes MUST be used to encode the length."""
    for event in (BytesMessage(bytes(size)), BytesMessage(bytearray(size)), TextMessage("a" * size)):
        assert len(connect(role).send(event)) == 2 + extended + (4 if role is CLIENT else 0) + size
        assert len(b"".join(connect(role).send_buffers(event))) == 2 + extended + (4 if role is CLIENT else 0) + size
