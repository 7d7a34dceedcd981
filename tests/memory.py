"""How much memory something takes. PyPy can't tell: there, a test that asks is skipped."""

from __future__ import annotations

import gc
from typing import Any, Callable

import pytest

try:
    import tracemalloc
except ImportError:
    tracemalloc: Any = None  # type: ignore[no-redef]  # on PyPy


def peak_memory(function: Callable[[], object]) -> int:
    """Run `function`; return by how many bytes allocated memory exceeded at most what it was before."""
    _start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def kept_memory(function: Callable[[], object]) -> int:
    """Run `function`; return how many bytes more are allocated afterwards, its result not counted."""
    _start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        function()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _start() -> None:
    if tracemalloc is None:
        pytest.skip("needs tracemalloc")
    tracemalloc.start()
