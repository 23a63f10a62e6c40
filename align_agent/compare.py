"""Two versions asked the same, greedily: what differs is what was learned and not chance.

The asking, the word diff and the figures beside; how it is shown is left to whoever shows it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from align_agent.errors import NotFound
from align_agent.feedback.profile import Profile, applies
from align_agent.gate import looks
from align_agent.gate.intervals import mean
from align_agent.gate.paper import HeldOut, by_tools
from align_agent.gate.report import TITLES, Judgement
from align_agent.gate.scores import count_checks
from align_agent.records import BASE_VERSION, Message, Turn, version_label

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.config import Config
    from align_agent.models.generation import Generation
    from align_agent.models.local import LocalModel
    from align_agent.store import Store

Mark = Literal["same", "removed", "added"]
MOST_WORDS = 4_000  # of both together: beyond, the comparison takes too long to wait for
RunTool = Callable[[str, Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words that both answers share, or one of them alone has."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What both versions are shown, the tools on offer, and the checks that apply to an answer."""

    prompt: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """One question with both answers."""

    prompt: str
    a: str
    b: str
    diff: tuple[Piece, ...]

    @property
    def same(self) -> bool:
        return self.a == self.b


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both versions. `where` is "here", measured on these answers, or "gate", from
    the night that made the version; None where a version has none."""

    key: str
    title: str
    where: Literal["here", "gate"]
    a: float | None
    b: float | None

    @property
    def difference(self) -> float | None:
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True, slots=True)
class Comparison:
    """Version `a` against version `b`."""

    a: int
    b: int
    answers: tuple[Answers, ...]
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "a": {"version": self.a, "label": version_label(self.a)},
            "b": {"version": self.b, "label": version_label(self.b)},
            "answers": [{**asdict(row), "same": row.same} for row in self.answers],
            "figures": [{**asdict(row), "difference": row.difference} for row in self.figures],
        }


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """The way from `before` to `after` in whole words and runs of space.

    Joined without the added pieces it is `before`, without the removed ones `after`.
    """
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (before, after))
    if len(old) + len(new) > MOST_WORDS:
        return Piece("removed", before), Piece("added", after)
    pieces: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(Piece("removed", "".join(old[i1:i2])))
        if j2 > j1:
            pieces.append(Piece("added", "".join(new[j1:j2])))
    return tuple(pieces)


def turns_to_ask(store: Store, version: int, limit: int) -> list[Turn]:
    """The turns that were held out when the version was trained, else the latest ones."""
    turns: list[Turn] = []
    if version != BASE_VERSION:
        uses = store.runs.turns_of(store.adapters.get(version).run_id)
        turns = [store.turns.get(turn_id) for turn_id, use, _ in uses if use == "heldout"]
    latest = store.turns.list(limit=limit, main_only=True)
    return (turns or [turn for turn in latest if turn.answer])[:limit]


def questions_of(store: Store, config: Config, turns: Sequence[Turn]) -> list[Question]:
    """Turns as questions, with the checks of the rules that apply to each."""
    rules = Profile(store, config).rules()
    return [
        Question(
            turn.prompt,
            turn.tools,
            tuple(rule.check for rule in rules if rule.check and applies(rule, turn)),
        )
        for turn in turns
    ]


def compare(
    store: Store,
    registry: Registry,
    config: Config,
    model: LocalModel,
    versions: tuple[int, int],
    questions: Sequence[Question],
    *,
    run_tool: RunTool | None = None,
) -> Comparison:
    """Both versions' answers to the same questions, and their figures.

    `run_tool` runs a tool that a version calls; without one an answer is asked for in words.
    Raises NotFound, AdapterError, ContextTooLong.
    """
    found = [
        _answers(
            config,
            model,
            registry.path(version, base=model.base, base_hash=model.base_hash),
            questions,
            run_tool,
        )
        for version in versions
    ]
    one, two = ([answer.text for answer in answers] for answers in found)
    rows = tuple(
        Answers(question.prompt[-1].content, first, second, word_diff(first, second))
        for question, first, second in zip(questions, one, two, strict=True)
    )
    here = [_measured(questions, answers) for answers in found]
    return Comparison(*versions, rows, (*_side_by_side(*here), *gate_figures(store, *versions)))


def gate_figures(store: Store, a: int, b: int) -> tuple[Figure, ...]:
    """What the gate measured of both versions in the nights that made them.

    The base has the figures that it had beside the other version, on the very same prompts.
    """
    one, two = _judged(store, a), _judged(store, b)
    figures: list[Figure] = []
    for measure in (one or two or Judgement("review", ())).measures:
        values = [
            _value(judged, measure.key, other, version)
            for judged, other, version in ((one, two, a), (two, one, b))
        ]
        if any(value is not None for value in values):
            figures.append(Figure(measure.key, measure.title, "gate", values[0], values[1]))
    return tuple(figures)


def _judged(store: Store, version: int) -> Judgement | None:
    if version == BASE_VERSION:
        return None
    try:
        run = store.runs.get(store.adapters.get(version).run_id)
    except NotFound:  # an imported version has no night here
        return None
    return Judgement.from_dict(run.verdict)


def _value(
    judged: Judgement | None, key: str, other: Judgement | None, version: int
) -> float | None:
    source, who = (other, "base") if version == BASE_VERSION else (judged, "candidate")
    for measure in source.measures if source else ():
        if measure.key == key and measure.outcome != "unmeasured":
            return measure.values.get(who)
    return None


def _measured(
    questions: Sequence[Question], answers: Sequence[Generation]
) -> dict[str, tuple[str, float]]:
    """key -> (title, value) of one version's answers."""
    texts = [answer.text for answer in answers]
    items = [HeldOut(question.prompt, checks=question.checks) for question in questions]
    met, total = count_checks(items, texts)
    figures = {
        "words": (TITLES["length"], mean([looks.length(text) for text in texts])),
        "distinct": (TITLES["distinct"], looks.distinct(texts)),
        "repetition": (TITLES["repetition"], mean([looks.repetition(text) for text in texts])),
        "finished": (TITLES["finished"], mean([a.finish_reason != "length" for a in answers])),
        "sure": ("log-probability a token", mean([mean(answer.logprobs) for answer in answers])),
    }
    return {"rules": (TITLES["rules"], met / total), **figures} if total else figures


def _side_by_side(
    one: Mapping[str, tuple[str, float]], two: Mapping[str, tuple[str, float]]
) -> list[Figure]:
    return [Figure(key, one[key][0], "here", one[key][1], two[key][1]) for key in one]


def _answers(
    config: Config,
    model: LocalModel,
    adapter: Path | None,
    questions: Sequence[Question],
    run_tool: RunTool | None,
) -> list[Generation]:
    """The last words to each question, after whatever tools were called on the way."""
    from align_agent.models.generation import Sampling

    sampling = Sampling(config.model.max_new_tokens, temperature=0.0, seed=config.model.seed)
    answers: dict[int, Generation] = {}
    open_ones = {index: question.prompt for index, question in enumerate(questions)}
    steps = config.agent.max_steps if run_tool else 1
    for step in range(steps):
        last = step == steps - 1
        places = list(open_ones)
        for tools, members in by_tools([questions[index].tools for index in places]):
            asked = [places[member] for member in members]
            batch = model.generate_batch(
                [open_ones[index] for index in asked],
                sampling=sampling,
                adapter=adapter,
                tools=() if last else tools,
            )
            for index, found in zip(asked, batch, strict=True):
                answers[index] = found
                results = [
                    Message("tool", run_tool(wanted.name, wanted.arguments), (), wanted.id)
                    for wanted in found.tool_calls
                    if run_tool is not None
                ]
                if results and not last:
                    open_ones[index] = (*open_ones[index], found.message(), *results)
                else:
                    del open_ones[index]
    return [answers[index] for index in range(len(questions))]
