"""The states of a connection, drawn and as a table. Knows where to put which; what leads where is from state_walk."""

from __future__ import annotations

from state_walk import Step, walk
from svg import Drawing

from wsproto_lite import CLIENT, SERVER, Role, State

WIDTH, HEIGHT = 740, 380
BOX_HEIGHT = 46

PLACES: dict[State, tuple[float, float, float]] = {
    State.CONNECTING: (66, 205, 128),
    State.OPEN: (255, 205, 90),
    State.LOCAL_CLOSING: (440, 105, 142),
    State.REMOTE_CLOSING: (440, 305, 142),
    State.CLOSED: (685, 205, 100),
}
"""The middle of each state, and its width."""

MIDDLE, TOP = 205, 30

SHORT = {
    (State.CONNECTING, State.OPEN): ["handshake"],
    (State.CONNECTING, State.CLOSED): ["refusal, failure, end of the transport, deadline"],
    (State.OPEN, State.LOCAL_CLOSING): ["our Close"],
    (State.OPEN, State.REMOTE_CLOSING): ["the peer's Close or fault,", "with auto_reply off"],
    (State.OPEN, State.CLOSED): ["the peer's Close, which is answered;", "failure, end of the transport, deadline"],
    (State.LOCAL_CLOSING, State.CLOSED): ["the peer's Close,", "failure, deadline"],
    (State.REMOTE_CLOSING, State.CLOSED): ["our Close,", "deadline"],
}
"""What to write at each change that is seen. One that has no words here, or words for one that isn't seen, stops the
build."""

ROLES = {frozenset((SERVER,)): "server", frozenset((CLIENT,)): "client", frozenset((SERVER, CLIENT)): "both"}


def draw() -> Drawing:
    """Draw the states, and an arrow for each change that was seen."""
    steps = [*walk(auto_reply=True), *walk(auto_reply=False)]
    changes = {(step.before, step.after) for step in steps if step.before is not step.after}
    if changes != set(SHORT):
        raise ValueError(f"changes seen and drawn differ: {changes ^ set(SHORT)}")
    drawing = Drawing(WIDTH, HEIGHT, "states of a connection")
    for before, after in sorted(changes, key=list(SHORT).index):
        _edge(drawing, before, after, SHORT[before, after])
    for state, (x, y, width) in PLACES.items():
        drawing.rectangle(x - width / 2, y - BOX_HEIGHT / 2, width, BOX_HEIGHT, "box", radius=8)
        drawing.text(x, y, state.name, "name")
    return drawing


def _edge(drawing: Drawing, before: State, after: State, words: list[str]) -> None:
    (x1, y1, width1), (x2, y2, width2) = PLACES[before], PLACES[after]
    if (before, after) == (State.CONNECTING, State.CLOSED):
        # Around everything else.
        drawing.line((x1, y1 - BOX_HEIGHT / 2), (x1, TOP), "arrow")
        drawing.line((x1, TOP), (x2, TOP), "arrow")
        drawing.arrow((x2, TOP), (x2, y2 - BOX_HEIGHT / 2))
        drawing.lines((x1 + x2) / 2, TOP - 12, words)
    elif y1 == y2:
        left, right = x1 + width1 / 2, x2 - width2 / 2
        drawing.arrow((left, y1), (right, y2))
        drawing.lines((left + right) / 2, y1 - 14, words[:1])
        drawing.lines((left + right) / 2, y1 + 14, words[1:])
    elif y1 == MIDDLE:
        down = 1 if y2 > y1 else -1
        start, end = (x1 + 16, y1 + down * BOX_HEIGHT / 2), (x2 - width2 / 2, y2)
        bend = (start[0], end[1])
        drawing.arrow(start, bend, bend, end)
        drawing.lines(start[0] - 12, y2 + down * 10, words, anchor="end")
    else:
        down = 1 if y1 > y2 else -1
        start, end = (x1 + width1 / 2, y1), (x2 - 24, y2 + down * BOX_HEIGHT / 2)
        bend = (end[0], start[1])
        drawing.arrow(start, bend, bend, end)
        drawing.lines((start[0] + end[0]) / 2, y1 + down * 24, words)


def transitions() -> list[list[str]]:
    """Give the rows of a table: each change of the state or of what to do with the transport."""
    return [["state", "what happens", "role", "`auto_reply`", "state after it", "transport"], *_rows()]


def _rows() -> list[list[str]]:
    seen: dict[Step, tuple[set[Role], set[bool]]] = {}
    for auto_reply in (True, False):
        for step in walk(auto_reply=auto_reply):
            roles, replies = seen.setdefault(step._replace(role=SERVER), (set(), set()))
            roles.add(step.role)
            replies.add(auto_reply)
    order = list(State)
    rows = []
    for step, (roles, replies) in sorted(seen.items(), key=lambda item: order.index(item[0].before)):
        reply = "" if len(replies) == 2 else "on" if True in replies else "off"
        todo = "close" if step.should_close else "half-close" if step.should_shutdown else ""
        before, after = f"`{step.before.name}`", f"`{step.after.name}`"
        rows.append([before, step.happening, ROLES[frozenset(roles)], reply, after, todo])
    return rows
