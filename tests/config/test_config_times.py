"""Cron expressions and windows."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.config import parse_window
from align_agent.config.times import always_outside, cron_complaint


@pytest.mark.parametrize(
    "expression",
    [
        "0 3 * * *",
        "0 3 29 2 *",
        "0 3 31 apr mon",
        "0 3 31 apr-may *",
        "*/15 1-5 * * mon-fri",
        "0 0 1,15 jan,jul *",
        "5/10 */2 * 1-6/2 SUN",
    ],
)
def test_ordinary_cron_expressions_are_accepted(expression):
    assert cron_complaint(expression) == ""


@pytest.mark.parametrize(
    "expression",
    ["", "@daily", "0 3 * * * *", "a 3 * * *", "0 24 * * *", "0 3 0 * *", "0 3 * 13 *",
     "0 3 * * 0", "0 3 * * funday", "-1 3 * * *", "1- 3 * * *", "*-3 3 * * *", "0,,1 3 * * *",
     "0 3 30 feb *", "0 3 31 2,4,jun *"],
)  # fmt: skip
def test_impossible_cron_expressions_are_refused(expression):
    assert cron_complaint(expression)


numbers = st.integers(0, 31).map(str)
parts = st.one_of(
    st.just("*"),
    numbers,
    st.tuples(numbers, numbers).map("-".join),
    st.integers(0, 12).map(lambda step: f"*/{step}"),
    st.sampled_from(["mon", "fri", "mon-fri", "jan", "feb-mar"]),
)
expressions = st.lists(parts, min_size=5, max_size=5).map(" ".join)


@given(expressions)
@settings(deadline=None)
def test_what_is_accepted_the_scheduler_understands(expression):
    cron = pytest.importorskip("apscheduler.triggers.cron")
    if cron_complaint(expression) == "":
        trigger = cron.CronTrigger.from_crontab(expression, timezone="UTC")
        if expression.endswith("*"):
            assert trigger.get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("01:00-07:00", (time(1), time(7))),
        (" 22:30 - 6:15 ", (time(22, 30), time(6, 15))),
        ("00:00-24:00", (time(0), time(0))),
    ],
)
def test_windows_are_read_as_two_times_of_day(text, ends):
    assert parse_window(text) == ends


@pytest.mark.parametrize("text", ["", "1-7", "01:00", "01:00-07:60", "25:00-07:00", "24:01-1:00"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(ValueError, match=r"must look|does not exist"):
        parse_window(text)


@pytest.mark.parametrize(
    "cron, window, outside",
    [
        ("0 3 * * *", "01:00-07:00", False),
        ("0 12 * * *", "22:00-02:00", True),
        ("30 */6 * * *", "06:30-06:31", False),
        ("0-10 5/9 * * *", "06:00-13:00", True),
        ("0 7 * * *", "01:00-07:00", True),
        ("0 12 * * *", "00:00-24:00", False),
    ],
)
def test_a_cron_expression_that_never_asks_within_the_window_is_told(cron, window, outside):
    assert bool(always_outside(cron, window)) == outside
