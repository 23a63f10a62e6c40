"""`align-agent doctor`: what this machine lacks, and how to get it. Leaves nothing behind."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import columns, emit, paint, say, wrapped

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_READABLE = 30  # columns that a message needs to stand beside its name


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

    emit(findings, app.json, show)
    if any(finding.status == "fail" for finding in findings):
        click.get_current_context().exit(1)
