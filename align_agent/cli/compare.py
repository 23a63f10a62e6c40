"""`align-agent adapters compare`: the questions, and how a comparison is shown.

The comparing itself is `align_agent/compare.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from align_agent.cli.app import App
from align_agent.cli.output import (
    broken,
    columns,
    note,
    paint,
    pairs,
    prose,
    say,
    table,
    warn,
    width,
    wrapped,
)
from align_agent.compare import Comparison, Figure, Piece, Question
from align_agent.display import counted, printable
from align_agent.errors import ContextTooLong, InputError, UsageError
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.models.local import LocalModel
    from align_agent.store import Store

_MIN_COLUMN = 36
# What is shown unasked, and how: (key, where it was measured) of a figure.
_FIRST: tuple[tuple[tuple[str, str], str], ...] = (
    (("rules", "gate"), ".0%"),
    (("correct", "gate"), ".0%"),
    (("words", "here"), ".0f"),
)


def compare_versions(
    app: App,
    store: Store,
    registry: Registry,
    names: tuple[str, str],
    prompts: Sequence[str],
    limit: int,
) -> Comparison:
    """Both versions' answers to the same questions. Raises NotFound, UsageError, InputError."""
    from align_agent.agent.tools import call
    from align_agent.compare import compare, questions_of, turns_to_ask
    from align_agent.models.load import load_model

    a, b = (registry.resolve(name) for name in names)
    turns = [] if prompts else turns_to_ask(store, b, limit)
    if not prompts and not turns:
        raise InputError("there is nothing to ask yet", hint="give a question with --prompt TEXT")
    if a == b:
        raise UsageError(
            f"{names[0]} and {names[1]} are the same version: {version_label(a)}",
            hint="name two; `align-agent adapters list` shows which there are",
        )
    note("asking both versions ...")
    model = load_model(app.config.model)
    asked = _texts(app, model, prompts) if prompts else questions_of(store, app.config, turns)
    questions = _fitting(app, model, asked)
    return compare(store, registry, app.config, model, (a, b), questions, run_tool=call)


def _texts(app: App, model: LocalModel, prompts: Sequence[str]) -> list[Question]:
    from align_agent.agent.session import first_prompt

    return [Question(*first_prompt(app.config, model, text, app.home)) for text in prompts]


def _fitting(app: App, model: LocalModel, asked: Sequence[Question]) -> list[Question]:
    fitting: list[Question] = []
    reserve = min(app.config.model.max_new_tokens, model.context // 2)
    for question in asked:
        try:
            shown = model.fit(question.prompt, reserve=reserve, tools=question.tools)
        except ContextTooLong as error:
            warn(f"left out: {error.message}")
        else:
            fitting.append(Question(shown, question.tools, question.checks))
    if not fitting:
        raise InputError(
            f"no question fits into the {model.context} tokens of {model.base}",
            hint="give a shorter one with --prompt TEXT",
        )
    return fitting


def show_comparison(data: Comparison, details: bool) -> None:
    """Side by side where the window is wide enough, else one below the other; then what a person
    asks first, or with `details` the words that differ and every figure."""
    a, b = version_label(data.a), version_label(data.b)
    column = (columns() - 3) // 2
    for row in data.answers:
        for line in wrapped(f"> {row.prompt}"):
            say(paint(line, bold=True))
        if row.same:
            prose(row.a)
            say(f"({a} and {b} say the same)")
        elif column >= _MIN_COLUMN:
            _side_by_side((a, b), (row.a, row.b), min(column, 76))
        else:
            pairs([(a, row.a), (b, row.b)])
        if details and not row.same:
            say(_marked(row.diff))
        say()
    if details:
        _show_figures(data, a, b)
    else:
        _show_first(data, a, b)
    differ = sum(not row.same for row in data.answers)
    note(
        f"{differ} of {counted(len(data.answers), 'answer')} differ{'s' * (len(data.answers) == 1)}"
    )


def _show_figures(data: Comparison, a: str, b: str) -> None:
    table(
        ("figure", a, b, "difference", "measured"),
        [
            (
                figure.title,
                _number(figure.a),
                _number(figure.b),
                _number(figure.difference, "+.3f"),
                _where(figure),
            )
            for figure in data.figures
        ],
        flexible=(0, 4),
    )


def _show_first(data: Comparison, a: str, b: str) -> None:
    """Wishes, ability and length, for people: shares in percent."""
    figures = {(figure.key, figure.where): figure for figure in data.figures}
    shown = [
        (figures[key], form)
        for key, form in _FIRST
        if key in figures and figures[key].b is not None
    ]
    table(
        ("", a, b, "measured"),
        [
            (figure.title, _number(figure.a, form), _number(figure.b, form), _where(figure))
            for figure, form in shown
        ],
        flexible=(0, 3),
        spare=("measured",),
    )


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else f"{value:{form}}"


def _where(figure: Figure) -> str:
    return "on these answers" if figure.where == "here" else "by the gate, in its night"


def _side_by_side(labels: tuple[str, str], texts: tuple[str, str], size: int) -> None:
    left, right = (_wrapped(text, size) for text in texts)
    left, right = [labels[0], *left], [labels[1], *right]
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else ""
        second = right[index] if index < len(right) else ""
        say(f"{first}{' ' * (size - width(first))} | {second}".rstrip())


def _wrapped(text: str, size: int) -> list[str]:
    return [part for line in printable(text).splitlines() for part in broken(line, size)]


def _marked(diff: Sequence[Piece]) -> str:
    """The diff in one text: [-removed-] and {+added+}, coloured on a terminal."""
    shown = "diff: "
    for piece in diff:
        text = printable(piece.text)
        if piece.mark == "removed":
            text = paint(f"[-{text}-]", fg="red")
        elif piece.mark == "added":
            text = paint(f"{{+{text}+}}", fg="green")
        shown += text
    return shown
