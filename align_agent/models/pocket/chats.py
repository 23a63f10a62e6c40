"""The synthetic chats that the pocket model is trained on.

A document is a whole chat in which every assistant message is right and obeys every wish that the
context holds by then. Wishes come as the system prompt's rules, as a hindsight block (the very
format that distillation uses), or from the user in a later message.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from align_agent.directions import DIRECTIONS
from align_agent.models.pocket import wordings
from align_agent.models.pocket.code import CHOICES, CodeTask, draw_code_task, vary
from align_agent.models.pocket.everyday import draw_everyday
from align_agent.models.pocket.facts import WELCOME
from align_agent.models.pocket.mix import BROAD, Mix
from align_agent.models.pocket.styles import AXES, DEFAULT, EMOJI, Style, random_style, write
from align_agent.models.pocket.world import DRAWERS, Problem, ask_for, is_unseen
from align_agent.prompts import TOOL_SCHEMAS, hindsight_block, with_hindsight, with_rules
from align_agent.records import Message, ToolCall

KINDS = {
    "sum": 10,
    "difference": 11,
    "product": 9,
    "two_step": 14,
    "grading": 26,
    "fact": 10,
    "talk": 4,
    "code": 14,
}
# For first questions and for chats: whether two numbers agree takes longest to learn, and only a
# pupil's work shows whether a wish about the comment's detail was understood.
GRADING_KINDS = KINDS | {"grading": 40}
STYLED_KINDS = {kind: share for kind, share in KINDS.items() if kind != "code"}
TOOL_KINDS = {"calculation": 10, "clock": 3}
CODE_STRAY = 0.045  # how often a function strays from what was asked, so that sampling varies
RULED_START = 0.3  # how many chats begin under rules, so that wishes can turn them around
TAUGHT = 0.65  # how many of the other chats begin with an answer in a style of its own
CHANGES = (1, 1, 1, 2, 2, 3)  # differences between a first attempt at code and what was wanted
NO_TOOL = "I need a calculator for that."
NO_CLOCK = "I cannot see a clock."


@dataclass(slots=True)
class Document:
    """A chat to train on: its assistant messages are targets, but for the first `given` messages."""

    messages: list[Message] = field(default_factory=list)
    tools: tuple[dict[str, Any], ...] = ()
    given: int = 0


def draw_problem(
    rng: random.Random, tools: bool, mix: Mix, kinds: Mapping[str, int] = KINDS
) -> Problem:
    """A problem that training may use: one of the questions set aside is never drawn."""
    # Where there are none no number is drawn either: the other stages' documents stay as they are.
    if mix.everyday and rng.random() < mix.everyday:
        return draw_everyday(rng, lambda: _draw_known(rng, tools, kinds))
    return _draw_known(rng, tools, kinds)


def _draw_known(rng: random.Random, tools: bool, kinds: Mapping[str, int]) -> Problem:
    table = {**kinds, **TOOL_KINDS} if tools or rng.random() < 0.03 else kinds
    while True:
        kind = rng.choices(list(table), weights=list(table.values()))[0]
        problem = DRAWERS[kind](rng)
        if kind in ("fact", "talk", "clock", "code") or not is_unseen(problem):
            return problem


def draw_wishes(rng: random.Random, kind: str, count: int, style: Style, mix: Mix) -> list[str]:
    """Wishes on different axes, `axis:value`, mostly ones that turn `style` around.

    Turned away from the style of the moment and not from the default: a wish taken back ("use
    markdown again") has to move the answer as well, or its words are never learned.
    """
    axes = ["format", "length", "tone", "emoji"]
    if kind == "grading" or rng.random() < 0.15:  # elsewhere it changes nothing
        axes.append("detail")
    if shares := mix.axis_shares:  # Efraimidis and Spirakis (2006): a weighted sample
        axes.sort(key=lambda axis: rng.random() ** (1 / shares[axis]), reverse=True)
        chosen = axes[:count]
    else:
        chosen = rng.sample(axes, min(count, len(axes)))
    if kind == "grading" and count < 3 and rng.random() < 0.5 and "detail" not in chosen:
        chosen[0] = "detail"
    wishes = []
    for axis in chosen:
        now = getattr(style, axis)
        other = next(v for v in AXES[axis] if v != now)
        wishes.append(f"{axis}:{other if rng.random() < mix.turning else now}")
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


def draw_plain_document(rng: random.Random) -> Document:
    """A question and its answer: where training begins, since sums are learned slowest."""
    document = Document()
    _single(document, rng, False, BROAD, GRADING_KINDS)
    return document


def draw_document(rng: random.Random, mix: Mix = BROAD) -> Document:
    """One training chat."""
    tools = rng.random() < mix.tools
    document = Document(tools=TOOL_SCHEMAS if tools else ())
    shape = rng.random()
    if shape < mix.single:
        _single(document, rng, tools, mix)
    elif shape < mix.ruled:
        _with_system_rules(document, rng, tools, mix)
    elif shape < mix.hindsight:
        _with_hindsight(document, rng, tools, mix)
    elif shape < mix.code:
        _with_code_hindsight(document, rng, tools, mix)
    else:
        _conversation(document, rng, tools, mix)
    return document


def _single(
    document: Document,
    rng: random.Random,
    tools: bool,
    mix: Mix,
    kinds: Mapping[str, int] = KINDS,
) -> None:
    problem = draw_problem(rng, tools, replace(mix, everyday=mix.everyday_single), kinds)
    style = random_style(rng, mix.stray)
    if problem.kind == "code" and rng.random() < CODE_STRAY:
        assert problem.task is not None
        other = vary(problem.task, rng, taken_back=None if mix.taken_back is None else 0.0)
        document.messages = [
            Message("user", problem.question),
            Message("assistant", other.answer()),
        ]
        return
    document.messages = [Message("user", problem.question), *answer(problem, style, rng, tools)]


def _say(wish: str, rng: random.Random, mix: Mix) -> str:
    return wordings.say(wish, rng, late=mix.late_words)


def _rule_text(wish: str, rng: random.Random, mix: Mix) -> str:
    return DIRECTIONS[wish].text if rng.random() < 0.6 else _say(wish, rng, mix)


def _with_system_rules(document: Document, rng: random.Random, tools: bool, mix: Mix) -> None:
    problem = draw_problem(rng, tools, mix)
    prompt, style = _ruled(problem, rng, mix, rng.choice(mix.wish_counts))
    document.messages = [*prompt, *answer(problem, style, rng, tools)]


def _ruled(
    problem: Problem, rng: random.Random, mix: Mix, count: int
) -> tuple[list[Message], Style]:
    """The question under rules in the system prompt, and the style that they make."""
    style = random_style(rng, mix.stray)
    wishes = draw_wishes(rng, problem.kind, count, style, mix)
    question = [Message("user", problem.question)]
    prompt = with_rules(question, [_rule_text(w, rng, mix) for w in wishes])
    return list(prompt), apply_wishes(style, wishes)


def _start(problem: Problem, rng: random.Random, mix: Mix) -> tuple[list[Message], Style]:
    """The question, with or without rules that make another style than the default hold."""
    if rng.random() < RULED_START:
        return _ruled(problem, rng, mix, rng.choice((1, 1, 2, 3)))
    return [Message("user", problem.question)], random_style(rng, mix.stray)


def _with_hindsight(document: Document, rng: random.Random, tools: bool, mix: Mix) -> None:
    problem = draw_problem(rng, tools, mix, STYLED_KINDS)
    start, before = _start(problem, rng, mix)
    block, style, solved = draw_hindsight(problem, rng, before, mix)
    document.messages = [*with_hindsight(start, block), *answer(solved, style, rng, tools)]


def _with_code_hindsight(document: Document, rng: random.Random, tools: bool, mix: Mix) -> None:
    if mix.corrections:
        asked, task = draw_correction(rng, mix)
        problem = ask_for(asked, rng)
        rules = _code_rules(rng, mix)
        said, wanted = code_follow_up(asked, task, rng, mix), replace(problem, task=task)
    else:
        problem = ask_for(draw_code_task(rng, odds=0.5), rng)
        said, wanted = draw_code_follow_up(problem, rng, mix)
        rules = _code_rules(rng, mix)
    block = hindsight_block([_rule_text(w, rng, mix) for w in rules], said)
    prompt = with_hindsight([Message("user", problem.question)], block)
    document.messages = [*prompt, *answer(wanted, DEFAULT, rng, tools)]


def _code_rules(rng: random.Random, mix: Mix) -> list[str]:
    """Rules about style, now and then, which change nothing about code."""
    if rng.random() >= mix.code_rules:
        return []
    return draw_wishes(rng, "code", rng.choice((1, 2)), DEFAULT, mix)


def draw_hindsight(
    problem: Problem, rng: random.Random, style: Style, mix: Mix
) -> tuple[str, Style, Problem]:
    """A hindsight block, and the style and content that it asks for."""
    wishes = draw_wishes(rng, problem.kind, rng.choice(mix.wish_counts), style, mix)
    shape = rng.random()
    if problem.kind == "code" and shape < 0.7:
        follow_up, wanted = draw_code_follow_up(problem, rng, mix)
        return hindsight_block([], follow_up), style, wanted
    if shape < 0.22:  # nothing was asked for
        kept = wishes if rng.random() < 0.4 else []
        rules = [_rule_text(w, rng, mix) for w in kept]
        return (
            hindsight_block(rules, _empty_follow_up(rng, mix)),
            apply_wishes(style, kept),
            problem,
        )
    if shape < 0.48:
        said = wishes[: rng.choice(mix.said_counts)]
        text = wordings.join([_say(w, rng, mix) for w in said], rng)
        return hindsight_block([], text), apply_wishes(style, said), problem
    rules = [_rule_text(w, rng, mix) for w in wishes]
    follow_up = ""
    if shape >= 0.75:
        extra = rng.choice(wishes)
        follow_up = _say(extra, rng, mix)
        if rng.random() < 0.4 and len(wishes) > 1:
            rules.pop(wishes.index(extra))
    return hindsight_block(rules, follow_up), apply_wishes(style, wishes), problem


def _empty_follow_up(rng: random.Random, mix: Mix) -> str:
    """A next message that asks for no other answer: thanks, doubt, or the next question."""
    shape = rng.random()
    if shape < 0.35:
        return rng.choice(wordings.THANKS)
    if shape < 0.48:
        return _doubt(rng)
    return draw_problem(rng, False, mix).question


def _doubt(rng: random.Random) -> str:
    """Doubt about an answer that is right: it gives no reason to change it."""
    return rng.choice(wordings.DOUBTS).format(n=rng.randint(2, 99))


def draw_code_follow_up(problem: Problem, rng: random.Random, mix: Mix) -> tuple[str, Problem]:
    """What a user or a failed test says about a first attempt, and the problem as then wanted."""
    assert problem.task is not None
    wanted = vary(problem.task, rng, rng.choice(CHANGES), taken_back=mix.taken_back)
    return code_follow_up(problem.task, wanted, rng, mix), replace(problem, task=wanted)


def code_follow_up(asked: CodeTask, wanted: CodeTask, rng: random.Random, mix: Mix) -> str:
    """The difference between two tasks as a user or a failed test tells it."""
    if rng.random() >= mix.failed_tests:
        return code_wishes(asked, wanted, rng)
    telling = [n for n in range(4, 9) if wanted.value(n) != asked.value(n)]
    shown = rng.sample(telling, min(len(telling), rng.choice((1, 1, 1, 2))))
    return "\n".join(wanted.failure(asked, n) for n in shown)


def draw_correction(rng: random.Random, mix: Mix) -> tuple[CodeTask, CodeTask]:
    """A task as asked for and as then wanted, so that no choice is wished for too rarely.

    A filter that the question states and the wish takes back is learned slowest.
    """
    wishes = [*all_choices(), "keep:all", "keep:all"]
    while True:
        axis, _, option = rng.choice(wishes).partition(":")
        asked = draw_code_task(rng, odds=0.5)
        if getattr(asked, axis) == option:
            others = [o for o in CHOICES[axis] if o != option]
            asked = _sound(replace(asked, **{axis: rng.choice(others)}))
        wanted = _sound(replace(asked, **{axis: option}))
        if (more := rng.choice(CHANGES) - 1) and not wanted.agrees_with(asked):
            wanted = vary(wanted, rng, more, taken_back=mix.taken_back)
        if not wanted.agrees_with(asked):
            return asked, wanted


def _sound(task: CodeTask) -> CodeTask:
    """A sum has no order, so none is asked for."""
    return replace(task, order="up") if task.result == "sum" else task


def code_wishes(asked: CodeTask, wanted: CodeTask, rng: random.Random) -> str:
    """Every difference between two tasks, in the user's words."""
    axes = wanted.differences(asked)
    said = [wordings.say_code(f"{axis}:{getattr(wanted, axis)}", rng) for axis in axes]
    rng.shuffle(said)
    return wordings.join(said, rng) if said else rng.choice(wordings.THANKS)


def _conversation(document: Document, rng: random.Random, tools: bool, mix: Mix) -> None:
    """Two to four exchanges, now and then many; what the user asked for holds from then on."""
    problem = draw_problem(rng, tools, mix, GRADING_KINDS)
    first, style = _start(problem, rng, mix)
    taught = rng.random() < TAUGHT and first[0].role == "user"
    if taught:  # an answer of a model that learned another style, with no reason to be seen
        style = random_style(rng, 0.5)
    document.messages = [*first, *answer(problem, style, rng, tools)]
    document.given = len(document.messages) if taught else 0
    exchanges = rng.choice((1, 1, 2, 2, 3)) if rng.random() < 0.92 else rng.randint(5, 10)
    for _ in range(exchanges):
        problem, style = _exchange(document, problem, style, rng, tools, mix)


def _exchange(
    document: Document,
    problem: Problem,
    style: Style,
    rng: random.Random,
    tools: bool,
    mix: Mix,
) -> tuple[Problem, Style]:
    shape = rng.random()
    if shape < 0.14:
        document.messages += [
            Message("user", rng.choice(wordings.THANKS)),
            Message("assistant", _welcome(style, rng)),
        ]
        return problem, style
    if shape < 0.19 and problem.kind not in ("talk", "calculation", "clock"):
        said = _doubt(rng)
    elif shape < mix.complaint:  # a complaint alone: the last answer again, as wished
        if problem.kind == "code" and rng.random() < 0.8:
            said, problem = draw_code_follow_up(problem, rng, mix)
        else:
            wishes = draw_wishes(rng, problem.kind, rng.choice((1, 1, 1, 2, 3)), style, mix)
            style = apply_wishes(style, wishes)
            said = wordings.join([_say(w, rng, mix) for w in wishes], rng)
    else:
        problem = draw_problem(rng, tools, mix, GRADING_KINDS)
        said = problem.question
        if shape < mix.wished:
            wishes = draw_wishes(rng, problem.kind, 1, style, mix)
            style = apply_wishes(style, wishes)
            said = f"{_say(wishes[0], rng, mix)} {said}"
    asked = [Message("user", said)]
    if rng.random() < 0.2:
        block, style_then, problem = draw_hindsight(problem, rng, style, mix)
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
