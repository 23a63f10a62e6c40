"""`align-agent demo`: simulated people talk to the real agent, and it learns overnight."""

from __future__ import annotations

from pathlib import Path

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import say_json
from align_agent.errors import UsageError


@click.command()
@click.option("--full", is_flag=True, help="Both people for three nights (else one for two).")
@click.option(
    "--declared",
    is_flag=True,
    help="Another person: declares preferences in YAML before the first chat.",
)
@click.option(
    "--keep",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Keep the simulated people's homes here, to look at them afterwards.",
)
@common
@click.pass_obj
def command(app: App, full: bool, declared: bool, root: Path | None) -> None:
    """Watch it learn: chat, complaints, nights, before and after, a rollback.

    Needs no GPU and no download, and touches no home of yours.
    """
    from align_agent.demo import run_declared, run_demo

    if declared and full:
        raise UsageError(
            "--full and --declared are different people", hint="run one after the other"
        )
    if declared:
        result = run_declared(root, json_only=app.json)
    else:
        result = run_demo(root, full=full, json_only=app.json)
    if app.json:
        say_json(result)
