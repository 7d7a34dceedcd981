"""Many frames alike in one read, which have a short way of their own: what comes out is what one by one gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers import ROLE_IDS, ROLES, connect, feed, frame, header, ping, text
from hypothesis import given
from hypothesis import strategies as st
from slow_codec import BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT

from wsproto_lite import BytesMessage, CloseConnection, Event, Ping, Role, TextMessage
from wsproto_lite.codec import CHUNK

both_roles = pytest.mark.parametrize("role", ROLES, ids=ROLE_IDS.get)

Frame = tuple[int, bytes]

frames: st.SearchStrategy[Frame] = st.tuples(
    st.sampled_from(
        [FIN | TEXT, TEXT, FIN | BINARY, BINARY, FIN | CONTINUATION, CONTINUATION, FIN | PING, FIN | CLOSE]
    ),
    st.sampled_from([b"", b"a", b"abc" * 100, "ü".encode(), b"\xff"]),
)


def apart(role: Role, all_frames: list[Frame], **settings: object) -> Iterator[Event]:
    """Give the events of frames that come in a read each."""
    conn = connect(role, **settings)
    for one in all_frames:
        yield from feed(conn, frame(role, *one))


@both_roles
@pytest.mark.parametrize("delivery", ["message", "frame"])
@pytest.mark.parametrize("text_as_bytes", [False, True], ids=["str", "bytes"])
@given(
    st.lists(frames, max_size=2),
    st.lists(frames, min_size=1, max_size=1).map(lambda one: one * 9),
    st.lists(frames, max_size=2),
    st.integers(0, 10),
)
def test_any_run(
    delivery: str,
    text_as_bytes: bool,
    role: Role,
    before: list[Frame],
    run: list[Frame],
    after: list[Frame],
    cut: int,
) -> None:
    """Whatever comes before and behind, and wherever the read begins and ends in a frame."""
    everything = [*before, *run, *after]
    data = b"".join(frame(role, *one) for one in everything)
    settings = {"delivery": delivery, "text_as_bytes": text_as_bytes, "max_message_size": 2000}
    one_by_one = list(apart(role, everything, **settings))
    conn = connect(role, **settings)
    middle = max(cut, len(data) - cut)
    parts = data[:cut], data[cut:middle], data[middle:]
    at_once = [event for part in parts for event in feed(conn, part)]
    assert at_once == one_by_one


@both_roles
@pytest.mark.parametrize("payload", ["x", "", "ü", "x" * 200])
def test_long_runs_over_many_chunks(role: Role, payload: str) -> None:
    data = text(role, payload) * 2000
    conn = connect(role)
    events = [event for at in range(0, len(data), CHUNK) for event in feed(conn, data[at : at + CHUNK])]
    assert events == [TextMessage(payload)] * 2000
    assert feed(connect(role), data) == events


@both_roles
def test_run_that_a_fragment_precedes(role: Role) -> None:
    """RFC 6455 section 5.4: no message may begin within another."""
    data = frame(role, TEXT, b"a") + text(role, "b") * 20
    (event,) = feed(connect(role), data)
    assert isinstance(event, CloseConnection)
    assert event.code == 1002


@both_roles
def test_run_behind_the_end_of_a_large_frame(role: Role) -> None:
    whole = frame(role, FIN | BINARY, b"x" * 50_000)
    conn = connect(role)
    assert feed(conn, whole[:40_000]) == []
    assert feed(conn, whole[40_000:] + frame(role, FIN | BINARY, b"y") * 20 + header(role, FIN | BINARY, 5)) == [
        BytesMessage(b"x" * 50_000),
        *[BytesMessage(b"y")] * 20,
    ]


@both_roles
def test_run_between_pings(role: Role) -> None:
    data = ping(role, b"1") + text(role, "a") * 10 + ping(role, b"2")
    assert feed(connect(role), data) == [Ping(b"1"), *[TextMessage("a")] * 10, Ping(b"2")]
