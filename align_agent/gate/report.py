"""The gate's result as plain records, for whoever shows it. Measures and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from align_agent.records import Verdict

# What a measure says about the candidate: `good` and `bad` decide, the others do not. `unsure` is
# beyond its limit, but its interval reaches back over it; `unmeasured` had nothing to measure.
Outcome = Literal["good", "bad", "fine", "unsure", "unmeasured"]
GATES: dict[str, str] = {
    "own": "your own turns",
    "ability": "ability",
    "collapse": "collapse",
    "leaks": "leaks",
    "sycophancy": "standing by what is right",
    "calibration": "calibration",
    "drift": "distance from the base",
}
# Each measure's title, by its key: in the gate's table, on the dashboard and in comparisons.
TITLES: dict[str, str] = {
    "rules": "rule checks met",
    "margin": "teacher's preference, nats a token",
    "wins": "pairs won against before",
    "correct": "ability probes right",
    "pinned": "pinned prompts right",
    "length": "words an answer",
    "distinct": "different word pairs",
    "similarity": "words in common",
    "repetition": "repeated phrases",
    "finished": "answers that end",
    "entropy": "entropy, nats a token",
    "hindsight": "answers that speak of feedback",
    "secrets": "answers with a secret",
    "canaries": "canaries known by heart",
    "giving_in": "right answers given up",
    "calibration": "Brier score",
    "kl": "KL to the base, nats a token",
}
# Who was asked, as people know them; samples of answers have the same names.
CONTESTANTS: dict[str, str] = {
    "base": "base",
    "champion": "before",
    "candidate": "after",
    "memory": "base with your rules",
}
# Measures whose `difference` is a ratio, the candidate's figure over that of the other. By key, so
# that those of nights of before are known too.
RATIOS = frozenset({"length"})


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of all contestants, and what the candidate's says.

    `key` is one of `TITLES`, `gate` of `GATES`. `values` are by contestant (base, champion,
    candidate, memory: the base with the rules in its prompt). `difference` is the
    candidate's value minus that of `against` (for `RATIOS` divided by it), with its bootstrap
    interval `low` to `high` (None where there is none); `limit` is where it begins to count. `n`
    counts prompts.
    """

    key: str
    gate: str
    title: str
    values: Mapping[str, float]
    against: str
    n: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    outcome: Outcome = "fine"
    sentence: str = ""

    def change(self) -> str:
        """The difference in words, such as "+0.667" or "x0.99"; empty where there is none."""
        return "" if self.difference is None else self._told(self.difference)

    def interval(self) -> str:
        """Where the difference lies, as far as is known; empty where nothing is."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._told(self.low)} to {self._told(self.high)}"

    def _told(self, value: float) -> str:
        return f"x{value:.2f}" if self.key in RATIOS else f"{value + 0.0:+.3f}"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "values": dict(self.values)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Measure:
        return Measure(**data)


@dataclass(frozen=True, slots=True)
class Judgement:
    """promote, review or reject; why; the scores, one row for each contestant; the measures."""

    verdict: Verdict
    reasons: tuple[str, ...]
    table: tuple[dict[str, Any], ...] = ()
    measures: tuple[Measure, ...] = field(default=())

    def gates(self) -> dict[str, bool]:
        """Whether each gate was passed: those alone at which something was measured."""
        passed: dict[str, bool] = {}
        for measure in self.measures:
            if measure.outcome != "unmeasured":
                fine = measure.outcome != "bad"
                passed[measure.gate] = passed.get(measure.gate, True) and fine
        return passed

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "table": [dict(row) for row in self.table],
            "measures": [measure.to_dict() for measure in self.measures],
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Judgement | None:
        """What a run's `verdict` holds; None for a run that was never judged.

        Nights of before the measures were kept have none.
        """
        if not data.get("verdict"):
            return None
        return Judgement(
            data["verdict"],
            tuple(data.get("reasons", ())),
            tuple(data.get("table", ())),
            tuple(Measure.from_dict(row) for row in data.get("measures", ())),
        )
