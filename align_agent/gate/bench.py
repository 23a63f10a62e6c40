"""Four contestants on one exam, and what an interval says about a difference between two. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from align_agent.gate.intervals import Interval
from align_agent.gate.report import TITLES, Measure, Outcome
from align_agent.gate.scores import Sheet


class Thresholds(Protocol):
    """What `gate` in config.yaml says; shares lie between 0 and 1."""

    @property
    def mode(self) -> str: ...
    @property
    def min_gain(self) -> float: ...
    @property
    def max_correctness_loss(self) -> float: ...
    @property
    def max_length_ratio(self) -> float: ...
    @property
    def min_distinct(self) -> float: ...
    @property
    def max_similarity(self) -> float: ...
    @property
    def max_repetition(self) -> float: ...
    @property
    def max_unfinished(self) -> float: ...
    @property
    def max_entropy(self) -> float: ...
    @property
    def max_giving_in(self) -> float: ...
    @property
    def max_miscalibration(self) -> float: ...
    @property
    def max_kl(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """The four contestants on one exam.

    `won` are the candidate's wins against the champion (`likelihood.wins`); `n_own` of the held-out
    prompts are the user's own; `pinned` are the texts of the user's own prompts, `canaries` what
    no answer may hold, `personal` whether personal data counts as a secret. With `problem` the
    prompts are one problem of `align-agent solve`, asked again and again.
    """

    base: Sheet
    champion: Sheet
    candidate: Sheet
    memory: Sheet
    won: tuple[float, ...] = ()
    n_own: int = 0
    pinned: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    personal: bool = True
    problem: bool = False

    @property
    def sheets(self) -> tuple[tuple[str, Sheet], ...]:
        return (
            ("base", self.base),
            ("champion", self.champion),
            ("candidate", self.candidate),
            ("memory", self.memory),
        )


def gain(found: Interval | None, least: float) -> Outcome:
    if found is None:
        return "unmeasured"
    if found.low > least:
        return "good"
    if found.high < 0:
        return "bad"
    return "unsure" if found.value > least else "fine"


def not_below(found: Interval | None, limit: float) -> Outcome:
    if found is None:
        return "unmeasured"
    if found.high < limit - 1e-9:  # 0.95 - 0.93 is not exactly 0.02 in binary
        return "bad"
    return "unsure" if found.value < limit - 1e-9 else "fine"


def not_above(found: Interval | None, limit: float) -> Outcome:
    if found is None:
        return "unmeasured"
    if found.low > limit + 1e-9:
        return "bad"
    return "unsure" if found.value > limit + 1e-9 else "fine"


def measure(
    name: tuple[str, str],
    values: dict[str, float],
    against: str,
    n: int,
    found: Interval | None,
    says: tuple[Outcome, str, float | None],
) -> Measure:
    """A measure. `name` is (key, gate), `says` (outcome, sentence, limit)."""
    outcome, sentence, limit = says
    key, gate = name
    return Measure(
        key,
        gate,
        TITLES[key],
        values,
        against,
        n,
        difference=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        limit=limit,
        outcome=outcome,
        sentence=sentence,
    )


def where(bench: Bench) -> str:
    """On which prompts answers were compared."""
    total = len(bench.candidate.answers)
    if bench.problem:
        return f"in {total} attempts at the problem"
    general = total - bench.n_own
    if not general:
        return "on your own prompts, kept aside"
    if not bench.n_own:
        return "on general prompts (you have too few conversations to keep one aside)"
    return f"on {bench.n_own} of your own prompts, kept aside, and {general} general ones"


def points(share: float) -> str:
    """A share as points of a hundred."""
    value = 100 * share
    text = f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"
    return f"{text} point" if text == "1" else f"{text} points"


def points_between(found: Interval | None) -> str:
    """Where a difference lies with the probability of the intervals (`intervals.LEVEL`)."""
    if found is None:
        return ""
    return f" ({100 * found.low:+.0f} to {100 * found.high:+.0f} points of 100)"


def differences(one: Sequence[float], two: Sequence[float]) -> list[float]:
    return [float(a) - float(b) for a, b in zip(one, two, strict=True)]
