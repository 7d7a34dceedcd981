"""The limits that wsproto doesn't have: what they are unless they are set, and where they are set.

Knows Settings. Not what the limits are held against.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ...settings import Settings
from .utilities import Unsendable

GENEROUS = Settings(
    max_message_size=None,
    # wsproto delivers pieces and keeps none, so that a message of any size or number of fragments costs no memory here.
    max_fragments=2**32 - 1,
    max_header_size=64 << 10,
    max_header_count=1024,
)
"""What holds unless something else is set: no limit that a program which works with wsproto could meet."""

_default = GENEROUS


def set_default_limits(settings: Settings | None) -> None:
    """Set the limits of all connections that are made from now on without any; None for GENEROUS.

    Raises LocalProtocolError for what is no Settings object.
    """
    global _default
    _default = GENEROUS if settings is None else _checked(settings)


def limits(settings: Settings | None) -> Settings:
    """Give the settings of one connection. Raises LocalProtocolError for what is no Settings object."""
    return _as_wsproto(_default if settings is None else _checked(settings))


def _checked(settings: Settings) -> Settings:
    if not isinstance(settings, Settings):
        raise Unsendable(f"settings is {settings!r}; it is a Settings object")
    return settings


@lru_cache(maxsize=16)
def _as_wsproto(settings: Settings) -> Settings:
    """wsproto delivers by the piece, answers nothing by itself, and negotiates extensions in its own vocabulary."""
    return replace(settings, delivery="piece", auto_reply=False, text_as_bytes=False, extensions=())
