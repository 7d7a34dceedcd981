"""Arguments that make no sense, copies that must not share secrets, and a source of random bytes that fails."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest

from wsproto_lite import (
    CLIENT,
    SERVER,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Ping,
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


def test_failing_random_bytes_and_the_end() -> None:
    """receive_data raises nothing but TypeError (rule 3): without a key there is no reply, but an end."""
    conn = Connection.established(CLIENT, Settings(random_bytes=lambda size: b""))
    assert conn.receive_data(b"\x88\x00") == [CloseConnection(1005)]
    assert (conn.state, conn.data_to_send(), conn.close_info.sent) == (State.CLOSED, b"", None)
