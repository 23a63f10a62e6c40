"""`align-agent export`: everything that is stored, to take along."""

from __future__ import annotations

from pathlib import Path

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, plain, say
from align_agent.display import counted


@click.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive to write (.zip); it must not exist yet.",
)
@click.option("--adapters", is_flag=True, help="With the files of the versions.")
@common
@click.pass_obj
def command(app: App, out: Path, adapters: bool) -> None:
    """Write all of it into one archive: JSON lines, and a README that says what is what.

    `chats.jsonl` in it can be brought in again with `turns import`. Versions for other model
    servers: `adapters export`.
    """
    from align_agent.privacy.export import export_everything

    done = export_everything(app.require_home(), out, adapters=adapters)
    held = f"{counted(done.turns, 'turn')} in {counted(done.conversations, 'conversation')}"
    told = f"{held}, {done.bytes / 1e6:.1f} MB"
    emit(plain(done), app.json, lambda: say(f"wrote {done.path}: {told}"))
