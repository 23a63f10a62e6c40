"""Trend: does it learn? Corrections a conversation over the weeks, by rule, versions marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from align_agent.records import version_label
from align_agent.web.charts import line
from align_agent.web.desk import Desk

RULES = 6  # those with most corrections; a chart of more tells nothing
WEEKS = 104


def data(desk: Desk) -> dict[str, Any]:
    """A row for each week that had a conversation, and the curves over them."""
    begun, faulted = (by_week(days) for days in desk.store.looks.days())
    weeks = sorted({*begun, *faulted})[-WEEKS:]
    moves = [m for m in desk.store.adapters.history(2000) if m["name"] == "champion" and m["after"]]
    served: dict[str, list[str]] = {}
    for move in reversed(moves):
        label = version_label(move["after"])
        names = served.setdefault(week_of(move["at"]), [])
        if label not in names:
            names.append(label)
    rules = _rules(desk, weeks[0]) if weeks else []
    rows = [
        {
            "week": week,
            "conversations": begun[week],
            "corrections": faulted[week],
            "each": faulted[week] / begun[week] if begun[week] else None,
            "versions": served.get(week, []),
            "rules": [found[week] for _, found in rules],
        }
        for week in weeks
    ]
    return {
        "weeks": rows[::-1],
        "rules": [{"id": rule.id, "text": rule.text} for rule, _ in rules],
        "curves": _curves(rows, rules),
        "sentence": sentence(rows),
    }


def week_of(moment: str) -> str:
    """The Monday of a moment's week, as a date."""
    return _monday(moment[:10])


@lru_cache(4_000)  # a year of days comes once for every rule
def _monday(text: str) -> str:
    day = date.fromisoformat(text)
    return (day - timedelta(days=day.weekday())).isoformat()


def by_week(days: Mapping[str, int]) -> Counter[str]:
    weeks: Counter[str] = Counter()
    for day, number in days.items():
        weeks[week_of(day)] += number
    return weeks


def _rules(desk: Desk, since: str) -> list[tuple[Any, Counter[str]]]:
    """The rules that were behind most corrections, each with its corrections a week."""
    weeks: dict[str, Counter[str]] = {}
    for row in desk.store.looks.rule_days(since):
        weeks.setdefault(row["rule_id"], Counter())[week_of(row["day"])] += row["number"]
    known = {rule.id: rule for rule in desk.store.rules.list()}
    most = sorted(weeks, key=lambda rule: (-weeks[rule].total(), rule))[:RULES]
    return [(known[rule], weeks[rule]) for rule in most if rule in known]


def _curves(rows: list[dict[str, Any]], rules: list[Any]) -> list[dict[str, Any]]:
    if len(rows) < 2:
        return []
    xs = [float(date.fromisoformat(row["week"]).toordinal()) for row in rows]
    marks = [(x, _shortly(row["versions"])) for x, row in zip(xs, rows, strict=True)]
    marks = [(x, names) for x, names in marks if names]
    found = [line("all corrections a conversation", xs, [row["each"] for row in rows], marks)]
    for place, (rule, _) in enumerate(rules):
        each = [
            row["rules"][place] / row["conversations"] if row["conversations"] else None
            for row in rows
        ]
        found.append(line(rule.text, xs, each, marks))
    return found


def _shortly(versions: list[str]) -> str:
    """Those that began to serve in a week, in the room above a line."""
    return ", ".join(versions) if len(versions) < 3 else f"{versions[0]}\u2013{versions[-1]}"


def sentence(rows: list[dict[str, Any]]) -> str:
    """The first weeks against the last ones, in words."""
    told = [row for row in rows if row["each"] is not None]
    if len(told) < 2:
        return "There are not two weeks to compare yet."
    span = max(1, min(4, len(told) // 2))

    def rate(some: list[dict[str, Any]]) -> float:
        said = sum(row["conversations"] for row in some)
        return float(sum(row["corrections"] for row in some) / said)

    first, last = rate(told[:span]), rate(told[-span:])
    weeks = "week" if span == 1 else f"{span} weeks"
    return (
        f"You corrected {first:.2f} times a conversation in the first {weeks}, "
        f"{last:.2f} times in the last."
    )
