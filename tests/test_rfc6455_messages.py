"""RFC 6455 sections 5.4 to 6.2, 8.1 and 10.4, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    OTHER,
    RESPONSE,
    UPGRADE,
    both_roles,
    byte_by_byte,
    close,
    connect,
    deflating,
    feed,
    frame,
    frames_from,
    header,
    messages,
    only_code,
    ping,
    rfc_nonce,
    text,
)
from rfc_checks import assert_fails, sent
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    EncodedTextMessage,
    LocalProtocolError,
    Ping,
    Pong,
    Request,
    Role,
    Settings,
    TextMessage,
)


def in_one_and_byte_by_byte(data: bytes) -> list[list[bytes]]:
    """Cut a stream in the two ways that matter: fragments of one chunk are put together before the rules are asked."""
    return [[data], byte_by_byte(data)]


# ---- fragmentation ----


@both_roles
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_5_4_control_frames_are_not_fragmented(role: Role, opcode: int) -> None:
    """Sections 5.4 and 5.5: control frames MUST NOT be fragmented."""
    assert_fails(role, frame(role, opcode, b""), words="is fragmented")
    assert all(first & FIN for first, _ in sent(role, Ping(), Pong(), CloseConnection()))


@both_roles
def test_5_4_order_of_fragments(role: Role) -> None:
    """Section 5.4: fragments MUST be delivered in the order sent."""
    pieces = [b"%d" % number for number in range(10)]
    for chunks in in_one_and_byte_by_byte(messages(role, pieces)):
        assert feed(connect(role), *chunks) == [BytesMessage(b"0123456789")]
    frames = sent(role, *[BytesMessage(piece, message_finished=piece == b"9") for piece in pieces])
    assert b"".join(payload for _, payload in frames) == b"0123456789"


@both_roles
@pytest.mark.parametrize("first", [TEXT, BINARY, FIN | TEXT, FIN | BINARY])
def test_5_4_no_interleaving_received(role: Role, first: int) -> None:
    """Section 5.4: fragments of one message MUST NOT be interleaved with those of another."""
    assert_fails(role, frame(role, TEXT, b"a") + frame(role, first, b"b"), words="inside a fragmented text message")


@both_roles
def test_5_4_no_interleaving_sent(role: Role) -> None:
    """Section 5.4: fragments of one message MUST NOT be interleaved with those of another, ours included."""
    connection = connect(role)
    connection.send(TextMessage("a", message_finished=False))
    with pytest.raises(LocalProtocolError, match="inside a fragmented text message"):
        connection.send(BytesMessage(b"b"))


@both_roles
def test_5_4_nothing_to_continue(role: Role) -> None:
    """Section 5.4: a continuation frame continues a message; without one it fails."""
    assert_fails(role, frame(role, FIN | CONTINUATION, b"a"), words="between messages")


@both_roles
def test_5_4_control_frames_within_a_message(role: Role) -> None:
    """Section 5.4: an endpoint MUST be capable of handling control frames in the middle of a message."""
    data = frame(role, TEXT, b"a") + ping(role, b"!") + frame(role, FIN | CONTINUATION, b"b")
    connection = connect(role)
    assert feed(connection, data) == [Ping(b"!"), TextMessage("ab")]
    assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"!")]


@both_roles
def test_5_4_fragmented_and_unfragmented(role: Role) -> None:
    """Section 5.4: both fragmented and unfragmented messages MUST be supported."""
    data = frame(role, TEXT, b"a") + frame(role, CONTINUATION, b"") + frame(role, FIN | CONTINUATION, b"b")
    for chunks in in_one_and_byte_by_byte(data + text(role, "c")):
        assert feed(connect(role), *chunks) == [TextMessage("ab"), TextMessage("c")]


@both_roles
def test_5_4_type_of_all_fragments(role: Role) -> None:
    """Section 5.4: all fragments are of the type of the first, which MUST be text or binary here."""
    for opcode, event in ((TEXT, TextMessage("ab")), (BINARY, BytesMessage(b"ab"))):
        for chunks in in_one_and_byte_by_byte(messages(role, [b"a", b"b"], opcode)):
            assert feed(connect(role), *chunks) == [event]
    frames = sent(role, BytesMessage(b"a", message_finished=False), BytesMessage(b"b"))
    assert [first for first, _ in frames] == [BINARY, FIN | CONTINUATION]


@both_roles
def test_5_4_boundaries_mean_nothing(role: Role) -> None:
    """Section 5.4: a receiver must not depend on frame boundaries: they don't show in what is delivered."""
    whole = feed(connect(role), messages(role, [b"abcd"]))
    for chunks in in_one_and_byte_by_byte(messages(role, [b"", b"ab", b"c", b"d", b""])):
        assert feed(connect(role), *chunks) == whole


# ---- control frames ----


@both_roles
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_5_5_control_payload_received(role: Role, opcode: int) -> None:
    """Section 5.5: all control frames MUST have 125 bytes of payload or less."""
    assert_fails(role, header(role, FIN | opcode, 126), words="the limit is 125")


@both_roles
def test_5_5_control_payload_sent(role: Role) -> None:
    """Section 5.5: all control frames MUST have 125 bytes of payload or less."""
    for event in (Ping(bytes(126)), Pong(bytes(126)), CloseConnection(1000, "x" * 124)):
        with pytest.raises(LocalProtocolError, match="the limit is 12"):
            connect(role).send(event)
    assert len(sent(role, Ping(bytes(125)))[0][1]) == 125


@both_roles
def test_5_5_2_pong_for_a_ping(role: Role) -> None:
    """Section 5.5.2: on a Ping an endpoint MUST send a Pong; section 5.5.3: with the same Application data."""
    connection = connect(role)
    connection.receive_data(ping(role, b"one") + ping(role, b"two"))
    assert frames_from(role, connection.data_to_send()) == [(FIN | PONG, b"one"), (FIN | PONG, b"two")]


@both_roles
def test_5_5_2_no_pong_after_a_close(role: Role) -> None:
    """Section 5.5.2: unless a Close frame was received already."""
    connection = connect(role)
    feed(connection, close(role) + ping(role, b"late"))
    assert frames_from(role, connection.data_to_send()) == [(FIN | CLOSE, b"\x03\xe8")]


@both_roles
def test_5_5_2_pong_as_soon_as_practical(role: Role) -> None:
    """Section 5.5.2: the Pong SHOULD be sent as soon as is practical: before anything that is sent next."""
    connection = connect(role)
    connection.receive_data(frame(role, TEXT, b"a") + ping(role, b"!"))
    output = connection.send(TextMessage("next"))
    assert [first for first, _ in frames_from(role, output)] == [FIN | PONG, FIN | TEXT]


# ---- messages ----

INVALID_UTF8 = (b"\xff", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82")


@both_roles
@pytest.mark.parametrize("payload", INVALID_UTF8, ids=bytes.hex)
def test_5_6_whole_message_is_utf8(role: Role, payload: bytes) -> None:
    """Sections 5.6 and 8.1: a text message MUST be valid UTF-8, else the endpoint MUST fail."""
    assert_fails(role, frame(role, FIN | TEXT, payload), 1007)
    assert_fails(role, messages(role, [b"", payload[:1], payload[1:]], TEXT), 1007)


@both_roles
def test_5_6_part_of_a_code_point(role: Role) -> None:
    """Section 5.6: a frame may hold part of a UTF-8 sequence; the whole message MUST be valid."""
    assert feed(connect(role), messages(role, [b"\xe2", b"\x82", b"\xac"], TEXT)) == [TextMessage("\u20ac")]


@both_roles
def test_5_6_text_sent_is_utf8(role: Role) -> None:
    """Section 5.6: the whole message MUST contain valid UTF-8, ours as well."""
    for event in (TextMessage("\ud800"), EncodedTextMessage(b"\xff"), EncodedTextMessage(b"\xe2\x82")):
        with pytest.raises(LocalProtocolError, match=r"lone surrogate|not valid UTF-8"):
            connect(role).send(event)


@both_roles
@pytest.mark.parametrize("reason", [b"\xff", b"\xe2\x82"], ids=bytes.hex)
def test_8_1_close_reason(role: Role, reason: bytes) -> None:
    """Section 8.1 holds for whatever is to be read as UTF-8, a close reason as well."""
    assert_fails(role, close(role, 1000, reason), 1007, "close reason")


@both_roles
def test_6_1_only_when_open(role: Role) -> None:
    """Section 6.1, step 1: the connection MUST be open, or there is nothing to send on."""
    with pytest.raises(LocalProtocolError, match="handshake is not over"):
        Connection(role).send(TextMessage("a"))
    closed = connect(role)
    closed.receive_eof()
    with pytest.raises(LocalProtocolError, match="closed"):
        closed.send(TextMessage("a"))


@both_roles
def test_6_1_state_changes(role: Role) -> None:
    """Section 6.1, step 1: if the state changes in the middle of a message, the rest MUST NOT be sent."""
    connection = connect(role)
    connection.send(TextMessage("a", message_finished=False))
    feed(connection, close(role))
    with pytest.raises(LocalProtocolError, match="closed"):
        connection.send(TextMessage("b"))


@both_roles
def test_6_1_frame(role: Role) -> None:
    """Section 6.1, step 2: the data MUST be in a frame as in section 5.2, and all that is made MUST be sent."""
    assert sent(role, TextMessage("Hello")) == [(FIN | TEXT, b"Hello")]
    assert b"".join(connect(SERVER).send_buffers(TextMessage("Hello"))) == b"\x81\x05Hello"


@both_roles
def test_6_1_opcode(role: Role) -> None:
    """Section 6.1, step 3: the opcode of the first frame MUST say whether the data is text or binary."""
    frames = sent(role, TextMessage("a"), EncodedTextMessage(b"a"), BytesMessage(b"a"))
    assert [first & 0x0F for first, _ in frames] == [TEXT, TEXT, BINARY]


@both_roles
def test_6_1_fin(role: Role) -> None:
    """Section 6.1, step 4: FIN of the last frame MUST be 1; of those before it it is 0."""
    frames = sent(role, TextMessage("a", message_finished=False), TextMessage("b"))
    assert [first & FIN for first, _ in frames] == [0, FIN]


@both_roles
def test_6_2_type_of_the_message(role: Role) -> None:
    """Section 6.2: data MUST be parsed as frames, and the type MUST be noted from the opcode."""
    data = frame(role, FIN | TEXT, b"a") + frame(role, FIN | BINARY, b"a") + frame(role, FIN | PONG, b"a")
    assert feed(connect(role), data) == [TextMessage("a"), BytesMessage(b"a"), Pong(b"a")]


def every_way(role: Role, opcode: int) -> dict[str, list[bytes]]:
    """Give one message in chunks that take each way through the library that a plain message may take."""
    short, long = frame(role, FIN | opcode, b"ab"), frame(role, FIN | opcode, b"a" * 200_000)
    return {
        "alone": [short],
        "in pieces": byte_by_byte(short),
        "in fragments": [messages(role, [b"a", b"b"], opcode)],
        "fragments in pieces": byte_by_byte(messages(role, [b"a", b"b"], opcode)),
        "a run": [short * 20],
        "long": [long],
        "long, in pieces": [long[:1000], long[1000:90_000], long[90_000:]],
        "behind a long one": [long + short],
    }


@both_roles
@pytest.mark.parametrize(
    ("opcode", "as_bytes", "kind"),
    [(TEXT, False, TextMessage), (TEXT, True, EncodedTextMessage), (BINARY, False, BytesMessage)],
    ids=["text", "text as bytes", "binary"],
)
def test_6_2_type_on_every_way(role: Role, opcode: int, as_bytes: bool, kind: Any) -> None:
    """Section 6.2: the type MUST be noted from the opcode of the first frame, however the message comes."""
    for way, chunks in every_way(role, opcode).items():
        assert {type(event) for event in feed(connect(role, text_as_bytes=as_bytes), *chunks)} == {kind}, way
        behind = Connection(role, Settings(text_as_bytes=as_bytes, random_bytes=rfc_nonce))
        if role is SERVER:
            behind.receive_data(UPGRADE + chunks[0])
            behind.send(AcceptConnection())
            events = feed(behind, b"", *chunks[1:])
        else:
            behind.send(Request("/chat", "server.example.com"))
            events = feed(behind, RESPONSE + chunks[0], *chunks[1:])[1:]
        assert {type(event) for event in events} == {kind}, f"{way}, behind the handshake"
        own, peer = deflating(role, text_as_bytes=as_bytes)
        data: list[Any] = [b"a", b"b"] if opcode == BINARY else ["a", "b"]
        message: Any = BytesMessage if opcode == BINARY else TextMessage
        parts = [peer.send(message(data[0], message_finished=False)), peer.send(message(data[1]))]
        for compressed in (peer.send(message(data[0])), b"".join(parts), peer.send(message(data[0] * 200_000))):
            assert [type(event) for event in feed(own, compressed)] == [kind]


KINDS: dict[int, Any] = {TEXT: lambda data: TextMessage(data.decode()), BINARY: BytesMessage}


@both_roles
@pytest.mark.parametrize("next_opcode", [TEXT, BINARY], ids=["then text", "then binary"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("cut", [[b"ab"], [b"a", b"b"], [b"a", b"", b"b"]], ids=["whole", "2 frames", "3 frames"])
def test_6_2_next_message(role: Role, opcode: int, next_opcode: int, cut: list[bytes]) -> None:
    """Section 6.2: data frames after a message's last MUST be taken for a new message."""
    data = messages(role, cut, opcode) + messages(role, cut, next_opcode) + messages(role, [b"c", b"d"], opcode)
    expected = [KINDS[opcode](b"ab"), KINDS[next_opcode](b"ab"), KINDS[opcode](b"cd")]
    for chunks in in_one_and_byte_by_byte(data):
        assert feed(connect(role), *chunks) == expected
    sender = connect(OTHER[role])
    output = b"".join([sender.send(event) for event in (expected[0], expected[1], expected[0])])
    assert feed(connect(role), output) == [expected[0], expected[1], expected[0]]


# ---- limits ----


@both_roles
def test_10_4_message_size(role: Role) -> None:
    """Section 10.4: limits MUST be kept to, and SHOULD exist for a message after reassembly: 1 MiB by default."""
    assert Settings().max_message_size == 1 << 20
    connection = connect(role, max_message_size=10)
    assert only_code(feed(connection, frame(role, BINARY, bytes(6)) + header(role, FIN | CONTINUATION, 5))) == 1009


@both_roles
def test_10_4_frame_size(role: Role) -> None:
    """Section 10.4: there SHOULD be a limit on frame sizes, too."""
    assert only_code(feed(connect(role, max_frame_size=10), header(role, FIN | BINARY, 11))) == 1009
    assert feed(connect(role, max_frame_size=10), frame(role, FIN | BINARY, bytes(10))) == [BytesMessage(bytes(10))]


@both_roles
def test_10_4_many_fragments(role: Role) -> None:
    """Section 10.4: implementations MUST protect themselves against long streams of small fragments."""
    connection = connect(role, max_fragments=3)
    assert only_code(feed(connection, messages(role, [b""] * 4))) == 1009


@both_roles
def test_10_7_close_with_a_code(role: Role) -> None:
    """Section 10.7: incoming data MUST be validated, and invalid data SHOULD be answered with a Close and its code."""
    for data, code in ((frame(role, 0x83), 1002), (frame(role, FIN | TEXT, b"\xff"), 1007)):
        assert_fails(role, data, code)
