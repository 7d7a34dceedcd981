"""RFC 7692 sections 6 and 7.2: what is in messages, one rule a test; docs/rfc7692.md names them."""

from __future__ import annotations

import zlib

import pytest
from deflate_backends import TAIL, noise, payload
from helpers import RSV1, both_roles, deflating, feed, frame, only_code
from rfc7692_checks import (
    FULL_WINDOWS,
    HELLO,
    HELLO_AGAIN,
    NAME,
    assert_client_fails,
    marked,
    opened,
    opened_fully,
    sent,
    server_for,
)
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    PerMessageDeflate,
    Ping,
    Role,
    TextMessage,
)


def fragments(role: Role, data: bytes) -> tuple[bytes, bytes]:
    """Give a compressed message in two frames, to be fed one by one: in one chunk they would be joined first."""
    return frame(role, RSV1 | TEXT, data[:3]), frame(role, FIN | CONTINUATION, data[3:])


# ---- framing ----


@both_roles
def test_6_1_compressed_message(role: Role) -> None:
    """Section 6.1: a compressed message MUST be made by compressing the payload and setting the bit."""
    assert sent(opened_fully(role), TextMessage("Hello")) == [(FIN | RSV1 | TEXT, HELLO)]
    assert sent(opened_fully(role), BytesMessage(b"Hello"), compress=True) == [(FIN | RSV1 | BINARY, HELLO)]
    pieces = TextMessage("Hel", message_finished=False), TextMessage("lo")
    (first, start), (_, end) = sent(opened_fully(role), *pieces)
    assert (first, zlib.decompressobj(-15).decompress(start + end + TAIL)) == (RSV1 | TEXT, b"Hello")


@both_roles
def test_6_1_uncompressed_message(role: Role) -> None:
    """Section 6.1: an uncompressed message MUST be the data as it is, the bit unset."""
    assert sent(opened_fully(role), TextMessage("Hello"), compress=False) == [(FIN | TEXT, b"Hello")]
    connection, _ = deflating(role)
    assert sent(connection, TextMessage("Hello", message_finished=False), compress=False) == [(TEXT, b"Hello")]
    assert sent(connection, TextMessage("Hello")) == [(FIN | CONTINUATION, b"Hello")]


@both_roles
def test_6_1_bit_is_on_the_first_fragment_alone(role: Role) -> None:
    """Section 6.1: the bit MUST NOT be set on control frames and on fragments that are not the first."""
    events = (TextMessage("Hello", message_finished=False), Ping(b"!"), TextMessage("Hello"), CloseConnection())
    assert [first for first, _ in sent(opened_fully(role), *events)] == [
        RSV1 | TEXT,
        FIN | PING,
        FIN | CONTINUATION,
        FIN | CLOSE,
    ]


@both_roles
@pytest.mark.parametrize("first", [FIN | PING, FIN | PONG, FIN | CLOSE, CONTINUATION, FIN | CONTINUATION])
def test_6_1_bit_where_it_may_not_be(role: Role, first: int) -> None:
    """Section 6.1: an endpoint that receives the bit on a control frame or a later fragment MUST fail."""
    before, wrong = frame(role, RSV1 | TEXT, HELLO[:3]), frame(role, first | RSV1)
    for data in (wrong, wrong[:1]):
        assert only_code(feed(opened_fully(role), before + data)) == 1002


@both_roles
def test_6_2_compressed_message(role: Role) -> None:
    """Section 6.2: a compressed message MUST be decompressed from its frames joined together (section 7.2.3.1)."""
    assert feed(opened_fully(role), marked(role, HELLO)) == [TextMessage("Hello")]
    chunks = [*fragments(role, HELLO), *fragments(role, HELLO_AGAIN)]
    assert feed(opened_fully(role), *chunks) == [TextMessage("Hello"), TextMessage("Hello")]
    data = noise(100) * 2000
    assert feed(opened_fully(role), marked(role, payload(data), BINARY)) == [BytesMessage(data)]
    first, second = payload(data)[:500], payload(data)[500:]
    frames = frame(role, RSV1 | BINARY, first), frame(role, FIN | CONTINUATION, second)
    assert feed(opened_fully(role), *frames) == [BytesMessage(data)]


@both_roles
def test_6_2_uncompressed_message(role: Role) -> None:
    """Section 6.2: an uncompressed message MUST be delivered as it is."""
    frames = frame(role, TEXT, b"Hel"), frame(role, FIN | CONTINUATION, b"lo"), frame(role, FIN | TEXT, b"Hello")
    assert feed(opened_fully(role), *frames) == [TextMessage("Hello"), TextMessage("Hello")]


# ---- permessage-deflate: compression ----


@both_roles
def test_7_2_1_tail_stays_on_fragments(role: Role) -> None:
    """Section 7.2.1: the last 4 octets are removed from a message; this MUST NOT be done for other fragments."""
    data = b"fragment" * 50
    frames = sent(opened_fully(role), BytesMessage(data, message_finished=False), BytesMessage(data))
    assert [fragment.endswith(TAIL) for _, fragment in frames] == [True, False]
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(frames[0][1]) == data
    assert inflater.decompress(frames[1][1] + TAIL) == data


@pytest.mark.parametrize("side", ["server", "client"])
def test_7_2_1_no_window_over_32_kib(side: str) -> None:
    """Section 7.2.1: a window longer than 32,768 bytes MUST NOT be used: neither side can ask for it."""
    with pytest.raises(LocalProtocolError, match="must be 8 to 15"):
        PerMessageDeflate(**{f"{side}_max_window_bits": 16})
    param = f"; {side}_max_window_bits=16"
    assert server_for(NAME + param)[1] is None
    assert_client_fails(NAME + param, f"{side}_max_window_bits with the value '16'")


@both_roles
def test_7_2_1_empty_window_for_each_message(role: Role) -> None:
    """Section 7.2.1: with no_context_takeover that side MUST start each message with an empty window."""
    ours = "client" if role is CLIENT else "server"
    message = TextMessage("Hello")
    alone = opened_fully(role, f"; {ours}_no_context_takeover")
    assert [data for _, data in sent(alone, message, message)] == [HELLO, HELLO]
    assert [data for _, data in sent(opened_fully(role), message, message)] == [HELLO, HELLO_AGAIN]


@both_roles
def test_7_2_1_window_that_was_agreed(role: Role) -> None:
    """Section 7.2.1: with max_window_bits of w that side MUST NOT use a window longer than 2 to the power of w."""
    ours = "client" if role is CLIENT else "server"
    # zlib reaches back 262 bytes less than the window: 250, 762, 1786, 3834 and so on.
    for bits, size, fits in ((9, 500, False), (10, 500, True), (10, 1000, False), (11, 1000, True), (11, 2000, False)):
        connection = opened_with_bits(role, ours, bits)
        ((_, data),) = sent(connection, BytesMessage(noise(size) * 2))
        assert (len(data) < 1.2 * size) is fits
        assert fits or len(data) >= 2 * size


def opened_with_bits(role: Role, side: str, bits: int) -> Connection:
    params = f"; {side}_max_window_bits={bits}"
    return opened(role, params, **({**FULL_WINDOWS, f"{side}_max_window_bits": bits} if role is SERVER else {}))


def test_7_2_1_client_may_offer_less_than_is_agreed() -> None:
    """Sections 7.2.1 and 7.2.2: the client MUST use a window that conforms to what was agreed, not to its offer."""
    client = opened(CLIENT, "; client_max_window_bits=9", client_max_window_bits=12)
    ((_, data),) = sent(client, BytesMessage(noise(1000) * 2))
    assert len(data) >= 2000


# ---- permessage-deflate: decompression ----


@both_roles
@pytest.mark.parametrize(
    "data",
    [
        pytest.param("f248cdc9c90700", id="7.2.3.1"),
        pytest.param("000500faff48656c6c6f00", id="7.2.3.3"),
        pytest.param("f348cdc9c9070000", id="7.2.3.4"),
        pytest.param("f348cdc9c90700", id="7.2.3.4, less its last octet"),
        pytest.param("f2480500" + "0000ffff" + "cac9c90700", id="7.2.3.5"),
    ],
)
def test_7_2_2_tail_is_appended(role: Role, data: str) -> None:
    """Section 7.2.2: 00 00 ff ff is appended, and all is decompressed; the examples of section 7.2.3."""
    octets = bytes.fromhex(data)
    assert feed(opened_fully(role), marked(role, octets)) == [TextMessage("Hello")]
    assert feed(opened_fully(role), *fragments(role, octets) * 2) == [TextMessage("Hello")] * 2


@both_roles
def test_7_2_2_window_of_the_last_message(role: Role) -> None:
    """Section 7.2.2: without the other side's no_context_takeover the last window MUST be used (section 7.2.3.2)."""
    data = marked(role, HELLO) + marked(role, HELLO_AGAIN)
    assert feed(opened_fully(role), data) == [TextMessage("Hello"), TextMessage("Hello")]
    chunks = [*fragments(role, HELLO), *fragments(role, HELLO_AGAIN)]
    assert feed(opened_fully(role), *chunks) == [TextMessage("Hello"), TextMessage("Hello")]


def test_7_2_2_hint_is_agreed_to() -> None:
    """Section 7.2.2: the last window MUST be used unless client_no_context_takeover is agreed, not just offered.

    Our server agrees to what is offered, so that it never has to.
    """
    server, answer = server_for(f"{NAME}; client_no_context_takeover", **FULL_WINDOWS)
    assert answer == f"{NAME}; client_no_context_takeover"
    events = feed(server, marked(SERVER, HELLO) + marked(SERVER, HELLO_AGAIN))
    assert (events[0], only_code(events[1:])) == (TextMessage("Hello"), 1007)


# A fixed block (RFC 1951 section 3.2.6), bit by bit: 3 bytes from 24,577 + 8,191 bytes back, and the block's end.
_BITS = "010" + "0000001" + "11101" + "1" * 13 + "0000000" + "000"
FARTHEST = int(_BITS[::-1], 2).to_bytes(5, "little")
"""The payload of a message that repeats what stands 32,768 bytes back."""


@both_roles
def test_7_2_2_full_window_unless_agreed(role: Role) -> None:
    """Section 7.2.2: without the other side's max_window_bits a window of 32,768 bytes MUST be used."""
    history = noise(32_768)
    data = marked(role, payload(history), BINARY) + marked(role, FARTHEST, BINARY)
    assert feed(opened_fully(role), data) == [BytesMessage(history), BytesMessage(history[:3])]
    # The same where it is made of several messages, and some have left it.
    messages = b"before", history[:20_000], history[20_000:]
    data = b"".join([marked(role, payload(message), BINARY) for message in messages]) + marked(role, FARTHEST, BINARY)
    assert feed(opened_fully(role), data)[-1] == BytesMessage(history[:3])
