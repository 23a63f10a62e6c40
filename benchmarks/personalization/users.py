"""The hidden users: what they secretly want in a session, and what they type.

They read answers and complain about one thing at a time, in words; half of the wordings were never
seen by the pocket model. What they type depends on the user, the seed, the place in the session
and the answer alone, so that every method meets the same person.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from align_agent.models.pocket import facts, wordings
from align_agent.models.pocket.styles import AXES, DEFAULT, meets
from align_agent.models.pocket.world import DRAWERS, Problem, draw_problems

KINDS = ("three", "flip", "irrelevant", "one", "five", "noisy", "contradictory")
ABOUT = {
    "one": "one preference",
    "three": "three preferences",
    "five": "five preferences",
    "flip": "three preferences, each turned into its opposite half-way",
    "irrelevant": "no preference: thanks, other questions and small talk only",
    "noisy": "three preferences; one complaint in five asks for the opposite of one of them",
    "contradictory": "two preferences, and a third that is another one in every session",
}
MAX_COMPLAINTS = 6
NOISE = 0.2
CHATTER = 2  # messages of small talk after the question
WORD_PROBLEMS = ("sum", "difference", "product", "two_step")

_HOW_MANY = {"one": 1, "five": 5, "irrelevant": 0}


def opposite(direction: str) -> str:
    """`format:markdown` for `format:plain`."""
    axis, _, value = direction.partition(":")
    first, second = AXES[axis]
    return f"{axis}:{second if value == first else first}"


@dataclass(frozen=True, slots=True)
class HiddenUser:
    """One person. `wants` are the directions of the start, `torn` the one that keeps changing.

    `flips_at` is the session from which on every preference is its opposite, -1 for never.
    """

    kind: str
    seed: int
    problem_kinds: tuple[str, ...]
    wants: tuple[str, ...]
    torn: str = ""
    flips_at: int = -1

    def wants_in(self, session: int) -> tuple[str, ...]:
        """What would satisfy them in a session, but for what they contradict themselves about."""
        if 0 <= self.flips_at <= session:
            return tuple(opposite(direction) for direction in self.wants)
        return self.wants

    def satisfied(self, problem: Problem, answer: str, session: int) -> bool:
        return meets(problem, answer, self.wants_in(session))

    def axes(self) -> set[str]:
        """Every axis that they ever complain about."""
        return {d.partition(":")[0] for d in (*self.wants, self.torn) if d}

    def question(self, session: int) -> Problem:
        """The question that opens a session: the same one for every method."""
        rng = self._rng("question", session)
        return DRAWERS[rng.choice(self.problem_kinds)](rng)

    def measured(self, n: int) -> list[Problem]:
        """`n` questions of theirs that no training has seen."""
        each = -(-n // len(self.problem_kinds))
        drawn = [draw_problems(kind, each, f"measured/{self.seed}") for kind in self.problem_kinds]
        return [p for group in zip(*drawn, strict=True) for p in group][:n]

    def reply(self, problem: Problem, answers: list[str], session: int) -> str:
        """Their next message after the session's answers so far; empty when they leave."""
        rng = self._rng("reply", session, len(answers))
        if self.kind == "irrelevant":
            return self._chatter(rng) if len(answers) <= CHATTER else ""
        wanted = self.wants_in(session)
        if self.torn:
            wanted = (*wanted, self.torn if session % 2 else opposite(self.torn))
        missing = [d for d in wanted if not meets(problem, answers[-1], [d])]
        if not missing or len(answers) > MAX_COMPLAINTS:
            return ""
        direction = rng.choice(missing)
        if self.kind == "noisy" and rng.random() < NOISE:
            direction = opposite(rng.choice(wanted))
        if rng.random() < 0.5:
            return rng.choice(wordings.UNSEEN[direction])
        return wordings.say(direction, rng)

    def farewell(self, session: int) -> str:
        """A word of thanks after every other session that ended well, else nothing."""
        rng = self._rng("farewell", session)
        return rng.choice(wordings.THANKS) if rng.random() < 0.5 else ""

    def _chatter(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.3:
            return rng.choice((*wordings.THANKS, *wordings.UNSEEN_THANKS))
        if kind < 0.7:
            return DRAWERS[rng.choice(WORD_PROBLEMS)](rng).question
        return rng.choice(rng.choice(facts.TALK)[0])

    def _rng(self, *about: object) -> random.Random:
        return random.Random("/".join(map(str, (self.kind, self.seed, *about))))


def hidden_user(kind: str, seed: int, sessions: int) -> HiddenUser:
    """The user of a kind and a seed, who will have so many sessions."""
    rng = random.Random(f"user/{seed}")  # the same tastes in every kind that has as many
    default = [f"{axis}:{getattr(DEFAULT, axis)}" for axis in AXES]
    liked = rng.sample([opposite(direction) for direction in default], len(default))
    wants = tuple(liked[: _HOW_MANY.get(kind, 3)])
    torn = ""
    if kind == "contradictory":
        wants, torn = wants[:2], wants[2]
    # Only comments on pupils' work can be specific or general.
    judges = any(direction.startswith("detail") for direction in (*wants, torn))
    return HiddenUser(
        kind=kind,
        seed=seed,
        problem_kinds=("grading",) if judges else WORD_PROBLEMS,
        wants=wants,
        torn=torn,
        flips_at=sessions // 2 if kind == "flip" else -1,
    )


@dataclass(slots=True)
class Session:
    """One conversation under way: a question, answers, replies."""

    number: int
    problem: Problem
    said: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    accepted: bool = False
    over: bool = False
