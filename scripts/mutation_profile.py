"""A pytest plugin for runs under the mutation tester, which runs pytest many times in one process, and its forks."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

# Few examples, the same each time.
settings.register_profile(
    "mutants",
    derandomize=True,
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),  # a process runs each test more than once, and mutants may be slow
)
settings.load_profile("mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test keep its name: pytest would escape a backslash in it again, whenever it collects it again."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark._param_ids_from is not None:
            object.__setattr__(mark._param_ids_from, "_param_ids_generated", None)


def pytest_configure() -> None:
    """Collect no garbage: what pytest keeps of thousands of tests would be gone through over and over."""
    gc.disable()
