"""Every way through a connection, found by walking it. Knows what can happen to one; what follows is observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wsproto_lite import (
    CLIENT,
    SERVER,
    AcceptConnection,
    CloseConnection,
    Connection,
    LocalProtocolError,
    Opcode,
    RejectConnection,
    RemoteProtocolError,
    Request,
    Role,
    Settings,
    State,
)
from wsproto_lite.frames import Frame
from wsproto_lite.handshake import HandshakeRequest, accept_key

KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="  # of 16 random bytes that are 0
MASK = bytes(4)

Happening = Callable[[Connection], None]

DEPTH = 4
"""Happenings in a row: opening takes two at most, closing two."""


class Step(NamedTuple):
    """What was seen: a happening that changed something. The flags are those after it."""

    role: Role
    before: State
    happening: str
    after: State
    should_shutdown: bool
    should_close: bool


def settings(*, auto_reply: bool) -> Settings:
    return Settings(auto_reply=auto_reply, random_bytes=bytes)


def _receive(conn: Connection, data: bytes) -> None:
    conn.receive_data(data)
    while conn.receive_data(b""):
        pass


def _receive_frame(opcode: int, payload: bytes = b"") -> Happening:
    def happen(conn: Connection) -> None:
        mask = MASK if conn.role is SERVER else None
        _receive(conn, Frame(payload, opcode, mask).to_bytes())

    return happen


def _receive_eof(conn: Connection) -> None:
    while conn.receive_eof():
        pass


def _give_up(conn: Connection) -> None:
    conn.fail(RemoteProtocolError("a deadline has passed", 1006))


REQUEST = HandshakeRequest(KEY, host="localhost").to_bytes()
ANSWER = HandshakeRequest(KEY, host="localhost").make_response().to_bytes()

SERVER_OPENING: dict[str, Happening] = {
    "a request comes": lambda conn: _receive(conn, REQUEST),
    "a request comes that is refused": lambda conn: _receive(conn, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "`send(AcceptConnection())`": lambda conn: _discard(conn.send(AcceptConnection())),
    "`send(RejectConnection())`": lambda conn: _discard(conn.send(RejectConnection())),
}

CLIENT_ASKING: dict[str, Happening] = {
    "`send(Request())`": lambda conn: _discard(conn.send(Request(host="localhost"))),
    "the server speaks before it is asked": lambda conn: _receive(conn, ANSWER),
}

CLIENT_OPENING: dict[str, Happening] = {
    "the 101 comes": lambda conn: _receive(conn, ANSWER),
    "a 101 comes that breaks a rule": lambda conn: _receive(conn, ANSWER.replace(accept_key(KEY), b"no")),
    "a refusal comes": lambda conn: _receive(conn, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
}

CLOSING: dict[str, Happening] = {
    "`send(CloseConnection())`": lambda conn: _discard(conn.send(CloseConnection())),
    "the peer's Close comes": _receive_frame(Opcode.CLOSE, b"\x03\xe8"),
    "a violation comes": _receive_frame(Opcode.PING, bytes(126)),
    "the transport ends: `receive_eof()`": _receive_eof,
    "a deadline of `Heartbeat` passes": _give_up,
}


def _discard(data: bytes) -> None:
    """What is to be written doesn't matter here."""


def happenings(role: Role, state: State, *, is_new: bool) -> dict[str, Happening]:
    """Give what can happen to a connection in a state. Before it is open no frame can come."""
    if state is not State.CONNECTING:
        return CLOSING
    opening = SERVER_OPENING if role is SERVER else CLIENT_ASKING if is_new else CLIENT_OPENING
    return {**opening, **dict(list(CLOSING.items())[3:])}


def walk(*, auto_reply: bool) -> list[Step]:
    """Give each change that was seen, once, for both roles."""
    seen: dict[Step, None] = {}
    for role in (SERVER, CLIENT):
        for step in _walk(role, (), settings(auto_reply=auto_reply)):
            seen[step] = None
    return list(seen)


def _walk(role: Role, path: tuple[Happening, ...], chosen: Settings) -> Iterator[Step]:
    state = _replay(role, path, chosen).state
    for name, happen in happenings(role, state, is_new=not path).items():
        conn = _replay(role, path, chosen)
        before = _facts(conn)
        try:
            happen(conn)
        except LocalProtocolError:
            continue  # it may not be done here
        has_moved = conn.state is not state
        if _facts(conn) != before and (has_moved or state is not State.CONNECTING):
            yield Step(role, state, _in_words(name, path, state), conn.state, conn.should_shutdown, conn.should_close)
        is_first_of_two = state is State.CONNECTING and not has_moved and not path
        if (has_moved or is_first_of_two) and len(path) < DEPTH:
            yield from _walk(role, (*path, happen), chosen)


def _in_words(name: str, path: tuple[Happening, ...], state: State) -> str:
    """Name a happening, with what was before it where that makes a difference."""
    if state is not State.REMOTE_CLOSING or "send" not in name:
        return name
    before = next(words for words, happen in CLOSING.items() if happen is path[-1])
    return f"{name}, after {before.replace(' comes', '')}"


def _replay(role: Role, path: tuple[Happening, ...], chosen: Settings) -> Connection:
    conn = Connection(role, chosen)
    for happen in path:
        happen(conn)
    return conn


def _facts(conn: Connection) -> tuple[object, ...]:
    return conn.state, conn.should_shutdown, conn.should_close
