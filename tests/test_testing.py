"""The helpers for users' tests."""

from __future__ import annotations

import doctest

import pytest

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Opcode,
    PerMessageDeflate,
    Ping,
    Pong,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Settings,
    State,
    TextMessage,
    hextext,
    testing,
)
from wsproto_lite.testing import FIXED_KEY, Pair, every_split, feed, fixed_bytes, from_hex, split_frames

OTHER_KEY = b"abcd"


@pytest.mark.parametrize("module", [testing, hextext], ids=["testing", "hextext"])
def test_docstrings(module: object) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


# ---- fixed bytes ----


def test_keys_in_turn() -> None:
    client = Connection.established(CLIENT, Settings(random_bytes=fixed_bytes(FIXED_KEY, OTHER_KEY)))
    frames = split_frames(b"".join(client.send(Ping()) for _ in range(3)))
    assert [frame.mask for frame in frames] == [FIXED_KEY, OTHER_KEY, FIXED_KEY]


def test_nonce() -> None:
    """The key of RFC 6455 section 1.3."""
    client = Connection(CLIENT, Settings(random_bytes=fixed_bytes()))
    assert b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in client.send(Request("/", "localhost"))


@pytest.mark.parametrize(
    ("keys", "nonce", "message"),
    [
        ([b"abc"], bytes(16), "masking key is 3 bytes; it is 4"),
        ([], bytes(15), "nonce is 15 bytes; it is 16"),
    ],
    ids=["key", "nonce"],
)
def test_wrong_sizes(keys: list[bytes], nonce: bytes, message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        fixed_bytes(*keys, nonce=nonce)
    assert str(caught.value) == message


# ---- bytes ----


@pytest.mark.parametrize(
    ("data", "cuts", "expected"),
    [
        (b"", 1, [[b""]]),
        (b"a", 1, [[b"a"]]),
        (b"ab", 1, [[b"ab"], [b"a", b"b"]]),
        (b"abc", 0, [[b"abc"], [b"a", b"b", b"c"]]),
        (b"abc", 2, [[b"abc"], [b"a", b"bc"], [b"ab", b"c"], [b"a", b"b", b"c"]]),
        (b"abc", 9, [[b"abc"], [b"a", b"bc"], [b"ab", b"c"], [b"a", b"b", b"c"]]),
    ],
    ids=["nothing", "one_byte", "two", "uncut", "two_cuts", "more_cuts_than_bytes"],
)
def test_every_split(data: bytes, cuts: int, expected: list[list[bytes]]) -> None:
    assert [list(chunks) for chunks in every_split(data, cuts)] == expected


def test_number_of_splits() -> None:
    assert len(list(every_split(bytes(10), 2))) == 1 + 9 + 36 + 1


FRAMES = {
    "nothing": ("", []),
    "empty": ("8900", [(Opcode.PING, b"")]),
    "masked": ("8185 37fa213d 7f9f4d5158", [(Opcode.TEXT, b"Hello")]),
    "two_bytes": ("8202 0001  8202 0203", [(Opcode.BINARY, b"\0\1"), (Opcode.BINARY, b"\2\3")]),
    "long": ("827e0080" + "00" * 128, [(Opcode.BINARY, bytes(128))]),
}


@pytest.mark.parametrize(("text", "expected"), FRAMES.values(), ids=FRAMES)
def test_split_frames(text: str, expected: list[tuple[Opcode, bytes]]) -> None:
    assert [(frame.opcode, frame.payload) for frame in split_frames(from_hex(text))] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("81", "data ends within frame 1: 1 bytes are missing"),
        ("8900 827e", "data ends within frame 2: 2 bytes are missing"),
        ("8202", "data ends within frame 1: 2 bytes are missing"),
        ("8285 37fa213d 00", "data ends within frame 1: 4 bytes are missing"),
    ],
    ids=["header", "length", "payload_of_two", "payload"],
)
def test_cut_frames(text: str, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        split_frames(from_hex(text))
    assert str(caught.value) == message


def test_feed_gives_what_is_held_back() -> None:
    fixture = from_hex("89 00  88 02 03e8  # a Ping, then a Close")
    for chunks in every_split(fixture):
        assert feed(Connection.established(CLIENT), *chunks) == [Ping(b""), CloseConnection(1000)]


# ---- a pair ----


def test_opening() -> None:
    pair = Pair(request=Request("/chat", "localhost", ["a", "b"]), response=AcceptConnection("b"))
    assert pair.client.subprotocol == pair.server.subprotocol == "b"
    assert pair.request is not None
    assert pair.request.subprotocols == ("a", "b")
    assert pair.received == {CLIENT: [], SERVER: []}


def test_wire() -> None:
    """What goes over is the same in each run."""
    pair = Pair()
    pair.wire.clear()
    pair.send(CLIENT, TextMessage("Hello"))
    pair.send(SERVER, Ping(b"?"))
    assert pair.wire == [
        (CLIENT, from_hex("8185 37fa213d 7f9f4d5158")),
        (SERVER, b"\x89\x01?"),
        (CLIENT, from_hex("8a81 37fa213d 08")),
    ]
    assert pair.sent(SERVER) == b"\x89\x01?"
    assert pair.take(SERVER) == [Pong(b"?")]
    assert pair.take(SERVER) == []


def test_closing() -> None:
    pair = Pair()
    assert pair.send(SERVER, CloseConnection(1001, "bye")) == [CloseConnection(1001, "bye")]
    assert pair.take(SERVER) == [CloseConnection(1001)]
    assert (pair.client.state, pair.server.state) == (State.CLOSED, State.CLOSED)


def test_settings() -> None:
    deflating = Settings(extensions=(PerMessageDeflate(),))
    pair = Pair(deflating, deflating)
    pair.wire.clear()
    assert pair.send(SERVER, BytesMessage(bytes(1000))) == [BytesMessage(bytes(1000))]
    assert len(pair.sent(SERVER)) < 100
    assert pair.send(SERVER, BytesMessage(b"plain"), compress=False) == [BytesMessage(b"plain")]
    assert pair.sent(SERVER).endswith(b"plain")


def test_answer_of_the_test() -> None:
    pair = Pair(response=None)
    (request,) = pair.take(SERVER)
    assert isinstance(request, Request)
    assert pair.send(SERVER, RejectConnection(403, body=b"no")) == [
        RejectConnection(403, [(b"connection", b"close"), (b"content-length", b"2")], b"no")
    ]


def test_refusal() -> None:
    pair = Pair(response=RejectConnection(404))
    (event,) = pair.take(CLIENT)
    assert isinstance(event, RejectConnection)
    assert event.status_code == 404


def test_refused_by_the_server_itself() -> None:
    """There is no request to accept then."""
    pair = Pair(server_settings=Settings(allowed_origins=["http://example.com"]))
    (event,) = pair.take(CLIENT)
    assert isinstance(event, RejectConnection)
    assert event.status_code == 403


def test_bytes_of_the_test_s_own() -> None:
    """A violation, and the Close that answers it."""
    pair = Pair()
    pair.write(CLIENT, from_hex("81 05 48656c6c6f  # not masked"))
    (event,) = pair.take(CLIENT)
    assert isinstance(event, CloseConnection)
    assert event.code == 1002


def test_mistake_changes_nothing() -> None:
    pair = Pair()
    pair.wire.clear()
    with pytest.raises(LocalProtocolError):
        pair.send(CLIENT, Ping(bytes(126)))
    assert pair.wire == []
