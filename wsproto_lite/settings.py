"""Settings: what a connection allows and does by itself. Checked once, shared by any number of connections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Callable, Literal, Union

from .errors import LocalProtocolError
from .extensions import Extension
from .headers import is_token
from .masking_keys import MaskingKeys

Delivery = Literal["message", "frame", "piece"]

Origin = Union[str, "re.Pattern[str]", None]


class _Derived(int):
    """A number that nobody has chosen."""


@dataclass(frozen=True)
class Settings:
    """What a connection allows and does by itself.

    Sizes are in bytes; None lifts a limit of messages or frames. Raises LocalProtocolError for what makes no sense.

    max_message_size: of a whole message, after decompression; of text, in UTF-8. As a str, text may take up to four
        times as much memory: it has all its characters as wide as its widest.
    max_frame_size: of one frame's payload on the wire.
    max_fragments: frames in one message, empty ones included. None derives it: max(1024, max_message_size // 256),
        or 65,536 without a message limit.
    max_header_size, max_header_count: of the HTTP head, up to and including its blank line.
    auto_reply: answer Ping with Pong, Close with Close, violations with Close.
    delivery: "message" gives whole messages, "frame" one event a frame, "piece" data as it arrives.
    text_as_bytes: deliver text as EncodedTextMessage.
    extensions: to offer or accept, in order of preference.
    allowed_origins: exact strings or compiled patterns that match in full; None in it allows a missing Origin.
    random_bytes: where masking keys and nonces come from; called with a number of bytes.
    """

    max_message_size: int | None = 1 << 20
    max_frame_size: int | None = None
    max_fragments: int | None = None
    max_header_size: int = 16 << 10
    max_header_count: int = 128
    auto_reply: bool = True
    delivery: Delivery = "message"
    text_as_bytes: bool = False
    extensions: Sequence[Extension] = ()
    allowed_origins: Sequence[Origin] | None = None
    random_bytes: Callable[[int], bytes] = os.urandom
    masking_keys: MaskingKeys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("max_message_size", "max_frame_size", "max_fragments"):
            self._check_limit(name, optional=True)
        for name in ("max_header_size", "max_header_count"):
            self._check_limit(name, optional=False)
        if self.delivery not in ("message", "frame", "piece"):
            raise LocalProtocolError(f"delivery is {self.delivery!r}; it is one of 'message', 'frame', 'piece'")
        self._check_collections()
        if not callable(self.random_bytes):
            raise LocalProtocolError(f"random_bytes is {self.random_bytes!r}; it is called with a number of bytes")
        for name in ("auto_reply", "text_as_bytes"):
            if not isinstance(getattr(self, name), bool):
                raise LocalProtocolError(f"{name} is {getattr(self, name)!r}; it is True or False")
        # What was derived for other settings, in dataclasses.replace(), is derived anew.
        if self.max_fragments is None or isinstance(self.max_fragments, _Derived):
            unlimited = self.max_message_size is None
            derived = 65_536 if unlimited else max(1024, (self.max_message_size or 0) // 256)
            object.__setattr__(self, "max_fragments", _Derived(derived))
        object.__setattr__(self, "masking_keys", MaskingKeys(self.random_bytes))

    def _check_collections(self) -> None:
        """Check what is inside, and keep copies, as a caller's list could change."""
        extensions = _as_tuple("extensions", self.extensions)
        for extension in extensions:
            if not isinstance(extension, Extension):
                raise LocalProtocolError(
                    f"extensions has {extension!r}; an Extension is needed, PerMessageDeflate() say"
                )
            name = getattr(extension, "name", None)
            if not isinstance(name, str) or not is_token(name.encode("utf-8", "surrogatepass")):
                raise LocalProtocolError(f"extensions has {extension!r} with name {name!r}; it must be a token")
        object.__setattr__(self, "extensions", extensions)
        if self.allowed_origins is not None:
            origins = _as_tuple("allowed_origins", self.allowed_origins)
            for origin in origins:
                text = origin.pattern if isinstance(origin, re.Pattern) else origin
                if text is not None and not isinstance(text, str):
                    raise LocalProtocolError(
                        f"allowed_origins has {origin!r}; each is a str, a pattern for str or None"
                    )
            object.__setattr__(self, "allowed_origins", origins)

    def _check_limit(self, name: str, *, optional: bool) -> None:
        value = getattr(self, name)
        if value is None and optional:
            return
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise LocalProtocolError(f"{name} is {value!r}; it is a positive number{' or None' if optional else ''}")


def _as_tuple(name: str, value: object) -> tuple[object, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise LocalProtocolError(f"{name} is {value!r}; it is a sequence")
    return tuple(value)
