"""`align-agent runs`: the nights so far, and how each one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, paint, pairs, printable, say, table, when
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
    with app.store(read_only=True) as store:
        runs = store.runs.list(limit)

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
@click.argument("run_id", metavar="ID", default="latest")
@common
@click.pass_obj
def show_one(app: App, run_id: str) -> None:
    """One run: its turns, the gate's table, answers before and after. Default: the latest."""
    with app.store(read_only=True) as store:
        run = _find(store.runs, run_id)
        data: dict[str, Any] = {
            "run": run,
            "turns": [
                {"turn": turn_id, "use": use, "reason": reason}
                for turn_id, use, reason in store.runs.turns_of(run.id)
            ],
            "metrics": store.runs.metrics(run.id),
            "samples": store.runs.samples(run.id),
        }
    emit(data, app.json, lambda: show_run(run, data))


def _find(runs: Any, run_id: str) -> Run:
    from align_agent.errors import NotFound

    run: Run | None = runs.latest() if run_id == "latest" else runs.get(run_id)
    if run is None:
        raise NotFound("no night has run yet", hint="`align-agent distill run` starts one now")
    return run


def show_run(run: Run, data: dict[str, Any]) -> None:
    """A run for a person; `data` holds its turns, metrics and samples."""
    uses: dict[str, int] = {}
    for turn in data["turns"]:
        uses[turn["use"]] = uses.get(turn["use"], 0) + 1
    last = data["metrics"][-1] if data["metrics"] else {}
    pairs(
        [
            ("run", run.id),
            ("status", f"{run.status}: {run.reason}" if run.reason else run.status),
            ("when", f"{when(run.started_at)} to {when(run.finished_at) or '(not finished)'}"),
            ("base", f"{run.base}, from {version_label(run.parent)}"),
            ("made", version_label(run.candidate) if run.candidate else "(nothing)"),
            ("turns", ", ".join(f"{count} {use}" for use, count in sorted(uses.items())) or "none"),
            *([("last step", _figures(last))] if last else []),
        ]
    )
    show_verdict(run.verdict)
    for sample in data["samples"]:
        say()
        say(paint(f"> {printable(sample['prompt'])}", bold=True))
        for label in ("base", "before", "after"):
            if sample.get(label):
                say(f"{label}: {printable(sample[label])}")


def show_verdict(verdict: dict[str, Any]) -> None:
    """The gate's judgement: its reasons, then its table."""
    for reason in verdict.get("reasons", ()):
        say(f"- {printable(str(reason))}")
    rows = verdict.get("table") or []
    if rows and isinstance(rows[0], dict):
        say()
        headers = list(rows[0])
        table(headers, [[_cell(row.get(name, "")) for name in headers] for row in rows])
    _show_measures(verdict)


def _show_measures(verdict: dict[str, Any]) -> None:
    """Each gate, passed or not, with its measures: the difference, how sure, and what it says."""
    from align_agent.gate.report import GATES, Judgement

    judged = Judgement.from_dict(verdict)
    if judged is None or not judged.measures:
        return
    passed = judged.gates()
    say()
    table(
        ("gate", "measure", "candidate", "against", "difference", "95% interval", "says"),
        [
            (
                ("passed: " if passed[measure.gate] else "FAILED: ") + GATES[measure.gate],
                measure.title,
                _cell(measure.values.get("candidate", "")),
                measure.against,
                measure.change(),
                measure.interval(),
                measure.outcome,
            )
            for measure in judged.measures
            if measure.outcome != "unmeasured"
        ],
    )


def _figures(metrics: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {_cell(value)}"
        for name, value in metrics.items()
        if isinstance(value, (int, float))
    )


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
