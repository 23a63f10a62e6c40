"""What people type first, and how: greetings, thanks, "2+2", small letters, no question mark.

Drawn in the last stage of training alone (`Mix.everyday`). Whoever opens a chat tries this before
any homework, and a model that knows one small world should say so when asked beyond it, not
make something up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from align_agent.models.pocket.facts import BEYOND, FIRST_WORDS, UNKNOWN
from align_agent.models.pocket.world import BARE_FRAMES, Problem, Step, reckon

HEAD = 9  # two numbers up to here are reckoned in the head; larger ones take the calculator
_WORDS = {"+": ("plus",), "-": ("minus",), "*": ("times", "x")}
_DONE = {"+": ("sum", "Add"), "-": ("difference", "Take away"), "*": ("product", "Multiply by")}

FIRST = [(text, (neutral, warm)) for said, neutral, warm in FIRST_WORDS for text in said]
ASKED_BEYOND = [frame.format(x=word) for frame, words in BEYOND for word in words]

# A beginning, and others that people type for it.
_INSTEAD = (
    ("What is the ", ("What's the ", "Tell me the ", "the ")),
    ("What is ", ("What's ", "whats ", "Do you know what is ")),
    ("Tell me ", ("Do you know ", "Say ")),
    ("How many ", ("how many ", "So how many ")),
    ("Please grade this.", ("Grade this please.", "Can you grade this?", "Grade this:")),
    ("Please ", ("Can you please ", "pls ", "")),
    ("Write ", ("Please write ", "Can you write ", "write me ")),
)
_BEFORE = ("Hi, ", "Hello, ", "Hey, ", "Hi! ", "ok, ", "Ok so ", "Question: ", "Quick one: ")
_AFTER = (" Thanks!", " Thank you.", " thanks", " please", " :)")


def draw_everyday(rng: random.Random, draw: Callable[[], Problem]) -> Problem:
    """Small talk, a bare sum, something beyond the model's world, or, most often, one of `draw`'s
    questions as people type it."""
    shape = rng.random()
    if shape < 0.18:
        said, replies = rng.choice(FIRST)
        return Problem("talk", loose(said, rng), replies=replies)
    if shape < 0.33:
        return Problem("talk", loose(rng.choice(ASKED_BEYOND), rng), replies=UNKNOWN)
    if shape < 0.58:
        return draw_small_sum(rng)
    if shape < 0.70:
        return draw_bare_calculation(rng)
    problem = draw()
    return replace(problem, question=typed(problem.question, rng))


def draw_small_sum(rng: random.Random) -> Problem:
    """A sum of two digits, "2+2", that needs no calculator."""
    symbol = rng.choice("+-*")
    a, b = rng.randint(1, HEAD), rng.randint(1, HEAD)
    if symbol == "-" and b > a:
        a, b = b, a
    total = reckon(a, symbol, b)
    kind, verb = _DONE[symbol]
    steps = (Step(f"{verb} {b}", f"{a} {symbol} {b} = {total}"),)
    return Problem(kind, _asked(a, symbol, b, rng), steps, total, start=f"Start with {a}")


def draw_bare_calculation(rng: random.Random) -> Problem:
    """A sum for the calculator, smaller than the word problems' and written as people type it."""
    symbol = rng.choice("+-*")
    a, b = rng.randint(HEAD + 1, 99), rng.randint(2, 99)
    if (symbol == "-" and b > a) or (symbol != "-" and rng.random() < 0.3):
        a, b = b, a
    expression = f"{a} {symbol} {b}"
    question = _asked(a, symbol, b, rng)
    return Problem("calculation", question, answer=reckon(a, symbol, b), expression=expression)


def _asked(a: int, symbol: str, b: int, rng: random.Random) -> str:
    shape = rng.random()
    bare = f"{a} {symbol} {b}"
    if shape < 0.3:
        bare = f"{a}{symbol}{b}"
    elif shape < 0.5:
        bare = f"{a} {rng.choice(_WORDS[symbol])} {b}"
    frame = rng.choice(("What is {x}?", *BARE_FRAMES, "{x}", "{x}="))
    return loose(frame.format(x=bare), rng)


def typed(question: str, rng: random.Random) -> str:
    """A question as people type it: other words for its beginning, a greeting, then `loose`."""
    for beginning, others in _INSTEAD:
        if question.startswith(beginning) and rng.random() < 0.4:
            question = rng.choice(others) + question.removeprefix(beginning)
            break
    if rng.random() < 0.15:
        before = rng.choice(_BEFORE)
        question = before + question
    if rng.random() < 0.08:
        question += rng.choice(_AFTER)
    return loose(question, rng)


def loose(text: str, rng: random.Random) -> str:
    """Small letters, or a mark left out or doubled, as often as not."""
    if rng.random() < 0.45:
        text = text.lower()
    shape = rng.random()
    if shape < 0.35:
        text = text.rstrip("?.!")
    elif shape < 0.42 and text[-1:] in "?!":
        text += text[-1]
    return text
