"""What a candidate must do better (the user's own turns) and must not unlearn (ability). Pure."""

from __future__ import annotations

from align_agent.gate import intervals
from align_agent.gate.bench import (
    Bench,
    between,
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
        f"met {one.checks_met} of {one.checks} rule checks {where(bench)}; the champion met "
        f"{two.checks_met}{points_between(found)}"
    )
    if found is not None and found.value > 0 and found.low <= min_gain:
        asked = f"more than {points(min_gain)}" if min_gain else "more than nothing"
        told += f", and the least of these must be {asked} (gate.min_gain)"
    values = {who: sheet.rule_share for who, sheet in bench.sheets}
    return measure(
        ("rules", "own", "wishes met"),
        values,
        "champion",
        len(one.met),
        found,
        (gain(found, min_gain), told, min_gain),
    )


def margin(bench: Bench) -> Measure:
    one, two = bench.candidate.margins, bench.champion.margins
    found = intervals.of_mean(differences(one, two))
    told = (
        f"the base shown your feedback prefers its answers {where(bench)} by {mean(one):+.3f} nats "
        f"a token, the champion's by {mean(two):+.3f}{between(found, '+.3f')}"
    )
    values = {who: mean(sheet.margins) for who, sheet in bench.sheets}
    return measure(
        ("margin", "own", "what the teacher thinks"),
        values,
        "champion",
        len(one),
        found,
        (gain(found, 0.0), told, 0.0),
    )


def wins(bench: Bench) -> Measure:
    found = intervals.of_mean([won - 0.5 for won in bench.won])
    share = mean(bench.won)
    told = (
        f"weighed by the base in both orders, its answers win {share:.0%} of "
        f"{len(bench.won)} comparisons with the champion's"
    )
    return measure(
        ("wins", "own", "won against the champion"),
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
        f"answered {sum(one.right)} of {len(one.right)} ability probes right; the base with your "
        f"rules in its prompt {sum(two.right)} of {len(two.right)}"
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
        ("correct", "ability", "probes right"),
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
    told = f"answered {sum(one)} of {len(one)} of your pinned prompts as you expect"
    if lost:
        told = f"it fails your pinned prompt {lost[0][:80]!r}, which the champion answers: {told}"
    values = {who: mean(sheet.pinned) for who, sheet in bench.sheets}
    return measure(
        ("pinned", "ability", "your pinned prompts"),
        values,
        "champion",
        len(one),
        None,
        ("unmeasured" if not one else "bad" if lost else "fine", told, None),
    )
