"""wsproto's one type alias."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]
