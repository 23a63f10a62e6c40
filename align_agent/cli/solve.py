"""`align-agent solve`: one hard problem, attempted again and again, learning from why it fails."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, note, paint, pairs, say, shorten
from align_agent.display import counted, printable

if TYPE_CHECKING:
    from align_agent.config import Config
    from align_agent.discover.problem import Problem
    from align_agent.discover.run import Keep
    from align_agent.discover.search import Search
    from align_agent.paths import Home

_NAMED = ("method", "budget", "seed", "base", "task", "keep")  # what a resumed search shares
_ROOM = 50  # columns below which the screen shows figures alone
_METHODS = ("auto", "sdpo", "best-of-k", "multi-turn", "multi-turn-attempts", "grpo")


@click.command("solve")
@click.argument("file", metavar="PROBLEM", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(_METHODS), default="auto", show_default=True)
@click.option("--budget", type=click.IntRange(min=0), help="Attempts (default: the problem's own).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--model", "base", metavar="NAME", help="A model instead of the configured one.")
@click.option("--task", metavar="NAME", help="Which problem of a .jsonl file (default: the first).")
@click.option(
    "--keep", is_flag=True, help="Make a version of what was learned, if the gate lets it."
)
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
    keep: bool,
    resume: str | None,
) -> None:
    """Solve one hard problem by trying, hearing why it failed, and learning from that.

    PROBLEM is a YAML file (prompt, verifier, budget), or a HumanEval- or LiveCodeBench-style file
    of JSON lines. Attempts run in a sandbox. What was learned is thrown away; with --keep it
    becomes a version that waits for your yes. Exit code 1 when the budget is spent without a
    solution, 3 when the gate refuses the version.
    """
    from align_agent.discover.run import Interrupted, Wanted, run_search

    problem = _problem(file, task)
    settings = app.config.model
    if base:
        settings = replace(settings, base=base)
    home = app.make_home()
    wanted = Wanted(
        problem=problem,
        method=method,
        budget=problem.budget if budget is None else budget,
        seed=seed,
        resume=resume or "",
        keep=_keeper(home, replace(app.config, model=settings)) if keep else None,
    )
    try:
        with _Progress() as progress:
            done = run_search(home, settings, wanted, progress.show)
    except Interrupted as stopped:
        note(f"interrupted; to go on: {_again(app.home_arg, stopped.run)}")
        raise
    emit(done, app.json, lambda: _tell(done))
    if code := 1 if not done["solved"] else 3 if done.get("verdict") == "reject" else 0:
        click.get_current_context().exit(code)


def _again(home: str, run: str) -> str:
    """This command once more, going on with the run: every option that was given counts."""
    context = click.get_current_context()
    given: list[str] = ["--home", home] if home else []
    given += ["solve", str(context.params["file"])]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        source = context.get_parameter_source(option.name or "")
        if option.name in _NAMED and source is not ParameterSource.DEFAULT:
            given += [option.opts[0]] if value is True else [option.opts[0], str(value)]
    return shlex.join(["align-agent", *given, "--resume", run])


def _keeper(home: Home, config: Config) -> Keep:
    from align_agent.learn.keep import Keeper

    return Keeper(home, config)


def _problem(file: Path, task: str | None) -> Problem:
    from align_agent.discover.problem import load_problem
    from align_agent.discover.published import SUFFIXES, load_task
    from align_agent.errors import UsageError

    if file.name.endswith(SUFFIXES):
        return load_task(file, task)
    if task:
        raise UsageError("--task goes with a .jsonl file", hint="leave it out")
    return load_problem(file)


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
        said = "solved" if search.solved else last.outcome.feedback.strip() or "failed, no word"
        if not sys.stderr.isatty():
            if last.batch != self._batch or search.solved:
                self._batch = last.batch
                steps = counted(len(search.steps), "step")
                note(f"{tried} of {search.budget} attempts, {steps}: {shorten(said, 36)}")
            return
        if self._bar is None:
            self._bar = _bar(search.budget)
        room = _room(self._bar.console.width, search.budget)
        shown = shorten(said, room) if room else ""
        self._bar.update(self._bar.task_ids[0], completed=tried, said=shown)


def _room(columns: int, budget: int) -> int:
    """Columns left for the feedback beside bar, counter and time; none on a narrow screen."""
    figures = 2 * len(str(budget)) + 1 + len("attempts") + len("0:00:00")
    left = columns - _width(columns) - figures - 4  # blanks between the five columns
    return min(36, left) if columns >= _ROOM and left >= 8 else 0


def _width(columns: int) -> int:
    return 16 if columns >= _ROOM else 6


def _bar(budget: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns: list[Any] = [BarColumn(_width(console.width)), MofNCompleteColumn()]
    columns += [TextColumn("attempts"), TimeElapsedColumn()]
    if _room(console.width, budget):
        columns.append(TextColumn("{task.fields[said]}", markup=False))
    bar = Progress(*columns, console=console)
    bar.add_task("", total=budget, said="")
    bar.start()
    return bar


def _tell(done: dict[str, Any]) -> None:
    if done["solved"]:
        say(paint(f"solved with attempt {done['attempts']} of {done['budget']}", bold=True))
        say(printable(done["solution"]).rstrip())
        say()
    else:
        say(paint(f"not solved in {counted(done['attempts'], 'attempt')}", bold=True))
    pairs(
        [
            ("method", f"{done['method']}, {counted(done['steps'], 'step')}, {done['seconds']} s"),
            ("sandbox", done["sandbox"]),
            ("report", done["report"]),
        ]
    )
    if "verdict" in done:
        said = {"review": "waits for your yes: `align-agent adapters promote candidate`"}
        version = done["version"] or "nothing to keep"
        pairs([("kept", f"{version}, {said.get(done['verdict'], 'refused by the gate')}")])
        for reason in done["reasons"]:
            note(printable(f"- {reason}"))
    if done["broken"]:
        note(f"the verifier broke on {counted(done['broken'], 'attempt')}")
    if done["silent"] and not done["solved"]:
        note(
            f"the verifier said nothing about {done['silent']} of the failed attempts: without "
            "words of what was wrong there is nothing to learn from"
        )
