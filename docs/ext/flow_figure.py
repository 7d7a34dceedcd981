"""The table of frame sequences, drawn. Knows where to put which phase; all that is said comes from flow.PHASES."""

from __future__ import annotations

from svg import Drawing

from wsproto_lite.constants import Opcode
from wsproto_lite.flow import FIN, PHASES, Phase

WIDTH, HEIGHT = 740, 440
BOX_WIDTH, BOX_HEIGHT = 166, 54

PLACES = {
    "between messages": (232, 220),
    "inside a fragmented text message": (232, 55),
    "inside a fragmented binary message": (232, 385),
    "after a close frame": (528, 220),
}
"""Where the middle of each phase is. A phase that has no place here stops the build."""


def frames_between(start: Phase, end: Phase) -> list[str]:
    """Name the frames that lead from one phase to another: opcode, and FIN where that is set."""
    return [
        f"{Opcode(first & 0x0F).name.lower()}{' + FIN' if first & FIN else ''}"
        for first, following in start.items()
        if following is end
    ]


def draw() -> Drawing:
    """Draw all phases and what leads from each to each."""
    drawing = Drawing(WIDTH, HEIGHT, "which frame may follow which")
    for number, start in enumerate(PHASES):
        for place, end in enumerate(PHASES):
            frames = frames_between(start, end)
            if frames and start is end:
                _loop(drawing, start, frames)
            elif frames:
                _edge(drawing, start, end, frames, is_out=number < place)
    for phase in PHASES:
        x, y = PLACES[phase.name]
        drawing.rectangle(x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2, BOX_WIDTH, BOX_HEIGHT, "box", radius=8)
        words = phase.name.split()
        half = (len(words) + 1) // 2
        drawing.lines(x, y, [" ".join(words[:half]), " ".join(words[half:])], "name")
    return drawing


def _loop(drawing: Drawing, phase: Phase, frames: list[str]) -> None:
    """Frames that change nothing: a loop at the left, or at the right of the last phase."""
    x, y = PLACES[phase.name]
    side = 1 if x > WIDTH / 2 else -1
    edge = x + side * BOX_WIDTH / 2
    far = edge + side * 40
    drawing.arrow((edge, y - 14), (far, y - 34), (far, y + 34), (edge, y + 14))
    drawing.lines(edge + side * 38, y, frames, anchor="start" if side > 0 else "end")


def _edge(drawing: Drawing, start: Phase, end: Phase, frames: list[str], *, is_out: bool) -> None:
    (x1, y1), (x2, y2) = PLACES[start.name], PLACES[end.name]
    if x1 == x2:
        # Between neighbours above each other: out on the left half, back on the right.
        down = 1 if y2 > y1 else -1
        shift = -40 if is_out else 40
        drawing.arrow((x1 + shift, y1 + down * BOX_HEIGHT / 2), (x2 + shift, y2 - down * BOX_HEIGHT / 2))
        anchor = "end" if shift < 0 else "start"
        drawing.lines(x1 + shift + (-8 if shift < 0 else 8), (y1 + y2) / 2, frames, anchor=anchor)
        return
    right = x1 + BOX_WIDTH / 2
    left = x2 - BOX_WIDTH / 2
    if y1 == y2:
        drawing.arrow((right, y1), (left, y2))
        drawing.lines((right + left) / 2, y1 - 14, frames)
    else:
        # From above or below into the side that faces it.
        down = 1 if y2 > y1 else -1
        drawing.arrow((right, y1), (right + 120, y1), (x2, y2 - down * 110), (x2, y2 - down * BOX_HEIGHT / 2))
        drawing.lines(right + 24, y1 - down * 14, frames, anchor="start")
