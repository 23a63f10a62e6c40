"""What a candidate must do better (the user's own turns) and must not unlearn (ability). Pure."""

from __future__ import annotations

from align_agent.gate import intervals
from align_agent.gate.bench import (
    Bench,
    differences,
    gain,
    measure,
    not_below,
    points,
    points_between,
    where,
)
from align_agent.gate.intervals import mean
from align_agent.gate.report import Measure

# The user's own turns


def rules(bench: Bench, min_gain: float) -> Measure:
    one, two = bench.candidate, bench.champion
    found = intervals.of_mean(differences(one.met, two.met))
    told = (
        f"it met {one.checks_met} of {one.checks} rule checks {where(bench)}; the version before "
        f"met {two.checks_met}{points_between(found)}"
    )
    if found is not None and found.value > 0 and found.low <= min_gain:
        asked = f"more than {points(min_gain)}" if min_gain else "more than nothing"
        told += f", and the least of these must be {asked} (gate.min_gain)"
    values = {who: sheet.rule_share for who, sheet in bench.sheets}
    return measure(
        ("rules", "own"),
        values,
        "champion",
        len(one.met),
        found,
        (gain(found, min_gain), told, min_gain),
    )


def margin(bench: Bench) -> Measure:
    one, two = bench.candidate.margins, bench.champion.margins
    found = intervals.of_mean(differences(one, two))
    outcome = gain(found, 0.0)
    likes = {"good": "better than", "bad": "less than"}.get(outcome, "no surely better than")
    whose = "the problem's" if bench.problem else "your"
    told = (
        f"the base, once shown {whose} feedback, likes the new version's answers {where(bench)} "
        f"{likes} those of the version before"
    )
    values = {who: mean(sheet.margins) for who, sheet in bench.sheets}
    return measure(
        ("margin", "own"),
        values,
        "champion",
        len(one),
        found,
        (outcome, told, 0.0),
    )


def wins(bench: Bench) -> Measure:
    found = intervals.of_mean([won - 0.5 for won in bench.won])
    share = mean(bench.won)
    told = (
        f"of {len(bench.won)} pairs of answers, weighed by the base in both orders, the new "
        f"version won {share:.0%} against the version before"
    )
    return measure(
        ("wins", "own"),
        {"candidate": share},
        "champion",
        len(bench.won),
        found,
        (gain(found, 0.0), told, 0.0),
    )


# Ability


def correct(bench: Bench, limit: float) -> Measure:
    one, two = bench.candidate, bench.memory
    found = intervals.of_mean(differences(one.right, two.right))
    told = (
        f"it answered {sum(one.right)} of {len(one.right)} ability probes (questions with a known "
        f"answer) right; the base with your rules in its prompt {sum(two.right)} of "
        f"{len(two.right)}"
    )
    outcome = not_below(found, -limit)
    if outcome == "bad" and found is not None:
        lost = f"it lost {points(-found.value)} of correctness"
        told = f"{lost}, {points(limit)} are allowed{points_between(found)}: {told}"
    elif outcome == "unsure":
        told += f" (too few to be sure that more than {points(limit)} are lost)"
    elif not any(two.right):
        told += ", so these probes cannot show a loss of ability"
    values = {who: sheet.correct for who, sheet in bench.sheets}
    return measure(
        ("correct", "ability"),
        values,
        "memory",
        len(one.right),
        found,
        (outcome, told, -limit),
    )


def pinned(bench: Bench) -> Measure:
    """The user's own prompts are facts, not a sample: one that is answered worse decides."""
    one, two = bench.candidate.pinned, bench.champion.pinned
    lost = [
        text for text, now, before in zip(bench.pinned, one, two, strict=True) if before and not now
    ]
    told = f"it answered {sum(one)} of {len(one)} of your pinned prompts as you expect"
    if lost:
        asked = f"{lost[0][:80]!r}"
        told = f"it fails your pinned prompt {asked}, which the version before answers: {told}"
    values = {who: mean(sheet.pinned) for who, sheet in bench.sheets}
    return measure(
        ("pinned", "ability"),
        values,
        "champion",
        len(one),
        None,
        ("unmeasured" if not one else "bad" if lost else "fine", told, None),
    )
