"""The WebSocket protocol (RFC 6455, RFC 7692) without I/O: bytes in, events out; events in, bytes out."""

from .connection import Connection
from .constants import CLIENT, SERVER, CloseCode, Opcode, Role, State
from .errors import CloseInfo, ConnectionClosed, LocalProtocolError, ProtocolError, RemoteProtocolError
from .events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    EncodedTextMessage,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from .extensions import Extension, PerMessageDeflate
from .frames import Frame, StreamReader
from .handshake import Handshake, HandshakeRequest
from .heartbeat import Heartbeat
from .settings import Settings

__all__ = [
    "CLIENT",
    "SERVER",
    "AcceptConnection",
    "BytesMessage",
    "CloseCode",
    "CloseConnection",
    "CloseInfo",
    "Connection",
    "ConnectionClosed",
    "EncodedTextMessage",
    "Event",
    "Extension",
    "Frame",
    "Handshake",
    "HandshakeRequest",
    "Heartbeat",
    "LocalProtocolError",
    "Opcode",
    "PerMessageDeflate",
    "Ping",
    "Pong",
    "ProtocolError",
    "RejectConnection",
    "RemoteProtocolError",
    "Request",
    "Role",
    "Settings",
    "State",
    "StreamReader",
    "TextMessage",
]
