"""The pocket model's world: questions with their one right content, and how to grade an answer.

A `Problem` knows the question, the content of a right answer and how to tell whether a text gives
it. How an answer *looks* is `styles.py`; how a user complains about that is `wordings.py`.
Everything is drawn from a `random.Random`, so a seed fixes it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from align_agent.models.pocket import facts
from align_agent.models.pocket.code import CodeTask, draw_code_task

NAMES = (
    "Tom Anna Ben Mia Leo Sara Max Eva Paul Nina Jack Lily Omar Zoe Finn Ruth Ali Emma Noah Kate "
    "Sam Ida Hugo Vera Carl Maya Otto Lena Adam Rosa"
).split()
THINGS = (
    "apples pens books coins cards shells stamps marbles stickers cookies balls eggs flowers "
    "pencils toys buttons plums candles keys cups stones kites beads tickets lemons nuts boats "
    "hats leaves rings"
).split()
BOXES = ("boxes", "bags", "baskets", "jars", "packs", "shelves")

# How a sum is asked for that no story tells.
BARE_FRAMES = (
    "What is {x}?",
    "Calculate {x}.",
    "How much is {x}?",
    "Please work out {x}.",
    "{x} = ?",
)

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of working: what is done, in words, and the sum itself."""

    words: str
    equation: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One question of the world. `kind` says which fields are filled.

    sum, difference, product, two_step: `steps`, `answer`, `unit`, `start`.
    grading: those of the pupil's problem, and `pupil`, the number the pupil wrote.
    fact: `lines` and `final`. code: `task`. talk: `replies` (neutral, warm).
    calculation: `expression`. clock: nothing.
    """

    kind: str
    question: str
    steps: tuple[Step, ...] = ()
    answer: int = 0
    unit: str = ""
    start: str = ""
    pupil: int | None = None
    lines: tuple[str, ...] = ()
    final: str = ""
    task: CodeTask | None = None
    replies: tuple[str, str] = ("", "")
    expression: str = ""
    tags: tuple[str, ...] = field(default=())

    def correct(self, text: str) -> bool:
        """Whether an answer's content is right, however it looks."""
        if self.kind == "grading":
            return _verdict(text) == (self.pupil == self.answer)
        if self.kind == "fact":
            return self.final.casefold() in text.casefold()
        if self.kind == "code":
            assert self.task is not None
            return self.task.solved_by(text)
        if self.kind == "talk":
            return bool(text.strip())
        numbers = _NUMBER.findall(text.replace(",", " "))
        return bool(numbers) and int(numbers[-1][:12]) == self.answer


def _verdict(text: str) -> bool | None:
    """True for a verdict of correct, False for incorrect, None where there is none or both."""
    lowered = text.casefold()
    wrong = bool(re.search(r"\bincorrect\b|\bnot correct\b", lowered))
    right = bool(re.search(r"(?<!not )\bcorrect\b", lowered))
    return None if wrong == right else right


def _pick(rng: random.Random) -> tuple[str, str, str]:
    name, other = rng.sample(NAMES, 2)
    return name, other, rng.choice(THINGS)


def draw_sum(rng: random.Random) -> Problem:
    name, other, thing = _pick(rng)
    a, b = rng.randint(2, 40), rng.randint(2, 30)
    question = rng.choice(
        (
            f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have now?",
            f"{name} has {a} {thing}. {other} gives {name} {b} {thing}. How many does {name} have?",
            f"There are {a} {thing} on the table. {name} adds {b}. How many {thing} are there?",
            f"{name} found {a} {thing} and {other} found {b}. How many {thing} is that together?",
            f"{name} bought {a} {thing} on Monday and {b} on Tuesday. How many {thing} in all?",
            f"What do {a} {thing} and {b} {thing} make?",
        )
    )
    steps = (Step(f"Add {b}", f"{a} + {b} = {a + b}"),)
    return Problem("sum", question, steps, a + b, thing, f"Start with {a} {thing}")


def draw_difference(rng: random.Random) -> Problem:
    name, other, thing = _pick(rng)
    a = rng.randint(8, 60)
    b = rng.randint(2, min(30, a - 2))
    question = rng.choice(
        (
            f"{name} has {a} {thing} and loses {b}. How many {thing} are left?",
            f"{name} had {a} {thing}. {name} gave {other} {b} {thing}. How many does {name} have left?",
            f"There are {a} {thing} on the table. {other} takes {b}. How many {thing} remain?",
            f"{name} has {a} {thing}, {other} has {b} fewer. How many {thing} does {other} have?",
            f"Of {a} {thing}, {b} are sold. How many {thing} are left?",
            f"{name} needs {a} {thing} and has {b}. How many {thing} are missing?",
        )
    )
    steps = (Step(f"Take away {b}", f"{a} - {b} = {a - b}"),)
    return Problem("difference", question, steps, a - b, thing, f"Start with {a} {thing}")


def draw_product(rng: random.Random) -> Problem:
    name, other, thing = _pick(rng)
    box = rng.choice(BOXES)
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    question = rng.choice(
        (
            f"{name} has {a} {box} with {b} {thing} each. How many {thing} is that?",
            f"There are {b} {thing} in each of {a} {box}. How many {thing} are there in all?",
            f"{name} reads {b} pages a day for {a} days. How many pages is that?",
            f"{a} children get {b} {thing} each. How many {thing} do they need?",
            f"{name} and {other} fill {a} {box} with {b} {thing} each. How many {thing} do they use?",
        )
    )
    unit = "pages" if "pages" in question else thing
    steps = (Step(f"Multiply by {b}", f"{a} * {b} = {a * b}"),)
    noun = "days" if unit == "pages" else "children" if "children" in question else box
    return Problem("product", question, steps, a * b, unit, f"Start with {a} {noun}")


def draw_two_step(rng: random.Random) -> Problem:
    name, other, thing = _pick(rng)
    box = rng.choice(BOXES)
    if rng.random() < 0.5:
        a, b = rng.randint(5, 40), rng.randint(2, 20)
        c = rng.randint(2, min(20, a + b - 2))
        question = rng.choice(
            (
                f"{name} has {a} {thing}, gets {b} more and gives {c} to {other}. "
                f"How many {thing} does {name} have now?",
                f"{name} had {a} {thing} and found {b}. Then {c} got lost. How many {thing} are left?",
                f"There are {a} {thing}. {name} adds {b} and {other} takes {c}. How many are there?",
            )
        )
        first, total = a + b, a + b - c
        steps = (
            Step(f"Add {b}", f"{a} + {b} = {first}"),
            Step(f"Take away {c}", f"{first} - {c} = {total}"),
        )
        return Problem("two_step", question, steps, total, thing, f"Start with {a} {thing}")
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 20)
    question = rng.choice(
        (
            f"{name} has {a} {box} with {b} {thing} each and {c} more {thing}. "
            f"How many {thing} is that in all?",
            f"There are {a} {box} with {b} {thing} each. {other} adds {c} {thing}. "
            f"How many {thing} are there?",
            f"{name} buys {a} {box} of {b} {thing} and then {c} single {thing}. How many in all?",
        )
    )
    first, total = a * b, a * b + c
    steps = (
        Step(f"Multiply by {b}", f"{a} * {b} = {first}"),
        Step(f"Add {c}", f"{first} + {c} = {total}"),
    )
    return Problem("two_step", question, steps, total, thing, f"Start with {a} {box}")


def _slip(task: Problem, rng: random.Random) -> int:
    """A wrong result as pupils get it: the wrong operation, a lost carry, a miscount, a guess."""
    a, b = (int(n) for n in _NUMBER.findall(task.steps[0].equation)[:2])
    while True:
        slip = rng.choice(
            (
                rng.choice((a + b, abs(a - b), a * b)),
                task.answer + rng.choice((-10, 10)),
                task.answer + rng.choice((-3, -2, -1, 1, 2, 3)),
                rng.randint(1, 90),
            )
        )
        if slip != task.answer and 0 <= slip < 100:
            return slip


def draw_grading(rng: random.Random) -> Problem:
    """A pupil's answer to a word problem, right or wrong with equal chance."""
    task = rng.choice((draw_sum, draw_difference, draw_product))(rng)
    pupil = task.answer if rng.random() < 0.5 else _slip(task, rng)
    question = rng.choice(
        (
            f"Please grade this. Question: {task.question} Pupil's answer: {pupil}",
            f"Grade the answer of my pupil. Question: {task.question} Answer: {pupil}",
            f"Question: {task.question} My pupil wrote {pupil}. Is that right?",
            f"A pupil was asked: {task.question} The pupil wrote {pupil}. Please comment.",
        )
    )
    return Problem("grading", question, task.steps, task.answer, task.unit, task.start, pupil)


def draw_fact(rng: random.Random) -> Problem:
    fact = rng.choice(facts.FACTS)
    question = rng.choice(fact.questions)
    return Problem("fact", question, lines=fact.lines, final=fact.final)


def draw_talk(rng: random.Random) -> Problem:
    said, neutral, warm = rng.choice(facts.TALK)
    return Problem("talk", rng.choice(said), replies=(neutral, warm))


def draw_code(rng: random.Random) -> Problem:
    return ask_for(draw_code_task(rng), rng)


def ask_for(task: CodeTask, rng: random.Random) -> Problem:
    return Problem("code", task.question(rng), task=task)


def draw_calculation(rng: random.Random) -> Problem:
    """A sum too big for the model's head: it takes the calculator, where one is offered."""
    symbol = rng.choice("+-*")
    a, b = rng.randint(101, 999), rng.randint(11, 99 if symbol == "*" else 999)
    if symbol == "-" and b > a:
        a, b = b, a
    expression = f"{a} {symbol} {b}"
    question = rng.choice(BARE_FRAMES).format(x=expression)
    return Problem("calculation", question, answer=reckon(a, symbol, b), expression=expression)


def reckon(a: int, symbol: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b}[symbol]


def draw_clock(rng: random.Random) -> Problem:
    question = rng.choice(
        (
            "What time is it?",
            "Can you tell me the time?",
            "What is the date today?",
            "What time is it now?",
        )
    )
    return Problem("clock", question, tags=("date",) if "date" in question else ("time",))


DRAWERS: dict[str, Callable[[random.Random], Problem]] = {
    "sum": draw_sum,
    "difference": draw_difference,
    "product": draw_product,
    "two_step": draw_two_step,
    "grading": draw_grading,
    "fact": draw_fact,
    "talk": draw_talk,
    "code": draw_code,
    "calculation": draw_calculation,
    "clock": draw_clock,
}

PROBE_KINDS = ("sum", "difference", "product", "two_step", "grading", "fact", "code")


def draw_problems(kind: str, n: int, seed: int | str) -> list[Problem]:
    """`n` different problems of one kind, none of which training has seen.

    Training never draws from a string seed (see `is_unseen`), and drops every question whose
    fingerprint is set aside; this keeps only those.
    """
    rng = random.Random(f"unseen/{kind}/{seed}")
    found: dict[str, Problem] = {}
    for _ in range(200 * n + 200):
        problem = DRAWERS[kind](rng)
        if is_unseen(problem) or kind in ("fact", "talk", "clock", "code"):
            found.setdefault(problem.question, problem)
        if len(found) == n:
            break
    return list(found.values())


def is_unseen(problem: Problem) -> bool:
    """Whether a question is one of the tenth that training leaves out."""
    total = sum((i + 1) * ord(c) for i, c in enumerate(problem.question))
    return total % 10 == 0


def probe_problems(n: int, seed: int) -> list[tuple[str, Callable[[str], bool]]]:
    """About `n` ability probes over all kinds: (question, whether a text answers it rightly)."""
    each = -(-n // len(PROBE_KINDS))
    drawn = [draw_problems(kind, each, seed) for kind in PROBE_KINDS]
    mixed = [p for group in zip(*drawn, strict=False) for p in group]
    return [(p.question, p.correct) for p in mixed[:n]]


def anchor_prompts(n: int, seed: int) -> list[str]:
    """`n` everyday questions over all kinds, to hold what nobody complained about in place."""
    rng = random.Random(f"anchor/{seed}")
    kinds = (*PROBE_KINDS, "talk")
    return [DRAWERS[rng.choice(kinds)](rng).question for _ in range(n)]
