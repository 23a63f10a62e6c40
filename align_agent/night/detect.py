"""The first phase of a night: follow-ups that no reader was sure about are measured and judged.

The gap asks whether the model would answer otherwise, told of the follow-up. Where
`feedback.judge` is on, the model is also asked outright (`feedback/judge.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from align_agent.config import Config
from align_agent.errors import ModelError
from align_agent.feedback import judge
from align_agent.feedback.owner import STRANGER
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import observe
from align_agent.feedback.structure import ABANDONED, left
from align_agent.night.context import Night
from align_agent.records import Feedback, Message, Turn, now
from align_agent.store import Store

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

AT_ONCE = 16
VERDICT_TOKENS = 160

Pair = tuple[Turn, Turn]


def detect(night: Night) -> dict[str, Any]:
    """Read what was stored unread, then measure the follow-ups that no reader judged: does the
    model answer otherwise, told of it?

    A gap above the threshold becomes negative feedback, any other a neutral one, so that it is
    measured once. The newest come first; what the night has no time for waits for the next one.
    """
    todo = unjudged(night.store, night.config)
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
            if len(found) < len(todo) and not night.clock.left("detect"):
                night.progress.say(f"{len(todo) - len(found)} follow-ups wait for the next night")
                break
    profile = Profile(night.store, night.config)
    with night.store.transaction():
        for (turn, after), gap, judged in zip(todo[: len(found)], found, verdicts, strict=True):
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
    """The base model's verdict on each follow-up; None without one, where nobody asks, and where
    the question does not fit into the context: one long turn must not end every night."""
    verdicts: list[judge.Judged | None] = [None] * len(pairs)
    if not night.config.feedback.judge:
        return verdicts
    from align_agent.models.generation import Sampling

    reserve = min(VERDICT_TOKENS, model.context // 2)
    asked: dict[int, tuple[Message, ...]] = {}
    for place, (turn, after) in enumerate(pairs):
        with suppress(ModelError):
            asked[place] = tuple(model.fit(judge.question(turn, after.user_text), reserve=reserve))
    if asked:
        sampling = Sampling(max_new_tokens=reserve, temperature=0.0)
        said = model.generate_batch(list(asked.values()), sampling=sampling)
        for place, one in zip(asked, said, strict=True):
            verdicts[place] = judge.verdict(one.text)
    return verdicts


def unjudged(store: Store, config: Config) -> list[Pair]:
    """Answered turns whose follow-up nothing judged with confidence, the newest first, at most
    `distill.max_turns`.

    A follow-up that was never read is read now. The log is looked at as a whole: the number of
    queries grows with what was never read, not with the turns.
    """
    found: list[tuple[int, int]] = []
    abandoned: list[int] = []
    heard = store.feedback.by_turn()
    blaming = _blaming(chain.from_iterable(heard.values()))
    strangers = store.links.noted(STRANGER)
    for row in store.turns.with_follow_ups():
        if row["excluded"] or not row["answered"]:
            continue
        said = heard.get(row["id"], [])
        if row["after"] is None:
            if row["id"] in blaming and not any(f.kind == ABANDONED for f in said):
                abandoned.append(row["number"])
            continue
        if row["after_id"] in strangers:
            continue
        if not any(f.source_turn_id for f in said):
            # By day the reader may have been killed or failed.
            after = store.turns.get(row["after_id"])
            read = [f for f in observe(store, after, config) if f.turn_id == row["id"]]
            blaming |= _blaming(read)
            said = [*said, *read]
        if row["said"] and not _judged(said, config.feedback.min_confidence):
            found.append((row["number"], row["after"]))
    _note_left(store, abandoned)
    wanted = found[-config.distill.max_turns :][::-1]
    turns = store.turns.several([number for number, _ in wanted])
    return list(zip(turns, store.turns.several([after for _, after in wanted]), strict=True))


def _blaming(feedback: Iterable[Feedback]) -> set[str]:
    """The ids of the turns that found fault with the one before them."""
    return {f.source_turn_id for f in feedback if f.polarity == "negative"}


def _judged(said: Sequence[Feedback], sure: float) -> bool:
    """Whether a turn's follow-up needs no measuring."""
    if any(f.kind == "gap" or (not f.dismissed and f.confidence >= sure) for f in said):
        return True
    # Its layers contradict each other: the user decides.
    return any(f.review and not f.dismissed for f in said)


def _note_left(store: Store, numbers: Sequence[int]) -> None:
    """Note the conversations that the user left after an answer to a complaint."""
    moment = now()
    for turn in store.turns.several(numbers):
        if found := left(turn, True, None, moment):
            store.feedback.add(found)


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
