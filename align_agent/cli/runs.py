"""`align-agent runs`: the nights so far, and how each one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.nightly import detailed, night_data, show_night
from align_agent.cli.output import emit, note, table, when
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.records import Run


@click.group(cls=NounGroup)
@common
def command() -> None:
    """The nights so far: what each learned from, how it was judged, why it ended as it did."""


@command.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
@common
@click.pass_obj
def list_(app: App, limit: int) -> None:
    """The newest runs first."""
    from align_agent.night.lock import as_it_is

    with app.store(read_only=True) as store:
        runs = [as_it_is(run, app.home) for run in store.runs.list(limit)]

    def show() -> None:
        if not runs:
            note("no nights yet; `align-agent distill run` starts one now")
        table(
            ("id", "started", "status", "from", "made", "reason"),
            [
                (
                    run.id[:12],
                    when(run.started_at),
                    run.status if run.status != "running" else f"running ({run.phase})",
                    version_label(run.parent),
                    version_label(run.candidate) if run.candidate else "",
                    run.reason,
                )
                for run in runs
            ],
        )

    emit(runs, app.json, show)


@command.command("show")
@click.argument("run_id", metavar="[ID]", default="latest")
@detailed
@common
@click.pass_obj
def show_one(app: App, run_id: str, details: bool) -> None:
    """How a night ended and why, what it learned, answers before and after. Default: the latest.

    --details adds every figure of the gate, and what the training measured; --json has all of it.
    """
    from align_agent.night.lock import as_it_is

    with app.store(read_only=True) as store:
        run = as_it_is(_find(store.runs, run_id), app.home)
        data = night_data(store, run)
    emit(data, app.json, lambda: show_night(run, data, details))


def _find(runs: Any, run_id: str) -> Run:
    from align_agent.errors import NotFound

    run: Run | None = runs.latest() if run_id == "latest" else runs.get(run_id)
    if run is None:
        raise NotFound("no night has run yet", hint="`align-agent distill run` starts one now")
    return run
