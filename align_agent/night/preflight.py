"""The third phase of a night: is there anything to learn? How far champion and teacher are apart,
and which of them keeps the user's rules better.

Trains nothing. Where time is short, fewer turns are compared, and the rules are not asked about.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.distill.select import Candidate
from align_agent.errors import ModelError
from align_agent.feedback.checks import run_check
from align_agent.night import exam, plan
from align_agent.night.context import End, Night
from align_agent.prompts import with_hindsight
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.distill.pairs import Pair
    from align_agent.gate.paper import HeldOut

# The mean gap below which the teacher has nothing to say that the champion does not say already,
# as a share of the gap that makes a single follow-up a correction (feedback.gap_threshold).
MIN_GAP_SHARE = 0.1
# Prompts on which teacher and champion are compared before any training.
PREFLIGHT_PROMPTS = 32
SAMPLE = 64  # turns that are compared at once, however little time there is


def preflight(night: Night) -> dict[str, Any] | End:
    """Is there anything to learn? The gap between champion and teacher, and who obeys better."""
    version, path = night.champion()
    night.update(parent=version)
    candidates = night.chosen().train
    night.progress.phase("preflight", len(candidates))
    pairs, dropped = _pairs(night, candidates)
    night.store.runs.add_turns(night.run.id, [(i, "skip", why) for i, why in dropped])
    if not pairs:
        return End("skipped", f"nothing to learn: no turn fits this model ({dropped[0][1]})")
    gap = _gap(night, list(pairs.values()), path)
    night.progress.step(len(candidates))
    floor = MIN_GAP_SHARE * night.config.feedback.gap_threshold
    label = version_label(version)
    if not math.isfinite(gap):
        raise ModelError(
            "the model's output is not a number",
            hint="check the model's files, or set model.dtype to float32",
        )
    if gap < floor:
        return End(
            "skipped",
            f"nothing to learn: shown your wishes, the base answers as {label} does already "
            f"(the gap is {gap:.4f}, at least {floor:.4f} is asked for)",
        )
    told, met, total, ahead = _obedience(night, [c for c in candidates if c.turn.id in pairs])
    open_wishes = any(
        c.shown.taught or (c.shown.follow_up and not night.wishes.violates(c.turn))
        for c in candidates
        if c.turn.id in pairs
    )
    if total and not ahead and not open_wishes and not night.retired():
        return End(
            "skipped",
            f"nothing to learn: shown your rules, the base meets {told} of {total} rule checks on "
            f"your prompts and no rule more often; what serves now ({label}) meets {met}",
        )
    night.store.runs.add_metric(
        night.run.id, 0, preflight_gap=gap, teacher_checks=told, champion_checks=met
    )
    return {
        "gap": gap,
        "checks": total,
        "teacher_met": told,
        "champion_met": met,
        "dropped": [turn_id for turn_id, _ in dropped],
    }


def _gap(night: Night, pairs: list[Pair], champion: Path | None) -> float:
    """The mean divergence of champion and teacher: over all pairs, or, where time is short, over as
    many as it allows, drawn by the seed."""
    from align_agent.distill.gap import divergences

    order = list(range(len(pairs)))
    if len(pairs) > SAMPLE:
        random.Random(night.run.seed).shuffle(order)
    found: list[float] = []
    for start in range(0, len(order), SAMPLE):
        some = [pairs[i] for i in order[start : start + SAMPLE]]
        found += divergences(night.model(), some, champion)
        night.progress.step(len(found))
        if not night.clock.left("gap"):
            break
    if len(found) < len(pairs):
        night.progress.say(f"time for {len(found)} of {len(pairs)} turns to be compared")
    return sum(found) / len(found)


def _pairs(
    night: Night, candidates: list[Candidate]
) -> tuple[dict[str, Pair], list[tuple[str, str]]]:
    """The turns that this model can learn from, and (turn id, reason) of the others."""
    from align_agent.distill.gradient import NOTHING_LEFT, TOO_LONG, longest_turn, too_long
    from align_agent.distill.pairs import pair_of

    pairs: dict[str, Pair] = {}
    dropped: list[tuple[str, str]] = []
    settings = night.config.distill
    longest = longest_turn(night.model(), settings)
    for candidate in candidates:
        try:
            pair = pair_of(
                night.model(),
                plan.lesson_of(candidate, night.wishes, night.config),
                skip_first=settings.mask_first_tokens,
                reasoning=settings.reasoning,
            )
        except ModelError as error:
            dropped.append((candidate.turn.id, error.message))
            continue
        if pair is None:
            dropped.append((candidate.turn.id, NOTHING_LEFT))
        elif too_long(pair, longest):
            tokens = max(len(pair.student_ids), len(pair.teacher_ids))
            why = f"{TOO_LONG}: {tokens} tokens, and there is room for {longest}"
            dropped.append((candidate.turn.id, why))
        else:
            pairs[candidate.turn.id] = pair
    return pairs, dropped


def _obedience(night: Night, candidates: list[Candidate]) -> tuple[int, int, int, bool]:
    """(checks that the teacher meets, that the champion meets, all, whether the teacher meets any
    one rule more often) on the turns' own prompts.

    Rule by rule: where the champion keeps one rule and misses another, the sums may be the same.
    """
    from align_agent.gate.paper import Exam
    from align_agent.gate.scores import ask
    from align_agent.models.generation import Sampling

    items = [exam.heldout_of(night, candidate) for candidate in candidates]
    asked = [item for item in items if item is not None and item.checks][:PREFLIGHT_PROMPTS]
    if not asked:
        return 0, 0, 0, False
    told = [replace(item, prompt=with_hindsight(item.prompt, item.hindsight)) for item in asked]
    settings = night.config.model
    sampling = Sampling(
        night.max_new_tokens(), settings.temperature, settings.top_p, seed=night.run.seed
    )
    conditions = Exam(asked, (), sampling)
    _, path = night.champion()
    model = night.model()
    cut = False

    def over() -> bool:
        nonlocal cut
        cut = cut or not night.clock.left("preflight")
        return cut

    shown = ask(model, None, told, conditions, over=over)
    plain = ask(model, path, asked, conditions, over=over)
    if cut:
        night.progress.say("no time to ask whether the teacher keeps your rules better")
        return 0, 0, 0, False
    teacher = rules_kept(asked, [one.text for one in shown])
    champion = rules_kept(asked, [one.text for one in plain])
    total = sum(len(item.checks) for item in asked)
    return teacher.total(), champion.total(), total, is_ahead(teacher, champion)


def is_ahead(teacher: Counter[str], champion: Counter[str]) -> bool:
    """Whether the teacher keeps any one rule more often, whatever the sums are."""
    return any(teacher[rule] > champion[rule] for rule in teacher)


def rules_kept(items: list[HeldOut], answers: list[str]) -> Counter[str]:
    """How often each rule's check is met, by the check's spec."""
    return Counter(
        repr(sorted(spec.items()))
        for item, answer in zip(items, answers, strict=True)
        for spec in item.checks
        if run_check(dict(spec), answer, asked=item.asked)
    )
