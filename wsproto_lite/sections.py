"""Which rule a fault goes against: from the words in which the library tells of it to the section of the RFC.

Knows those words. Must not know bytes or events.
"""

from __future__ import annotations

# The beginnings of messages; the first that fits counts.
_FRAMES = (
    ("reserved bits are set", "RFC 6455 section 5.2"),
    ("opcode ", "RFC 6455 section 5.2"),
    ("payload length ", "RFC 6455 section 5.2"),
    ("frame from the client is not masked", "RFC 6455 section 5.1"),
    ("frame from the server is masked", "RFC 6455 section 5.1"),
    ("control frame ", "RFC 6455 section 5.5"),
    ("close frame has 1 byte", "RFC 6455 section 5.5.1"),
    ("close frame has code", "RFC 6455 section 7.4"),
    ("close reason ", "RFC 6455 section 5.5.1"),
    ("text is not valid UTF-8", "RFC 6455 section 8.1"),
    ("compressed message ", "RFC 7692 section 7.2.2"),
)
_SEQUENCE = (
    (" after a close frame", "RFC 6455 section 5.5.1"),
    (" frame between messages", "RFC 6455 section 5.4"),
    (" message", "RFC 6455 section 5.4"),
)
"""How messages about the sequence of frames end."""

_HANDSHAKE = (
    ("permessage-deflate", "RFC 7692 section 7.1"),
    ("extension", "RFC 6455 section 9.1"),
    ("subprotocol", "RFC 6455 section 4.1"),
    ("sec-websocket-protocol", "RFC 6455 section 4.1"),
    ("origin ", "RFC 6455 section 4.1"),
)

COMPRESSED_BIT = "RFC 7692 section 6.1"
"""Where a reserved bit that was negotiated may be."""

_ANY_FRAME = "RFC 6455 section 5"


def section_of_frame(message: str) -> str:
    """Return the section that a frame goes against, by the message of the error."""
    for beginning, section in _FRAMES:
        if message.startswith(beginning):
            return section
    return next((section for end, section in _SEQUENCE if message.endswith(end)), _ANY_FRAME)


def section_of_request(message: str) -> str:
    """Return the section that a request goes against."""
    return next((section for part, section in _HANDSHAKE if part in message), "RFC 6455 section 4.1")


def section_of_response(message: str) -> str:
    """Return the section that a response goes against."""
    return next((section for part, section in _HANDSHAKE[:2] if part in message), "RFC 6455 section 4.2.2")
