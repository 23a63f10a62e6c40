"""The generated problems in the pocket model's world, from easy to very hard. Reads one file.

What a question states is not all that its tests demand: the rest can only be learned from the
feedback. Levels go by the base's own rate, measured once (`benchmarks/solve_set.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from align_agent.discover.problem import Problem, Verifier

SET = Path(__file__).with_name("ranges.json")
VERIFIER = Path(__file__).with_name("range_verifier.py")


@dataclass(frozen=True, slots=True)
class Rated:
    """A problem with how often the base solved it: `passed` of `rollouts` answers. Its level was
    chosen by these; `again` counts (rollouts, passed) of a sample
    drawn afterwards, which chose nothing."""

    problem: Problem
    level: str
    say: str
    demands: int
    rollouts: int
    passed: int
    again: tuple[int, int]


def load_ranges(path: Path = SET) -> list[Rated]:
    """All problems of the generated set, in its order."""
    source = VERIFIER.read_text(encoding="utf-8")
    rated = []
    for row in json.loads(path.read_text(encoding="utf-8"))["problems"]:
        params = {"target": row["target"], "wishes": {}, "misleading": ""}
        if row["say"] != "tests":
            params["wishes"] = row["wishes"]
        if row["say"] == "noisy":
            params["misleading"] = row["misleading"]
        problem = Problem(
            row["name"],
            row["question"],
            Verifier("function", source=source, params=params),
            max_new_tokens=64,
        )
        counts = (row["demands"], row["rollouts"], row["passed"])
        again = (row["again"]["rollouts"], row["again"]["passed"])
        rated.append(Rated(problem, row["level"], row["say"], *counts, again))
    return rated
