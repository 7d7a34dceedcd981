"""What the tests of all adapters have their servers and clients do; see adapter_subjects for how."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from adapter_subjects import SUBJECTS

from wsproto_lite import ConnectionClosed

Steps = Generator[Any, Any, Any]

subjects = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


def receive_all(ws: Any) -> Steps:
    """Receive until iterating would end. Returns the messages."""
    received = []
    while True:
        try:
            received.append((yield ws.recv()))
        except ConnectionClosed:
            return received


def wait_closed(ws: Any) -> Steps:
    yield ws.wait_closed()
