"""Other libraries' vocabulary over this one: to try it, change an import, or call `install`."""

from __future__ import annotations

import importlib
import sys

from ..settings import Settings

_WSPROTO = ("connection", "events", "extensions", "frame_protocol", "handshake", "typing", "utilities")


def install(settings: Settings | None = None) -> None:
    """Make `import wsproto` give wsproto_lite.compat.wsproto, for a program that can't change its dependencies.

    Call it before the program imports wsproto: what has been imported by then stays wsproto's. The limits of
    `settings` hold for all of its connections; None leaves those that were set before, and at first there are hardly
    any, as docs/compat.md says. Raises LocalProtocolError for what is no Settings object.
    """
    ours = importlib.import_module(f"{__name__}.wsproto")
    if settings is not None:
        ours.set_default_limits(settings)
    sys.modules["wsproto"] = ours
    for name in _WSPROTO:
        sys.modules[f"wsproto.{name}"] = importlib.import_module(f"{__name__}.wsproto.{name}")
