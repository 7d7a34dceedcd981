"""How long a test waits for what should come at once, before it says that something hangs."""

from __future__ import annotations

import os

PATIENCE = 20.0 * float(os.environ.get("WSPROTO_LITE_PATIENCE", "1"))
"""Seconds. Where everything is slow, as under a sanitizer, WSPROTO_LITE_PATIENCE multiplies them."""
