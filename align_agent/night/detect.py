"""The first phase of a night: follow-ups that no reader was sure about are measured and judged.

The gap asks whether the model would answer otherwise, told of the follow-up. Where
`feedback.judge` is on, the model is also asked outright (`feedback/judge.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from align_agent.feedback import judge
from align_agent.feedback.owner import STRANGER
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import observe
from align_agent.feedback.structure import left
from align_agent.night.context import Night
from align_agent.records import Feedback, Turn, now

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

AT_ONCE = 16
VERDICT_TOKENS = 160

Pair = tuple[Turn, Turn]


def detect(night: Night) -> dict[str, Any]:
    """Read what was stored unread, then measure the follow-ups that no reader judged: does the
    model answer otherwise, told of it?

    A gap above the threshold becomes negative feedback, any other a neutral one, so that it is
    measured once.
    """
    todo = _unjudged(night)
    night.progress.phase("detect", len(todo))
    found: list[float] = []
    verdicts: list[judge.Judged | None] = []
    if todo:
        from align_agent.distill.gap import gaps

        items = [(turn.prompt, turn.response, after.user_text, turn.tools) for turn, after in todo]
        model = night.model()
        for start in range(0, len(items), AT_ONCE):
            found += gaps(model, items[start : start + AT_ONCE])
            verdicts += _verdicts(night, model, todo[start : start + AT_ONCE])
            night.progress.step(len(found))
    profile = Profile(night.store, night.config)
    with night.store.transaction():
        for (turn, after), gap, judged in zip(todo, found, verdicts, strict=True):
            measured, opinion = judge.settle(_gap_feedback(turn, after, gap, night), judged)
            night.store.feedback.add(measured)
            if opinion is not None:
                night.store.feedback.add(opinion)
                if not opinion.review:
                    profile.learn(opinion, judge.reading_of(opinion))
    threshold = night.config.feedback.gap_threshold
    return {
        "measured": len(found),
        "corrective": sum(gap >= threshold for gap in found),
        "judged": sum(one is not None for one in verdicts),
    }


def _verdicts(night: Night, model: LocalModel, pairs: list[Pair]) -> list[judge.Judged | None]:
    """The base model's verdict on each follow-up; None without one, or where nobody asks."""
    if not night.config.feedback.judge:
        return [None] * len(pairs)
    from align_agent.models.generation import Sampling

    reserve = min(VERDICT_TOKENS, model.context // 2)
    asked = [
        model.fit(judge.question(turn, after.user_text), reserve=reserve) for turn, after in pairs
    ]
    sampling = Sampling(max_new_tokens=reserve, temperature=0.0)
    return [judge.verdict(one.text) for one in model.generate_batch(asked, sampling=sampling)]


def _unjudged(night: Night) -> list[tuple[Turn, Turn]]:
    """Answered turns whose follow-up nothing judged with confidence, the newest first.

    A follow-up that was never read is read now.
    """
    found: list[tuple[Turn, Turn]] = []
    sure = night.config.feedback.min_confidence
    strangers = night.store.links.noted(STRANGER)
    for turn in night.store.turns.all_main():
        if turn.excluded or not turn.answer.strip() or not turn.response:
            continue
        heard = night.store.feedback.for_turn(turn.id)
        after = night.store.turns.follow_up_of(turn)
        if after is not None and after.id in strangers:
            continue
        if after is not None and not any(f.source_turn_id for f in heard):
            # By day the reader may have been killed or failed.
            heard += [f for f in observe(night.store, after, night.config) if f.turn_id == turn.id]
        _note_left(night, turn, after)
        if any(f.kind == "gap" or (not f.dismissed and f.confidence >= sure) for f in heard):
            continue
        if any(f.review and not f.dismissed for f in heard):
            continue  # its layers contradict each other: the user decides
        if after is not None and after.user_text.strip():
            found.append((turn, after))
    return found[-night.config.distill.max_turns :][::-1]


def _note_left(night: Night, turn: Turn, after: Turn | None) -> None:
    """Note a conversation that the user left after an answer to a complaint."""
    if after is not None:
        return
    blamed = any(f.polarity == "negative" for f in night.store.feedback.from_turn(turn.id))
    if found := left(turn, blamed, after, now()):
        night.store.feedback.add(found)


def _gap_feedback(turn: Turn, after: Turn, gap: float, night: Night) -> Feedback:
    threshold = night.config.feedback.gap_threshold
    measured = math.isfinite(gap)
    corrective = measured and gap >= threshold
    # 0.6 at the threshold itself, towards 1 far above it.
    confidence = gap / (gap + threshold * 2 / 3) if corrective and gap > 0 else 0.6
    return Feedback(
        turn_id=turn.id,
        kind="gap",
        polarity="negative" if corrective else "neutral",
        category="not_as_asked" if corrective else "none",
        confidence=confidence,
        text=after.user_text,
        detector="gap",
        evidence=f"gap {gap:.4f} nats a token" if measured else "too long to be measured",
        source_turn_id=after.id,
        strength=min(gap / threshold, 1.0) if corrective and threshold > 0 else 0.0,
    )
