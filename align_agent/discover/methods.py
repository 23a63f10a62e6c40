"""How the next attempts are asked for, and what is learned from the last: one class a method.

Pure: a method sees what was tried and what was said about it. Generates nothing, runs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from align_agent.discover.verdicts import Outcome
from align_agent.distill.hindsight import Example, build_hindsight
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
_ROUNDS = (1, 1, 2, 4, 8)  # auto's attempts between two looks at the feedback; a batch in all
_FORGET = 0.15  # how often a conditioned attempt leaves a piece of feedback out
_SHOWN = 12  # pieces of feedback at most


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt to come: its prompt, and whether the student or the base makes it."""

    prompt: tuple[Message, ...]
    student: bool
    how: Literal["plain", "told"]


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


def sizes(method: Method) -> tuple[int, ...]:
    """How many attempts of a batch are asked for at once."""
    if method in ("multi-turn", "multi-turn-attempts"):
        return (1,) * BATCH
    return _ROUNDS if method == "auto" else (BATCH,)


def ask(
    method: Method, prompt: Sequence[Message], so_far: Sequence[Attempt], count: int, seed: int
) -> list[Ask]:
    """The next attempts, `count` of them."""
    prompt = tuple(prompt)
    plain = Ask(prompt, learns(method), "plain")
    window = [a for a in so_far if a.outcome.said][-WINDOW:]  # first in, first out
    if method == "multi-turn":
        return [_told(prompt, [a.outcome.said for a in window], student=False)] * count
    if method == "multi-turn-attempts":
        return [Ask((*prompt, *_exchanges(window)), False, "told")] * count
    if method != "auto":
        return [plain] * count
    pieces = distinct(so_far)
    if not pieces:
        return [plain] * count
    chance = random.Random(f"{seed}/{len(so_far)}")
    asks = []
    for place in range(count):
        if place % 2 and count > 1:
            asks.append(plain)
            continue
        # No piece may block the way: one that misleads is left out now and then like any other.
        kept = [p for p in pieces if chance.random() >= _FORGET] or [chance.choice(pieces)]
        asks.append(_told(prompt, kept, student=place % 4 == 0 and count > 1))
    return asks


def examples(
    method: Method, prompt: Sequence[Message], so_far: Sequence[Attempt], batch: Sequence[Attempt]
) -> list[Example]:
    """What is learned from a batch. The teacher never sees the failed attempt.

    sdpo: of each attempt its own feedback, and a correct sibling if there is one (arXiv
    2601.20802). auto: all distinct feedback so far.
    """
    if not learns(method):
        return []
    siblings = [a.answer for a in batch if a.outcome.passed]
    pieces = distinct(so_far)
    learned = []
    for attempt in batch:
        if method == "sdpo":
            pieces = [attempt.outcome.said] if attempt.outcome.said else []
        others = [s for s in siblings if s != attempt.answer]
        told = [*pieces, *([f"A correct answer:\n{others[0]}"] if others else [])]
        if told:
            response = (Message("assistant", attempt.answer),)
            block = build_hindsight((), "\n".join(told))
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


def _exchanges(window: Sequence[Attempt]) -> Iterator[Message]:
    """The attempts as a conversation: what was answered, and what was said about it."""
    for attempt in window:
        yield Message("assistant", attempt.answer)
        yield Message("user", attempt.outcome.said)


def _told(prompt: tuple[Message, ...], pieces: Sequence[str], *, student: bool) -> Ask:
    block = build_hindsight((), "\n".join(pieces))
    return Ask(with_hindsight(prompt, block) if block else prompt, student, "told")
