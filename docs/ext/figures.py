"""The directives of these pages: `drawing` and `wire`, each with a name. Knows who draws what, not how."""

from __future__ import annotations

from typing import Any, Callable

import flow_figure
import frame_figure
import overview_figure
import state_figure
import wire
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from svg import Drawing

DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "flow": flow_figure.draw,
    "states": state_figure.draw,
    "overview": overview_figure.draw,
    **{f"frame-{name}": draw for name, draw in frame_figure.DRAWINGS.items()},
}

TABLES = {"transitions": state_figure.transitions}


class DrawingDirective(SphinxDirective):
    """Put a drawing into the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # the code may have changed, where the page hasn't
        return [nodes.raw("", DRAWINGS[self.arguments[0]]().to_page(), format="html")]


class WireDirective(SphinxDirective):
    """Put bytes that the library has made into the page, as text."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        language, text = wire.TEXTS[self.arguments[0]]()
        return [nodes.literal_block(text, text, language=language)]


class TableDirective(SphinxDirective):
    """Put a table into the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        header, *rows = TABLES[self.arguments[0]]()
        group = nodes.tgroup(cols=len(header))
        group += [nodes.colspec(colwidth=1) for _ in header]
        group += nodes.thead("", _row(header))
        group += nodes.tbody("", *[_row(row) for row in rows])
        return [nodes.table("", group)]


def _row(cells: list[str]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", nodes.paragraph("", "", *_inline(cell))) for cell in cells])


def _inline(cell: str) -> list[nodes.Node]:
    """Make code of what is between backticks."""
    parts = cell.split("`")
    return [nodes.literal(part, part) if number % 2 else nodes.Text(part) for number, part in enumerate(parts) if part]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("drawing", DrawingDirective)
    app.add_directive("wire", WireDirective)
    app.add_directive("table-of", TableDirective)
    return {"parallel_read_safe": True}
