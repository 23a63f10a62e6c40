"""Finished lives: what is computed from them, and that a run can be cut off and taken up again."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from personalization import results
from personalization.__main__ import wanted
from personalization.methods import METHODS
from personalization.users import KINDS

values = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("firsts", "sessions"),
    [("xxx", 0), ("...xxx", 3), ("xx.xxx", 3), ("xx.xx.", math.inf), ("", math.inf)],
)
def test_stable_is_before_the_first_three_in_a_row(firsts, sessions):
    assert results.sessions_until_stable([mark == "x" for mark in firsts]) == sessions


@given(st.lists(st.booleans(), max_size=20))
def test_what_follows_a_stable_run_does_not_change_it(firsts):
    before = results.sessions_until_stable(firsts)
    if math.isfinite(before):
        assert results.sessions_until_stable([*firsts, False, True]) == before


@given(values)
def test_an_interval_lies_within_the_values_and_holds_no_chance(found):
    low, high = results.interval(found)
    assert min(found) - 1e-9 <= low <= high <= max(found) + 1e-9
    assert (low, high) == results.interval(found)


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says():
    import random

    rng = random.Random(0)
    hits = 0
    for _ in range(100):
        low, high = results.interval([rng.gauss(0, 1) for _ in range(20)], draws=200)
        hits += low <= 0 <= high
    assert 85 <= hits <= 99


def test_never_stable_is_the_largest_value_of_a_median():
    assert results.median([4, math.inf, 4]) == 4
    assert math.isinf(results.median([4, math.inf, math.inf]))
    assert results.interval([4.0, 4.0, 4.0], results.median) == (4, 4)


def test_half_a_line_is_no_life_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "results.jsonl"
    row = {"protocol": 1, "user": "three", "method": "ours", "seed": 0}
    results.append(path, row)
    with path.open("a") as stream:
        stream.write(json.dumps(row | {"seed": 1})[:30])
    results.append(path, row | {"seed": 2})
    assert [life["seed"] for life in results.load(path, 1)] == [0, 2]


def test_lives_of_another_protocol_and_second_ones_of_a_cell_do_not_count(tmp_path):
    path = tmp_path / "results.jsonl"
    row = {"protocol": 1, "user": "three", "method": "ours", "seed": 0}
    for life in (row, row | {"note": "again"}, row | {"protocol": 2, "seed": 1}):
        results.append(path, life)
    assert results.load(path, 1) == [row]


def test_a_cut_leaves_whole_seeds():
    cells = wanted("three/*,one/none/*", "2-3")
    assert [str(c) for c in cells[:2]] == ["three/ours/2", "three/ours-live/2"]
    each = len(METHODS)
    assert [c.seed for c in cells[: 2 * each]] == [2] * each + [3] * each
    assert [str(c) for c in cells[2 * each :]] == ["one/none/2", "one/none/3"]


def test_five_seeds_of_every_user_come_before_more():
    cells = wanted("*/ours/*", "0-9")
    assert len(cells) == 10 * len(KINDS)
    assert {c.seed for c in cells[: len(cells) // 2]} == set(range(5))
    assert [c.user for c in cells[:6]] == ["three"] * 5 + ["flip"]
