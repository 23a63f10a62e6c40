"""The people of the demonstration: what they ask, what they secretly want, how they complain.

A simulated user only reads answers and types messages. They complain about one thing at a time, in
words from the pocket world's wordings, half of them wordings that the pocket model never saw.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from align_agent.models.pocket import wordings
from align_agent.models.pocket.styles import meets
from align_agent.models.pocket.world import DRAWERS, Problem, draw_problems

MAX_COMPLAINTS = 4


@dataclass(frozen=True, slots=True)
class Persona:
    """One hidden user: the kinds of question they ask, and the directions they want."""

    name: str
    about: str
    kinds: tuple[str, ...]
    wants: tuple[str, ...]

    def problems(self, n: int, seed: int) -> list[Problem]:
        """`n` questions of theirs that neither training nor any chat has used."""
        each = -(-n // len(self.kinds))
        drawn = [draw_problems(kind, each, f"{self.name}/{seed}") for kind in self.kinds]
        return [p for group in zip(*drawn, strict=True) for p in group][:n]

    def satisfied(self, problem: Problem, answer: str) -> bool:
        return meets(problem, answer, self.wants)


STUDENT = Persona(
    "student",
    "wants homework that does not look written by an AI: plain text, no list, no bold, short",
    ("sum", "difference", "product", "two_step"),
    ("format:plain", "length:brief"),
)
TEACHER = Persona(
    "teacher",
    "wants comments on pupils' work that are warm and specific",
    ("grading",),
    ("tone:warm", "detail:specific"),
)
PERSONAS = {p.name: p for p in (STUDENT, TEACHER)}


@dataclass(slots=True)
class SimulatedUser:
    """Types messages for a persona. `corrections` counts complaints about first answers."""

    persona: Persona
    rng: random.Random
    corrections: int = 0
    said: list[str] = field(default_factory=list)

    def question(self) -> Problem:
        return DRAWERS[self.rng.choice(self.persona.kinds)](self.rng)

    def complaint(self, problem: Problem, answer: str) -> str:
        """One complaint about one thing that is wrong with an answer; empty when content."""
        missing = [d for d in self.persona.wants if not meets(problem, answer, [d])]
        if not missing:
            return ""
        direction = self.rng.choice(missing)
        if self.rng.random() < 0.5:
            words = self.rng.choice(wordings.UNSEEN[direction])
        else:
            words = wordings.say(direction, self.rng)
        self.said.append(words)
        return words

    def talk(self, send: Callable[[str], str]) -> tuple[Problem, list[tuple[str, str]]]:
        """One whole chat: a question, complaints until content, a word of thanks now and then."""
        problem = self.question()
        lines = [(problem.question, send(problem.question))]
        for turn in range(MAX_COMPLAINTS):
            complaint = self.complaint(problem, lines[-1][1])
            if not complaint:
                break
            self.corrections += turn == 0
            lines.append((complaint, send(complaint)))
        if self.rng.random() < 0.5:
            thanks = self.rng.choice(wordings.THANKS)
            lines.append((thanks, send(thanks)))
        return problem, lines
