"""`align-agent solve`: one hard problem, attempted again and again, learning from why it fails."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, note, paint, pairs, printable, say, shorten

if TYPE_CHECKING:
    from align_agent.discover.problem import Problem
    from align_agent.discover.search import Search

_METHODS = ("auto", "sdpo", "best-of-k", "multi-turn", "grpo")


@click.command("solve")
@click.argument("file", metavar="PROBLEM", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(_METHODS), default="auto", show_default=True)
@click.option("--budget", type=click.IntRange(min=0), help="Attempts (default: the problem's own).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--model", "base", metavar="NAME", help="A model instead of the configured one.")
@click.option("--task", metavar="NAME", help="Which problem of a .jsonl file (default: the first).")
@click.option("--resume", metavar="RUN", help="Go on with a search that was interrupted.")
@common
@click.pass_obj
def command(
    app: App,
    file: Path,
    method: str,
    budget: int | None,
    seed: int,
    base: str | None,
    task: str | None,
    resume: str | None,
) -> None:
    """Solve one hard problem by trying, hearing why it failed, and learning from that.

    PROBLEM is a YAML file (prompt, verifier, budget), or a HumanEval- or LiveCodeBench-style file
    of JSON lines. Attempts run in a sandbox. Exit code 1 when the budget is spent without a
    solution.
    """
    from align_agent.discover.run import Wanted, run_search

    problem = _problem(file, task)
    wanted = Wanted(
        problem=problem,
        method=method,
        budget=problem.budget if budget is None else budget,
        seed=seed,
        resume=resume or "",
    )
    settings = app.config.model
    if base:
        settings = replace(settings, base=base)
    with _Progress() as progress:
        done = run_search(app.make_home(), settings, wanted, progress.show)
    emit(done, app.json, lambda: _tell(done))
    if not done["solved"]:
        click.get_current_context().exit(1)


def _problem(file: Path, task: str | None) -> Problem:
    from align_agent.discover.problem import load_problem, load_set
    from align_agent.errors import NotFound, UsageError

    if file.suffix not in (".jsonl", ".ndjson"):
        if task:
            raise UsageError("--task goes with a .jsonl file", hint="leave it out")
        return load_problem(file)
    problems = load_set(file)
    if task is None:
        return problems[0]
    for problem in problems:
        if problem.name == task:
            return problem
    raise NotFound(f"{file} has no problem `{task}`", hint=f"its first is `{problems[0].name}`")


class _Progress:
    """A bar on a terminal, else a plain line for each batch; always on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._batch = -1

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, search: Search) -> None:
        last = search.attempts[-1]
        tried = len(search.attempts)
        said = "solved" if search.solved else shorten(last.outcome.feedback, 36)
        if not sys.stderr.isatty():
            if last.batch != self._batch or search.solved:
                self._batch = last.batch
                note(f"{tried} of {search.budget} attempts, {len(search.steps)} steps: {said}")
            return
        if self._bar is None:
            self._bar = _bar(search.budget)
        self._bar.update(self._bar.task_ids[0], completed=tried, said=said)


def _bar(budget: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        BarColumn(16),
        MofNCompleteColumn(),
        TextColumn("attempts"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=Console(stderr=True),
    )
    bar.add_task("", total=budget, said="")
    bar.start()
    return bar


def _tell(done: dict[str, Any]) -> None:
    if done["solved"]:
        say(paint(f"solved with attempt {done['attempts']} of {done['budget']}", bold=True))
        say(printable(done["solution"]).rstrip())
        say()
    else:
        say(paint(f"not solved in {done['attempts']} attempts", bold=True))
    pairs(
        [
            ("method", f"{done['method']}, {done['steps']} steps, {done['seconds']} s"),
            ("sandbox", done["sandbox"]),
            ("report", done["report"]),
        ]
    )
    if done["broken"]:
        note(f"the verifier broke on {done['broken']} attempts")
