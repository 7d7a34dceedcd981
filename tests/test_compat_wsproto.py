"""compat.wsproto has wsproto's names, and `install` puts it in wsproto's place."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest

import wsproto_lite
import wsproto_lite.compat
from wsproto_lite import Settings
from wsproto_lite.compat import wsproto
from wsproto_lite.compat.wsproto import events, extensions, frame_protocol, set_default_limits, utilities
from wsproto_lite.compat.wsproto.connection import SERVER, Connection, ConnectionState, ConnectionType
from wsproto_lite.compat.wsproto.frame_protocol import CloseReason, Opcode
from wsproto_lite.compat.wsproto.typing import Headers

MODULES = ["connection", "events", "extensions", "frame_protocol", "handshake", "typing", "utilities"]


@pytest.fixture(name="modules")
def _modules() -> Iterator[None]:
    """Put sys.modules back, and the limits."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "wsproto"}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "wsproto"]:
        del sys.modules[name]
    sys.modules.update(before)
    set_default_limits(None)


@pytest.mark.usefixtures("modules")
def test_install_puts_every_module_in_wsprotos_place() -> None:
    wsproto_lite.compat.install()
    import wsproto as installed

    assert installed is wsproto
    for name in MODULES:
        assert sys.modules[f"wsproto.{name}"] is sys.modules[f"wsproto_lite.compat.wsproto.{name}"]


@pytest.mark.usefixtures("modules")
def test_install_sets_limits_for_all_connections() -> None:
    wsproto_lite.compat.install(Settings(max_message_size=3))
    server = Connection(SERVER)
    server.receive_data(b"\x82\x84\0\0\0\0abcd")
    assert [type(event).__name__ for event in server.events()] == ["CloseConnection"]
    assert Connection(SERVER, settings=Settings())._proto.settings.max_message_size == 1 << 20


@pytest.mark.usefixtures("modules")
def test_install_again_leaves_the_limits() -> None:
    for settings in (Settings(max_message_size=3), None):
        wsproto_lite.compat.install(settings)
    server = Connection(SERVER)
    server.receive_data(b"\x82\x84\0\0\0\0abcd")
    assert [type(event).__name__ for event in server.events()] == ["CloseConnection"]


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("wrong", ["x", 5, object()], ids=["str", "int", "object"])
def test_limits_that_are_none_are_refused_at_once(wrong: Settings) -> None:
    for take in (
        wsproto_lite.compat.install,
        set_default_limits,
        lambda settings: Connection(SERVER, settings=settings),
    ):
        for kind in (utilities.LocalProtocolError, TypeError):
            with pytest.raises(kind, match="it is a Settings object"):
                take(wrong)
    assert Connection(SERVER)._proto.settings.max_message_size is None


def test_import_star_gives_wsprotos_two_names() -> None:
    """`typing` among them would take the place of Python's."""
    names: dict[str, object] = {}
    exec("import typing\nfrom wsproto_lite.compat.wsproto import *", names)
    assert sorted(name for name in names if not name.startswith("__")) == ["ConnectionType", "WSConnection", "typing"]
    assert names["typing"] is sys.modules["typing"]


def test_an_unchanged_program_gets_it() -> None:
    program = (
        "from wsproto_lite.compat import install; install();"
        "import wsproto.frame_protocol as fp; from wsproto import WSConnection, ConnectionType;"
        "from wsproto.connection import CLIENT; from wsproto.events import Request;"
        "print(fp.__name__, WSConnection(CLIENT).send(Request(host='h', target='/'))[:14])"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert output == "wsproto_lite.compat.wsproto.frame_protocol b'GET / HTTP/1.1'\n"


def fields(kind: type) -> list[tuple[str, object]]:
    """Give names and defaults of a dataclass, in order."""
    missing = dataclasses.MISSING
    return [
        (
            field.name,
            field.default_factory() if field.default_factory is not missing else field.default,
        )
        for field in dataclasses.fields(kind)
    ]


REQUIRED = dataclasses.MISSING


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            events.Request,
            [("host", REQUIRED), ("target", REQUIRED), ("extensions", []), ("extra_headers", []), ("subprotocols", [])],
        ),
        (events.AcceptConnection, [("subprotocol", None), ("extensions", []), ("extra_headers", [])]),
        (events.RejectConnection, [("status_code", 400), ("headers", []), ("has_body", False)]),
        (events.RejectData, [("data", REQUIRED), ("body_finished", True)]),
        (events.CloseConnection, [("code", REQUIRED), ("reason", None)]),
        (events.TextMessage, [("data", REQUIRED), ("frame_finished", True), ("message_finished", True)]),
        (events.BytesMessage, [("data", REQUIRED), ("frame_finished", True), ("message_finished", True)]),
        (events.Ping, [("payload", b"")]),
        (events.Pong, [("payload", b"")]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_events_have_wsprotos_fields_and_are_frozen(kind: type, expected: list[tuple[str, object]]) -> None:
    assert fields(kind) == expected
    assert issubclass(kind, events.Event)
    event = kind(**{name: "" for name, _ in expected})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, expected[0][0], 1)


def test_messages_have_a_common_base() -> None:
    assert issubclass(events.TextMessage, events.Message)
    assert issubclass(events.BytesMessage, events.Message)


def test_answers() -> None:
    assert events.Ping(b"x").response() == events.Pong(b"x")
    assert events.CloseConnection(1000, "bye").response() == events.CloseConnection(1000, "bye")


def test_received_messages_equal_made_ones() -> None:
    """They are made field by field, past the constructor."""
    server = Connection(SERVER)
    server.receive_data(b"\x81\x81\0\0\0\0a\x02\x81\0\0\0\0a")
    assert list(server.events()) == [events.TextMessage("a"), events.BytesMessage(b"a", True, False)]


def test_states_and_types_have_wsprotos_values() -> None:
    assert {state.name: state.value for state in ConnectionState} == {
        "CONNECTING": 0,
        "OPEN": 1,
        "REMOTE_CLOSING": 2,
        "LOCAL_CLOSING": 3,
        "CLOSED": 4,
        "REJECTING": 5,
    }
    assert {kind.name: kind.value for kind in ConnectionType} == {"CLIENT": 1, "SERVER": 2}


def test_close_reasons_and_opcodes_have_wsprotos_values() -> None:
    assert sorted(CloseReason) == [*range(1000, 1004), *range(1005, 1014), 1015]
    assert CloseReason.MANDATORY_EXT == 1010
    assert [(opcode.name, opcode.value, opcode.iscontrol()) for opcode in Opcode] == [
        ("CONTINUATION", 0, False),
        ("TEXT", 1, False),
        ("BINARY", 2, False),
        ("CLOSE", 8, True),
        ("PING", 9, True),
        ("PONG", 10, True),
    ]


@pytest.mark.parametrize(
    ("callable_", "expected"),
    [
        (wsproto.WSConnection, ["connection_type", "settings"]),
        (Connection, ["connection_type", "extensions", "trailing_data", "settings"]),
        (wsproto.H11Handshake, ["connection_type", "settings"]),
        (frame_protocol.FrameDecoder, ["client", "extensions", "settings"]),
        (frame_protocol.FrameProtocol, ["client", "extensions", "settings"]),
        (frame_protocol.ParseFailed, ["msg", "code"]),
        (frame_protocol.Buffer, ["initial_bytes"]),
        (frame_protocol.RsvBits, ["rsv1", "rsv2", "rsv3"]),
        (frame_protocol.Header, ["fin", "rsv", "opcode", "payload_len", "masking_key"]),
        (frame_protocol.Frame, ["opcode", "payload", "frame_finished", "message_finished"]),
        (utilities.RemoteProtocolError, ["message", "event_hint"]),
        (
            extensions.PerMessageDeflate,
            [
                "client_no_context_takeover",
                "client_max_window_bits",
                "server_no_context_takeover",
                "server_max_window_bits",
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_signatures(callable_: object, expected: list[str]) -> None:
    """wsproto's parameters in wsproto's order; `settings`, which it lacks, by keyword."""
    parameters = inspect.signature(callable_).parameters.values()  # type: ignore[arg-type]  # all are callable
    assert [parameter.name for parameter in parameters] == expected
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters if parameter.name == "settings")


def test_all_public_names_of_wsproto_are_here() -> None:
    """wsproto's modules, where it is installed, less what they import for themselves."""
    original = pytest.importorskip("wsproto")
    if original.__version__ != wsproto.__version__:
        pytest.skip(f"wsproto {original.__version__} is another version")
    for name in MODULES:
        theirs = __import__(f"wsproto.{name}", fromlist=["*"])
        ours = getattr(wsproto, name)
        # Names that they import from each other count: programs take them from where they find them.
        own = {
            key
            for key, value in vars(theirs).items()
            if not key.startswith("_") and getattr(value, "__module__", "wsproto").partition(".")[0] == "wsproto"
        }
        imported = {"TYPE_CHECKING", "annotations", "base64", "contextlib", "h11", "hashlib", "os", "struct", "zlib"}
        assert sorted(own - imported - set(vars(ours))) == []


def test_errors_are_wsprotos_and_ours() -> None:
    """`except` finds them by either name."""
    assert issubclass(utilities.LocalProtocolError, wsproto_lite.LocalProtocolError)
    assert issubclass(utilities.RemoteProtocolError, wsproto_lite.RemoteProtocolError)
    for error in (utilities.LocalProtocolError, utilities.RemoteProtocolError):
        assert issubclass(error, utilities.ProtocolError)
        assert issubclass(error, wsproto_lite.ProtocolError)
    hint = events.RejectConnection()
    error = utilities.RemoteProtocolError("what", event_hint=hint)
    assert (str(error), error.event_hint) == ("what", hint)
    failure = frame_protocol.ParseFailed("what")
    assert (str(failure), failure.code) == ("what", CloseReason.PROTOCOL_ERROR)


def test_normed_header_dict_joins_values_of_one_name() -> None:
    headers: Headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert utilities.normed_header_dict(headers) == {b"a": b"1, 3", b"b": b"2"}


@pytest.mark.parametrize(
    ("value", "expected"), [(b"a, b;c ,d", ["a", "b;c", "d"]), (b"", [""]), (b"\xe9", ["\xe9"])], ids=str
)
def test_split_comma_header(value: bytes, expected: list[str]) -> None:
    """A byte outside ASCII does not raise: peers send these values."""
    assert utilities.split_comma_header(value) == expected


def test_keys() -> None:
    """RFC 6455 section 1.3 has this example."""
    assert utilities.generate_accept_token(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert len(utilities.generate_nonce()) == 24
    assert utilities.ACCEPT_GUID == b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
