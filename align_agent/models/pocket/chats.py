"""The synthetic chats that the pocket model is trained on.

A document is a whole chat in which every assistant message is right and obeys every wish that the
context holds by then. Wishes come as the system prompt's rules, as a hindsight block (the very
format that distillation uses), or from the user in a later message.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from align_agent.directions import DIRECTIONS
from align_agent.models.pocket import wordings
from align_agent.models.pocket.code import CHOICES, CodeTask, vary
from align_agent.models.pocket.styles import DEFAULT, EMOJI, Style, random_style, write
from align_agent.models.pocket.world import DRAWERS, Problem, is_unseen
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight, with_rules
from align_agent.records import Message, ToolCall

KINDS = {
    "sum": 10,
    "difference": 11,
    "product": 9,
    "two_step": 14,
    "grading": 20,
    "fact": 10,
    "talk": 4,
    "code": 22,
}
TOOL_KINDS = {"calculation": 10, "clock": 3}
STRAY = 0.015  # per axis: how often an answer strays from the default, so that sampling varies
WISH_COUNTS = (1, 1, 1, 1, 2, 2, 3, 3, 4)
WELCOME = {"neutral": "You are welcome.", "warm": "You are so welcome! It was a pleasure!"}
NO_TOOL = "I need a calculator for that."
NO_CLOCK = "I cannot see a clock."


@dataclass(slots=True)
class Document:
    """A chat to train on: all its assistant messages are targets."""

    messages: list[Message] = field(default_factory=list)
    tools: tuple[dict[str, Any], ...] = ()


def draw_problem(rng: random.Random, tools: bool) -> Problem:
    """A problem that training may use: one of the questions set aside is never drawn."""
    table = KINDS | TOOL_KINDS if tools or rng.random() < 0.03 else KINDS
    while True:
        kind = rng.choices(list(table), weights=list(table.values()))[0]
        problem = DRAWERS[kind](rng)
        if kind in ("fact", "talk", "clock", "code") or not is_unseen(problem):
            return problem


def draw_wishes(rng: random.Random, kind: str, count: int) -> list[str]:
    """Wishes on different axes, `axis:value`, mostly ones that change something."""
    axes = ["format", "length", "tone", "emoji"]
    if kind == "grading" or rng.random() < 0.15:  # elsewhere it changes nothing
        axes.append("detail")
    chosen = rng.sample(axes, min(count, len(axes)))
    if kind == "grading" and count < 3 and rng.random() < 0.3 and "detail" not in chosen:
        chosen[0] = "detail"
    wishes = []
    for axis in chosen:
        values = [d.value for d in DIRECTIONS.values() if d.axis == axis]
        default = getattr(DEFAULT, axis)
        other = next(v for v in values if v != default)
        wishes.append(f"{axis}:{other if rng.random() < 0.75 else default}")
    return wishes


def apply_wishes(style: Style, wishes: list[str]) -> Style:
    for wish in wishes:
        style = style.with_direction(wish)
    return style


def answer(problem: Problem, style: Style, rng: random.Random, tools: bool) -> list[Message]:
    """The messages that answer a problem: one, or a tool call, its result and one."""
    if problem.kind == "clock":
        return _clock_answer(style, rng, tools)
    if problem.kind != "calculation":
        return [Message("assistant", write(problem, style, rng))]
    if not tools:
        return [Message("assistant", NO_TOOL)]
    call = ToolCall("call_0", "calculator", {"expression": problem.expression})
    return [
        Message("assistant", "", (call,)),
        Message("tool", str(problem.answer), tool_call_id="call_0"),
        Message("assistant", write(problem, style, rng)),
    ]


def _clock_answer(style: Style, rng: random.Random, tools: bool) -> list[Message]:
    if not tools:
        return [Message("assistant", NO_CLOCK)]
    day = rng.choice(("Monday Tuesday Wednesday Thursday Friday Saturday Sunday").split())
    month = rng.choice(
        (
            "January February March April May June July August September October November December"
        ).split()
    )
    shown = f"{day} {rng.randint(1, 30)} {month} {rng.randint(2025, 2032)}, "
    shown += f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d} (UTC+0{rng.randint(0, 9)}:00)"
    moment = shown.split(" (")[0]
    text = f"It is {moment}."
    if style.emoji == "some":
        text += f" {rng.choice(EMOJI)}"
    call = ToolCall("call_0", "clock", {})
    return [
        Message("assistant", "", (call,)),
        Message("tool", shown, tool_call_id="call_0"),
        Message("assistant", text),
    ]


def draw_document(rng: random.Random) -> Document:
    """One training chat."""
    tools = rng.random() < 0.22
    document = Document(tools=TOOL_SCHEMAS if tools else ())
    shape = rng.random()
    if shape < 0.30:
        _single(document, rng, tools)
    elif shape < 0.46:
        _with_system_rules(document, rng, tools)
    elif shape < 0.76:
        _with_hindsight(document, rng, tools)
    else:
        _conversation(document, rng, tools)
    return document


def _single(document: Document, rng: random.Random, tools: bool) -> None:
    problem = draw_problem(rng, tools)
    style = random_style(rng, STRAY)
    if problem.kind == "code" and rng.random() < 3 * STRAY:
        assert problem.task is not None
        document.messages = [
            Message("user", problem.question),
            Message("assistant", vary(problem.task, rng).answer()),
        ]
        return
    document.messages = [Message("user", problem.question), *answer(problem, style, rng, tools)]


def _rule_text(wish: str, rng: random.Random) -> str:
    return DIRECTIONS[wish].text if rng.random() < 0.6 else wordings.say(wish, rng)


def _with_system_rules(document: Document, rng: random.Random, tools: bool) -> None:
    problem = draw_problem(rng, tools)
    wishes = draw_wishes(rng, problem.kind, rng.choice(WISH_COUNTS))
    style = apply_wishes(random_style(rng, STRAY), wishes)
    prompt = with_rules([Message("user", problem.question)], [_rule_text(w, rng) for w in wishes])
    document.messages = [*prompt, *answer(problem, style, rng, tools)]


def _with_hindsight(document: Document, rng: random.Random, tools: bool) -> None:
    problem = draw_problem(rng, tools)
    block, style, solved = draw_hindsight(problem, rng, random_style(rng, STRAY))
    prompt = with_hindsight([Message("user", problem.question)], block)
    document.messages = [*prompt, *answer(solved, style, rng, tools)]


def draw_hindsight(
    problem: Problem, rng: random.Random, style: Style
) -> tuple[str, Style, Problem]:
    """A hindsight block, and the style and content that it asks for."""
    wishes = draw_wishes(rng, problem.kind, rng.choice(WISH_COUNTS))
    shape = rng.random()
    if problem.kind == "code" and shape < 0.7:
        rules = [_rule_text(w, rng) for w in wishes] if rng.random() < 0.3 else []
        follow_up, wanted = draw_code_follow_up(problem, rng)
        return hindsight_block(rules, follow_up), style, wanted
    if shape < 0.18:  # nothing was asked for
        kept = wishes if rng.random() < 0.4 else []
        rules = [_rule_text(w, rng) for w in kept]
        return hindsight_block(rules, _empty_follow_up(rng)), apply_wishes(style, kept), problem
    if shape < 0.48:
        said = wishes[: rng.choice((1, 1, 2))]
        text = wordings.join([wordings.say(w, rng) for w in said], rng)
        return hindsight_block([], text), apply_wishes(style, said), problem
    rules = [_rule_text(w, rng) for w in wishes]
    follow_up = ""
    if shape >= 0.75:
        extra = rng.choice(wishes)
        follow_up = wordings.say(extra, rng)
        if rng.random() < 0.4 and len(wishes) > 1:
            rules.pop(wishes.index(extra))
    return hindsight_block(rules, follow_up), apply_wishes(style, wishes), problem


def _empty_follow_up(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(wordings.THANKS)
    return draw_problem(rng, tools=False).question


def draw_code_follow_up(problem: Problem, rng: random.Random) -> tuple[str, Problem]:
    """What a user or a failed test says about a first attempt, and the problem as then wanted."""
    assert problem.task is not None
    asked = problem.task
    wanted = vary(asked, rng, rng.choice((1, 1, 1, 2, 2, 3)))
    solved = Problem("code", problem.question, task=wanted)
    if rng.random() < 0.4:
        telling = [n for n in range(4, 9) if wanted.value(n) != asked.value(n)]
        return wanted.failure(asked, rng.choice(telling)), solved
    return code_wishes(asked, wanted, rng), solved


def code_wishes(asked: CodeTask, wanted: CodeTask, rng: random.Random) -> str:
    """Every difference between two tasks, in the user's words."""
    axes = wanted.differences(asked)
    said = [wordings.say_code(f"{axis}:{getattr(wanted, axis)}", rng) for axis in axes]
    rng.shuffle(said)
    return wordings.join(said, rng) if said else rng.choice(wordings.THANKS)


def _conversation(document: Document, rng: random.Random, tools: bool) -> None:
    """Two to four exchanges, now and then many; what the user asked for holds from then on."""
    style = random_style(rng, STRAY)
    problem = draw_problem(rng, tools)
    first: list[Message] = [Message("user", problem.question)]
    if rng.random() < 0.2:
        wishes = draw_wishes(rng, problem.kind, rng.choice((1, 1, 2, 3)))
        style = apply_wishes(style, wishes)
        first = list(with_rules(first, [_rule_text(w, rng) for w in wishes]))
    document.messages = [*first, *answer(problem, style, rng, tools)]
    exchanges = rng.choice((1, 1, 2, 2, 3)) if rng.random() < 0.92 else rng.randint(5, 10)
    for _ in range(exchanges):
        problem, style = _exchange(document, problem, style, rng, tools)


def _exchange(
    document: Document, problem: Problem, style: Style, rng: random.Random, tools: bool
) -> tuple[Problem, Style]:
    shape = rng.random()
    if shape < 0.18:
        document.messages += [
            Message("user", rng.choice(wordings.THANKS)),
            Message("assistant", _welcome(style, rng)),
        ]
        return problem, style
    if shape < 0.55:  # a complaint alone: the last answer again, as wished
        if problem.kind == "code" and rng.random() < 0.8:
            said, problem = draw_code_follow_up(problem, rng)
        else:
            wishes = draw_wishes(rng, problem.kind, rng.choice((1, 1, 1, 2)))
            style = apply_wishes(style, wishes)
            said = wordings.join([wordings.say(w, rng) for w in wishes], rng)
    else:
        problem = draw_problem(rng, tools)
        said = problem.question
        if shape < 0.72:
            wishes = draw_wishes(rng, problem.kind, 1)
            style = apply_wishes(style, wishes)
            said = f"{wordings.say(wishes[0], rng)} {said}"
    asked = [Message("user", said)]
    if rng.random() < 0.12:
        block, style_then, problem = draw_hindsight(problem, rng, style)
        asked = list(with_hindsight(asked, block))
        document.messages += [*asked, *answer(problem, style_then, rng, tools)]
        return problem, style  # hindsight belongs to its own turn alone
    document.messages += [*asked, *answer(problem, style, rng, tools)]
    return problem, style


def _welcome(style: Style, rng: random.Random) -> str:
    text = WELCOME[style.tone]
    return f"{text} {rng.choice(EMOJI)}" if style.emoji == "some" else text


def all_choices() -> list[str]:
    """Every wish about code, `axis:choice`."""
    return [f"{axis}:{option}" for axis, options in CHOICES.items() for option in options]
