"""`align-agent doctor`: what this machine lacks, and how to get it. Leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import columns, emit, paint, say, wrapped
from align_agent.display import tally

if TYPE_CHECKING:
    from align_agent.checkup import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_READABLE = 30  # columns that a message needs to stand beside its name


@click.command()
@click.option("--known", is_flag=True, help="What was lost so far is known: warn of it no more.")
@common
@click.pass_obj
def command(app: App, known: bool) -> None:
    """What this machine lacks, and how to get it.

    Exit code 1 if something fails that the agent cannot work without.
    """
    from align_agent.checkup import examine, note_losses

    if known:
        with app.store() as store:
            noted = note_losses(store)
        if not app.json:
            say(f"known from now on: {tally(noted) or 'nothing was lost'}")
    report(examine(app.home), as_json=app.json)


def report(findings: Sequence[Finding], *, as_json: bool) -> None:
    """What was looked at, with the way to mend it. Exit code 1 if something fails."""

    def show() -> None:
        size = max(len(finding.name) for finding in findings)
        beside = columns() >= size + 8 + _READABLE
        margin = " " * (size + 8 if beside else 6)
        for finding in findings:
            status = paint(finding.status.ljust(4), fg=_COLOURS[finding.status])
            lines = wrapped(finding.message, len(margin))
            if finding.cure:
                lines += wrapped(f"-> {finding.cure}", len(margin))
            first = lines.pop(0) if beside else ""
            say(f"{status}  {finding.name.ljust(size if beside else 0)}  {first}".rstrip())
            for line in lines:
                say(margin + line)

    emit(findings, as_json, show)
    if any(finding.status == "fail" for finding in findings):
        click.get_current_context().exit(1)
