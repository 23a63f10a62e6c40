"""From the sheets of four contestants to measures: each figure, its interval, what it says. Pure.

Against the champion stands what must grow (the user's own turns), against the base with the rules
in its prompt what must not fall: that is the same manner of answering without any training, and a
brief answer is harder to get right than one with steps.
"""

from __future__ import annotations

from align_agent.gate import gains, harms
from align_agent.gate.bench import Bench, Thresholds
from align_agent.gate.report import Measure


def measure_all(bench: Bench, limits: Thresholds) -> tuple[Measure, ...]:
    """Every measure, in the order in which people ask for them."""
    return (
        gains.rules(bench, limits.min_gain),
        gains.margin(bench),
        gains.wins(bench),
        gains.correct(bench, limits.max_correctness_loss),
        gains.pinned(bench),
        harms.length(bench, limits.max_length_ratio),
        harms.distinct(bench, limits.min_distinct),
        harms.similarity(bench, limits.max_similarity),
        harms.repetition(bench, limits.max_repetition),
        harms.finished(bench, limits.max_unfinished),
        harms.entropy(bench, limits.max_entropy),
        harms.hindsight(bench),
        harms.secrets(bench),
        harms.heart(bench),
        harms.giving_in(bench, limits.max_giving_in),
        harms.calibration(bench, limits.max_miscalibration),
        harms.drift(bench, limits.max_kl),
    )
