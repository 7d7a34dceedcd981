"""The C file can't be re-entered or keep anything: it is a library of functions over buffers, read from its text."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "csrc"

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def source(name: str) -> str:
    """Give the text of a file without its comments."""
    return COMMENT.sub("", (FOLDER / name).read_text(encoding="utf-8"))


def test_no_callbacks() -> None:
    """libwebsockets, uWebSockets 1583: who calls back can find the caller's object gone. Nothing here can."""
    for name in ("codec.h", "codec.c"):
        assert re.search(r"\(\s*\*\s*\w*\s*\)\s*\(", source(name)) is None, "a pointer to a function"
    assert "extern" not in source("codec.h")


def test_nothing_of_python_or_the_heap() -> None:
    """No memory is allocated or freed, and no code that could call back is included."""
    included = re.findall(r"#include\s+(\S+)", source("codec.c"))
    assert set(included) == {"<stdbool.h>", "<stddef.h>", "<stdint.h>", "<string.h>", '"codec.h"'}
    assert re.search(r"\b(malloc|calloc|realloc|free|alloca)\b", source("codec.c")) is None


def test_nothing_is_kept() -> None:
    """All that is at file scope is constant: what is kept between calls is in the caller's structs."""
    at_file_scope = re.findall(r"^static (?!const )[^(]*[=;]", source("codec.c"), re.MULTILINE)
    assert at_file_scope == []
