"""The benchmark of live mode: what counts as gone, what as kept, and how seeds become a table."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from live import GONE, MOVED, STEPS, aims, pooled, tables
from live_cases import CASES, EXCLUDE, Case, correct, look
from live_taught import SAID, TAUGHT, _document, draw_small, small_problems

from align_agent.models.generation import Generation
from align_agent.models.pocket.code import CodeTask
from align_agent.models.pocket.styles import Style, write
from align_agent.models.pocket.world import Problem, ask_for, draw_problems, is_unseen
from align_agent.records import ToolCall

CHANCE = random.Random(0)


def said(text: str, *calls: ToolCall) -> Generation:
    return Generation(text, (), (), "stop", calls)


def test_n_still_shows_in_a_function_that_holds_it_and_either_way_it_is_right() -> None:
    case = Case("code", EXCLUDE, ("code",))
    task = CodeTask(keep="even")
    problem = ask_for(task, CHANCE)
    with_n, without = said(task.answer()), said(replace(task, end="without").answer())
    other = said(replace(task, keep="odd").answer())
    assert [case.shows(problem, one) for one in (with_n, without, other)] == [True, False, False]
    assert [case.right(problem, one) for one in (with_n, without, other)] == [True, True, False]
    assert all(p.task and p.task.end == "with" for p in case.tasks(20, "x"))


def test_a_style_shows_until_the_answer_meets_the_wish_and_other_looks_leave_that_axis_out() -> (
    None
):
    case = Case("plain", "format:plain")
    (problem,) = draw_problems("sum", 1, "x")
    bold = said(write(problem, Style(), CHANCE))
    plain = said(write(problem, Style(format="plain"), CHANCE))
    brief = said(write(problem, Style(format="plain", length="brief"), CHANCE))
    assert case.shows(problem, bold) and not case.shows(problem, plain)
    assert look(problem, bold, "format") == look(problem, plain, "format")
    assert look(problem, bold) != look(problem, plain)
    assert look(problem, plain, "format") != look(problem, brief, "format")


def test_a_denied_call_shows_while_the_calculator_is_called() -> None:
    case = Case("denied", "")
    problem = Problem("calculation", "What is 2 + 3?", answer=5, expression="2 + 3")
    called = said("", ToolCall("c", "calculator", {"expression": "2 + 3"}))
    wrongly = said("", ToolCall("c", "calculator", {"expression": "2 + 4"}))
    itself = said("2 + 3 = 5, so 5.")
    assert [case.shows(problem, one) for one in (called, itself)] == [True, False]
    assert [correct(problem, one) for one in (called, wrongly, itself)] == [True, False, True]
    assert look(problem, called) != look(problem, itself)


def test_the_taught_model_never_reads_what_the_person_says_and_asks() -> None:
    assert not {*SAID} & {*TAUGHT}
    asked = {p.question for p in small_problems(20, "own/0")}
    assert len(asked) == 20
    chance = random.Random(1)
    shown = {m.content for _ in range(300) for m in _document(chance).messages}
    assert not asked & shown
    assert any(not is_unseen(draw_small(chance)) for _ in range(9))


def cell(case: str, seed: int, left: float, **facts: Any) -> dict[str, Any]:
    """A cell of four answers: all show at first, a share of them in the end."""
    shows = [1.0] * round(4 * left) + [0.0] * round(4 * (1 - left))
    figures = {key: [1.0] * 4 for key in (*GONE, *MOVED)}
    figures |= {f"{key}_{n}": [1.0] * 4 for key in MOVED for n in (0, STEPS)}
    row = figures | {"shows_1": shows, "shows_2": shows, "seconds": [1.0, 2.0], "processor": [1.0]}
    return {"user": case, "seed": seed, **row, **facts}


def test_seeds_weigh_the_same_and_the_interval_holds_the_mean() -> None:
    mean, low, high = pooled([cell("a", 0, 0.0), cell("a", 1, 0.5)], "shows_2") or (0, 0, 0)
    assert mean == pytest.approx(0.25)
    assert low < mean < high
    assert pooled([cell("a", 0, 0.0, looks_2=[])], "looks_2") is None


def test_aims_are_met_only_if_nothing_is_left_over_and_the_slowest_step_is_in_time() -> None:
    name = "plain, no bold"
    met = {row[0]: row[-1] for row in aims([cell(name, 0, 0.0), cell(name, 1, 0.0)])}
    assert set(met.values()) == {True}
    late = cell(name, 1, 0.25, seconds=[1.0, 9.0], undone=[1.0, 0.0])
    missed = [row[-1] for row in aims([cell(name, 0, 0.0), late])]
    assert missed == [False, False, True, False]


def test_a_case_without_cells_has_no_row() -> None:
    text, figures = tables([cell(CASES[0].name, 0, 1.0)])
    assert list(figures) == [CASES[0].name]
    assert CASES[1].name not in text
