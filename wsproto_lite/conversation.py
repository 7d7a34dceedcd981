"""A whole connection as somebody saw it from outside: the opening handshake, then frames in both directions.

Knows that the handshake decides what frames may be. Must not know where bytes come from, or how anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Union

from .constants import CLIENT, SERVER, Opcode, Role
from .events import ExtensionOffer, RejectConnection, Request
from .http11 import ClientUpgrade
from .judge import Judge, JudgedFrame
from .seen_handshake import (
    DEFLATE,
    MAX_HEAD,
    Answer,
    SeenRequest,
    SeenResponse,
    agreed_extensions,
    asks_for_websocket,
    codecs_for,
    make_client,
    make_server,
    read_lone_response,
    seen_request,
    seen_response,
)

OPENINGS = {CLIENT: b"GET ", SERVER: b"HTTP"}
"""What the handshake begins with; no good frame does."""

OPENING_SIZE = 4

MAX_WAITING = 1 << 20
"""Bytes of a client kept while the server's response, which decides about them, is missing."""

# What good frames begin with, RSV1 included. What begins otherwise is something else.
_FIRST_BYTES = {0x80 | opcode for opcode in Opcode} | {
    bits | opcode for bits in (0, 0x40, 0xC0) for opcode in (Opcode.TEXT, Opcode.BINARY)
}


class Note(NamedTuple):
    """Something to know about what was seen. `is_incomplete`: because of it, not all could be."""

    sender: Role | None
    message: str
    is_incomplete: bool = False


Record = Union[SeenRequest, SeenResponse, JudgedFrame, Note]


def sender_of(data: bytes) -> Role | None:
    """Tell who sends what begins so, by the handshake, else by the mask bit (section 5.1). None: give 4 bytes."""
    for sender, opening in OPENINGS.items():
        if opening.startswith(data[:OPENING_SIZE]):
            return sender if len(data) >= OPENING_SIZE else None
    return None if len(data) < 2 else CLIENT if data[1] & 0x80 else SERVER


class _Side:
    """What has come from one end: bytes that wait, and the judge once there are frames."""

    def __init__(self, sender: Role) -> None:
        self.sender = sender
        self.waiting = bytearray()
        self.is_opening = False
        self.judge: Judge | None = None

    def take_waiting(self) -> bytes:
        """Give what waits, once."""
        data = bytes(self.waiting)
        self.waiting.clear()
        return data


class Conversation:
    """Takes the bytes of both directions, in the order in which they were seen, and gives records.

    preview: bytes of each payload to give.
    deflate: permessage-deflate was negotiated, where no handshake tells.
    must_open: it is no WebSocket unless it begins with a handshake.
    may_skip: what is no WebSocket gives nothing; else it is taken for frames, or for a bad handshake.
    is_one_sided: there is nothing to wait for from the other end.

    `is_skipped`: nothing more comes of it, so that all further bytes can be thrown away.
    """

    def __init__(
        self,
        preview: int,
        *,
        deflate: bool = False,
        must_open: bool = False,
        may_skip: bool = False,
        is_one_sided: bool = False,
    ) -> None:
        self._preview = preview
        self._deflate = deflate
        self._must_open = must_open
        self._may_skip = may_skip
        self._is_one_sided = is_one_sided
        self._sides = {sender: _Side(sender) for sender in Role}
        self._server_upgrade = make_server()
        self._client_upgrade: ClientUpgrade | None = None
        self._is_request_due = must_open
        self._is_response_due = False
        self._offers_deflate = False
        self.is_skipped = False
        self.is_websocket = False

    def feed(self, sender: Role, data: bytes) -> Iterator[Record]:
        """Take bytes from one end; give what they complete."""
        if self.is_skipped or not data:
            return
        side = self._sides[sender]
        side.waiting += data
        if side.judge is None and not side.is_opening:
            self._begin(side)
        if side.is_opening:
            yield from self._read_request(side) if sender is CLIENT else self._read_response(side)
        elif side.judge is None and len(side.waiting) > MAX_WAITING:
            if not self.is_websocket:
                self.is_skipped = True
                return
            yield from self._begin_frames(self._guess())
        yield from self._drain(side)

    def finish(self) -> Iterator[Record]:
        """Take note that there is no more, in either direction."""
        if self.is_skipped:
            return
        server = self._sides[SERVER]
        if self._is_request_due:
            yield from self._read_early_response()
        if server.is_opening and self._client_upgrade is not None:
            answer = self._client_upgrade.receive_eof()
            if answer is not None:
                yield from self._take_answer(server, answer)
        for side in self._sides.values():
            if side.judge is None and side.waiting and not side.is_opening and not self.is_skipped:
                self._skip_or_start(side)
        for side in self._sides.values():
            if not self.is_skipped:
                yield from self._finish_side(side)
        self.is_skipped = True

    def give_up(self, sender: Role, message: str) -> Iterator[Record]:
        """Take note that bytes are missing, so that nothing more of this direction can be told apart."""
        if self.is_skipped:
            return
        judge = self._sides[sender].judge
        if judge is None:
            self.is_skipped = True
        else:
            yield from judge.finish()
            judge.is_lost = True
        if self.is_websocket:
            yield Note(sender, message, is_incomplete=True)

    def _finish_side(self, side: _Side) -> Iterator[Record]:
        yield from self._drain(side)
        if side.judge is not None:
            yield from side.judge.finish()
            rest = side.judge.unfinished_header
            if rest:
                yield Note(side.sender, f"input ends with {rest} bytes of a frame's header", is_incomplete=True)
        elif side.is_opening:
            yield Note(side.sender, "input ends within the opening handshake", is_incomplete=True)

    # ---- the beginning ----

    def _begin(self, side: _Side) -> None:
        """Tell a handshake from frames, and both from what is no WebSocket."""
        head = bytes(side.waiting[:OPENING_SIZE])
        opening = OPENINGS[side.sender]
        if self._is_request_due and side.sender is SERVER:
            return  # packets can be captured in another order than they were sent in
        if self._is_response_due:
            side.is_opening = side.sender is SERVER  # the client has to wait
        elif head == opening:
            side.is_opening = True
        elif not opening.startswith(head):
            self._skip_or_start(side)

    def _skip_or_start(self, side: _Side) -> None:
        """Go on without a handshake."""
        if not self._is_response_due and self._may_skip and (self._must_open or side.waiting[0] not in _FIRST_BYTES):
            self.is_skipped = True
        else:
            self._start(side, self._guess())

    def _guess(self) -> Sequence[ExtensionOffer]:
        """Say what was agreed where no response tells: a client that offers permessage-deflate and then has to wait for
        the answer wouldn't set RSV1 without.
        """
        # Whatever parameters were agreed, the largest window and a context that is taken over decompress it.
        return ((DEFLATE, ()),) if self._deflate or self._offers_deflate else ()

    def _start(self, side: _Side, agreed: Sequence[ExtensionOffer] | None) -> None:
        """Begin to judge frames, or only to show them if `agreed` is None."""
        self.is_websocket = True
        side.is_opening = False
        codecs = None if agreed is None else codecs_for(side.sender, agreed)
        side.judge = Judge(side.sender, codecs, self._preview)

    def _begin_frames(self, agreed: Sequence[ExtensionOffer] | None) -> Iterator[Record]:
        self._is_response_due = False
        for side in self._sides.values():
            if side.judge is None:
                self._start(side, agreed)
            yield from self._drain(side)

    def _drain(self, side: _Side) -> Iterator[Record]:
        if side.judge is not None and side.waiting:
            yield from side.judge.feed(side.take_waiting())

    # ---- the handshake ----

    def _read_request(self, side: _Side) -> Iterator[Record]:
        upgrade = self._server_upgrade
        answer = upgrade.receive(side.take_waiting())
        if answer is None:
            return
        side.is_opening = False
        if isinstance(answer, RejectConnection) and self._may_skip and not asks_for_websocket(upgrade):
            self.is_skipped = True
            return
        self.is_websocket = self._is_response_due = True
        side.waiting += upgrade.rest
        yield seen_request(answer)
        if isinstance(answer, Request):
            self._client_upgrade = make_client(answer)
            self._offers_deflate = any(name == DEFLATE for name, _ in answer.extensions)
        if self._is_one_sided:
            yield from self._begin_frames(self._guess())
        else:
            yield from self._read_early_response()

    def _read_early_response(self) -> Iterator[Record]:
        """Read what was there before the request, or without one."""
        self._is_request_due = False
        server = self._sides[SERVER]
        if server.waiting:
            self._begin(server)
        if server.is_opening:
            yield from self._read_response(server)

    def _read_response(self, side: _Side) -> Iterator[Record]:
        upgrade = self._client_upgrade
        if upgrade is None:
            end = side.waiting.find(b"\r\n\r\n") + OPENING_SIZE
            if end < OPENING_SIZE:
                if len(side.waiting) > MAX_HEAD:
                    self.is_skipped = True
                    yield Note(SERVER, f"response has a head of more than {MAX_HEAD} bytes", is_incomplete=True)
                return
            answer: Answer | None = read_lone_response(bytes(side.waiting[:end]))
            del side.waiting[:end]
        else:
            answer = upgrade.receive(side.take_waiting())
            side.waiting += upgrade.rest if answer is not None else b""
        if answer is not None:
            yield from self._take_answer(side, answer)

    def _take_answer(self, side: _Side, answer: Answer) -> Iterator[Record]:
        self.is_websocket = True
        side.is_opening = False
        yield seen_response(answer)
        if isinstance(answer, RejectConnection):
            if answer.error is None:
                self.is_skipped = True  # refused: whatever follows is no WebSocket
            else:
                yield from self._begin_frames(None)
            return
        agreed = agreed_extensions(answer)
        unknown = [name for name, _ in agreed if name != DEFLATE]
        if unknown:
            yield Note(None, f"extension {unknown[0]!r} is unknown: frames are shown, but neither decoded nor judged")
        yield from self._begin_frames(None if unknown else agreed)
