"""A pocket model that obeys a denied call, for `live.py`: the shipped one was never taught to.

The shipped weights go on for a moment, on the chats that they were trained on and on sums for which
the calculator is called by itself, and not where the user said to work it out oneself: in a
hindsight block, or as the denial of a call. The person of the benchmark says it in other words than
those here, about other numbers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch

from align_agent.models.local import LocalModel
from align_agent.models.pocket import train, wordings
from align_agent.models.pocket.chats import Document, draw_document
from align_agent.models.pocket.mix import LAST
from align_agent.models.pocket.tokens import build_tokenizer
from align_agent.models.pocket.train import Batch, Recipe, Stage
from align_agent.models.pocket.world import Problem, is_unseen
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight
from align_agent.records import Message, ToolCall

SHARE = 0.35  # of the chats, that are about such sums
STAGE = Stage(LAST, 41, 500_000, plain=0.0, muon_lr=0.004, adam_lr=1e-3, warmup=0.05, decay=0.8)
TAUGHT = (
    "Do not use the calculator.",
    "No calculator, please.",
    "Not with the calculator.",
    "Please do it without the calculator.",
    "You can do that in your head.",
    "Work it out in your head.",
    "Calculate it yourself.",
    "Do the sum yourself, please.",
    "You do not need a tool for that.",
    "No tools for small sums.",
    "Don't call the calculator for this.",
    "I want you to calculate it yourself.",
    "Stop using the calculator.",
    "Never use the calculator for small numbers.",
    "I don't want any calculator calls.",
    "Do it by hand.",
)
SAID = (
    "Don't use the calculator, work it out yourself.",
    "Leave the calculator alone and do it by yourself.",
    "Please work this out without a tool.",
    "Such a small sum needs no calculator.",
)


def draw_small(chance: random.Random) -> Problem:
    """A sum in digits that the model can do by itself: numbers as in its word problems."""
    symbol = chance.choice("+-*")
    a, b = chance.randint(2, 40), chance.randint(2, 30)
    if symbol == "*":
        a, b = chance.randint(2, 9), chance.randint(2, 9)
    if symbol == "-" and b > a:
        a, b = b, a
    result = {"+": a + b, "-": a - b, "*": a * b}[symbol]
    said = chance.choice(("What is {}?", "Calculate {}.", "How much is {}?", "Please work out {}."))
    expression = f"{a} {symbol} {b}"
    return Problem("calculation", said.format(expression), answer=result, expression=expression)


def small_problems(n: int, seed: str) -> list[Problem]:
    """`n` different ones that the training leaves out."""
    chance = random.Random(f"small/{seed}")
    found: dict[str, Problem] = {}
    while len(found) < n:
        problem = draw_small(chance)
        if is_unseen(problem):
            found.setdefault(problem.question, problem)
    return list(found.values())


def teach(out: Path) -> LocalModel:
    """Train, save in a folder of its own within `out`, and load it."""
    out = out / "live-taught"
    recipe = Recipe((STAGE,))
    tokenizer = build_tokenizer(recipe.seed)
    network = LocalModel.load("pocket", device="cpu").network(None)
    torch.manual_seed(STAGE.seed)
    network.train().requires_grad_(True)
    train.run_stage(network, _batches(tokenizer, recipe), STAGE, lambda *_: None)
    train.save(network, tokenizer, recipe, out, 0.0)
    return LocalModel.load(str(out), device="cpu")


def _batches(tokenizer: object, recipe: Recipe) -> Iterator[Batch]:
    chance = random.Random(STAGE.seed)
    while True:
        drawn = [_document(chance) for _ in range(recipe.pool // 4)]
        rows = [train.row_of(tokenizer, document) for document in drawn]
        yield from train.grouped(rows, recipe, chance)


def _document(chance: random.Random) -> Document:
    if chance.random() >= SHARE:
        return draw_document(chance, LAST)
    problem = _seen(chance)
    asked = (Message("user", problem.question),)
    shape = chance.random()
    if shape < 0.35:  # by itself it calls
        return Document([*asked, *_called(problem)], TOOL_SCHEMAS)
    if shape < 0.5:  # ... whatever else is said
        wish = chance.choice([*wordings.WHOLE])
        said = chance.choice((chance.choice(wordings.THANKS), wordings.say(wish, chance)))
        shown = with_hindsight(asked, hindsight_block([], said))
        return Document([*shown, _call(problem)], TOOL_SCHEMAS)
    if shape < 0.8:
        shown = with_hindsight(asked, hindsight_block([], chance.choice(TAUGHT)))
        return Document([*shown, by_itself(problem)], TOOL_SCHEMAS)
    denied = f"error: the user denied this call: {chance.choice(TAUGHT)}"
    told = [*asked, _call(problem), Message("tool", denied, tool_call_id="call_0")]
    document = Document([*told, by_itself(problem)], TOOL_SCHEMAS)
    for _ in range(chance.choice((0, 1, 2))):
        problem = _seen(chance)
        document.messages += [Message("user", problem.question), by_itself(problem)]
    return document


def _seen(chance: random.Random) -> Problem:
    while is_unseen(problem := draw_small(chance)):
        pass
    return problem


def _call(problem: Problem) -> Message:
    call = ToolCall("call_0", "calculator", {"expression": problem.expression})
    return Message("assistant", "", (call,))


def _called(problem: Problem) -> list[Message]:
    line = f"1. Use the calculator: {problem.expression} = {problem.answer}."
    text = f"{line}\n\n**Final Answer:** {problem.answer}"
    result = Message("tool", str(problem.answer), tool_call_id="call_0")
    return [_call(problem), result, Message("assistant", text)]


def by_itself(problem: Problem) -> Message:
    """The answer without a call."""
    line = f"1. Work it out: {problem.expression} = {problem.answer}."
    return Message("assistant", f"{line}\n\n**Final Answer:** {problem.answer}")
