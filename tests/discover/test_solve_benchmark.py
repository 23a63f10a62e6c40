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


def row_of(problem: str, method: str, first: int | None, **changes: object) -> str:
    one = next(one for one in load_ranges() if one.problem.name == problem)
    row = {"problem": problem, "method": method, "seed": 0, "first": first, "budget": 128}
    row |= {"base": "b", "protocol": solve.protocol_of(one.problem, method)}  # type: ignore[arg-type]
    return json.dumps(row | changes) + "\n"


def test_cells_of_another_base_or_protocol_are_not_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cells.jsonl"
    path.write_text(
        row_of("hard-01", "auto", 3)
        + row_of("hard-01", "sdpo", 4, base="other")
        + row_of("hard-02", "auto", 5, protocol="other")
        + '{"problem": "hard-03", "method": "auto", "seed": 0, "first": 6, "budget": 128}\n'
        + row_of("hard-04", "auto", 7, budget=64)
    )
    assert solve.load_cells(load_ranges(), "b", 128, path) == {("hard-01", "auto", 0): 3}
    assert "3 cells of another base or protocol" in capsys.readouterr().err
    path.write_text(row_of("hard-01", "auto", 3))
    solve.load_cells(load_ranges(), "b", 128, path)
    assert not capsys.readouterr().err


def test_only_what_is_not_on_file_is_run() -> None:
    rated = load_ranges()
    every = solve.missing(rated, {}, 2)
    assert len(every) == 2 * len(solve.METHODS) * sum(
        solve.part_of(r) in solve.PARTS for r in rated
    )
    (one, method, seed), *rest = every
    assert solve.missing(rated, {(one.problem.name, method, seed): 3}, 2) == rest
    few = solve.missing(rated, {}, 1, [solve.MANY], ["auto"])
    assert {one.problem.name[:4] for one, *_ in few} == {"many"}
    assert {method for _, method, _ in few} == {"auto"}


def test_a_protocol_tells_problems_and_methods_apart() -> None:
    one, two = (rated.problem for rated in load_ranges()[:2])
    found = {solve.protocol_of(one, method) for method in ("auto", "sdpo", "multi-turn")}
    assert len(found) == 3
    assert solve.protocol_of(one, "auto") != solve.protocol_of(two, "auto")


def test_the_protocol_of_the_cells_on_file_is_that_of_the_code() -> None:
    problems = {rated.problem.name: rated.problem for rated in load_ranges()}
    rows = [json.loads(line) for line in solve.CELLS.read_text().splitlines()]
    assert rows
    for row in rows:
        assert row["protocol"] == solve.protocol_of(problems[row["problem"]], row["method"])


def test_the_aims_are_met_by_figures_alone() -> None:
    rated = [one for one in load_ranges() if solve.part_of(one) in solve.PARTS]
    names = [one.problem.name for one in rated]
    cells = {(name, "sdpo", 0): 10 for name in names} | {(name, "auto", 0): 2 for name in names}
    judged = {aim: met for aim, _, met in solve.aims(rated, cells, 128, 1)}
    assert len(judged) == 7
    assert all(judged.values())
    cells |= {(name, "auto", 0): 30 for name in names if name.startswith("many")}
    cells |= {(name, "sdpo", 0): None for name in names if name.startswith("very")}
    missed = {aim: told for aim, told, met in solve.aims(rated, cells, 128, 1) if not met}
    assert {aim.partition(":")[0] for aim in missed} == {"very hard", solve.MANY}
    assert "widest at 10" in missed[f"{solve.MANY}: auto nowhere behind another, intervals apart"]


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
