"""What a capable model says of a follow-up: is it feedback, and which short rule follows from it?

The question and the reading of its answer; asking is the night's work. Off by default
(`feedback.judge`): a small model only guesses. What the model says is one opinion more, and where
the gap says otherwise, the user decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from align_agent.feedback.lexical import Reading
from align_agent.feedback.wishes import is_private
from align_agent.records import Feedback, Message, Turn

DETECTOR = "judge-1"
CONFIDENCE = 0.7
MAX_SHOWN = 2_000
MAX_RULE = 300
KINDS = (
    "wrong_fact wrong_result not_as_asked too_long too_short format tone language missing_part "
    "unsafe_action repeat clarification praise_but"
).split()
GAP_DISAGREES = "the judge hears a complaint, but told of it the model would answer the same"
JUDGE_DISAGREES = "told of it the model would answer otherwise, but the judge hears no complaint"

_INSTRUCTION = (
    "You read a conversation between a user and an assistant, and then the user's next message. "
    "Decide whether that message finds fault with the assistant's answer. A new question, thanks, "
    "a next step, quoted text, or users correcting themselves is no fault found. Answer with one "
    'JSON object and nothing else: {"fault": true or false, "kind": one of '
    + ", ".join(KINDS)
    + ', "rule": "what to do better in all answers to come, in one to three short sentences, '
    'without names, numbers or anything about this one question; empty if there is no such rule"}'
)


@dataclass(frozen=True, slots=True)
class Judged:
    """The model's verdict. `rule` is empty unless it is short, general and not private."""

    fault: bool
    kind: str
    rule: str


def question(turn: Turn, follow_up: str) -> tuple[Message, ...]:
    """What the model is asked. Each text is cut in its middle where it is long."""
    shown = (
        f"The user asked:\n{_cut(turn.user_text)}\n\nThe assistant answered:\n"
        f"{_cut(turn.answer)}\n\nThe user's next message:\n{_cut(follow_up)}"
    )
    return Message("system", _INSTRUCTION), Message("user", shown)


def verdict(text: str) -> Judged | None:
    """The verdict in a model's answer; None when it gave none. Takes any text."""
    for data in _objects(text[:4_000]):
        if isinstance(data.get("fault"), bool):
            kind = data.get("kind")
            rule = data.get("rule")
            return Judged(
                data["fault"],
                kind if kind in KINDS else "not_as_asked",
                _usable(rule) if isinstance(rule, str) and data["fault"] else "",
            )
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text that hold no other object, in the order in which they begin."""
    seen: list[dict[str, Any]] = []
    decoder = json.JSONDecoder(object_hook=seen.append)
    for place in (at for at, sign in enumerate(text) if sign == "{"):
        seen.clear()
        try:
            decoder.raw_decode(text, place)
        except (ValueError, RecursionError):  # brackets upon brackets
            continue
        if len(seen) == 1:
            yield seen[0]


def settle(gap: Feedback, judged: Judged | None) -> tuple[Feedback, Feedback | None]:
    """(what the gap says, what the judge says), marked for review where they contradict."""
    if judged is None:
        return gap, None
    corrective = gap.polarity == "negative"
    if corrective and not judged.fault:
        return replace(gap, review=JUDGE_DISAGREES), None
    if not judged.fault:
        return gap, None
    opinion = replace(
        gap,
        id=f"{gap.id}-judge",
        kind="judge",
        polarity="negative",
        category=judged.kind,
        confidence=CONFIDENCE,
        detector=DETECTOR,
        evidence=judged.rule or "no rule",
        strength=0.5,
        review="" if corrective else GAP_DISAGREES,
    )
    return gap, opinion


def reading_of(opinion: Feedback) -> Reading:
    """The judge's rule as a reading, so that the profile can propose it."""
    wish = "" if opinion.evidence == "no rule" else opinion.evidence
    return Reading("negative", "not_as_asked", opinion.confidence, opinion.strength, wish=wish)


def _usable(rule: str) -> str:
    tidy = " ".join(rule.encode("utf-8", "replace").decode("utf-8").split())
    parts = re.split(r"(?<=[.!?])\s+", tidy)
    usable = tidy and len(parts) <= 3 and len(tidy) <= MAX_RULE
    return tidy if usable and not any(map(is_private, parts)) else ""


def _cut(text: str) -> str:
    half = MAX_SHOWN // 2
    return text if len(text) <= MAX_SHOWN else f"{text[:half]}\n[...]\n{text[-half:]}"
