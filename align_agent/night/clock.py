"""What is left of a night's time, so that it ends within `distill.max_minutes` through the gate.

Every phase before the gate may use the time up to its own share of the whole; what one leaves over,
the next one has. The gate's share is kept for it: from the seconds that an answer took this night,
where that is known.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MINUTE = 60.0
SPENT = "seconds_spent"  # in the run's row: what earlier processes spent on its finished phases

# Of the time before the gate: when each phase must be over, as a share.
_OVER = {
    "detect": 0.1,
    "gap": 0.15,
    "preflight": 0.2,
    "taught": 0.25,
    "draft": 0.45,
    "rollouts": 0.7,
    "train": 1.0,
}
# For the gate, while nothing is known, and the least and the most that is kept for it.
_GATE, _LEAST, _MOST = 0.2, 0.05, 0.5


def deadline(phase: str, minutes: float, gate_seconds: float | None = None) -> float:
    """Seconds after the night's beginning when the phase must be over."""
    whole = minutes * MINUTE
    gate = _GATE * whole if gate_seconds is None else gate_seconds
    return _OVER[phase] * (whole - min(max(gate, _LEAST * whole), _MOST * whole))


def gate_time(answers: int, seconds_each: float) -> float:
    """Seconds for the gate's answers, and a quarter more: it also weighs and compares."""
    return 1.25 * answers * seconds_each


@dataclass(slots=True)
class Clock:
    """The time of one night. `before` are the seconds that earlier processes spent on it."""

    minutes: float
    before: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    gate_seconds: float | None = None

    @property
    def spent(self) -> float:
        """Seconds since the night began."""
        return self.before + time.monotonic() - self.begun

    def expect_gate(self, answers: int, seconds_each: float) -> None:
        """Keep so much time for the gate, from what is known by now."""
        self.gate_seconds = gate_time(answers, seconds_each)

    def left(self, phase: str) -> float:
        """Seconds until the phase must be over; 0 when its time is up."""
        return max(0.0, deadline(phase, self.minutes, self.gate_seconds) - self.spent)
