"""Events, constants and errors: how they look, compare and unpack."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from typing import Any

import pytest

from wsproto_lite import (
    AcceptConnection,
    BytesMessage,
    CloseCode,
    CloseConnection,
    CloseInfo,
    ConnectionClosed,
    EncodedTextMessage,
    LocalProtocolError,
    Opcode,
    Ping,
    Pong,
    ProtocolError,
    RejectConnection,
    RemoteProtocolError,
    Request,
    TextMessage,
)
from wsproto_lite.constants import is_sendable_close_code

ERROR = RemoteProtocolError("text is not valid UTF-8", 1007)

# Class, its fields in order with their defaults, and other values.
EVENTS: dict[type, tuple[dict[str, Any], dict[str, Any]]] = {
    Request: (
        {
            "target": "/",
            "host": "",
            "subprotocols": (),
            "headers": (),
            "origin": None,
            "extensions": (),
            "extra_headers": (),
        },
        {"target": "/chat", "host": "localhost", "subprotocols": ["mqtt"], "headers": [(b"a", b"b")], "origin": "null"},
    ),
    AcceptConnection: ({"subprotocol": None, "headers": ()}, {"subprotocol": "mqtt", "headers": [(b"a", b"b")]}),
    RejectConnection: (
        {"status_code": 400, "headers": (), "body": b"", "error": None},
        {"status_code": 404, "headers": [(b"a", b"b")], "body": b"?", "error": ERROR},
    ),
    TextMessage: (
        {"data": inspect.Parameter.empty, "frame_finished": True, "message_finished": True},
        {"data": "text", "frame_finished": False, "message_finished": False},
    ),
    EncodedTextMessage: (
        {"data": inspect.Parameter.empty, "frame_finished": True, "message_finished": True},
        {"data": b"text", "frame_finished": False, "message_finished": False},
    ),
    BytesMessage: (
        {"data": inspect.Parameter.empty, "frame_finished": True, "message_finished": True},
        {"data": b"\xff", "frame_finished": False, "message_finished": False},
    ),
    Ping: ({"payload": b""}, {"payload": b"!"}),
    Pong: ({"payload": b""}, {"payload": b"!"}),
    CloseConnection: (
        {"code": 1000, "reason": "", "error": None},
        {"code": 1007, "reason": "text", "error": ERROR},
    ),
}

each_event = pytest.mark.parametrize(
    ("kind", "defaults", "values"), [(kind, *rest) for kind, rest in EVENTS.items()], ids=[k.__name__ for k in EVENTS]
)


@each_event
class TestEvents:
    """Slots dataclasses, positional first field, __match_args__; the same class is sent and received."""

    def test_fields_and_defaults(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        parameters = inspect.signature(kind).parameters
        assert {name: each.default for name, each in parameters.items()} == defaults
        event = kind(**values)
        for name in defaults:
            assert getattr(event, name) == values.get(name, defaults[name])

    def test_positions(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        assert kind(*values.values()) == kind(**values)

    def test_match_args(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        """Case Class(first, second) binds in this order."""
        assert kind.__match_args__ == tuple(values)

    def test_slots(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        event = kind(**values)
        assert not hasattr(event, "__dict__")
        with pytest.raises(AttributeError):
            event.surprise = 1

    def test_equality(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        assert kind(**values) == kind(**values)
        assert kind(**values) != "something else"
        for name, value in values.items():
            if defaults[name] is not inspect.Parameter.empty:
                assert kind(**values) != kind(**{**values, name: defaults[name]}), value

    def test_repr(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        """It reads as the call that makes it."""
        assert repr(kind(**values)).startswith(f"{kind.__name__}({next(iter(values))}={next(iter(values.values()))!r}")

    def test_copy_and_pickle(self, kind: type, defaults: dict[str, Any], values: dict[str, Any]) -> None:
        event = kind(**values)
        assert copy.copy(event) == event
        if sys.version_info >= (3, 11):  # before that, slots without a __getstate__ can't be pickled by protocol 0
            assert pickle.loads(pickle.dumps(event)) == event


class TestErrors:
    """ProtocolError > LocalProtocolError > ConnectionClosed; RemoteProtocolError."""

    def test_family(self) -> None:
        assert issubclass(LocalProtocolError, ProtocolError)
        assert issubclass(ConnectionClosed, LocalProtocolError)
        assert issubclass(RemoteProtocolError, ProtocolError)
        assert not issubclass(RemoteProtocolError, LocalProtocolError)
        assert ProtocolError.__bases__ == (Exception,)

    def test_connection_closed_carries_close_info(self) -> None:
        info = CloseInfo((1000, ""), None, None, "closed 1000 by us")
        error = ConnectionClosed("too late", info)
        assert (str(error), error.close_info) == ("too late", info)

    def test_remote_error_has_a_code(self) -> None:
        assert RemoteProtocolError("x").code == 1002
        error = RemoteProtocolError("x", CloseCode.MESSAGE_TOO_BIG)
        assert (str(error), error.code, type(error.code)) == ("x", 1009, int)

    @pytest.mark.parametrize(
        ("other", "equal"),
        [
            (RemoteProtocolError("x", 1007), True),
            (RemoteProtocolError("y", 1007), False),
            (RemoteProtocolError("x", 1002), False),
            (LocalProtocolError("x"), False),
            ("x", False),
        ],
        ids=["same", "other words", "other code", "other class", "no error"],
    )
    def test_remote_errors_compare_by_content(self, other: object, equal: bool) -> None:
        """So that events which carry one can be compared."""
        error = RemoteProtocolError("x", 1007)
        assert (error == other) is equal
        assert (hash(error) == hash(other)) is equal

    def test_close_info_is_empty_at_first(self) -> None:
        assert CloseInfo() == (None, None, None, "")
        assert CloseInfo._fields == ("sent", "received", "initiator", "cause")


class TestConstants:
    """The numbers of RFC 6455."""

    def test_opcodes(self) -> None:
        """Section 5.2."""
        assert {each.name: each.value for each in Opcode} == {
            "CONTINUATION": 0,
            "TEXT": 1,
            "BINARY": 2,
            "CLOSE": 8,
            "PING": 9,
            "PONG": 10,
        }

    def test_close_codes(self) -> None:
        """Section 7.4.1 and the IANA registry: all but 1004, which is reserved."""
        assert sorted(CloseCode) == [1000, 1001, 1002, 1003, *range(1005, 1016)]

    def test_sendable_close_codes(self) -> None:
        """Sections 7.4.1 and 7.4.2."""
        sendable = {code for code in range(-10, 70_000) if is_sendable_close_code(code)}
        never = {CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
        assert sendable == {int(code) for code in CloseCode} - never | set(range(3000, 5000))
