"""`align-agent doctor`: what this machine lacks, and how to get it. Leaves nothing behind."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, paint, say
from align_agent.display import printable

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@common
@click.pass_obj
def command(app: App) -> None:
    """What this machine lacks, and how to get it.

    Exit code 1 if something fails that the agent cannot work without.
    """
    from align_agent.checkup import examine

    findings = examine(app.home)

    def show() -> None:
        size = max(len(finding.name) for finding in findings)
        for finding in findings:
            status = paint(finding.status.ljust(4), fg=_COLOURS[finding.status])
            say(f"{status}  {finding.name.ljust(size)}  {printable(finding.message)}")
            if finding.cure:
                say(f"{' ' * (size + 8)}-> {printable(finding.cure)}")

    emit(findings, app.json, show)
    if any(finding.status == "fail" for finding in findings):
        click.get_current_context().exit(1)
