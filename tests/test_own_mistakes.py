"""Arguments that make no sense, copies that must not share secrets, and a source of random bytes that fails."""

from __future__ import annotations

import copy
import ctypes
import pickle
import sys
from dataclasses import replace
from typing import Any

import pytest

from wsproto_lite import (
    CLIENT,
    SERVER,
    BytesMessage,
    CloseConnection,
    CloseInfo,
    Connection,
    ConnectionClosed,
    EncodedTextMessage,
    LocalProtocolError,
    Ping,
    RejectConnection,
    Request,
    Role,
    Settings,
    State,
    TextMessage,
)


@pytest.mark.parametrize("settings", [None, {}, Settings], ids=repr)
def test_settings_are_settings(settings: Any) -> None:
    with pytest.raises(LocalProtocolError, match="settings is"):
        Connection(SERVER, settings)


@pytest.mark.parametrize("name", ["auto_reply", "text_as_bytes"])
def test_switches_are_bools(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"{name} is 'no'"):
        Settings(**{name: "no"})  # type: ignore[arg-type]  # that is the mistake


def test_released_memoryview() -> None:
    """receive_data raises nothing but TypeError (rule 3)."""
    view = memoryview(b"x")
    view.release()
    with pytest.raises(TypeError, match="can't be read"):
        Connection(SERVER).receive_data(view)


def test_released_memoryview_in_a_handshake() -> None:
    """send raises LocalProtocolError for our own mistakes (rule 5)."""
    view = memoryview(b"x")
    view.release()
    for event in (RejectConnection(403, body=view), RejectConnection(403, [("x", view)])):  # type: ignore[arg-type]
        server = Connection(SERVER)
        server.receive_data(Connection(CLIENT).send(Request("/", "example.com")))
        with pytest.raises(LocalProtocolError, match="can't be read"):
            server.send(event)
        assert server.state is State.CONNECTING


class Longer(bytes):
    """Says that it is longer than it is."""

    def __len__(self) -> int:
        return 60

    def __bytes__(self) -> bytes:
        return self


class LongerArray(bytearray):
    """The same that can change."""

    def __len__(self) -> int:
        return 60


class Shouted(str):
    """Encodes itself as something else."""

    def encode(self, *_: Any) -> bytes:
        return Longer(b"SHOUTED")


@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize(
    "event",
    [
        BytesMessage(Longer(b"abc")),
        BytesMessage(LongerArray(b"abc")),
        Ping(Longer(b"abc")),
        TextMessage(Shouted("abc")),
    ],
    ids=["bytes", "bytearray", "ping", "text"],
)
def test_length_that_a_subclass_lies_about(role: Role, event: Any) -> None:
    """C reads no further than memory goes: what lies behind would go to the peer."""
    conn = Connection.established(role, Settings(random_bytes=bytes))
    assert conn.send(event)[-3:] == b"abc"
    assert len(b"".join(conn.send_buffers(event))) == 5 + 4 * (role is CLIENT)


def test_length_that_received_data_lies_about() -> None:
    assert Connection.established(CLIENT).receive_data(Longer(b"\x89\x00")) == [Ping()]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (CloseConnection(10**5000), "close code a number of 16610 bits may not be sent"),
        (RejectConnection(-(10**5000)), "status of a refusal is a number of 16610 bits"),
        (RejectConnection(403, {"ab": "x"}), "headers are not pairs of name and value: 'ab' is none"),
        (RejectConnection(403, [b"ab"]), "headers are not pairs of name and value: 'ab' is none"),
    ],
    ids=["close code", "status", "dict", "bytes"],
)
def test_what_is_hard_to_put_into_words(event: Any, words: str) -> None:
    """Python writes no number of more than 4,300 digits; texts of two characters can be taken for pairs."""
    conn = Connection.established(SERVER)
    if isinstance(event, RejectConnection):
        conn = Connection(SERVER)
        conn.receive_data(Connection(CLIENT).send(Request("/", "example.com")))
    with pytest.raises(LocalProtocolError, match=words):
        conn.send(event)


def test_copies_of_connection_closed() -> None:
    """It crosses to another process, as all exceptions do."""
    error = ConnectionClosed("too late", CloseInfo((1000, ""), cause="closed 1000 by us"))
    for duplicate in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(duplicate), duplicate.close_info) == (str(error), error.close_info)


def test_derived_limit_follows_replace() -> None:
    """max_fragments is derived from max_message_size, unless it was chosen."""
    assert replace(Settings(), max_message_size=None).max_fragments == 65_536
    assert replace(Settings(max_fragments=7), max_message_size=None).max_fragments == 7


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda settings: pickle.loads(pickle.dumps(settings))], ids=["copied", "pickled"]
)
def test_copies_share_no_masking_keys(duplicate: Any) -> None:
    """RFC 6455 section 5.3: keys are unpredictable, and so never used twice."""
    settings = Settings()
    settings.masking_keys.draw()
    assert settings.masking_keys.draw() != duplicate(settings).masking_keys.draw()


class OneKey:
    """A source with a single key in it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        self.calls += 1
        return b"\1\2\3\4" if self.calls == 1 else b""


@pytest.mark.parametrize(
    "event",
    [CloseConnection(), TextMessage("a", message_finished=False), Ping()],
    ids=lambda event: type(event).__name__,
)
def test_failing_random_bytes_change_nothing(event: Any) -> None:
    """What raises LocalProtocolError has changed nothing (rule 5): there is a key for the Pong, none for the event."""
    conn = Connection.established(CLIENT, Settings(random_bytes=OneKey()))
    conn.receive_data(b"\x89\x03one")
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="random_bytes"):
            conn.send(event)
    assert (conn.state, conn.output_size) == (State.OPEN, 9)


def no_source(size: int) -> bytes:
    raise OSError("no entropy")


broken_sources = pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda size: b"", r"random_bytes\(\d+\) returned 0 bytes"),
        (lambda size: b"\0" * 13, r"random_bytes\(\d+\) returned 13 bytes"),
        (lambda size: None, r"random_bytes\(\d+\) returned NoneType; it must be bytes"),
        (lambda size: "\0" * size, r"random_bytes\(\d+\) returned str; it must be bytes"),
        (no_source, r"random_bytes\(\d+\) failed: OSError\('no entropy'\)"),
    ],
    ids=["empty", "odd", "None", "str", "raises"],
)


@broken_sources
@pytest.mark.parametrize(("data", "code"), [(b"\x88\x00", 1005), (b"\x83\x00", 1002)], ids=["close", "fault"])
def test_broken_random_bytes_and_the_end(source: Any, words: str, data: bytes, code: int) -> None:
    """receive_data raises nothing but TypeError (rule 3): without a key there is no reply, but an end."""
    conn = Connection.established(CLIENT, Settings(random_bytes=source))
    (end,) = conn.receive_data(data)
    assert isinstance(end, CloseConnection)
    assert end.code == code
    assert (conn.state, conn.data_to_send(), conn.close_info.sent) == (State.CLOSED, b"", None)
    assert (conn.receive_eof(), conn.should_close) == ([], True)


@broken_sources
def test_broken_random_bytes(source: Any, words: str) -> None:
    """They are a mistake of the caller's."""
    conn = Connection.established(CLIENT, Settings(random_bytes=source))
    assert conn.receive_data(b"\x89\x00") == [Ping()]
    for call in (conn.data_to_send, lambda: conn.send(TextMessage("a")), lambda: conn.send(Ping())):
        with pytest.raises(LocalProtocolError, match=words):
            call()
    assert (conn.state, conn.output_size) == (State.OPEN, 6)
    with pytest.raises(LocalProtocolError, match=words):
        Connection(CLIENT, Settings(random_bytes=source)).send(Request("/", "localhost"))


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


@pytest.mark.parametrize("kind", [BytesMessage, EncodedTextMessage, Ping])
def test_released_memoryview_to_send(kind: Any) -> None:
    with pytest.raises(LocalProtocolError, match="payload can't be read"):
        Connection.established(SERVER).send(kind(released()))


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy 3.9 divides by zero at such a view, and ends")
@pytest.mark.parametrize("kind", [BytesMessage, EncodedTextMessage, Ping])
def test_memoryview_of_nothing(kind: Any) -> None:
    conn = Connection.established(SERVER)
    nothing = memoryview((ctypes.c_ubyte * 0 * 3)())  # two dimensions, which can't be cast
    assert conn.send(kind(nothing))[1:] == b"\0"


def test_handshake_that_is_none() -> None:
    handshake: Any = 5
    with pytest.raises(LocalProtocolError, match="handshake is 5; it is a Handshake or None"):
        Connection.established(SERVER, Settings(), handshake)
