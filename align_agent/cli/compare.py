"""Two versions asked the same: the asking, the word diff, and how it is shown.

Both versions answer greedily, so that what differs is what was learned and not chance.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.cli.app import App
from align_agent.cli.output import columns, note, paint, printable, say, warn, width
from align_agent.errors import ContextTooLong, InputError
from align_agent.records import BASE_VERSION, Message, version_label
from align_agent.web.diff import word_diff

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.config import Config
    from align_agent.models.local import LocalModel
    from align_agent.records import Turn
    from align_agent.store import Store

_MIN_COLUMN = 36


@dataclass(frozen=True, slots=True)
class Question:
    """What a version is shown, and the tools that it is offered."""

    prompt: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]


def compare_versions(
    app: App,
    store: Store,
    registry: Registry,
    names: tuple[str, str],
    prompts: Sequence[str],
    limit: int,
) -> dict[str, Any]:
    """Both versions' answers to the same questions. Raises NotFound, AdapterError, InputError."""
    from align_agent.models.load import load_model

    versions = [registry.resolve(name) for name in names]
    turns = [] if prompts else _turns(store, versions[1], limit)
    note("asking both versions ...")
    model = load_model(app.config.model)
    questions = _questions(app, model, prompts, turns)
    answers = []
    for version in versions:
        adapter = registry.path(version, base=model.base, base_hash=model.base_hash)
        answers.append(_answers(app.config, model, adapter, questions))
    return {
        "a": {"version": versions[0], "label": version_label(versions[0])},
        "b": {"version": versions[1], "label": version_label(versions[1])},
        "answers": [
            {
                "prompt": question.prompt[-1].content,
                "a": first,
                "b": second,
                "same": first == second,
                "diff": [{"mark": mark, "text": text} for mark, text in word_diff(first, second)],
            }
            for question, first, second in zip(questions, *answers, strict=True)
        ],
    }


def _turns(store: Store, version: int, limit: int) -> list[Turn]:
    """The turns that were held out when the version was trained, else the latest ones."""
    turns: list[Turn] = []
    if version != BASE_VERSION:
        uses = store.runs.turns_of(store.adapters.get(version).run_id)
        turns = [store.turns.get(turn_id) for turn_id, use, _ in uses if use == "heldout"]
    turns = turns or [turn for turn in store.turns.list(limit=limit, main_only=True) if turn.answer]
    if not turns:
        raise InputError("there is nothing to ask yet", hint="give a question with --prompt TEXT")
    return turns[:limit]


def _questions(
    app: App, model: LocalModel, prompts: Sequence[str], turns: Sequence[Turn]
) -> list[Question]:
    from align_agent.agent.session import first_prompt

    asked = [Question(*first_prompt(app.config, model, text, app.home)) for text in prompts]
    asked += [Question(turn.prompt, turn.tools) for turn in turns]
    fitting: list[Question] = []
    reserve = min(app.config.model.max_new_tokens, model.context // 2)
    for question in asked:
        try:
            shown = model.fit(question.prompt, reserve=reserve, tools=question.tools)
        except ContextTooLong as error:
            warn(f"left out: {error.message}")
        else:
            fitting.append(Question(shown, question.tools))
    if not fitting:
        raise InputError(
            f"no question fits into the {model.context} tokens of {model.base}",
            hint="give a shorter one with --prompt TEXT",
        )
    return fitting


def _answers(
    config: Config, model: LocalModel, adapter: Path | None, questions: Sequence[Question]
) -> list[str]:
    """The last words to each question, after whatever tools were called on the way."""
    from align_agent.agent.tools import call
    from align_agent.models.generation import Sampling

    sampling = Sampling(config.model.max_new_tokens, temperature=0.0, seed=config.model.seed)
    texts = [""] * len(questions)
    open_ones = {index: question.prompt for index, question in enumerate(questions)}
    for step in range(config.agent.max_steps):
        last = step == config.agent.max_steps - 1
        for tools, indices in _by_tools(questions, open_ones):
            batch = model.generate_batch(
                [open_ones[index] for index in indices],
                sampling=sampling,
                adapter=adapter,
                tools=() if last else tools,
            )
            for index, found in zip(indices, batch, strict=True):
                texts[index] = found.text
                results = [
                    Message("tool", call(wanted.name, wanted.arguments), tool_call_id=wanted.id)
                    for wanted in found.tool_calls
                ]
                if results:
                    open_ones[index] = (*open_ones[index], found.message(), *results)
                else:
                    del open_ones[index]
    return texts


def _by_tools(
    questions: Sequence[Question], open_ones: Mapping[int, object]
) -> list[tuple[tuple[dict[str, Any], ...], list[int]]]:
    """The open questions, those with the same tools together: a batch has one offer for all."""
    groups: list[tuple[tuple[dict[str, Any], ...], list[int]]] = []
    for index in open_ones:
        tools = questions[index].tools
        group = next((indices for offered, indices in groups if offered == tools), None)
        if group is None:
            groups.append((tools, [index]))
        else:
            group.append(index)
    return groups


def show_comparison(data: dict[str, Any]) -> None:
    """Side by side where the window is wide enough, else one below the other."""
    a, b = data["a"]["label"], data["b"]["label"]
    column = (columns() - 3) // 2
    for row in data["answers"]:
        say(paint(f"> {printable(row['prompt'])}", bold=True))
        if row["same"]:
            say(printable(row["a"]))
            say(f"({a} and {b} say the same)")
        elif column >= _MIN_COLUMN:
            _side_by_side((a, b), (row["a"], row["b"]), min(column, 76))
            say(_marked(row["diff"]))
        else:
            say(f"{a}: {printable(row['a'])}")
            say(f"{b}: {printable(row['b'])}")
        say()
    differ = sum(not row["same"] for row in data["answers"])
    note(f"{differ} of {len(data['answers'])} answers differ")


def _side_by_side(labels: tuple[str, str], texts: tuple[str, str], size: int) -> None:
    left, right = (_wrapped(text, size) for text in texts)
    left, right = [labels[0], *left], [labels[1], *right]
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else ""
        second = right[index] if index < len(right) else ""
        say(f"{first}{' ' * (size - width(first))} | {second}".rstrip())


def _wrapped(text: str, size: int) -> list[str]:
    lines: list[str] = []
    for line in printable(text).splitlines():
        # Wide characters take two columns, so a line that holds some is wrapped at half.
        limit = size if width(line) == len(line) else size // 2
        lines += textwrap.wrap(line, limit) or [""]
    return lines


def _marked(diff: Sequence[dict[str, str]]) -> str:
    """The diff in one text: [-removed-] and {+added+}, coloured on a terminal."""
    shown = "diff: "
    for piece in diff:
        text = printable(piece["text"])
        if piece["mark"] == "removed":
            text = paint(f"[-{text}-]", fg="red")
        elif piece["mark"] == "added":
            text = paint(f"{{+{text}+}}", fg="green")
        shown += text
    return shown
