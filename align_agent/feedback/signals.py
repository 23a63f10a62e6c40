"""What a stored turn says about the one before it: follow-up, retry, rating. Writes Feedback.

Reading the words is `reader`'s work, what was done without words `structure`'s, and condensing
them into rules `profile`'s. Observing a turn twice adds nothing: a signal's id follows from what it
is about.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from align_agent.config import Config
from align_agent.errors import InputError
from align_agent.feedback import lexical, structure
from align_agent.feedback.owner import is_stranger
from align_agent.feedback.pasted import parted
from align_agent.feedback.patterns import word_set
from align_agent.feedback.profile import Profile
from align_agent.feedback.reader import NOTHING, Reading, plain, read
from align_agent.feedback.text import key_of
from align_agent.records import Feedback, Turn, now

if TYPE_CHECKING:
    from align_agent.store import Store

READER = "reader-2"
RETRY = "retry-1"
RATING = "rating-1"

MAX_TEXT = 4_000
# Shorter texts ("go on", "next") are said twice without asking for the same thing again.
_MIN_RETRY_WORDS = 3
_SAME_WORD = 0.75
# What people put around a question that they ask once more.
_POLITE = word_set(
    """
    please again now so ok okay hey hi hello and just once more i said asked can could would you me
    tell no but once sorry the a an
    """
)


def observe(store: Store, turn: Turn, config: Config | None = None) -> list[Feedback]:
    """Read a turn that was just stored: what it shows, and what it says of the turn before it.

    Returns the feedback that was added, none when the turn is side traffic, was observed before, or
    was said by somebody else than the owner. Raises StoreError.
    """
    if not turn.main or is_stranger(store, turn.id):
        return []
    config = config or Config()
    previous = store.turns.previous_of(turn)
    told = structure.seen_in(turn, previous)
    reading, said = NOTHING, None
    if previous is not None and previous.answer.strip():
        reading = read(
            turn.user_text,
            answer=previous.answer,
            previous_user=previous.user_text,
            threshold=config.feedback.threshold,
        )
        said = _follow_up(turn, previous, reading) or _retry(turn, previous)
    with store.transaction():
        found = [one for one in told if store.feedback.add(one)]
        if said is not None and store.feedback.add(said):
            found.append(said)
            if said.kind == "follow_up" and not said.review:
                Profile(store, config).learn(said, reading)
    return found


def rate(
    store: Store, turn_id: str, up: bool, why: str = "", config: Config | None = None
) -> Feedback:
    """Note an explicit rating of a turn; it replaces an earlier one of the same turn.

    `why` is read like a follow-up, so that "too long" becomes a rule. Raises NotFound, InputError
    for a reason that is far too long, StoreError.
    """
    if len(why) > MAX_TEXT:
        raise InputError(
            f"the reason has {len(why):,} characters", hint=f"use at most {MAX_TEXT:,}"
        )
    turn = store.turns.get(turn_id)
    reading = read(why, previous_user=turn.user_text)
    if up:
        category, direction_counts = "praise", False
    else:
        category = reading.category if reading.polarity == "negative" else "none"
        direction_counts = True
    feedback = Feedback(
        turn_id=turn.id,
        kind="rating",
        polarity="positive" if up else "negative",
        category=category,
        confidence=1.0,
        text=why.strip(),
        detector=RATING,
        evidence=reading.evidence,
        created_at=now(),
    )
    with store.transaction():
        for earlier in store.feedback.for_turn(turn.id):
            if earlier.kind == "rating" and not earlier.dismissed:
                store.feedback.dismiss(earlier.id)
        store.feedback.add(feedback)
        if direction_counts:
            Profile(store, config or Config()).learn(feedback, reading)
    return feedback


def accept(store: Store, feedback_id: str, config: Config | None = None) -> Feedback:
    """Take feedback that waited for a look as read rightly, and learn from it. Raises NotFound."""
    with store.transaction():
        found = store.feedback.settle(feedback_id)
        if found.kind == "follow_up" and found.source_turn_id:
            turn = store.turns.get(found.turn_id)
            said = store.turns.get(found.source_turn_id).user_text  # found.text is cut
            own = plain(parted(said).own)
            reading = lexical.read(own, answer=turn.answer, previous_user=turn.user_text)
            Profile(store, config or Config()).learn(replace(found, confidence=1.0), reading)
    return found


def is_retry(text: str, earlier: str) -> bool:
    """Whether a message asks for the same as an earlier one, in the same or nearly the same words.

    The numbers must be the same, and the words too but for typing errors and function words: the
    next exercise of a series is no retry.
    """
    first, second = key_of(earlier[:MAX_TEXT]).split(), key_of(text[:MAX_TEXT]).split()
    if min(len(first), len(second)) < _MIN_RETRY_WORDS:
        return False
    if first == second:
        return True
    if re.findall(r"\d+", earlier[:MAX_TEXT]) != re.findall(r"\d+", text[:MAX_TEXT]):
        return False
    content = [word for word in first if word not in _POLITE]
    other = [word for word in second if word not in _POLITE]
    if len(content) < 2 or abs(len(content) - len(other)) > 1:
        return False
    return _all_known(content, other) and _all_known(other, content)


def _all_known(words: Sequence[str], others: Sequence[str]) -> bool:
    rest = [word for word in words if word not in others]
    if len(rest) > max(1, len(words) // 4):
        return False
    return all(
        any(difflib.SequenceMatcher(None, word, other).ratio() >= _SAME_WORD for other in others)
        for word in rest
    )


def _follow_up(turn: Turn, previous: Turn, reading: Reading) -> Feedback | None:
    if reading.polarity == "neutral" and not reading.standing and not reading.review:
        return None
    return Feedback(
        turn_id=previous.id,
        kind="follow_up",
        polarity=reading.polarity,
        category=reading.category,
        confidence=reading.confidence,
        text=turn.user_text[:MAX_TEXT],
        detector=READER,
        evidence=reading.evidence,
        source_turn_id=turn.id,
        strength=reading.strength,
        id=_id("follow_up", previous.id, turn.id),
        created_at=turn.created_at,
        layers=reading.layers,
        review=reading.review,
    )


def _retry(turn: Turn, previous: Turn) -> Feedback | None:
    if not is_retry(turn.user_text, previous.user_text):
        return None
    return Feedback(
        turn_id=previous.id,
        kind="retry",
        polarity="negative",
        category="repeat",
        confidence=0.8,
        text=turn.user_text[:MAX_TEXT],
        detector=RETRY,
        evidence="the same question again",
        source_turn_id=turn.id,
        strength=0.5,
        id=_id("retry", previous.id, turn.id),
        created_at=turn.created_at,
    )


def _id(kind: str, turn_id: str, source_id: str) -> str:
    digest = hashlib.sha256(f"{kind}\n{turn_id}\n{source_id}".encode()).hexdigest()
    return f"fb-{digest[:20]}"
