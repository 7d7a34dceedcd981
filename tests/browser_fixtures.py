"""The browser that the tests drive. Knows how to start one, and nothing about what it is to talk to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from missing import missing, needed_module

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",  # the tests make them, and nobody else vouches for them
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run Chromium for a module: no longer, as Playwright keeps its event loop in the thread of the tests."""
    chromium = next(filter(None, map(shutil.which, NAMES)), None) or missing("Chromium")
    playwright = needed_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # A sanitizer is for the process that tests: with its run-time library Chromium hangs.
        env: Any = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        # Without the name of a profile Playwright makes one, and removes it.
        context = driver.chromium.launch_persistent_context("", executable_path=chromium, args=SWITCHES, env=env)
        yield context
        context.close()
