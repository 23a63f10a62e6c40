"""The verdict over a candidate, from scores alone. Pure: measures nothing and moves nothing.

Every reason is a plain sentence with its numbers, for a person who reads it in the morning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from align_agent.gate.scores import Scores
from align_agent.records import Verdict

# How far the looks of the candidate's answers may move away from those of the base that is shown
# the same rules, before this counts as a collapse and not as a style.
MAX_LENGTH_RATIO = 4.0
MIN_DISTINCT_RATIO = 0.5
MAX_MORE_REPETITION = 0.15


class Thresholds(Protocol):
    """What `gate` in config.yaml says; shares between 0 and 1."""

    @property
    def mode(self) -> str: ...
    @property
    def max_correctness_loss(self) -> float: ...
    @property
    def min_gain(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """promote, review or reject; why; and the scores side by side, one row for each who."""

    verdict: Verdict
    reasons: tuple[str, ...]
    table: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "table": [dict(row) for row in self.table],
        }


def judge(
    base: Scores,
    champion: Scores,
    candidate: Scores,
    memory_baseline: Scores,
    thresholds: Thresholds,
) -> Judgement:
    """Reject what gained nothing, lost ability or collapsed; promote the rest.

    `memory_baseline` is the base with the user's rules in its prompt: what a memory of
    preferences would give without any training, and the yardstick for ability, because a brief
    answer is harder than one with steps. A gate that could not measure rejects. In the mode
    "review" nothing is promoted without the user.
    """
    table = tuple(s.row() for s in (base, champion, candidate, memory_baseline))
    blind = _blind(candidate, champion, memory_baseline)
    if blind:
        return Judgement("reject", (f"the gate could not run: {blind}",), table)
    bad: list[str] = []
    good: list[str] = []
    for failed, sentence in (
        _gain(champion, candidate, thresholds.min_gain),
        _ability(candidate, memory_baseline, thresholds.max_correctness_loss),
        *_collapse(candidate, memory_baseline),
    ):
        (bad if failed else good).append(sentence)
    good.append(_memory_sentence(candidate, memory_baseline))
    if bad:
        return Judgement("reject", (*bad, *good), table)
    if thresholds.mode == "review":
        ask = "config.yaml asks for your review before a promotion (gate.mode)"
        return Judgement("review", (*good, ask), table)
    return Judgement("promote", tuple(good), table)


def refused(reason: str) -> Judgement:
    """The verdict of a gate that failed before it had scores."""
    return Judgement("reject", (f"the gate could not run: {reason}",), ())


def _blind(candidate: Scores, champion: Scores, memory: Scores) -> str:
    """Why nothing can be said, or the empty string."""
    if not candidate.probes or not memory.probes:
        return "there is no ability probe"
    if not candidate.n_heldout or not champion.n_heldout:
        return "there is no prompt to compare answers on"
    if len(candidate.margins) != len(champion.margins):
        return "champion and candidate were not asked the same"
    numbers = (candidate.margin, champion.margin, candidate.length, memory.length)
    if not all(math.isfinite(number) for number in numbers):
        return "a score is not a number"
    return ""


def _gain(champion: Scores, candidate: Scores, min_gain: float) -> tuple[bool, str]:
    where = _where(candidate)
    met = f"met {candidate.checks_met} of {candidate.checks} rule checks {where}"
    checked = f"{met}; the champion met {champion.checks_met}"
    if champion.checks != candidate.checks:
        checked += f" of {champion.checks}"
    more = candidate.rule_share - champion.rule_share
    if candidate.checks and more > min_gain:
        return False, checked
    if candidate.checks and (more < 0 or not candidate.unchecked):
        return True, f"it did not gain: {checked}{_asked(min_gain)}"
    # What no program can check is weighed by the teacher: does it find the answers likelier?
    rise, noise = paired_rise(champion.margins, candidate.margins)
    weighed = (
        f"the base shown your feedback prefers its answers {where} by {candidate.margin:+.3f} nats "
        f"a token, the champion's by {champion.margin:+.3f} (noise {noise:.3f})"
    )
    both = f"{checked}; {weighed}" if candidate.checks else weighed
    if rise > noise:
        return False, both
    return True, f"it did not gain: {both}"


def paired_rise(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """Mean of the differences prompt by prompt, and its standard error; (0, inf) below two."""
    rises = [two - one for one, two in zip(before, after, strict=True)]
    if len(rises) < 2:
        return 0.0, math.inf
    mean = sum(rises) / len(rises)
    spread = sum((rise - mean) ** 2 for rise in rises) / (len(rises) - 1)
    return mean, math.sqrt(spread / len(rises))


def _where(scores: Scores) -> str:
    general = scores.n_heldout - scores.n_own
    if not general:
        return "on your own held-out prompts"
    if not scores.n_own:
        return "on general prompts (you have too few conversations to hold one out)"
    return f"on {scores.n_own} of your own held-out prompts and {general} general ones"


def _asked(min_gain: float) -> str:
    return f" (gate.min_gain asks for more than {_points(min_gain)})" if min_gain > 0 else ""


def _ability(candidate: Scores, memory: Scores, max_loss: float) -> tuple[bool, str]:
    loss = memory.correct - candidate.correct
    sentence = (
        f"answered {candidate.probes_right} of {candidate.probes} ability probes right; the base "
        f"with your rules in its prompt {memory.probes_right} of {memory.probes}"
    )
    # A share such as 0.95 - 0.93 is not exactly 0.02 in binary.
    if loss > max_loss + 1e-9:
        lost = f"it lost {_points(loss)} of correctness, {_points(max_loss)} are allowed"
        return True, f"{lost}: {sentence}"
    if not memory.probes_right:
        sentence += ", so these probes cannot show a loss of ability"
    return False, sentence


def _collapse(candidate: Scores, memory: Scores) -> list[tuple[bool, str]]:
    """Length, variety and repetition, each against the base with the rules in its prompt."""
    found: list[tuple[bool, str]] = []
    long, short = candidate.length, memory.length
    if short > 0 and not 1 / MAX_LENGTH_RATIO <= long / short <= MAX_LENGTH_RATIO:
        found.append(
            (True, f"its answers have {long:.0f} words on average, those of the base {short:.0f}")
        )
    if candidate.distinct < MIN_DISTINCT_RATIO * memory.distinct:
        share, other = f"{candidate.distinct:.0%}", f"{memory.distinct:.0%}"
        found.append(
            (True, f"its answers have grown alike: {share} of word pairs differ, base {other}")
        )
    if candidate.repetition > memory.repetition + MAX_MORE_REPETITION:
        share, other = f"{candidate.repetition:.0%}", f"{memory.repetition:.0%}"
        found.append((True, f"it repeats itself: {share} of its phrases, the base {other}"))
    if not found:
        found.append(
            (
                False,
                f"answers have {long:.0f} words on average, those of the base "
                f"with your rules {short:.0f}",
            )
        )
    return found


def _memory_sentence(candidate: Scores, memory: Scores) -> str:
    if not memory.checks:
        return f"the base with your rules in its prompt scores {memory.margin:+.3f} nats a token"
    return (
        f"for comparison, the base with your rules in its prompt met {memory.checks_met} of "
        f"{memory.checks} rule checks"
    )


def _points(share: float) -> str:
    value = 100 * share
    text = f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"
    return f"{text} point" if text == "1" else f"{text} points"
