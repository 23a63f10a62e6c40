"""`align-agent init`: make the home. Never overwrites what is there."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.output import emit, say


@click.command()
@common
@click.pass_obj
def command(app: App) -> None:
    """Make the home folder (readable by you alone), its config.yaml and its database.

    What is already there stays as it is.
    """
    had_config, had_database = app.home.config.exists(), app.home.database.exists()
    home = app.make_home()
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
