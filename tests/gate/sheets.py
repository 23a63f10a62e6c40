"""Sheets of contestants as the gate's pure part sees them, built without any model."""

from __future__ import annotations

from dataclasses import replace

from align_agent.config import GateConfig
from align_agent.gate.bench import Bench
from align_agent.gate.scores import Sheet
from align_agent.records import Message

N, PROBES = 16, 100
WORDS = (
    "sum apple river stone paper cloud lamp chair window garden music winter bridge candle "
    "letter harbour"
).split()


def varied(n: int, shift: int = 0) -> tuple[str, ...]:
    """`n` answers of eight words, all different."""
    return tuple(
        " ".join(f"{WORDS[(i * 7 + j * (shift + 3)) % 16]}{i * 8 + j}" for j in range(8))
        for i in range(n)
    )


def sheet(who: str, met: int = 0, right: int = 95, **changes: object) -> Sheet:
    """Two checks on each of 16 prompts, 100 probes; `met` and `right` count."""
    plain = Sheet(
        who,
        asked=tuple((Message("user", f"question {i}"),) for i in range(N)),
        answers=varied(N),
        met=tuple(min(2, max(0, met - 2 * i)) / 2 for i in range(N)),
        checks_met=met,
        checks=2 * N,
        margins=(0.0,) * N,
        questions=tuple((Message("user", f"probe {i}"),) for i in range(PROBES)),
        replies=varied(PROBES, 1),
        right=tuple(i < right for i in range(PROBES)),
        sure=(0.95,) * PROBES,
        held=tuple((i, True) for i in range(20)),
        finished=(True,) * (N + PROBES),
        entropy=(0.2,) * 40,
        kl=(0.3,) * 40,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def bench(candidate: Sheet, **changes: object) -> Bench:
    plain = Bench(
        base=sheet("base"),
        champion=sheet("champion", met=4),
        candidate=candidate,
        memory=sheet("base with your rules", met=30),
        won=(0.5,) * N,
        n_own=N,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def limits(**changes: object) -> GateConfig:
    return replace(GateConfig(), **changes)  # type: ignore[arg-type]
