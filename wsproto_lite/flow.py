"""Which frame may follow which (RFC 6455 sections 5.4, 5.5 and 5.5.1): one table, used for both directions.

It does not know which direction it is used for, so it can't be laxer with ourselves than with the peer.

A phase maps a frame's first byte, less its reserved bits, to the phase after it. What is absent is a violation.
"""

from __future__ import annotations

from .constants import Opcode

FIN = 0x80
FLOW_BITS = 0x8F
"""FIN and opcode: the part of a frame's first byte that the table reads."""


class Phase(dict[int, "Phase"]):
    """Where a direction stands between two frames. `name` completes the sentence "the connection is …"."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    # A phase may contain itself, where dict's comparison would not end.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # type: ignore[assignment] # dict has none

    def refusal(self, first: int) -> str:
        """Say why a frame that begins with `first` may not come here."""
        return f"{Opcode(first & 0x0F).name.lower()} frame {self.name}"


BETWEEN_MESSAGES = Phase("between messages")
IN_TEXT = Phase("inside a fragmented text message")
IN_BINARY = Phase("inside a fragmented binary message")
AFTER_CLOSE = Phase("after a close frame")

PHASES = (BETWEEN_MESSAGES, IN_TEXT, IN_BINARY, AFTER_CLOSE)

# Section 5.4: a message is one frame with FIN, or a first frame without, any number of continuations without,
# and one with; fragments of two messages are never mixed.
BETWEEN_MESSAGES[FIN | Opcode.TEXT] = BETWEEN_MESSAGES
BETWEEN_MESSAGES[FIN | Opcode.BINARY] = BETWEEN_MESSAGES
BETWEEN_MESSAGES[int(Opcode.TEXT)] = IN_TEXT
BETWEEN_MESSAGES[int(Opcode.BINARY)] = IN_BINARY
IN_TEXT[int(Opcode.CONTINUATION)] = IN_TEXT
IN_TEXT[FIN | Opcode.CONTINUATION] = BETWEEN_MESSAGES
IN_BINARY[int(Opcode.CONTINUATION)] = IN_BINARY
IN_BINARY[FIN | Opcode.CONTINUATION] = BETWEEN_MESSAGES

# Sections 5.4 and 5.5: control frames have FIN, may come in the middle of a message, and change nothing.
for phase in (BETWEEN_MESSAGES, IN_TEXT, IN_BINARY):
    phase[FIN | Opcode.PING] = phase
    phase[FIN | Opcode.PONG] = phase
    phase[FIN | Opcode.CLOSE] = AFTER_CLOSE

# Section 5.5.1: no data frames after a Close. Section 5.5.2 lets a Pong answer a Ping until the other Close has come;
# we send no Ping any more, as nobody has to answer it.
AFTER_CLOSE[FIN | Opcode.PONG] = AFTER_CLOSE
