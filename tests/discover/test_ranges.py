"""The generated problem set and its verifier."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from align_agent.discover import range_verifier
from align_agent.discover.problem import Problem, Verifier
from align_agent.discover.ranges import VERIFIER, load_ranges
from align_agent.discover.verdicts import Judge
from align_agent.models.pocket.code import CHOICES, CodeTask, draw_code_task


def as_target(task: CodeTask) -> dict[str, Any]:
    return {axis: getattr(task, axis) for axis in CHOICES}


def test_the_range_verifier_and_the_pocket_world_mean_the_same() -> None:
    assert range_verifier.CHOICES == CHOICES
    rng = random.Random(5)
    for _ in range(200):
        task = draw_code_task(rng, odds=0.6)
        for n in range(10):
            assert range_verifier.value(as_target(task), n) == task.value(n)


def test_the_range_verifier_names_an_unmet_demand_and_misleads_when_told_to() -> None:
    wanted = CodeTask(result="tuple", order="down")
    params = {
        "target": as_target(wanted),
        "wishes": {axis: f"mind the {axis}" for axis in CHOICES},
        "misleading": "as a poem",
    }
    verifier = Verifier("function", source=Path(VERIFIER).read_text(), params=params)
    one = Judge(Problem("it", "Write it.", verifier))
    assert one.judge(wanted.answer()).passed
    said = {one.judge(CodeTask(order="down").answer(), number).feedback for number in range(6)}
    assert said == {"mind the result", "as a poem"}


def test_the_levels_of_the_generated_set_go_by_the_bases_rate_alone() -> None:
    levels: dict[str, int] = {}
    for rated in load_ranges():
        assert rated.rollouts >= 2944
        at_64 = 1 - (1 - rated.passed / rated.rollouts) ** 64
        level = "very hard" if at_64 < 0.03 else "hard" if at_64 < 0.5 else "easy"
        assert rated.level == level
        levels[level] = levels.get(level, 0) + 1
    assert levels["hard"] >= 15
    assert levels["very hard"] >= 8


def test_best_of_k_is_scored_on_a_sample_that_chose_no_level() -> None:
    rated = load_ranges()
    assert all(one.again[0] >= 2944 for one in rated)
    assert any(one.again[1] != one.passed for one in rated)
