"""Settings: defaults, what is checked, and that one object serves any number of connections."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any

import pytest

from wsproto_lite import CLIENT, Connection, LocalProtocolError, Ping, Settings
from wsproto_lite.extensions import Extension, PerMessageDeflate


def test_defaults() -> None:
    """The table of the contract."""
    settings = Settings()
    assert settings.max_message_size == 1 << 20
    assert settings.max_frame_size is None
    assert settings.max_fragments == 4096
    assert settings.max_header_size == 16 << 10
    assert settings.max_header_count == 128
    assert settings.auto_reply is True
    assert settings.delivery == "message"
    assert settings.text_as_bytes is False
    assert settings.extensions == ()
    assert settings.allowed_origins is None
    assert settings.random_bytes is os.urandom


@pytest.mark.parametrize(
    ("max_message_size", "max_fragments"),
    [(1, 1024), (1 << 18, 1024), ((1 << 18) + 256, 1025), (1 << 20, 4096), (1 << 30, 1 << 22), (None, 65_536)],
)
def test_fragments_derive_from_the_message_size(max_message_size: int | None, max_fragments: int) -> None:
    """max(1024, max_message_size // 256); 65,536 with no message limit."""
    assert Settings(max_message_size=max_message_size).max_fragments == max_fragments
    assert Settings(max_message_size=max_message_size, max_fragments=7).max_fragments == 7


@pytest.mark.parametrize("name", ["max_message_size", "max_frame_size", "max_fragments"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1024", True, b"1"], ids=repr)
def test_optional_limits(name: str, value: Any) -> None:
    """A limit of 0 would mean unlimited to zlib."""
    with pytest.raises(LocalProtocolError, match=rf"{name} is .*; it is a positive number or None"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["max_header_size", "max_header_count"])
@pytest.mark.parametrize("value", [0, -1, None, "1024", False], ids=repr)
def test_limits_of_the_head(name: str, value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=rf"{name} is .*; it is a positive number$"):
        Settings(**{name: value})


@pytest.mark.parametrize("value", ["", "frames", None, 1], ids=repr)
def test_delivery(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"delivery is .*; it is one of 'message', 'frame', 'piece'"):
        Settings(delivery=value)


@pytest.mark.parametrize("limit", [1, 1 << 63, 1 << 64, 1 << 100])
def test_limits_beyond_64_bits(limit: int) -> None:
    """No length reaches them, so that they are as good as none."""
    settings = Settings(max_message_size=limit, max_frame_size=limit, max_fragments=limit)
    assert len(Connection.established(CLIENT, settings).receive_data(b"\x82\x01x")) == 1


@pytest.mark.parametrize("value", [None, 7, "permessage-deflate", PerMessageDeflate()], ids=repr)
def test_extensions_are_a_sequence(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"extensions is .*; it is a sequence"):
        Settings(extensions=value)


@pytest.mark.parametrize("value", [None, "permessage-deflate", PerMessageDeflate], ids=repr)
def test_each_is_an_extension(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"extensions has .*; an Extension is needed"):
        Settings(extensions=[value])


@pytest.mark.parametrize("name", [None, 7, b"x", "", "a b", "x;y", "\u20ac", "\ud800"], ids=ascii)
def test_each_extension_has_a_name(name: Any) -> None:
    """Not only when a handshake needs it."""

    class Named(Extension):
        pass

    with pytest.raises(LocalProtocolError, match="with name None; it must be a token"):
        Settings(extensions=[Named()])
    Named.name = name
    with pytest.raises(LocalProtocolError, match=r"extensions has .* with name .*; it must be a token"):
        Settings(extensions=[Named()])


@pytest.mark.parametrize("value", ["https://example.com", b"https://example.com", 7], ids=repr)
def test_allowed_origins_are_a_sequence(value: Any) -> None:
    """A lone str would allow each of its letters."""
    with pytest.raises(LocalProtocolError, match=r"allowed_origins is .*; it is a sequence"):
        Settings(allowed_origins=value)


@pytest.mark.parametrize("value", [b"https://example.com", 7, re.compile(b"x")], ids=repr)
def test_each_is_an_origin(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"allowed_origins has .*; each is a str, a pattern for str or None"):
        Settings(allowed_origins=["https://example.com", value])


def test_lists_are_copied() -> None:
    """What the caller does with them later does not matter."""
    extensions, origins = [PerMessageDeflate()], ["https://example.com", None, re.compile("https://.*")]
    settings = Settings(extensions=extensions, allowed_origins=origins)
    copies = tuple(extensions), tuple(origins)
    extensions.clear()
    origins.clear()
    assert (settings.extensions, settings.allowed_origins) == copies


@pytest.mark.parametrize("value", [None, 7, b"random"], ids=repr)
def test_random_bytes_is_called(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"random_bytes is .*; it is called with a number of bytes"):
        Settings(random_bytes=value)


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().max_message_size = 1  # type: ignore[misc]  # the point


def test_equality() -> None:
    """By content; the pool of masking keys behind it doesn't count."""
    assert Settings() == Settings()
    assert Settings() != Settings(max_frame_size=1)
    assert hash(Settings(allowed_origins=("https://example.com", re.compile("x")))) is not None


def test_replace() -> None:
    """A variation has keys of its own."""
    settings = Settings(extensions=(PerMessageDeflate(),))
    other = dataclasses.replace(settings, delivery="frame")
    assert (other.delivery, other.extensions) == ("frame", settings.extensions)
    assert other.masking_keys is not settings.masking_keys


def test_shared_by_connections() -> None:
    """What one does leaves the other as it was."""
    settings = Settings(random_bytes=bytes)
    one, other = (Connection.established(CLIENT, settings) for _ in range(2))
    output = one.send(Ping(b"x"))
    assert one.settings is other.settings
    assert other.send(Ping(b"x")) == output
