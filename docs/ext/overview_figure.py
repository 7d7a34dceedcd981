"""What the library is, in one picture: bytes on one side, events on the other.

Drawn into index.md, and kept as docs/overview.svg for README.md: `python docs/ext/overview_figure.py` writes that.
"""

from __future__ import annotations

from pathlib import Path

from svg import Drawing

KEPT = Path(__file__).parent.parent / "overview.svg"

STYLE = """\
text { font: 12.5px monospace; fill: #1f2328; }
text.name { font: 600 14px sans-serif; }
text.note { font: 12.5px sans-serif; fill: #59636e; }
text.big { font: 600 16px sans-serif; }
.box, .core { fill: #f6f8fa; stroke: #0b5f80; stroke-width: 1.5; }
.core { stroke-width: 2.5; }
.ghost { fill: none; stroke: #818b98; stroke-dasharray: 4 3; }
.back, .paper { fill: #ffffff; }
.arrow { fill: none; stroke: #818b98; stroke-width: 1.5; }
.arrow-head { fill: #818b98; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
text.note { fill: #9198a1; }
.box, .core { fill: #151b23; stroke: #6cc5e8; }
.back, .paper { fill: #0d1117; }
}
"""
"""The colours where there is no page around it: GitHub's."""

WIDTH, HEIGHT = 740, 282

TRANSPORTS = ("socket", "asyncio, trio", "TLS stream", "HTTP/2 stream", "bytes in a test")
EVENTS = ("Request", "TextMessage", "BytesMessage", "Ping, Pong", "CloseConnection")
RULES = (
    ("handshake", "upgrade, origin, extensions"),
    ("frames", "lengths, masking, UTF-8, in C"),
    ("messages", "fragments, limits, inflation"),
    ("the end", "codes, half-close, cause"),
)


def draw() -> Drawing:
    """Draw transports at the left, the connection in the middle, events at the right."""
    drawing = Drawing(WIDTH, HEIGHT, "bytes in, events out; events in, bytes out")
    _column(drawing, 1, "your I/O", TRANSPORTS)
    _column(drawing, WIDTH - 151, "your program", EVENTS)
    drawing.rectangle(246, 10, 248, 262, "core", radius=10)
    drawing.text(WIDTH / 2, 36, "Connection", "big")
    for number, (name, detail) in enumerate(RULES):
        top = 60 + number * 51
        drawing.rectangle(257, top, 226, 43, "paper", radius=5)
        drawing.text(WIDTH / 2, top + 13, name, "name")
        drawing.text(WIDTH / 2, top + 30, detail, "note")
    for left, right, into, out in ((155, 242, "receive_data", "to write"), (498, 585, "events", "send")):
        drawing.arrow((left, 110), (right, 110))
        drawing.text((left + right) / 2, 96, into)
        drawing.arrow((right, 190), (left, 190))
        drawing.text((left + right) / 2, 176, out)
    return drawing


def _column(drawing: Drawing, x: float, title: str, names: tuple[str, ...]) -> None:
    drawing.rectangle(x, 10, 150, 262, "ghost", radius=10)
    drawing.text(x + 75, 36, title, "big")
    for number, name in enumerate(names):
        drawing.rectangle(x + 9, 60 + number * 41, 132, 33, "box", radius=5)
        drawing.text(x + 75, 76.5 + number * 41, name)


if __name__ == "__main__":
    KEPT.write_text(draw().to_file(STYLE), encoding="utf-8")
