"""Helpers for tests of code that embeds this library: plain bytes, no sockets, no randomness.

Knows the public API alone. Must not know any test framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Callable

from .connection import Connection
from .constants import CLIENT, SERVER, Role, State
from .errors import LocalProtocolError, RemoteProtocolError
from .events import AcceptConnection, Event, RejectConnection, Request
from .frames import Frame, StreamReader
from .hextext import from_hex
from .settings import Settings

__all__ = ["FIXED_KEY", "Pair", "every_split", "feed", "fixed_bytes", "from_hex", "split_frames"]

FIXED_KEY = bytes.fromhex("37fa213d")
"""The masking key of the examples in RFC 6455 section 5.7."""

_ACCEPT = AcceptConnection()

FIXED_NONCE = b"the sample nonce"
"""The nonce of the example in RFC 6455 section 1.3: `dGhlIHNhbXBsZSBub25jZQ==` in base64."""


def fixed_bytes(*keys: bytes, nonce: bytes = FIXED_NONCE) -> Callable[[int], bytes]:
    """Make a `Settings.random_bytes` that gives the same masking keys, in turn, in every run.

    keys: of 4 bytes each; FIXED_KEY if there are none. nonce: 16 bytes, for the key of the opening handshake.
    Raises LocalProtocolError for other sizes.

    >>> from wsproto_lite import CLIENT, Connection, Settings, TextMessage
    >>> client = Connection.established(CLIENT, Settings(random_bytes=fixed_bytes()))
    >>> client.send(TextMessage("Hello")).hex(" ")
    '81 85 37 fa 21 3d 7f 9f 4d 51 58'
    """
    for key in keys:
        if len(key) != len(FIXED_KEY):
            raise LocalProtocolError(f"masking key is {len(key)} bytes; it is {len(FIXED_KEY)}")
    if len(nonce) != len(FIXED_NONCE):
        raise LocalProtocolError(f"nonce is {len(nonce)} bytes; it is {len(FIXED_NONCE)}")
    repeated = b"".join(keys) or FIXED_KEY

    def random_bytes(size: int) -> bytes:
        # Keys are drawn in batches that are larger than a nonce.
        return nonce if size == len(nonce) else (repeated * (size // len(repeated) + 1))[:size]

    return random_bytes


def feed(connection: Connection, *chunks: bytes) -> list[Event]:
    """Give a connection bytes, chunk by chunk, and return all events of it, those that it holds back included.

    >>> from wsproto_lite import SERVER, Connection
    >>> server = Connection.established(SERVER)
    >>> text, close = feed(server, from_hex("81 85 37fa213d 7f9f4d5158  88 82 00000000 03e8"))
    >>> text.data, close.code
    ('Hello', 1000)
    """
    events: list[Event] = []
    for chunk in chunks:
        events += connection.receive_data(chunk)
        while connection.has_pending:
            events += connection.receive_data(b"")
    return events


class Pair:
    """A client and a server back to back: what one sends, and what that makes it reply, is fed to the other at once.

    client_settings, server_settings: for each end. Without, masking keys are fixed ones; see `fixed_bytes`.
    request: what the client asks. response: what the server answers; None to leave the answer to the test.

    `client` and `server` are the connections, open unless `response` says otherwise, and `request` is what the server
    got, None if it was no good. `received` has the events of each since the last look at them with `take`, less those
    of a handshake that succeeded, and `wire` all bytes that went over, as (sender, bytes).

    >>> from wsproto_lite import CLIENT, SERVER, CloseConnection, Ping, TextMessage
    >>> pair = Pair()
    >>> pair.send(CLIENT, TextMessage("Hello"))
    [TextMessage(data='Hello', frame_finished=True, message_finished=True)]
    >>> pair.send(SERVER, Ping(b"?"))
    [Ping(payload=b'?')]
    >>> pair.take(SERVER)  # the client's reply
    [Pong(payload=b'?')]
    >>> pair.send(CLIENT, CloseConnection(1000))
    [CloseConnection(code=1000, reason='', error=None)]
    >>> pair.client.close_info.cause
    'closed 1000 by us'
    """

    def __init__(
        self,
        client_settings: Settings | None = None,
        server_settings: Settings | None = None,
        *,
        request: Request | None = None,
        response: AcceptConnection | RejectConnection | None = _ACCEPT,
    ) -> None:
        fixed = Settings(random_bytes=fixed_bytes())
        self.client = Connection(CLIENT, client_settings or fixed)
        self.server = Connection(SERVER, server_settings or fixed)
        self.received: dict[Role, list[Event]] = {CLIENT: [], SERVER: []}
        self.wire: list[tuple[Role, bytes]] = []
        self.write(CLIENT, self.client.send(request or Request("/", "server.example.com")))
        self.request = next((event for event in self.received[SERVER] if isinstance(event, Request)), None)
        if response is not None and self.request is not None:
            self.write(SERVER, self.server.send(response))
            self.take(SERVER)
        if self.client.state is State.OPEN:
            self.take(CLIENT)

    def send(self, sender: Role, event: Event, *, compress: bool | None = None) -> list[Event]:
        """Send an event from one end; return what the other receives up to when both are quiet.

        What the sender receives meanwhile is there for `take`. Raises what `Connection.send` does, and then nothing has
        changed.
        """
        self.write(sender, self._connection(sender).send(event, compress=compress))
        return self.take(_other(sender))

    def write(self, sender: Role, data: bytes) -> None:
        """Let bytes of the test's own go over as if `sender` had sent them, and all replies behind them."""
        while data:
            receiver = _other(sender)
            connection = self._connection(receiver)
            self.wire.append((sender, data))
            self.received[receiver] += feed(connection, data)
            sender, data = receiver, connection.data_to_send()

    def take(self, role: Role) -> list[Event]:
        """Return what one end has received since the last look, once."""
        events, self.received[role] = self.received[role], []
        return events

    def sent(self, sender: Role) -> bytes:
        """Return all bytes that one end has sent, the opening handshake included."""
        return b"".join(data for role, data in self.wire if role is sender)

    def _connection(self, role: Role) -> Connection:
        return self.client if role is CLIENT else self.server


def _other(role: Role) -> Role:
    return SERVER if role is CLIENT else CLIENT


def every_split(data: bytes, cuts: int = 1) -> Iterator[Sequence[bytes]]:
    """Give a fixture in every way a transport may deliver it: whole, cut at any `cuts` places, and byte by byte.

    A connection makes the same events of each, and so should code around it. `cuts` of 2 gives about half the square
    of the size in bytes.

    >>> [list(chunks) for chunks in every_split(b"abc")]
    [[b'abc'], [b'a', b'bc'], [b'ab', b'c'], [b'a', b'b', b'c']]
    """
    for count in range(min(cuts, max(len(data) - 1, 0)) + 1):
        for places in combinations(range(1, len(data)), count):
            bounds = (0, *places, len(data))
            yield [data[start:end] for start, end in zip(bounds, bounds[1:])]
    if len(data) > cuts + 1:
        yield [data[at : at + 1] for at in range(len(data))]


def split_frames(data: bytes) -> list[Frame]:
    """Take the bytes of one direction, after the handshake, apart into frames, unmasked.

    Frames are not validated; see `Frame.validate`. Raises RemoteProtocolError for data that ends within a frame.

    >>> for frame in split_frames(from_hex("01 02 4865  80 03 6c6c6f  # Hello in two fragments")):
    ...     print(frame.fin, frame.opcode.name, frame.payload)
    0 TEXT b'He'
    1 CONTINUATION b'llo'
    """
    frames: list[Frame] = []
    reader = StreamReader("auto")
    start, wanted = 0, 2
    is_within = False
    while start < len(data) or is_within:
        chunk = data[start : start + wanted]
        if len(chunk) < wanted:
            raise RemoteProtocolError(
                f"data ends within frame {len(frames) + 1}: {wanted - len(chunk)} bytes are missing"
            )
        start += wanted
        step = reader.progressive_read(chunk)
        is_within = not isinstance(step, Frame)
        if isinstance(step, Frame):
            frames.append(step)
            step = 2
        wanted = step
    return frames
