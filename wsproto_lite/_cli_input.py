"""What `dissect` reads: raw bytes, hexadecimal text or a capture, recognised by how they begin, turned into records.

Knows formats and which bytes belong to which connection. Must not know how records are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

from .capture import MAGIC_SIZE, CaptureError, is_capture, read_packets
from .constants import CLIENT, SERVER, Role
from .conversation import OPENINGS, Conversation, Note, Record, sender_of
from .errors import LocalProtocolError
from .hextext import HexReader
from .tcp import Connection, Connections, Endpoint, Gap, Segment, read_segment

FORMATS = ("auto", "raw", "hex", "capture")

CHUNK = 64 << 10

# No handshake and no good frame begins with one of these.
_HEX_BEGINNINGS = frozenset(b"0123456789abcdefABCDEF#<> \t\r\n")

_MARKS = {">": CLIENT, "<": SERVER}

_upgrades = re.compile(rb"\r\nupgrade:[ \t]*websocket", re.IGNORECASE).search

_GZIP = b"\x1f\x8b"

_TLS_RECORD = b"\x16\x03"


class InputOptions(NamedTuple):
    """What the user says about the input. `sender` is who has sent raw bytes or hexadecimal text, None to guess."""

    format: str
    sender: Role | None
    deflate: bool
    port: int | None
    preview: int


class Located(NamedTuple):
    """A record and where it is from; without a capture there is one connection, number 0, and no time."""

    connection: int
    record: Record
    time: float | None = None
    client: Endpoint | None = None
    server: Endpoint | None = None


def read_records(file: BufferedReader, options: InputOptions) -> Iterator[Located]:
    """Give all records of an input. Raises CaptureError, and LocalProtocolError for what isn't in the format."""
    head = file.read(MAGIC_SIZE)
    kind = options.format
    if kind == "auto":
        if head.startswith(_GZIP):
            raise LocalProtocolError("input is compressed by gzip; have gunzip -c write it to standard input")
        kind = "capture" if is_capture(head) else "hex" if head[:1] and head[0] in _HEX_BEGINNINGS else "raw"
    if kind == "capture":
        if not is_capture(head):
            raise LocalProtocolError(f"input begins with {head!r}, which is neither pcap nor pcapng")
        yield from CaptureReader(head, file, options).records()
    else:
        pieces = _read_hex(head, file) if kind == "hex" else _read_raw(head, file)
        for record in _read_bytes(pieces, options):
            yield Located(0, record)


# ---- bytes ----

_Pieces = Iterator[tuple["Role | None", bytes]]
"""Bytes, with who has sent them if the input says so."""


def _read_raw(head: bytes, file: BufferedReader) -> _Pieces:
    data = head
    while data:
        yield None, data
        data = file.read1(CHUNK)


def _read_hex(head: bytes, file: BufferedReader) -> _Pieces:
    reader = HexReader()
    sender = None
    is_line_begun = False
    line = head + file.readline(CHUNK) if b"\n" not in head else head
    while line:
        for part in line.decode("utf-8", "replace").splitlines(keepends=True):
            text = part if is_line_begun else part.lstrip()
            if not is_line_begun and text[:1] in _MARKS:
                sender = _MARKS[text[0]]
                text = text[1:]
            is_line_begun = not part.endswith(("\n", "\r"))
            yield sender, reader.feed(text)
        line = file.readline(CHUNK)
    yield sender, reader.finish()


def _read_bytes(pieces: _Pieces, options: InputOptions) -> Iterator[Record]:
    """Judge bytes of one sender, or of both where they are told apart."""
    conversation: Conversation | None = None
    sender = options.sender
    waiting = b""
    for marked, data in pieces:
        data = waiting + data
        waiting = b""
        source = marked or sender or sender_of(data)
        if source is None:
            waiting = data
            continue
        if conversation is None:
            conversation = Conversation(options.preview, deflate=options.deflate, is_one_sided=marked is None)
            sender = source
        yield from conversation.feed(source, data)
    if conversation is None:
        if not waiting:
            yield Note(None, "input is empty", is_incomplete=True)
            return
        conversation = Conversation(options.preview, deflate=options.deflate, is_one_sided=True)
        yield from conversation.feed(CLIENT, waiting)
    yield from conversation.finish()


# ---- captures ----


def _asks_to_upgrade(payload: bytes) -> bool:
    """Tell whether a client asks for a WebSocket on a connection that had other HTTP requests before."""
    return payload.startswith(OPENINGS[CLIENT]) and _upgrades(payload) is not None


class _Talk:
    """A TCP connection's conversation, once it is known who is the client; None again when nothing more comes of it."""

    def __init__(self) -> None:
        self.conversation: Conversation | None = None
        self.is_over = False
        self.client: Endpoint | None = None
        self.server: Endpoint | None = None


class CaptureReader:
    """Reads a capture, packet by packet."""

    def __init__(self, magic: bytes, file: BufferedReader, options: InputOptions) -> None:
        self._magic = magic
        self._file = file
        self._options = options
        self._connections = Connections()
        self._talks: dict[int, _Talk] = {}
        self._has_websocket = False
        self._encrypted = 0
        self._time = 0.0

    def records(self) -> Iterator[Located]:
        """Give all records, in the order of the packets that complete them."""
        damage = None
        try:
            for packet in read_packets(self._magic, self._file.read):
                segment = read_segment(packet)
                if segment is not None and self._options.port in (None, segment.source[1], segment.target[1]):
                    self._time = segment.time
                    yield from self._take(segment)
        except CaptureError as error:
            damage = error
        for connection in self._connections:
            yield from self._finish(connection)
        if damage is not None:
            raise damage
        if not self._has_websocket:
            tls = f"; TLS, which can't be read, is in {self._encrypted} connections" if self._encrypted else ""
            message = f"capture has no WebSocket connection, or not the beginning of one{tls}"
            yield Located(0, Note(None, message, is_incomplete=True))

    def _take(self, segment: Segment) -> Iterator[Located]:
        connection, ended = self._connections.find(segment)
        if ended is not None:
            yield from self._finish(ended)
            self._talks.pop(ended.number, None)
        talk = self._talks.setdefault(connection.number, _Talk())
        if talk.is_over:
            if not _asks_to_upgrade(segment.payload):
                return
            connection.restart(segment.source)
            talk = self._talks[connection.number] = _Talk()
        gap = None
        try:
            data = connection.take(segment)
        except Gap as error:
            data, gap = b"", error
        if talk.conversation is None and data:
            self._begin(talk, connection, segment, data)
        if talk.conversation is not None:
            sender = CLIENT if segment.source == talk.client else SERVER
            yield from self._located(connection, talk, talk.conversation.feed(sender, data))
            if gap is not None:
                message = f"capture lacks {gap.size} bytes: what follows can't be told apart"
                yield from self._located(connection, talk, talk.conversation.give_up(sender, message))
            if talk.conversation.is_skipped:
                talk.is_over, talk.conversation = True, None
        elif gap is not None:
            talk.is_over = True

    def _begin(self, talk: _Talk, connection: Connection, segment: Segment, data: bytes) -> None:
        opener = connection.opener
        if opener is None:
            opener = segment.target if sender_of(data) is SERVER else segment.source
        talk.client = opener
        talk.server = segment.target if opener == segment.source else segment.source
        self._encrypted += data.startswith(_TLS_RECORD)
        talk.conversation = Conversation(
            self._options.preview,
            deflate=self._options.deflate,
            must_open=connection.opener is not None,
            may_skip=True,
        )

    def _finish(self, connection: Connection) -> Iterator[Located]:
        talk = self._talks[connection.number]
        conversation = talk.conversation
        if conversation is None:
            return
        for sender, endpoint in ((CLIENT, talk.client), (SERVER, talk.server)):
            assert endpoint is not None
            try:
                connection.stream(endpoint).check()
            except Gap as gap:
                message = f"capture lacks {gap.size} bytes: what follows can't be told apart"
                yield from self._located(connection, talk, conversation.give_up(sender, message))
        yield from self._located(connection, talk, conversation.finish())

    def _located(self, connection: Connection, talk: _Talk, records: Iterator[Record]) -> Iterator[Located]:
        for record in records:
            self._has_websocket = True
            yield Located(connection.number, record, self._time, talk.client, talk.server)
