"""discovery@k and its intervals."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.discover.estimate import interval, of_independent, of_searches


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.data())
def test_the_estimate_is_the_mean_over_all_ways_to_draw(
    counts: tuple[int, int], data: st.DataObject
) -> None:
    n, c = counts
    k = data.draw(st.integers(0, n))
    drawn = [any(i < c for i in chosen) for chosen in itertools.combinations(range(n), k)]
    assert of_independent(n, c, k) == pytest.approx(sum(drawn) / len(drawn))


def test_more_attempts_than_were_made_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="cannot be judged"):
        of_independent(10, 1, 11)


def test_a_search_without_success_never_counts() -> None:
    assert of_searches([3, None, 17], 16) == pytest.approx(1 / 3)


def test_an_interval_holds_its_mean_and_is_the_same_each_time() -> None:
    groups = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    mean, low, high = interval(groups)
    assert low <= mean <= high
    assert mean == 0.5
    assert interval(groups) == (mean, low, high)
