"""The table of frame sequences against the sentences of RFC 6455, written out once more."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_lite.constants import Opcode
from wsproto_lite.flow import AFTER_CLOSE, BETWEEN_MESSAGES, FIN, FLOW_BITS, IN_BINARY, IN_TEXT, PHASES, Phase

PHASE_IDS = ["between messages", "in text", "in binary", "after close"]
FIRST_BYTES = [fin | opcode for fin, opcode in itertools.product((0, FIN), Opcode)]


def expected(phase: Phase, first: int) -> Phase | None:
    """Tell which phase follows, in the order of the RFC's sentences."""
    fin, opcode = first & FIN, first & 0x0F
    if opcode >= 8 and not fin:
        return None  # section 5.5: control frames MUST NOT be fragmented
    if phase is AFTER_CLOSE:
        # Section 5.5.1: no more data frames after a Close. A Pong may answer a Ping still; all else has no purpose.
        return AFTER_CLOSE if opcode == Opcode.PONG else None
    if opcode == Opcode.CLOSE:
        return AFTER_CLOSE
    if opcode >= 8:
        return phase  # section 5.4: control frames MAY be injected in the middle of a fragmented message
    if opcode == Opcode.CONTINUATION:
        if phase is BETWEEN_MESSAGES:
            return None  # section 5.4: a continuation continues something
        return BETWEEN_MESSAGES if fin else phase
    if phase is not BETWEEN_MESSAGES:
        return None  # section 5.4: fragments of one message MUST NOT be interleaved with another's
    return BETWEEN_MESSAGES if fin else {Opcode.TEXT: IN_TEXT, Opcode.BINARY: IN_BINARY}[Opcode(opcode)]


@pytest.mark.parametrize("first", FIRST_BYTES, ids=lambda first: f"{'fin ' * (first >> 7)}{Opcode(first & 15).name}")
@pytest.mark.parametrize("phase", PHASES, ids=PHASE_IDS)
def test_every_pair(phase: Phase, first: int) -> None:
    """Sections 5.4, 5.5 and 5.5.1."""
    assert phase.get(first) is expected(phase, first)


def test_nothing_but_known_first_bytes() -> None:
    """What is absent is a violation: reserved opcodes are."""
    for phase in PHASES:
        assert set(phase) <= set(FIRST_BYTES)


@given(st.lists(st.sampled_from(FIRST_BYTES)))
def test_any_sequence(firsts: list[int]) -> None:
    """Section 5.4: a good sequence is first frames and their continuations in turn, whatever is in between."""
    phase: Phase | None = BETWEEN_MESSAGES
    for first in firsts:
        phase = phase.get(first)
        if phase is None:
            return
    data = [first for first in firsts if first & 15 < 8]
    starts = [first & 15 != Opcode.CONTINUATION for first in data]
    ends = [bool(first & FIN) for first in data]
    assert starts == [True, *ends[:-1]][: len(starts)]
    after_close = firsts[firsts.index(FIN | Opcode.CLOSE) + 1 :] if FIN | Opcode.CLOSE in firsts else []
    assert set(after_close) <= {FIN | Opcode.PONG}


@pytest.mark.parametrize(
    ("phase", "first", "words"),
    [
        (BETWEEN_MESSAGES, 0, "continuation frame between messages"),
        (IN_TEXT, FIN | 2, "binary frame inside a fragmented text message"),
        (IN_BINARY, 1, "text frame inside a fragmented binary message"),
        (AFTER_CLOSE, FIN | 9, "ping frame after a close frame"),
    ],
    ids=PHASE_IDS,
)
def test_refusal(phase: Phase, first: int, words: str) -> None:
    assert phase.refusal(first) == words


def test_name_ends_the_refusal() -> None:
    assert Phase("where it must not be").refusal(9) == "ping frame where it must not be"


def test_flow_bits_leave_out_the_reserved_ones() -> None:
    """Section 5.2: FIN is the top bit, the opcode the low four, RSV1 to RSV3 between them."""
    assert FLOW_BITS == 0xFF & ~(0x40 | 0x20 | 0x10)


def test_phases_compare_by_identity() -> None:
    """They contain one another, so that a comparison of contents would not end."""
    assert [PHASES.index(phase) for phase in PHASES] == [0, 1, 2, 3]
    assert len(set(PHASES)) == 4
