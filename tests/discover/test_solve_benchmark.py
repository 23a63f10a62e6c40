"""The benchmarks of a search: what they show of the cells on file, and the card's path on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import solve

from align_agent.discover.methods import WINDOW
from align_agent.discover.ranges import load_ranges

ROOT = Path(__file__).parents[2]


def test_problems_with_more_demands_than_the_window_are_a_part_of_their_own() -> None:
    parts = {part: [r for r in load_ranges() if solve.part_of(r) == part] for part in solve.PARTS}
    assert all(one.demands > WINDOW for one in parts[solve.MANY])
    assert {one.say for one in parts[solve.MANY]} == set(solve.SAID)
    assert all(one.demands <= WINDOW for one in (*parts["hard"], *parts["very hard"]))


def test_the_tables_tell_methods_apart_by_part_and_by_kind_of_feedback() -> None:
    rated = load_ranges()
    words = [one for one in rated if one.say == "words" and one.level == "hard"]
    cells = {(one.problem.name, "auto", 0): 3 for one in words}
    cells |= {(one.problem.name, "multi-turn", 0): None for one in words}
    lines, figures = solve.curves(rated, cells, 128, 1)
    assert figures["hard auto"]["discovery"]["4"][0] == 1  # type: ignore[index]
    assert figures["hard multi-turn"]["needed"] is None  # type: ignore[index]
    assert any(line.startswith("### Hard") for line in lines)
    _, by_kind = solve.by_feedback(rated, cells, 128, 1)
    assert by_kind["words auto"] == {"solved": 1.0, "median": 3}
    assert by_kind["words multi-turn"] == {"solved": 0.0, "median": 129}
    assert "tests auto" not in by_kind


@pytest.mark.long
def test_the_cards_benchmark_runs_with_small_dimensions_on_a_cpu() -> None:
    script = ROOT / "benchmarks" / "solve_gpu.py"
    done = subprocess.run(
        [sys.executable, str(script), "--tiny", "--shape", "4b", "--batch", "2"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{script.parent}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["figures"]["4b_2_tokens_s"] > 0
    assert found["figures"]["4b_2_step_s"] > found["figures"]["4b_2_teacher_s"] > 0
