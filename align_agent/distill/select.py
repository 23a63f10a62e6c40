"""Turn selection. Reads the store, says what a night learns from. Knows nothing of tokens."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from align_agent.distill.hindsight import Shown
from align_agent.feedback import shown
from align_agent.feedback.owner import NOT_OWNER, STRANGER
from align_agent.records import Feedback, Turn
from align_agent.store import Store

# Signals whose text says in the user's words what to do better, the surest first. A retry only
# repeats the question, so its text is no hindsight.
_WORDS_OF = ("rating", shown.DENIAL, "follow_up", "judge", "gap")
_UNLUCKY = 1.5  # times the share of conversations that may be held out at most

TOO_MANY = "more trainable turns than distill.max_turns"
NO_HINDSIGHT = "no hindsight: no rule applies and the complaint has no words"
ENOUGH_HELD_OUT = "kept aside, but the gate has enough turns"
ENOUGH_ANCHORS = "nothing to correct, and enough anchors"
UNREAD = "nobody complained, and the night has enough turns to learn from and enough anchors"


class SelectConfig(Protocol):
    """The fields of `config.distill` that selection reads."""

    @property
    def max_turns(self) -> int: ...
    @property
    def heldout_share(self) -> float: ...
    @property
    def anchors(self) -> float: ...
    @property
    def replay(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A turn with the user's correction of it, and what was shown in its place; mostly empty."""

    turn: Turn
    shown: Shown


@dataclass(frozen=True, slots=True)
class Selection:
    """Where every main turn went. `skipped` holds (turn id, reason)."""

    train: list[Candidate] = field(default_factory=list)
    heldout: list[Candidate] = field(default_factory=list)
    anchors: list[Candidate] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Usable:
    """What is kept of a turn while choosing: a log may be larger than memory.

    `drawn` is its `rank`, by which samples are drawn. Of a turn that nobody complained of
    ("silent") it is yet to be seen whether it breaks a rule.
    """

    number: int
    turn_id: str
    conversation_id: str
    kind: Literal["learn", "silent"]
    shown: Shown
    drawn: float


def select(
    store: Store,
    config: SelectConfig,
    rules_for: Callable[[Turn], Sequence[str]],
    violates: Callable[[Turn], bool],
    *,
    seed: int,
    min_confidence: float = 0.6,
    learned: Collection[str] = (),
    unheeded: Collection[str] = (),
) -> Selection:
    """Put every main turn into exactly one of train, heldout, anchors and skipped.

    Trainable: a demonstration or a document is there for it, or the user corrected it (not
    dismissed, at least `min_confidence` sure), or it breaks a rule that can be checked
    (`violates`), and there is something to tell the teacher: a rule that applies (`rules_for`) or
    the correction's words. Other usable turns are anchors,
    `config.anchors` of all examples. Whole conversations are held out, by a hash of their id and
    the seed, so that the same ones stay held out from night to night. `unheeded` feedback (ids)
    counts as if it had not been given. The result is a function of the store's content and the
    arguments alone.

    Where there are more trainable turns than `config.max_turns`, those that are not among the
    `learned` come first, the newest before all, and `config.replay` of the places goes to a sample
    of the learned ones, which a hash draws.

    Both functions are given turns `without_history`: they may look at the system message, what
    was asked and what was answered.
    """
    result = Selection()
    usable = _usable(store, rules_for, min_confidence, unheeded, seed, result.skipped)
    held = _held_out({item.conversation_id for item in usable}, config.heldout_share, seed)
    kept = [i for i in usable if i.conversation_id in held]
    rest = [i for i in usable if i.conversation_id not in held]
    learn, fine = _sorted_out(store, rest, config, rules_for, violates, result.skipped)
    heldout_limit = max(1, round(config.max_turns * config.heldout_share))
    anchor_limit = _anchors_for(len(learn), config)
    for items, chosen, into, why in (
        (learn, _lessons(learn, config, learned), result.train, TOO_MANY),
        (kept, _sample(kept, heldout_limit), result.heldout, ENOUGH_HELD_OUT),
        (fine, _sample(fine, anchor_limit), result.anchors, ENOUGH_ANCHORS),
    ):
        result.skipped.extend((i.turn_id, why) for i in items if i.turn_id not in chosen)
        some = sorted((i for i in items if i.turn_id in chosen), key=lambda item: item.number)
        turns = store.turns.several([item.number for item in some])
        into.extend(Candidate(turn, i.shown) for turn, i in zip(turns, some, strict=True))
    return result


def _usable(
    store: Store,
    rules_for: Callable[[Turn], Sequence[str]],
    min_confidence: float,
    unheeded: Collection[str],
    seed: int,
    skipped: list[tuple[str, str]],
) -> list[_Usable]:
    """The turns that are good for something; the others go to `skipped` with the reason."""
    usable: list[_Usable] = []
    wordless: list[_Usable] = []
    strangers = store.links.noted(STRANGER)
    said = store.feedback.by_turn()
    for row in store.turns.facts():
        turn_id = row["id"]
        feedback = [f for f in said.get(turn_id, ()) if f.id not in unheeded]
        reason = NOT_OWNER if turn_id in strangers else _obstacle(row)
        corrected, words = correction(feedback, min_confidence) if feedback else (False, "")
        demonstration, document = shown.latest(feedback) if feedback else ("", "")
        known = Shown(words, demonstration, document)
        if not reason and not corrected and not known and any(_blames(f) for f in feedback):
            reason = "a doubtful complaint: neither learned from nor held up as good"
        if reason:
            skipped.append((turn_id, reason))
            continue
        item = _Usable(
            row["number"],
            turn_id,
            row["conversation_id"],
            "learn" if corrected or known.taught else "silent",
            known,
            rank(seed, turn_id),
        )
        (wordless if corrected and not known else usable).append(item)
    turns = store.turns.without_history([item.number for item in wordless])
    for item, turn in zip(wordless, turns, strict=True):
        if rules_for(turn):
            usable.append(item)
        else:
            skipped.append((item.turn_id, NO_HINDSIGHT))
    return usable


def _sorted_out(
    store: Store,
    items: list[_Usable],
    config: SelectConfig,
    rules_for: Callable[[Turn], Sequence[str]],
    violates: Callable[[Turn], bool],
    skipped: list[tuple[str, str]],
) -> tuple[list[_Usable], list[_Usable]]:
    """(what can be learned from, what is fine as it is), as many as a night can use.

    In the order of the hash that draws the samples. Once there are enough of both, no more answers
    are read: in a log of many years that would be most of the work.
    """
    ranked = sorted(items, key=_by_hash)
    learn: list[_Usable] = []
    fine: list[_Usable] = []
    enough = _anchors_for(config.max_turns, config)
    silent = [item for item in ranked if item.kind == "silent"]
    uses = _uses_of(store, silent, config.max_turns + enough, rules_for, violates)
    for item in ranked:
        if item.kind == "learn":
            learn.append(item)
        elif len(learn) >= config.max_turns and len(fine) >= enough:
            skipped.append((item.turn_id, UNREAD))
        else:
            use = next(uses)
            if use == "skip":
                skipped.append((item.turn_id, NO_HINDSIGHT))
            else:
                (learn if use == "learn" else fine).append(item)
    return learn, fine


def _uses_of(
    store: Store,
    items: Sequence[_Usable],
    at_first: int,
    rules_for: Callable[[Turn], Sequence[str]],
    violates: Callable[[Turn], bool],
) -> Iterator[Literal["learn", "fine", "skip"]]:
    """What each of these turns is good for, in their order, seen as it is asked for.

    They are read in parts, `at_first` and then twice as many each time, a part in the order in
    which the turns lie on the disk: in that of the hash each would cost a page of its own.
    """
    start, size = 0, max(1, at_first)
    while start < len(items):
        part = items[start : start + size]
        numbers = sorted(item.number for item in part)
        found: dict[int, Literal["learn", "fine", "skip"]] = {}
        for number, turn in zip(numbers, store.turns.without_history(numbers), strict=True):
            if not violates(turn):
                found[number] = "fine"
            else:
                found[number] = "learn" if rules_for(turn) else "skip"
        yield from (found[item.number] for item in part)
        start, size = start + size, 2 * size


def _anchors_for(lessons: int, config: SelectConfig) -> int:
    """How many anchors make up their share beside so many lessons."""
    return round(config.anchors / (1 - config.anchors) * min(lessons, config.max_turns))


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


def _blames(feedback: Feedback) -> bool:
    return feedback.polarity == "negative" and not feedback.dismissed


def _obstacle(row: dict[str, Any]) -> str:
    """Why a turn is good for nothing, whatever was said about it; else the empty string."""
    if row["excluded"]:
        return "excluded by the user"
    if not row["answered"]:
        return "no answer to learn from"
    return "" if row["asked"] else "no user message"


def _held_out(conversations: set[str], share: float, seed: int) -> set[str]:
    """The conversations that are held out: about `share` of them, and of two or more at least one
    and not all."""
    ranked = sorted((rank(seed, name), name) for name in conversations)
    # Chance can put half of a few dozen there, and too little would be left to learn from.
    most = math.ceil(_UNLUCKY * share * len(ranked))
    held = {name for place, name in ranked[:most] if place < share}
    if share > 0 and not held and len(ranked) > 1:
        held = {ranked[0][1]}
    if len(held) == len(ranked):
        held -= {name for _, name in ranked[-1:]}
    return held


def _lessons(items: Sequence[_Usable], config: SelectConfig, learned: Collection[str]) -> set[str]:
    """At most `config.max_turns` of the turns: what is new, and a sample of what was learned."""
    if len(items) <= config.max_turns:
        return {item.turn_id for item in items}
    old = [item for item in items if item.turn_id in learned]
    new = sorted((i for i in items if i.turn_id not in learned), key=lambda item: -item.number)
    again = max(round(config.replay * config.max_turns), config.max_turns - len(new))
    sample = _sample(old, again)
    return sample | {item.turn_id for item in new[: config.max_turns - len(sample)]}


def _sample(items: Sequence[_Usable], limit: int) -> set[str]:
    """At most `limit` of the turns, drawn by a hash: more turns do not redraw the earlier ones."""
    return {item.turn_id for item in sorted(items, key=_by_hash)[:limit]}


def _by_hash(item: _Usable) -> tuple[float, str]:
    return item.drawn, item.turn_id


def rank(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
