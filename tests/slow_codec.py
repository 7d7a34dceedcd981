"""RFC 6455 framing once more: slow, plain, written from the RFC, sharing not one line with the library.

The oracle of the tests: `frame` encodes, `utf8` validates, `decode` reads frames, `events` tells what an open
connection makes of some bytes. It sees them all at once and knows nothing of chunks; it imports no wsproto_lite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional, Union

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED, CONTROL = 0x80, 0x70, 0x08

CLOSE_CODES = {
    "reserved_bits": 1002,  # section 5.2
    "unknown_opcode": 1002,  # section 5.2
    "control_fragmented": 1002,  # section 5.5
    "not_masked": 1002,  # section 5.1
    "masked": 1002,  # section 5.1
    "control_too_long": 1002,  # section 5.5
    "length_top_bit": 1002,  # section 5.2
    "length_not_minimal": 1002,  # section 5.2
    "frame_too_big": 1009,  # section 10.4
    "message_too_big": 1009,  # section 10.4
    "too_many_fragments": 1009,  # section 10.4
    "nothing_to_continue": 1002,  # section 5.4, judged when the header is whole
    "message_interrupted": 1002,  # section 5.4, likewise
    "invalid_utf8": 1007,  # section 8.1
    "close_too_short": 1002,  # section 5.5.1
    "close_code": 1002,  # section 7.4
    "close_reason": 1007,  # section 8.1
}


class Fault(NamedTuple):
    """What the peer did wrong: data[:at] shows it, data[:at - 1] does not yet.

    Of several faults that one byte shows, the first in the order of `CLOSE_CODES` counts.
    """

    name: str
    at: int

    @property
    def code(self) -> int:
        """Give the close code that answers it."""
        return CLOSE_CODES[self.name]


class Frame(NamedTuple):
    """A frame with its first byte, and its payload unmasked: as much of it as is there, `whole` if that is all."""

    first: int
    payload: bytes
    whole: bool = True


class Rules(NamedTuple):
    """What is asked of the peer; None lifts a limit. Sizes of messages count what is on the wire."""

    masked: bool
    reserved_bits: int = 0
    max_frame_size: Optional[int] = None
    max_message_size: Optional[int] = None
    max_encoded_size: Optional[int] = None  # of messages with a reserved bit
    max_fragments: Optional[int] = None
    sequence: bool = False  # hold section 5.4 too: continuations continue, messages don't mix


Event = Union[tuple[str, bytes], tuple[str, Union[str, bytes], bool], tuple[str, int], tuple[str, int, str]]


class _Broken(Exception):
    """Ends a walk over frames."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(name)
        self.fault = Fault(name, at)


# ---- encoding ----


def mask(payload: bytes, key: bytes) -> bytes:
    """Section 5.3: octet i of the payload is XORed with octet i modulo 4 of the key."""
    return bytes(octet ^ key[index % 4] for index, octet in enumerate(payload))


def header(first: int, length: int, key: bytes | None = None, extended: int | None = None) -> bytes:
    """Section 5.2: a header that claims `length`, in `extended` further bytes (0, 2 or 8; None for the fewest)."""
    if extended is None:
        extended = 0 if length <= 125 else 2 if length <= 65535 else 8
    field = {0: length, 2: 126, 8: 127}[extended]
    masked = 0 if key is None else 0x80
    return bytes([first, masked | field]) + (length.to_bytes(extended, "big") if extended else b"") + (key or b"")


def frame(first: int, payload: bytes = b"", key: bytes | None = None) -> bytes:
    """Give a frame as it travels; `first` is FIN, reserved bits and opcode in one byte."""
    return header(first, len(payload), key) + (payload if key is None else mask(payload, key))


# ---- UTF-8, RFC 3629 section 4 ----

_TAIL = range(0x80, 0xC0)

_SEQUENCES: list[list[range]] = [
    [range(0x80)],
    [range(0xC2, 0xE0), _TAIL],
    [range(0xE0, 0xE1), range(0xA0, 0xC0), _TAIL],
    [range(0xE1, 0xED), _TAIL, _TAIL],
    [range(0xED, 0xEE), range(0x80, 0xA0), _TAIL],
    [range(0xEE, 0xF0), _TAIL, _TAIL],
    [range(0xF0, 0xF1), range(0x90, 0xC0), _TAIL, _TAIL],
    [range(0xF1, 0xF4), _TAIL, _TAIL, _TAIL],
    [range(0xF4, 0xF5), range(0x80, 0x90), _TAIL, _TAIL],
]


def utf8(data: bytes) -> tuple[int | None, int]:
    """Find where `data` stops being UTF-8, and where its last whole code point ends.

    The first is the index of the earliest byte after which nothing could make the text valid, or None.
    """
    whole = 0
    fits = _SEQUENCES
    for index, octet in enumerate(data):
        place = index - whole
        fits = [sequence for sequence in fits if octet in sequence[place]]
        if not fits:
            return index, whole
        if len(fits[0]) == place + 1:
            whole = index + 1
            fits = _SEQUENCES
    return None, whole


# ---- decoding ----


def decode(
    data: bytes,
    *,
    masked: bool,
    reserved_bits: int = 0,
    max_frame_size: int | None = None,
    max_message_size: int | None = None,
    max_encoded_size: int | None = None,
    max_fragments: int | None = None,
    sequence: bool = False,
) -> tuple[list[Frame], Fault | None]:
    """Read frames until the data or the peer's good conduct ends.

    The last frame may lack some payload; one whose header is not complete is left out, and so is one at fault.
    A continuation without a message counts as a message of its own, unless `sequence` forbids it.
    """
    rules = Rules(masked, reserved_bits, max_frame_size, max_message_size, max_encoded_size, max_fragments, sequence)
    frames = []
    try:
        for each, _ in _walk(data, rules):
            frames.append(each)
    except _Broken as broken:
        return frames, broken.fault
    return frames, None


class _Message:
    """The message at hand: what sizes and text are counted and checked over."""

    def __init__(self, first: int) -> None:
        self.encoded = bool(first & RESERVED)
        self.text = first & 15 == TEXT and not self.encoded
        self.size = 0
        self.fragments = 0
        self.cut = b""  # a code point that is not yet whole


def _walk(data: bytes, rules: Rules) -> Iterator[tuple[Frame, int]]:
    """Give each frame and where it ends; raise _Broken."""
    message: _Message | None = None
    at = 0
    while at < len(data):
        first = data[at]
        _check_first_byte(first, rules, at + 1)
        if len(data) < at + 2:
            return
        second = data[at + 1]
        _check_second_byte(first, second, rules, at + 2)
        start = at + 2 + {126: 2, 127: 8}.get(second & 127, 0)
        if len(data) < start:
            return
        length = int.from_bytes(data[at + 2 : start], "big") if start > at + 2 else second & 127
        _check_length(length, start - at - 2, start)
        in_message = message is not None
        if not first & CONTROL:
            if first & 15 != CONTINUATION or message is None:
                message = _Message(first)
            _count(message, length, rules, start)
        if rules.masked:
            start += 4
        if len(data) < start:
            return
        if rules.sequence:
            _check_sequence(first, in_message, start)
        at = start + length
        payload = data[start:at]
        if rules.masked:
            payload = mask(payload, data[start - 4 : start])
        whole = len(payload) == length
        if message is not None and not first & CONTROL:
            _check_text(message, payload, start, bool(whole and first & FIN))
            if first & FIN and whole:
                message = None
        yield Frame(first, payload, whole), at


def _check_first_byte(first: int, rules: Rules, at: int) -> None:
    opcode = first & 15
    allowed = rules.reserved_bits if opcode in (TEXT, BINARY) else 0
    if first & RESERVED & ~allowed:
        raise _Broken("reserved_bits", at)
    if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise _Broken("unknown_opcode", at)
    if opcode in (CLOSE, PING, PONG) and not first & FIN:
        raise _Broken("control_fragmented", at)


def _check_second_byte(first: int, second: int, rules: Rules, at: int) -> None:
    if rules.masked and not second & 0x80:
        raise _Broken("not_masked", at)
    if not rules.masked and second & 0x80:
        raise _Broken("masked", at)
    if first & CONTROL and second & 0x7F > 125:
        raise _Broken("control_too_long", at)


def _check_length(length: int, extended: int, at: int) -> None:
    """A length is judged when its last byte is there."""
    if length >= 1 << 63:
        raise _Broken("length_top_bit", at)
    if (extended == 2 and length <= 125) or (extended == 8 and length <= 65535):
        raise _Broken("length_not_minimal", at)


def _count(message: _Message, length: int, rules: Rules, at: int) -> None:
    message.size += length
    message.fragments += 1
    limit = rules.max_message_size
    if message.encoded:
        limit = rules.max_encoded_size
        # What doesn't compress grows with each fragment.
        limit = None if limit is None else limit + 8 * (message.fragments - 1)
    if rules.max_frame_size is not None and length > rules.max_frame_size:
        raise _Broken("frame_too_big", at)
    if limit is not None and message.size > limit:
        raise _Broken("message_too_big", at)
    if rules.max_fragments is not None and message.fragments > rules.max_fragments:
        raise _Broken("too_many_fragments", at)


def _check_sequence(first: int, in_message: bool, at: int) -> None:
    opcode = first & 15
    if opcode == CONTINUATION and not in_message:
        raise _Broken("nothing_to_continue", at)
    if opcode in (TEXT, BINARY) and in_message:
        raise _Broken("message_interrupted", at)


def _check_text(message: _Message, payload: bytes, start: int, ends: bool) -> None:
    if not message.text:
        return
    text = message.cut + payload
    fault, whole = utf8(text)
    if fault is not None:
        raise _Broken("invalid_utf8", start - len(message.cut) + fault + 1)
    message.cut = text[whole:]
    if ends and message.cut:
        raise _Broken("invalid_utf8", start + len(payload))


# ---- a connection ----


def events(
    data: bytes,
    *,
    role: str,
    max_message_size: int | None = None,
    max_frame_size: int | None = None,
    max_fragments: int | None = None,
    delivery: str = "message",
) -> list[Event]:
    """Tell what an open connection makes of all that its peer sends, without extensions.

    `role` is the reader's: a "server" is sent masked frames, a "client" plain ones. The events:

        ("text", str, message_finished)  ("bytes", bytes, message_finished)  ("ping", bytes)  ("pong", bytes)
        ("close", code, reason)   the peer's Close, and the last event; code 1005 if it gave none
        ("fault", code)           a violation, and the last event; the close code that answers it

    `delivery` is "message", or "frame" for one event a frame, where text ends on a code point and the bytes held
    back lead the next event. A Close is judged when it is whole. Ends without a last event if data goes on.
    """
    rules = Rules(
        masked={"server": True, "client": False}[role],
        max_frame_size=max_frame_size,
        max_message_size=max_message_size,
        max_fragments=max_fragments,
        sequence=True,
    )
    told: list[Event] = []
    kind = ""
    held = b""
    try:
        for (first, payload, whole), end in _walk(data, rules):
            if not whole:
                break
            opcode = first & 15
            if opcode in (PING, PONG):
                told.append(("ping" if opcode == PING else "pong", payload))
                continue
            if opcode == CLOSE:
                told.append(_close(payload, end))
                break
            kind = {CONTINUATION: kind, TEXT: "text", BINARY: "bytes"}[opcode]
            held += payload
            if first & FIN or delivery == "frame":
                give = utf8(held)[1] if kind == "text" else len(held)
                told.append((kind, held[:give].decode() if kind == "text" else held[:give], bool(first & FIN)))
                held = held[give:]
    except _Broken as broken:
        told.append(("fault", broken.fault.code))
    return told


def _close(payload: bytes, at: int) -> Event:
    """Read a Close, sections 5.5.1 and 7.4."""
    if not payload:
        return ("close", 1005, "")
    if len(payload) == 1:
        raise _Broken("close_too_short", at)
    code = payload[0] * 256 + payload[1]
    # Section 7.4.2, and the codes that IANA has registered: 1004, 1005, 1006 and 1015 are never sent.
    if code not in {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, *range(3000, 5000)}:
        raise _Broken("close_code", at)
    fault, whole = utf8(payload[2:])
    if fault is not None or whole != len(payload) - 2:
        raise _Broken("close_reason", at)
    return ("close", code, payload[2:].decode())
