"""`align-agent openclaw`: our entries in OpenClaw's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.doctor import report
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, say
from align_agent.display import printable
from align_agent.errors import ConfigError

if TYPE_CHECKING:
    from align_agent.openclaw.edit import Entry
    from align_agent.openclaw.install import Change

_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")  # noqa: S104
_LEAST_CONTEXT = 16_384  # with less, OpenClaw spends its time on compacting
_USUAL_CONTEXT = 32_768


@click.group(cls=NounGroup, default="doctor")
@common
def command() -> None:
    """Let OpenClaw on this machine be answered by the model that learns from you."""


@command.command("install")
@click.option("--context", type=click.IntRange(min=4096), default=None, metavar="TOKENS",
              help="The model's context, as OpenClaw shall see it.")  # fmt: skip
@click.option("--keep-model", is_flag=True, help="Leave the default model as it is.")
@click.option("--dry-run", is_flag=True, help="Show the difference, change nothing.")
@click.option("--print", "only_print", is_flag=True, help="Show the entries, to put in by hand.")
@common
@click.pass_obj
def install_(
    app: App, context: int | None, keep_model: bool, dry_run: bool, only_print: bool
) -> None:
    """Put the provider, the default model and the plugin into openclaw.json.

    The file of before is kept, and `align-agent openclaw uninstall` puts it back. Nothing else is
    touched: no tool, no sandbox, no channel.
    """
    from align_agent.openclaw.edit import put_in
    from align_agent.openclaw.install import install, plan_install
    from align_agent.openclaw.places import bring_plugin, config_path

    entry = entry_of(app, context, as_default=not keep_model)
    if only_print:
        from align_agent.cli.output import say_json

        say_json(put_in({}, entry).data)
        return
    path = config_path()
    if dry_run:
        change = plan_install(path, entry)[0]
    else:
        app.make_home()
        bring_plugin(app.home)
        change = install(app.home, path, entry)
    _report(app, change, entry.key, dry_run)
    if not dry_run:
        note("`align-agent serve` must run for it; then start OpenClaw's gateway anew")
        if not keep_model:
            note(f"{entry.reference} is the default model now; uninstall gives the old one back")


@command.command("uninstall")
@click.option("--dry-run", is_flag=True, help="Show the difference, change nothing.")
@common
@click.pass_obj
def uninstall_(app: App, dry_run: bool) -> None:
    """Take our entries out of openclaw.json; the model of before is the default again.

    Where nothing else was changed since, the file is the same to the byte. What was learned stays.
    """
    from align_agent.openclaw.install import plan_uninstall, uninstall
    from align_agent.openclaw.places import config_path

    path = config_path()
    change = plan_uninstall(app.home, path) if dry_run else uninstall(app.home, path)
    _report(app, change, app.config.server.token, dry_run)
    if change.exact and not dry_run:
        note("the file is as it was before, to the byte")


@command.command("doctor")
@common
@click.pass_obj
def doctor(app: App) -> None:
    """Whether OpenClaw and align-agent are fit to talk to each other. Exit code 1 if not."""
    from align_agent.openclaw.check import examine
    from align_agent.openclaw.places import config_path

    report(examine(app.home, config_path(), entry_of(app, None)), as_json=app.json)


def entry_of(app: App, context: int | None, *, as_default: bool = True) -> Entry:
    """What OpenClaw must know of our server, from our configuration. Raises ConfigError."""
    from align_agent.openclaw.edit import Entry
    from align_agent.openclaw.places import plugin_folder

    server = app.config.server
    if server.host not in _LOCAL:
        raise ConfigError(
            f"the server listens on {server.host}, and the plugin talks to this machine alone",
            hint="set server.host to 127.0.0.1",
        )
    return Entry(
        base=f"http://127.0.0.1:{server.port}",
        plugin=str(plugin_folder(app.home)),
        key=server.token,
        context=context or _context(app.config.model.base),
        max_tokens=app.config.model.max_new_tokens,
        as_default=as_default,
    )


def _context(base: str) -> int:
    """The context that a base model's own configuration names, and never less than OpenClaw needs:
    what is longer than the model's own is left out by the server (`server.trim`)."""
    import json

    try:
        data = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
        return max(_LEAST_CONTEXT, int(data["max_position_embeddings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _LEAST_CONTEXT if base == "pocket" else _USUAL_CONTEXT


def _report(app: App, change: Change, secret: str, dry_run: bool) -> None:
    lines = change.lines(secret)
    result: dict[str, Any] = {
        "file": change.path,
        "changed": change.differs,
        "exact": change.exact,
        "dry_run": dry_run,
        "difference": lines,
    }

    def show() -> None:
        if not change.differs:
            say(f"{change.path}: nothing to change")
            return
        say("\n".join(printable(line) for line in lines))

    emit(result, app.json, show)
