"""RFC 6455 sections 5.6, 6, 8.1 and 10.4, one rule a test; docs/rfc6455.md names them."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from helpers import (
    OTHER,
    RESPONSE,
    RSV1,
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
    rfc_nonce,
)
from rfc_checks import assert_fails, in_one_and_byte_by_byte, sent
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT

from wsproto_lite import (
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    ConnectionClosed,
    EncodedTextMessage,
    Event,
    LocalProtocolError,
    Ping,
    Pong,
    Request,
    Role,
    Settings,
    TextMessage,
)

# ---- messages ----

CUT_SHORT = b"\xe2\x82"

INVALID_UTF8 = (
    *(b"\xff", b"\x80"),  # no beginning
    *(b"a\xc0\xaf", b"\xe0\x80\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\x80", b"\xf0\x80\x80\xaf"),  # overlong
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"),  # surrogates, beyond U+10FFFF
    *(b"\xe2a", b"\xe2\x82a", CUT_SHORT),
)


@both_roles
@pytest.mark.parametrize("payload", INVALID_UTF8, ids=bytes.hex)
def test_5_6_whole_message_is_utf8(role: Role, payload: bytes) -> None:
    """Sections 5.6 and 8.1: a text message MUST be valid UTF-8, else the endpoint MUST fail."""
    assert_fails(role, messages(role, [b"", payload[:1], payload[1:]], TEXT), 1007)
    for before, behind in ((0, 0), (8, 0), (300, 0), (70_000, 0), (300, 300)):
        assert_fails(role, frame(role, FIN | TEXT, b"a" * before + payload + b"a" * behind), 1007)
    if payload != CUT_SHORT:
        # At the earliest byte: more of the frame is to come, and more frames.
        assert_fails(role, frame(role, TEXT, payload + b"more")[:-4], 1007)
        assert_fails(role, frame(role, TEXT, payload), 1007)


@both_roles
@pytest.mark.parametrize("payload", INVALID_UTF8, ids=bytes.hex)
def test_8_1_compressed_text(role: Role, payload: bytes) -> None:
    """Section 8.1 holds for what comes of decompression: that is the text."""
    for pieces in ([payload], [payload[:1], payload[1:]]):
        own, peer = deflating(role)
        first, *more = [peer.send(BytesMessage(each, message_finished=each is pieces[-1])) for each in pieces]
        # As text, which the peer would not send.
        assert only_code(feed(own, bytes([first[0] ^ BINARY ^ TEXT]) + first[1:], *more)) == 1007
    if payload != CUT_SHORT:
        own, peer = deflating(role)
        begun = peer.send(BytesMessage(payload, message_finished=False))
        assert only_code(feed(own, bytes([begun[0] ^ BINARY ^ TEXT]) + begun[1:])) == 1007


@both_roles
def test_5_6_part_of_a_code_point(role: Role) -> None:
    """Section 5.6: a frame may hold part of a UTF-8 sequence; the whole message MUST be valid."""
    for fragments in ([b"\xe2", b"\x82", b"\xac"], [b"\xe2", b"", b"\x82\xac"], [b"\xe2\x82\xac"]):
        for chunks in in_one_and_byte_by_byte(messages(role, fragments, TEXT)):
            assert feed(connect(role), *chunks) == [TextMessage("\u20ac")]


@both_roles
def test_5_6_text_sent_is_utf8(role: Role) -> None:
    """Section 5.6: the whole message MUST contain valid UTF-8, ours as well."""
    unfinished = EncodedTextMessage(b"\xff", message_finished=False)
    for event in (TextMessage("\ud800"), EncodedTextMessage(b"\xff"), EncodedTextMessage(b"\xe2\x82"), unfinished):
        with pytest.raises(LocalProtocolError, match=r"lone surrogate|not valid UTF-8"):
            connect(role).send(event)
    connection = connect(role)
    connection.send(EncodedTextMessage(b"\xe2\x82", message_finished=False))
    for event in (TextMessage("a"), EncodedTextMessage(b"a")):
        with pytest.raises(LocalProtocolError, match=r"within a code point|not valid UTF-8"):
            connection.send(event)
    assert frames_from(role, connection.send(EncodedTextMessage(b"\xac"))) == [(FIN | CONTINUATION, b"\xac")]


@both_roles
@pytest.mark.parametrize("reason", [b"\xff", b"\xe2\x82"], ids=bytes.hex)
def test_8_1_close_reason(role: Role, reason: bytes) -> None:
    """Section 8.1 holds for whatever is to be read as UTF-8, a close reason as well."""
    assert_fails(role, close(role, 1000, reason), 1007, "close reason")
    # At the earliest byte: here the one behind it, if it is cut short.
    assert_fails(role, close(role, 1000, reason + b"more")[:-3], 1007, "close reason")


@both_roles
def test_6_1_only_when_open(role: Role) -> None:
    """Section 6.1, step 1: the connection MUST be open, or there is nothing to send on."""
    closed = connect(role)
    closed.receive_eof()
    for event in (TextMessage("a"), BytesMessage(b"a"), Ping(), CloseConnection()):
        with pytest.raises(LocalProtocolError, match="handshake is not over"):
            Connection(role).send(event)
        with pytest.raises(ConnectionClosed):
            closed.send(event)


@both_roles
@pytest.mark.parametrize("auto_reply", [True, False])
def test_6_1_state_changes(role: Role, auto_reply: bool) -> None:
    """Section 6.1, step 1: if the state changes in the middle of a message, the rest MUST NOT be sent."""
    for change in (close(role), frame(role, 0x83)):
        connection = connect(role, auto_reply=auto_reply)
        connection.send(TextMessage("a", message_finished=False))
        feed(connection, change)
        with pytest.raises(ConnectionClosed):
            connection.send(TextMessage("b"))


@both_roles
def test_6_1_frame(role: Role) -> None:
    """Section 6.1, step 2: the data MUST be in a frame as in section 5.2, and all that is made MUST be sent."""
    for event, opcode in (
        (TextMessage("Hello"), TEXT),
        (EncodedTextMessage(b"Hello"), TEXT),
        (BytesMessage(b"Hello"), BINARY),
    ):
        assert sent(role, event) == [(FIN | opcode, b"Hello")]
        assert frames_from(role, b"".join(connect(role).send_buffers(event))) == [(FIN | opcode, b"Hello")]


@both_roles
def test_6_1_opcode(role: Role) -> None:
    """Section 6.1, step 3: the opcode of the first frame MUST say whether the data is text or binary."""
    frames = sent(role, TextMessage("a"), EncodedTextMessage(b"a"), BytesMessage(b"a"))
    assert [first & 0x0F for first, _ in frames] == [TEXT, TEXT, BINARY]
    for kind, letter, opcode in (
        (TextMessage, "a", TEXT),
        (EncodedTextMessage, b"a", TEXT),
        (BytesMessage, b"a", BINARY),
    ):
        fragments: list[Any] = [kind(letter, message_finished=False), kind(letter)]
        assert [first & 0x0F for first, _ in sent(role, *fragments)] == [opcode, CONTINUATION]


@both_roles
def test_6_1_fin(role: Role) -> None:
    """Section 6.1, step 4: FIN of the last frame MUST be 1; of those before it it is 0."""
    pieces = TextMessage("a", message_finished=False), TextMessage("b", message_finished=False), TextMessage("c")
    assert [first & FIN for first, _ in sent(role, *pieces)] == [0, 0, FIN]
    whole = TextMessage("a"), EncodedTextMessage(b"a"), BytesMessage(b"a")
    assert [first & FIN for first, _ in sent(role, *whole)] == [FIN, FIN, FIN]
    compressing, _ = deflating(role)
    frames = frames_from(role, b"".join([compressing.send(event) for event in (*whole, *pieces)]))
    assert [first & FIN for first, _ in frames] == [FIN, FIN, FIN, 0, 0, FIN]


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
@pytest.mark.parametrize("parts", [[b"ab"], [b"a", b"b"], [b"a", b"", b"b"]], ids=["whole", "2 frames", "3 frames"])
def test_6_2_next_message(role: Role, opcode: int, next_opcode: int, parts: list[bytes]) -> None:
    """Section 6.2: data frames after a message's last MUST be taken for a new message."""
    data = messages(role, parts, opcode) + messages(role, parts, next_opcode) + messages(role, [b"c", b"d"], opcode)
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
    fragment = frame(role, BINARY, bytes(6))
    assert only_code(feed(connect(role, max_message_size=10), fragment + header(role, FIN | CONTINUATION, 5))) == 1009
    message = fragment + frame(role, FIN | CONTINUATION, bytes(4))
    assert feed(connect(role, max_message_size=10), message) == [BytesMessage(bytes(10))]


@both_roles
@pytest.mark.parametrize("before", [0, 5], ids=["whole", "2 frames"])
def test_10_4_inflated_size(role: Role, before: int) -> None:
    """Section 10.4: the limit holds for what comes of decompression, and one for what is to be decompressed."""

    def received(size: int) -> list[Event]:
        own, peer = deflating(role, max_message_size=10)
        begun = peer.send(BytesMessage(bytes(before), message_finished=False)) if before else b""
        return feed(own, begun + peer.send(BytesMessage(bytes(size - before))))

    assert received(10) == [BytesMessage(bytes(10))]
    assert only_code(received(11)) == 1009
    own, _ = deflating(role, max_message_size=10)
    assert only_code(feed(own, header(role, FIN | RSV1 | BINARY, 2000))) == 1009


@both_roles
def test_10_4_frame_size(role: Role) -> None:
    """Section 10.4: there SHOULD be a limit on frame sizes, too."""
    assert only_code(feed(connect(role, max_frame_size=10), header(role, FIN | BINARY, 11))) == 1009
    assert feed(connect(role, max_frame_size=10), frame(role, FIN | BINARY, bytes(10))) == [BytesMessage(bytes(10))]


@both_roles
def test_10_4_many_fragments(role: Role) -> None:
    """Section 10.4: implementations MUST protect themselves against long streams of small fragments."""
    assert Settings().max_fragments == 4096
    assert only_code(feed(connect(role, max_fragments=3), messages(role, [b""] * 4))) == 1009
    assert feed(connect(role, max_fragments=3), messages(role, [b""] * 3)) == [BytesMessage(b"")]


INVALID: dict[str, tuple[Callable[[Role], bytes], int]] = {
    "masking": (lambda role: frame(OTHER[role], FIN | TEXT, b"a"), 1002),
    "reserved bit": (lambda role: frame(role, FIN | RSV1 | TEXT, b"a"), 1002),
    "opcode": (lambda role: frame(role, FIN | 0x3), 1002),
    "fragmented ping": (lambda role: frame(role, PING), 1002),
    "long ping": (lambda role: header(role, FIN | PING, 126), 1002),
    "long form of the length": (lambda role: header(role, FIN | BINARY, 125, 2), 1002),
    "top bit of the length": (lambda role: header(role, FIN | BINARY, 1 << 63, 8), 1002),
    "nothing to continue": (lambda role: frame(role, FIN | CONTINUATION, b"a"), 1002),
    "interleaving": (lambda role: frame(role, TEXT, b"a") + frame(role, FIN | TEXT, b"b"), 1002),
    "half a close code": (lambda role: frame(role, FIN | CLOSE, b"\x03"), 1002),
    "close code": (lambda role: close(role, 1005), 1002),
    "close reason": (lambda role: close(role, 1000, b"\xff"), 1007),
    "text": (lambda role: frame(role, FIN | TEXT, b"\xff"), 1007),
    "size": (lambda role: header(role, FIN | BINARY, 1 << 21), 1009),
}


@both_roles
@pytest.mark.parametrize(("data_for", "code"), INVALID.values(), ids=INVALID)
def test_10_7_close_with_a_code(role: Role, data_for: Callable[[Role], bytes], code: int) -> None:
    """Section 10.7: incoming data MUST be validated, and invalid data SHOULD be answered with a Close and its code."""
    assert_fails(role, data_for(role), code)
