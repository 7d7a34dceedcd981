"""Docstrings as the code has them, turned into what Sphinx reads. Knows their habits, not what they are about.

A paragraph of lines like `name: what it is` becomes a list; `code` in single backticks is a reference where it names
something and code where it doesn't, which is for `default_role` to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

from wsproto_lite.adapters._options import MAX_QUEUE

_ERRORS = re.compile(r"(?<![`.\w])(LocalProtocolError|RemoteProtocolError|ConnectionClosed|HandshakeRejected)(?![`\w])")

_ALIAS = re.compile(r"TypeAliasForwardRef\('([^']*)'\)")

_DEFAULTS = {
    "_DEFAULT_SETTINGS": "Settings()",
    "= MAX_QUEUE": f"= {MAX_QUEUE}",
    "<built-in function urandom>": "os.urandom",
    "~typing.": "",
    "~collections.abc.": "",
    "~re.": "",
    "~wsproto_lite.extensions.": "",
}
"""What signatures say, and what they are to say."""

_MADE_BY_US = re.compile(r"wsproto_lite\.adapters\.\w+\.(WebSocket|Server|WebSocketProtocol)").fullmatch
"""Classes that nobody else makes, so that what it takes to make one is of no interest."""

_NAMES = re.compile(r"([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*): (\S.*)").fullmatch


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Give runs of lines that aren't empty."""
    run: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            run.append(line)
        elif run:
            yield run
            run = []


def as_fields(run: list[str]) -> list[str]:
    """Make a definition list of a paragraph that describes arguments; return any other as it is."""
    if not _NAMES(run[0]):
        return run
    fields: list[str] = []
    for line in run:
        match = _NAMES(line)
        if match is not None:
            names = ", ".join(f"``{name}``" for name in match[1].split(", "))
            fields += ["", names, f"    {match[2]}"]
        elif line.startswith(" "):
            fields.append(f"    {line.strip()}")
        else:
            return run
    return fields


def as_code(run: list[str]) -> list[str]:
    """Mark an indented paragraph as code, which is what it is in a module's docstring."""
    return ["::", "", *run] if run[0].startswith("    ") else run


def process(app: Sphinx, what: str, name: str, subject: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the lines of one docstring in place; see autodoc-process-docstring."""
    rewritten: list[str] = []
    for run in paragraphs(lines):
        rewritten += ["", *as_code(as_fields(run))]
    lines[:] = [_ERRORS.sub(_reference, line) for line in rewritten]


def _reference(match: re.Match[str]) -> str:
    module = "wsproto_lite.adapters.asyncio" if match[1] == "HandshakeRejected" else "wsproto_lite"
    return f":py:obj:`~{module}.{match[1]}`"


def process_signature(
    app: Sphinx, what: str, name: str, subject: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Put names that a reader knows into a signature; see autodoc-process-signature."""
    if _MADE_BY_US(name):
        return "", None
    for said, meant in _DEFAULTS.items():
        signature = signature and signature.replace(said, meant)
    return signature and _ALIAS.sub(r"\1", signature), result and _ALIAS.sub(r"\1", result)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", process_signature)
    return {"parallel_read_safe": True}
