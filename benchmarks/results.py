"""What a run found out, and its JSON. Knows numbers, not how they came about or how they are shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .candidates import OURS


@dataclass(frozen=True)
class Timing:
    """Nanoseconds a message: the best of many rounds, and their median."""

    workload: str
    title: str
    candidate: str
    best: float
    median: float
    bytes_each: int
    """Payload bytes of a message."""
    size: int = 0
    """In a sweep, what was varied."""

    @property
    def spread(self) -> float:
        """How far the median lies above the best, as a fraction of it."""
        return self.median / self.best - 1


@dataclass
class Results:
    """All of a run. A part that was not run is empty."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    rounds: int = 0
    core: list[Timing] = field(default_factory=list)
    sweeps: dict[str, list[Timing]] = field(default_factory=dict)
    """By name of the sweep."""
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    """Bytes an open connection, by candidate, then by end."""
    facts: dict[str, float] = field(default_factory=dict)
    end_to_end: list[dict[str, Any]] = field(default_factory=list)

    def timing(self, workload: str, candidate: str = OURS) -> Timing | None:
        """Look a timing of the core table up."""
        for timing in self.core:
            if (timing.workload, timing.candidate) == (workload, candidate):
                return timing
        return None

    def ratio(self, workload: str, candidate: str) -> float | None:
        """Return how many times our cost `candidate` needs, None where one of both is missing."""
        ours, other = self.timing(workload), self.timing(workload, candidate)
        return other.best / ours.best if ours and other else None

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        found["core"] = [Timing(**timing) for timing in found["core"]]
        found["sweeps"] = {name: [Timing(**timing) for timing in sweep] for name, sweep in found["sweeps"].items()}
        return cls(**found)
