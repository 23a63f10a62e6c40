"""`align-agent init`: make the home. Never overwrites what is there."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, say
from align_agent.errors import UsageError


@click.command()
@click.option("--fresh", is_flag=True, help="A new database, where the one of before was lost.")
@common
@click.pass_obj
def command(app: App, fresh: bool) -> None:
    """Make the home folder (readable by you alone), its config.yaml and its database.

    What is already there stays as it is. Where a database was lost but its versions, nights or
    backups are there, --fresh begins anew beside them.
    """
    from align_agent.store.lost import is_empty

    had_config, had_database = app.home.config.exists(), not is_empty(app.home.database)
    if fresh and had_database:
        raise UsageError(
            f"{app.home.database} is there: nothing was lost",
            hint="leave out --fresh, or choose another home with --home or ALIGN_AGENT_HOME",
        )
    home = app.make_home(fresh=fresh)
    result = {
        "home": str(home.root),
        "config": str(home.config),
        "database": str(home.database),
        "created": [
            name
            for name, existed in (("config", had_config), ("database", had_database))
            if not existed
        ],
    }

    def show() -> None:
        say(f"home      {home.root}{'' if result['created'] else '  (already there)'}")
        say(f"settings  {home.config}")
        say("next      align-agent chat")

    emit(result, app.json, show)
