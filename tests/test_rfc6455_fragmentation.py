"""RFC 6455 sections 5.4 and 5.5, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    both_roles,
    byte_by_byte,
    close,
    connect,
    cut,
    deflating,
    feed,
    frame,
    frames_from,
    header,
    messages,
    only_code,
    ping,
    text,
)
from rfc_checks import assert_fails, in_one_and_byte_by_byte, sent
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Ping,
    Pong,
    Role,
    TextMessage,
)

DATA: dict[int, Any] = {TEXT: TextMessage, BINARY: BytesMessage}
"""The event of each type of message."""

NAMES = {TEXT: "text", BINARY: "binary"}

both_types = pytest.mark.parametrize("opcode", NAMES, ids=NAMES.get)


def message_of(opcode: int, letters: str, *, finished: bool = True) -> Any:
    """Give a message of the type that `opcode` stands for, or a fragment of one."""
    return DATA[opcode](letters if opcode == TEXT else letters.encode(), message_finished=finished)


# ---- fragmentation ----


@both_roles
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_5_4_control_frames_are_not_fragmented(role: Role, opcode: int) -> None:
    """Sections 5.4 and 5.5: control frames MUST NOT be fragmented."""
    assert_fails(role, bytes((opcode,)), words="is fragmented")
    assert [first for first, _ in sent(role, Ping(), Pong(), CloseConnection())] == [
        FIN | PING,
        FIN | PONG,
        FIN | CLOSE,
    ]


@both_roles
@pytest.mark.parametrize("size", [1, 40_000], ids=["short", "long"])
def test_5_4_order_of_fragments(role: Role, size: int) -> None:
    """Section 5.4: fragments MUST be delivered in the order sent: joined or one by one, compressed or not."""
    pieces = [str(number) * size for number in range(10)]
    whole = "".join(pieces)
    fragments = [message_of(BINARY, piece, finished=piece[0] == "9") for piece in pieces]
    stream = messages(role, [piece.encode() for piece in pieces])
    for chunks in ([stream], cut(stream, *range(0, len(stream), max(1, size // 10)))):
        assert feed(connect(role), *chunks) == [message_of(BINARY, whole)]
        assert feed(connect(role, delivery="frame"), *chunks) == fragments
    assert b"".join([payload for _, payload in sent(role, *fragments)]) == whole.encode()
    own, peer = deflating(role)
    stream = b"".join([peer.send(message_of(TEXT, piece, finished=piece[0] == "9")) for piece in pieces])
    assert feed(own, stream) == [message_of(TEXT, whole)]


@both_roles
@both_types
@pytest.mark.parametrize("first", [TEXT, BINARY, FIN | TEXT, FIN | BINARY])
def test_5_4_no_interleaving_received(role: Role, opcode: int, first: int) -> None:
    """Section 5.4: fragments of one message MUST NOT be interleaved with those of another, however these come."""
    begun, words = frame(role, opcode, b"a"), f"inside a fragmented {NAMES[opcode]} message"
    for other in (frame(role, first, b"b"), frame(role, first, b"b") * 20, frame(role, first, b"b" * 70_000)):
        assert_fails(role, other, words=words, after=begun)
    (own, peer), (_, stranger) = deflating(role), deflating(role)
    compressed = stranger.send(message_of(first & 0x0F, "b", finished=bool(first & FIN)))
    assert only_code(feed(own, peer.send(message_of(opcode, "a", finished=False)) + compressed)) == 1002


@both_roles
@both_types
def test_5_4_no_interleaving_sent(role: Role, opcode: int) -> None:
    """Section 5.4: fragments of one message MUST NOT be interleaved with those of another, ours included."""
    other = message_of(BINARY if opcode == TEXT else TEXT, "b")
    for connection in (connect(role), deflating(role)[0]):
        connection.send(message_of(opcode, "a", finished=False))
        with pytest.raises(LocalProtocolError, match=f"inside a fragmented {NAMES[opcode]} message"):
            connection.send(other)


@both_roles
def test_5_4_nothing_to_continue(role: Role) -> None:
    """Section 5.4: a continuation frame continues a message; without one it fails."""
    assert_fails(role, frame(role, FIN | CONTINUATION, b"a"), words="between messages")


@both_roles
@both_types
def test_5_4_control_frames_within_a_message(role: Role, opcode: int) -> None:
    """Section 5.4: an endpoint MUST be capable of handling control frames in the middle of a message."""
    begun = frame(role, opcode, b"a")
    between = ping(role, b"\xff!!") + frame(role, FIN | PONG, b"\xff??")  # not text, nor part of the message
    for chunks in in_one_and_byte_by_byte(begun + between + frame(role, FIN | CONTINUATION, b"b")):
        connection = connect(role, max_message_size=2)
        assert feed(connection, *chunks) == [Ping(b"\xff!!"), Pong(b"\xff??"), message_of(opcode, "ab")]
        assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"\xff!!")]
    too_long = begun + between + frame(role, FIN | CONTINUATION, b"bc")
    assert only_code(feed(connect(role, max_message_size=2), too_long)[2:]) == 1009
    assert feed(connect(role), begun + close(role)) == [CloseConnection(1000)]
    ours = message_of(opcode, "a", finished=False), Ping(), Pong(), message_of(opcode, "b"), CloseConnection()
    assert [first & 0x0F for first, _ in sent(role, *ours)] == [opcode, PING, PONG, CONTINUATION, CLOSE]


@both_roles
@both_types
def test_5_4_fragmented_and_unfragmented(role: Role, opcode: int) -> None:
    """Section 5.4: both fragmented and unfragmented messages MUST be supported."""
    fragments = frame(role, opcode, b"a") + frame(role, CONTINUATION, b"") + frame(role, FIN | CONTINUATION, b"b")
    for chunks in in_one_and_byte_by_byte(fragments + frame(role, FIN | opcode, b"c")):
        assert feed(connect(role), *chunks) == [message_of(opcode, "ab"), message_of(opcode, "c")]


@both_roles
@both_types
def test_5_4_type_of_all_fragments(role: Role, opcode: int) -> None:
    """Section 5.4: all fragments are of the type of the first, which MUST be text or binary here."""
    for chunks in in_one_and_byte_by_byte(messages(role, [b"a", b"b"], opcode)):
        assert feed(connect(role), *chunks) == [message_of(opcode, "ab")]
    fragments = (
        message_of(opcode, "a", finished=False),
        message_of(opcode, "b", finished=False),
        message_of(opcode, "c"),
    )
    assert [first for first, _ in sent(role, *fragments)] == [opcode, CONTINUATION, FIN | CONTINUATION]


@both_roles
@both_types
def test_5_4_boundaries_mean_nothing(role: Role, opcode: int) -> None:
    """Section 5.4: a receiver must not depend on frame boundaries: they don't show in what is delivered."""
    for fragments in ([b"abcd"], [b"", b"ab", b"c", b"d", b""], [b""], [b"", b""]):
        whole = message_of(opcode, b"".join(fragments).decode())
        for chunks in in_one_and_byte_by_byte(messages(role, fragments, opcode)):
            assert feed(connect(role), *chunks) == [whole]


# ---- control frames ----


@both_roles
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_5_5_control_payload_received(role: Role, opcode: int) -> None:
    """Section 5.5: all control frames MUST have 125 bytes of payload or less."""
    for length in (126, 65_536):
        assert_fails(role, header(role, FIN | opcode, length)[:2], words="the limit is 125")
    payload = b"\x03\xe8" + b"x" * 123
    events = {CLOSE: CloseConnection(1000, "x" * 123), PING: Ping(payload), PONG: Pong(payload)}
    assert feed(connect(role), frame(role, FIN | opcode, payload)) == [events[opcode]]


@both_roles
def test_5_5_control_payload_sent(role: Role) -> None:
    """Section 5.5: all control frames MUST have 125 bytes of payload or less."""
    for event in (Ping(bytes(126)), Pong(bytes(126)), CloseConnection(1000, "x" * 124)):
        with pytest.raises(LocalProtocolError, match="the limit is 12"):
            connect(role).send(event)
    longest = sent(role, Ping(bytes(125)), Pong(bytes(125)), CloseConnection(1000, "x" * 123))
    assert [len(payload) for _, payload in longest] == [125, 125, 125]


@both_roles
def test_5_5_2_pong_for_a_ping(role: Role) -> None:
    """Section 5.5.2: on a Ping an endpoint MUST send a Pong; section 5.5.3: with the same Application data."""
    for chunks in in_one_and_byte_by_byte(ping(role, b"one") + ping(role, b"two")):
        connection = connect(role)
        assert feed(connection, *chunks) == [Ping(b"one"), Ping(b"two")]
        assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"one"), (FIN | PONG, b"two")]
        assert connection.data_to_send() == b""


@both_roles
def test_5_5_2_pongs_in_a_flood(role: Role) -> None:
    """Section 5.5.3: an endpoint MAY answer the latest of several Pings alone: here, the latest 16."""
    connection = connect(role)
    feed(connection, b"".join([ping(role, b"%d" % number) for number in range(20)]))
    pongs = frames_from(role, connection.data_to_send())
    assert pongs == [(FIN | PONG, b"%d" % number) for number in range(4, 20)]


@both_roles
def test_5_5_2_pong_by_the_application(role: Role) -> None:
    """Section 5.5.2: who switches the automatic answers off has to send the Pong, and it is the only one."""
    connection = connect(role, auto_reply=False)
    assert feed(connection, ping(role, b"one")) == [Ping(b"one")]
    assert connection.data_to_send() == b""
    assert frames_from(role, connection.send(Pong(b"one"))) == [(FIN | PONG, b"one")]


@both_roles
def test_5_5_2_no_pong_after_a_close(role: Role) -> None:
    """Section 5.5.2: unless a Close frame was received already."""
    late = ping(role, b"late")
    closed = text(role, "a") + close(role)
    for chunks in ([closed + late], [closed, late], byte_by_byte(closed + late), [closed + late * 10_000]):
        connection = connect(role)
        events = [event for chunk in chunks for event in connection.receive_data(chunk)]
        events += connection.receive_data(b"")
        assert events == [TextMessage("a"), CloseConnection(1000)]
        assert frames_from(role, connection.data_to_send()) == [(FIN | CLOSE, b"\x03\xe8")]


def pinged(role: Role) -> Connection:
    """Give a connection that a Ping has come to, in the middle of a message."""
    connection = connect(role)
    connection.receive_data(frame(role, TEXT, b"a") + ping(role, b"!"))
    return connection


@both_roles
def test_5_5_2_pong_as_soon_as_practical(role: Role) -> None:
    """Section 5.5.2: the Pong SHOULD be sent as soon as is practical: before anything that is sent next."""
    for event in (TextMessage("next"), Ping(b"next"), CloseConnection(1000)):
        expected = [(FIN | PONG, b"!"), *sent(role, event)]
        assert frames_from(role, pinged(role).send(event)) == expected
        assert frames_from(role, b"".join(pinged(role).send_buffers(event))) == expected
    connection = pinged(role)
    connection.queue_ping(b"ours")
    assert frames_from(role, connection.data_to_send()) == [(FIN | PING, b"ours"), (FIN | PONG, b"!")]
