"""What tests do when a program or package that they need isn't there."""

from __future__ import annotations

import importlib
import os
import shutil
from typing import Any, NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip, unless WSPROTO_LITE_NO_SKIP=1 says that this must run."""
    if os.environ.get("WSPROTO_LITE_NO_SKIP") == "1":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing", allow_module_level=True)


def needed_program(name: str) -> str:
    """Give the path of a program."""
    return shutil.which(name) or missing(name)


def needed_module(name: str) -> Any:
    """Give a module of a package that not every Python can have."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(name)
