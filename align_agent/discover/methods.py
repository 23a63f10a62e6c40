"""How the next attempts are asked for, and what is learned from the last: one class a method.

Pure: a method sees what was tried and what was said about it. Generates nothing, runs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from align_agent.discover.room import Fits, anything, conversation_of, hindsight_of
from align_agent.discover.verdicts import Outcome
from align_agent.distill.hindsight import Example
from align_agent.prompts import with_hindsight
from align_agent.records import Message

Method = Literal["auto", "sdpo", "best-of-k", "multi-turn", "multi-turn-attempts", "grpo"]
METHODS: tuple[Method, ...] = (
    "auto",
    "sdpo",
    "best-of-k",
    "multi-turn",
    "multi-turn-attempts",
    "grpo",
)
BATCH = 16
WINDOW = 4  # failed attempts of which the multi-turn methods keep the feedback in their context
# auto's attempts between two looks at the feedback; a batch in all. Before the first step the
# student is the base: its plain attempts say little, and the next feedback much.
_FIRST_ROUNDS = (1,) * 12 + (4,)
_ROUNDS = (1, 1, 2, 4, 8)
_ANEW = 5  # of attempts one by one, every so many sees all feedback in place of the conversation
_FORGET = 0.15  # how often a conditioned attempt leaves a piece of feedback out
_SHOWN = 12  # pieces of feedback at most

How = Literal["plain", "told", "turns"]  # the problem alone; with feedback; with attempts too


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt to come: its prompt, and whether the student or the base makes it."""

    prompt: tuple[Message, ...]
    student: bool
    how: How


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: its place (from 0), the prompt's kind, the answer, and what became of it."""

    number: int
    batch: int
    how: str
    student: bool
    answer: str
    outcome: Outcome


def learns(method: Method) -> bool:
    """Whether a method ever takes a step. GRPO's advantage is reward minus the group's mean: while
    nothing has passed all rewards are equal and there is no gradient, and with the first success
    the search is over. So until then it draws what best-of-k draws."""
    return method in ("auto", "sdpo")


def sizes(method: Method, batch: int = 0) -> tuple[int, ...]:
    """How many attempts of a batch are asked for at once."""
    if method in ("multi-turn", "multi-turn-attempts"):
        return (1,) * BATCH
    if method == "auto":
        return _ROUNDS if batch else _FIRST_ROUNDS
    return (BATCH,)


def ask(
    method: Method,
    prompt: Sequence[Message],
    so_far: Sequence[Attempt],
    count: int,
    seed: int,
    fits: Fits = anything,
) -> list[Ask]:
    """The next attempts, `count` of them, none shown more than `fits`."""
    prompt = tuple(prompt)
    plain = Ask(prompt, learns(method), "plain")
    failed = [a for a in so_far if a.outcome.said]
    window = failed[-WINDOW:]  # first in, first out
    if method == "multi-turn":
        return [_told(prompt, [a.outcome.said for a in window], fits, student=False)] * count
    if method == "multi-turn-attempts":
        return [_turns(prompt, window, fits)] * count
    if method != "auto" or not failed:
        return [plain] * count
    chance = random.Random(f"{seed}/{len(so_far)}")
    return [_mixed(plain, so_far, failed, place, count, chance, fits) for place in range(count)]


def _mixed(
    plain: Ask,
    so_far: Sequence[Attempt],
    failed: Sequence[Attempt],
    place: int,
    count: int,
    chance: random.Random,
    fits: Fits,
) -> Ask:
    """auto's attempt at a place of a round of `count`.

    One by one the base goes on with a conversation, in which a demand that was met stays met: there
    the last attempt stands. Now and then it begins anew from all feedback. Of a larger round half
    are the student's plain attempts, a quarter the student's and a quarter the base's with more.
    """
    if count > 1 and place % 2:
        return plain
    anew = len(so_far) % BATCH % _ANEW == 1 if count == 1 else place != 2
    if not anew:
        # Its own attempts alone: those that did not see the last one forget what that had learned.
        own = [a for a in failed if a.how == "turns" or a is failed[0]]
        return _turns(plain.prompt, own[-WINDOW:], fits)
    pieces = distinct(so_far)
    # No piece may block the way: one that misleads is left out now and then like any other.
    kept = [p for p in pieces if chance.random() >= _FORGET] or [chance.choice(pieces)]
    return _told(plain.prompt, kept, fits, student=place % 4 == 0 and count > 1)


def examples(
    method: Method,
    prompt: Sequence[Message],
    so_far: Sequence[Attempt],
    batch: Sequence[Attempt],
    fits: Fits = anything,
) -> list[Example]:
    """What is learned from a batch. The teacher never sees the failed attempt.

    sdpo: of each attempt its own feedback (arXiv 2601.20802, which shows a correct sibling too:
    here the first correct attempt ends the search). auto: all distinct feedback so far.
    """
    if not learns(method):
        return []
    pieces = distinct(so_far)
    learned = []
    for attempt in batch:
        if method == "sdpo":
            pieces = [attempt.outcome.said] if attempt.outcome.said else []
        block = hindsight_of(prompt, pieces, fits, attempt.answer)
        if block:
            response = (Message("assistant", attempt.answer),)
            name = f"attempt-{attempt.number}"
            learned.append(Example(name, tuple(prompt), response, block))
    return learned


def distinct(attempts: Sequence[Attempt]) -> list[str]:
    """All different pieces of feedback in the order in which they came first; when there are too
    many, those that came most often."""
    counts: dict[str, int] = {}
    for attempt in attempts:
        if attempt.outcome.said:
            counts[attempt.outcome.said] = counts.get(attempt.outcome.said, 0) + 1
    often = sorted(counts, key=lambda piece: -counts[piece])[:_SHOWN]
    return [piece for piece in counts if piece in often]


def _turns(prompt: tuple[Message, ...], window: Sequence[Attempt], fits: Fits) -> Ask:
    """The attempts as a conversation: what was answered, and what was said about it."""
    exchanges = [(attempt.answer, attempt.outcome.said) for attempt in window]
    asked = conversation_of(prompt, exchanges, fits)
    return Ask(asked, False, "turns" if len(asked) > len(prompt) else "plain")


def _told(prompt: tuple[Message, ...], pieces: Sequence[str], fits: Fits, *, student: bool) -> Ask:
    block = hindsight_of(prompt, pieces, fits)
    return Ask(with_hindsight(prompt, block) if block else prompt, student, "told")
