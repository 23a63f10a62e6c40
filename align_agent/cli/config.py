"""`align-agent config`: what is set, where, and whether it can be used."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, say, table, warn


@click.group(cls=NounGroup, default="show")
@common
def command() -> None:
    """The configuration: a file of yours over the program's defaults."""


@command.command("show")
@common
@click.pass_obj
def show(app: App) -> None:
    """Every setting in force, and whether it comes from the default or from a line of yours.

    The server's token is not shown, so that the list can be shown to others.
    """
    from align_agent.config import SECRETS, effective

    rows = [
        (key, "(set)" if value and key in SECRETS else value, source)
        for key, value, source in effective(app.home.config)
    ]

    def print_table() -> None:
        table(
            ("setting", "value", "from"),
            [(key, _value(value), source) for key, value, source in rows],
            flexible=(1,),
        )

    emit(
        [{"key": key, "value": value, "source": source} for key, value, source in rows],
        app.json,
        print_table,
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "(empty)" if value in ("", [], ()) else str(value)


@command.command("check")
@common
@click.pass_obj
def check(app: App) -> None:
    """Whether config.yaml can be used; the line and the cure if it cannot (exit code 2)."""
    from align_agent.config.times import always_outside
    from align_agent.feedback.declared import load_checked

    path = app.home.config
    schedule = load_checked(path).schedule
    where = str(path) if path.exists() else f"{path} does not exist: all defaults"
    waits = always_outside(schedule.cron, schedule.window)
    warnings = [waits] if waits else []
    emit(
        {"ok": True, "path": str(path), "exists": path.exists(), "warnings": warnings},
        app.json,
        lambda: say(f"ok: {where}"),
    )
    for warning in warnings:
        warn(warning)


@command.command("example")
@common
@click.pass_obj
def example(app: App) -> None:
    """A config.yaml with every setting, its default and what it means."""
    from align_agent.config import example_yaml

    text = example_yaml()
    emit({"yaml": text}, app.json, lambda: say(text.rstrip("\n")))


@command.command("path")
@common
@click.pass_obj
def path(app: App) -> None:
    """Where the file is, or would be."""
    emit({"path": str(app.home.config)}, app.json, lambda: say(str(app.home.config)))
