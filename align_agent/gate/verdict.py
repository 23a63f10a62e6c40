"""The verdict over a candidate, from measures alone. Pure: measures nothing and moves nothing.

Every reason is a plain sentence with its numbers, for a person who reads it in the morning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from align_agent.gate.bench import Bench, Thresholds
from align_agent.gate.measures import measure_all
from align_agent.gate.report import Judgement, Measure

COMPARISON = "for comparison, "  # begins a sentence that says nothing of the candidate
# Measures that are worth a sentence although they decided nothing.
_TOLD = ("correct", "pinned", "length", "secrets", "canaries", "giving_in", "kl")


def judge(bench: Bench, limits: Thresholds) -> Judgement:
    """Reject what gained nothing or did harm; promote the rest.

    A measure decides only if its interval does: what is beyond its limit, but may be so by
    chance, is told and decides nothing. A gate that could not measure rejects. In the mode
    "review" nothing is promoted without the user.
    """
    table = tuple(sheet.row() for _, sheet in bench.sheets)
    blind = _blind(bench)
    if blind:
        return Judgement("reject", (f"the gate could not run: {blind}",), table)
    measures = measure_all(bench, limits)
    gain = gained(measures)
    measures = _settled(measures, gain)
    sentences = _own(measures)
    rest = [measure for measure in measures if measure.gate != "own"]
    bad = [measure.sentence for measure in rest if measure.outcome == "bad"]
    told = [
        measure.sentence
        for measure in rest
        if measure.outcome == "unsure" or (measure.outcome == "fine" and measure.key in _TOLD)
    ]
    memory = _memory_sentence(bench)
    if not gain:
        # The first sentence is what a list of nights shows of it.
        first, *others = sentences
        reasons = (f"it did not gain: {first}", *bad, *others, *told, memory)
        return Judgement("reject", reasons, table, measures)
    if bad:
        return Judgement("reject", (*bad, *sentences, *told, memory), table, measures)
    if limits.mode == "review":
        ask = "config.yaml asks for your review before a promotion (gate.mode)"
        return Judgement("review", (*sentences, *told, memory, ask), table, measures)
    return Judgement("promote", (*sentences, *told, memory), table, measures)


def refused(reason: str) -> Judgement:
    """The verdict of a gate that failed before it had scores."""
    return Judgement("reject", (f"the gate could not run: {reason}",))


def gained(measures: Sequence[Measure]) -> bool:
    """Whether the candidate does better on the user's own turns.

    Checks come first: what they decide, no likelihood overrules.
    """
    said = {measure.key: measure.outcome for measure in measures if measure.gate == "own"}
    if said.get("rules") in ("good", "bad"):
        return said["rules"] == "good"
    return "good" in said.values() and "bad" not in said.values()


def _settled(measures: Sequence[Measure], gain: bool) -> tuple[Measure, ...]:
    """The measures with what was decided over all of the user's own turns.

    What a likelihood says against checks that were gained decides nothing; without any gain the
    first of them is what the candidate failed on.
    """
    settled: list[Measure] = []
    failed = any(measure.gate == "own" and measure.outcome == "bad" for measure in measures)
    for measure in measures:
        own = measure.gate == "own" and measure.outcome != "unmeasured"
        if own and gain and measure.outcome == "bad":
            measure = replace(measure, outcome="unsure")
        elif own and not gain and not failed:
            measure, failed = replace(measure, outcome="bad"), True
        settled.append(measure)
    return tuple(settled)


def _own(measures: Sequence[Measure]) -> list[str]:
    """What is known about the user's own turns, in sentences."""
    own = [measure for measure in measures if measure.gate == "own"]
    told = [measure.sentence for measure in own if measure.outcome != "unmeasured"]
    return told or ["there is too little to compare on"]


def _blind(bench: Bench) -> str:
    """Why nothing can be said, or the empty string."""
    candidate, champion, memory = bench.candidate, bench.champion, bench.memory
    if not candidate.right or not memory.right:
        return "there is no ability probe"
    if not candidate.answers or not champion.answers:
        return "there is no prompt to compare answers on"
    if any(
        (len(sheet.margins), len(sheet.met), len(sheet.right), len(sheet.pinned))
        != (len(candidate.margins), len(candidate.met), len(candidate.right), len(bench.pinned))
        for sheet in (champion, memory)
    ):
        return "champion and candidate were not asked the same"
    numbers = (
        *candidate.margins,
        *champion.margins,
        *candidate.sure,
        *candidate.entropy,
        *candidate.kl,
        *bench.won,
    )
    if not all(math.isfinite(number) for number in numbers):
        return "a score is not a number"
    return ""


def _memory_sentence(bench: Bench) -> str:
    memory = bench.memory
    if not memory.checks:
        margins = memory.margins
        margin = sum(margins) / len(margins) if margins else 0.0
        return f"{COMPARISON}teacher's preference for the base with your rules: {margin:+.3f}"
    return (
        f"{COMPARISON}the base with your rules in its prompt met {memory.checks_met} of "
        f"{memory.checks} rule checks"
    )
