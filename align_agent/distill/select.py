"""Turn selection. Reads the store, says what a night learns from. Knows nothing of tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from align_agent.feedback.owner import NOT_OWNER, STRANGER
from align_agent.records import Feedback, Turn
from align_agent.store import Store

# Signals whose text says in the user's words what to do better, the surest first. A retry only
# repeats the question, so its text is no hindsight.
_WORDS_OF = ("edit", "rating", "follow_up", "judge", "gap")


class SelectConfig(Protocol):
    """The fields of `config.distill` that selection reads."""

    @property
    def max_turns(self) -> int: ...
    @property
    def heldout_share(self) -> float: ...
    @property
    def anchors(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A turn with the user's correction of it, empty where there is none in words."""

    turn: Turn
    follow_up: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Where every main turn went. `skipped` holds (turn id, reason)."""

    train: list[Candidate] = field(default_factory=list)
    heldout: list[Candidate] = field(default_factory=list)
    anchors: list[Candidate] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Usable:
    """What is kept of a turn while choosing: a log may be larger than memory."""

    turn_id: str
    conversation_id: str
    kind: Literal["learn", "fine"]
    follow_up: str


def select(
    store: Store,
    config: SelectConfig,
    rules_for: Callable[[Turn], Sequence[str]],
    violates: Callable[[Turn], bool],
    *,
    seed: int,
    min_confidence: float = 0.6,
) -> Selection:
    """Put every main turn into exactly one of train, heldout, anchors and skipped.

    Trainable: the user corrected it (not dismissed, at least `min_confidence` sure), or it breaks
    a rule that can be checked (`violates`), and there is something to tell the teacher: a rule
    that applies (`rules_for`) or the correction's words. Other usable turns are anchors,
    `config.anchors` of all examples. Whole conversations are held out, by a hash of their id and
    the seed, so that the same ones stay held out from night to night. The result is a function of
    the store's content and the arguments alone.
    """
    result = Selection()
    usable: list[_Usable] = []
    strangers = store.links.noted(STRANGER)
    for turn in store.turns.all_main():
        if turn.id in strangers:
            result.skipped.append((turn.id, NOT_OWNER))
            continue
        found, reason = _judge(
            turn, store.feedback.for_turn(turn.id), rules_for, violates, min_confidence
        )
        if found is None:
            result.skipped.append((turn.id, reason))
        else:
            usable.append(found)
    held = _held_out({item.conversation_id for item in usable}, config.heldout_share, seed)
    learn = [i for i in usable if i.conversation_id not in held and i.kind == "learn"]
    fine = [i for i in usable if i.conversation_id not in held and i.kind == "fine"]
    kept = [i for i in usable if i.conversation_id in held]
    heldout_limit = max(1, round(config.max_turns * config.heldout_share))
    anchor_limit = round(config.anchors / (1 - config.anchors) * min(len(learn), config.max_turns))
    for items, limit, into, why in (
        (learn, config.max_turns, result.train, "more trainable turns than distill.max_turns"),
        (kept, heldout_limit, result.heldout, "held out, but the gate has enough turns"),
        (fine, anchor_limit, result.anchors, "nothing to correct, and enough anchors"),
    ):
        chosen = _sample(items, limit, seed)
        result.skipped.extend((i.turn_id, why) for i in items if i.turn_id not in chosen)
        into.extend(
            Candidate(store.turns.get(i.turn_id), i.follow_up) for i in items if i.turn_id in chosen
        )
    return result


def correction(feedback: Iterable[Feedback], min_confidence: float) -> tuple[bool, str]:
    """Whether the user found fault with a turn, and their words for it, if there are any.

    A person's own rating outweighs what a detector read. What waits for a look counts for nothing.
    """
    valid = [f for f in feedback if not f.dismissed and not f.review]
    heard = [f for f in valid if f.confidence >= min_confidence]
    ratings = [f for f in heard if f.kind == "rating" and f.polarity != "neutral"]
    if ratings and ratings[-1].polarity == "positive":
        return False, ""
    negative = [f for f in heard if f.polarity == "negative"]
    worded = [f for f in negative if f.kind in _WORDS_OF and f.text.strip()]
    worded.sort(key=lambda f: (_WORDS_OF.index(f.kind), -f.confidence))
    return bool(negative), worded[0].text.strip() if worded else ""


def _judge(
    turn: Turn,
    feedback: Sequence[Feedback],
    rules_for: Callable[[Turn], Sequence[str]],
    violates: Callable[[Turn], bool],
    min_confidence: float,
) -> tuple[_Usable | None, str]:
    """What the turn is good for, or None and the reason why for nothing."""
    if turn.excluded:
        return None, "excluded by the user"
    if not any(m.role == "assistant" and (m.content or m.tool_calls) for m in turn.response):
        return None, "no answer to learn from"
    if not any(m.role == "user" and m.content.strip() for m in turn.prompt):
        return None, "no user message"
    corrected, words = correction(feedback, min_confidence)
    if not corrected and not violates(turn):
        if any(f.polarity == "negative" and not f.dismissed for f in feedback):
            return None, "a doubtful complaint: neither learned from nor held up as good"
        return _Usable(turn.id, turn.conversation_id, "fine", ""), ""
    if not words and not rules_for(turn):
        return None, "no hindsight: no rule applies and the complaint has no words"
    return _Usable(turn.id, turn.conversation_id, "learn", words), ""


def _held_out(conversations: set[str], share: float, seed: int) -> set[str]:
    """The conversations that are held out: about `share` of them, and of two or more at least one
    and not all."""
    ranked = sorted((_rank(seed, name), name) for name in conversations)
    held = {name for rank, name in ranked if rank < share}
    if share > 0 and not held and len(ranked) > 1:
        held = {ranked[0][1]}
    if len(held) == len(ranked):
        held -= {name for _, name in ranked[-1:]}
    return held


def _sample(items: Sequence[_Usable], limit: int, seed: int) -> set[str]:
    """At most `limit` of the turns, drawn by a hash: more turns do not redraw the earlier ones."""
    ranked = sorted((_rank(seed, item.turn_id), item.turn_id) for item in items)
    return {turn_id for _, turn_id in ranked[:limit]}


def _rank(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
