"""A few shapes as SVG in a page. Knows shapes; colours are classes, which _static/figures.css fills by theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

LINE_HEIGHT = 17
CHARACTER = 7.3
"""Width of a character of the font in a figure, in its units."""


class Drawing:
    """Shapes within `width` by `height` units, one of which is a pixel where there is room."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width = width
        self.height = height
        self.title = title
        self._shapes: list[str] = []

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 0) -> None:
        self._shapes.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "middle") -> None:
        """Write a line, whose middle is at `y`."""
        self._shapes.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" dominant-baseline="central">'
            f"{escape(words)}</text>"
        )

    def lines(self, x: float, y: float, lines: Sequence[str], kind: str = "", *, anchor: str = "middle") -> None:
        """Write lines around the middle `y`."""
        top = y - LINE_HEIGHT * (len(lines) - 1) / 2
        for number, line in enumerate(lines):
            self.text(x, top + number * LINE_HEIGHT, line, kind, anchor=anchor)

    def line(self, start: Point, end: Point, kind: str = "rule") -> None:
        self._shapes.append(
            f'<line class="{kind}" x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}"/>'
        )

    def arrow(self, start: Point, *through: Point, kind: str = "arrow") -> None:
        """Draw a line to the last point, straight through two points or a cubic curve through four."""
        *controls, (x, y) = through
        path = f"M {start[0]:g} {start[1]:g} "
        path += "C " + ", ".join(f"{a:g} {b:g}" for a, b in through) if controls else f"L {x:g} {y:g}"
        self._shapes.append(f'<path class="{kind}" d="{path}"/>')
        before = controls[-1] if controls else start
        self._head(before, (x, y), kind)

    def _head(self, before: Point, tip: Point, kind: str) -> None:
        angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
        corners = [tip]
        for side in (-0.4, 0.4):
            corners.append((tip[0] - 10 * math.cos(angle + side), tip[1] - 10 * math.sin(angle + side)))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self._shapes.append(f'<polygon class="{kind}-head" points="{points}"/>')

    def to_page(self) -> str:
        """Return what to put into a page of HTML."""
        return f'<div class="drawing">{self._element("")}</div>'

    def to_file(self, style: str) -> str:
        """Return a file that stands alone, with colours of its own, the background's included."""
        return self._element(f'<style>\n{style}</style>\n<rect class="back" width="100%" height="100%"/>\n') + "\n"

    def _element(self, style: str) -> str:
        shapes = "\n".join(self._shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{self.width:g}" height="{self.height:g}" '
            f'viewBox="0 0 {self.width:g} {self.height:g}">\n<title>{escape(self.title)}</title>\n'
            f"{style}{shapes}\n</svg>"
        )
