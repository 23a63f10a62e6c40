"""`align-agent store`: the one SQLite file that holds all that was said and learned."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from align_agent.cli.app import App, common, confirm, destructive
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, plain, say, table, when
from align_agent.display import counted
from align_agent.errors import StoreCorrupt, StoreError, UsageError


@click.group(cls=NounGroup, default="check")
@common
def command() -> None:
    """The database. One file, yours, readable with any SQLite tool."""


@command.command("check")
@common
@click.pass_obj
def check(app: App) -> None:
    """Whether the database is sound, and what is in it."""
    from align_agent.store import MISFIT, SCHEMA_VERSION
    from align_agent.store.lost import way_back

    with app.store() as store:  # the search index can only be checked by one who may write
        problems = store.check()
        data: dict[str, Any] = {
            "path": str(store.path),
            "ok": not problems,
            "problems": problems,
            "bytes": store.path.stat().st_size,
            "schema": SCHEMA_VERSION,
            "turns": store.turns.count(),
            "conversations": len(store.turns.conversations()),
            "feedback": store.feedback.count(),
        }

    def show() -> None:
        pairs(
            [
                ("database", data["path"]),
                ("sound", "yes" if data["ok"] else "no: " + "; ".join(problems)),
                ("size", f"{data['bytes'] / 1e6:.1f} MB"),
                ("schema", data["schema"]),
                ("turns", f"{data['turns']} in {counted(data['conversations'], 'conversation')}"),
            ]
        )

    emit(data, app.json, show)
    if problems == [MISFIT]:
        raise StoreError(
            f"in {data['path']} {MISFIT}",
            hint="`align-agent store reindex` makes it anew; no turn is lost",
        )
    if problems:
        raise StoreCorrupt(
            f"{data['path']} is damaged",
            hint=f"{way_back(app.home.database)}, and keeps this file",
        )


@command.command("backup")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@common
@click.pass_obj
def backup(app: App, target: Path | None) -> None:
    """Copy the database while it is in use. Default: into the home's backups folder."""
    if target is not None and target.exists():
        raise UsageError(f"{target} exists", hint="name another file, or move that one away")
    with app.store(read_only=True) as store:
        path = store.backup(target)
    data = {"path": str(path), "bytes": path.stat().st_size}
    emit(data, app.json, lambda: say(str(path)))


@command.command("backups")
@common
@click.pass_obj
def backups(app: App) -> None:
    """The copies in the home's backups folder, the newest first."""
    from align_agent.store.backup import copies

    found = [(path, path.stat()) for path in copies(app.require_home().database)]
    rows: list[dict[str, Any]] = [
        {
            "path": str(path),
            "written": datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(),
            "bytes": stat.st_size,
        }
        for path, stat in found
    ]

    def show() -> None:
        shown = [
            (Path(row["path"]).name, when(row["written"]), f"{row['bytes'] / 1e6:.1f} MB")
            for row in rows
        ]
        table(("copy", "written", "size"), shown, flexible=(0,))
        if not rows:
            say("no copies so far: `align-agent store backup` makes one")

    emit(rows, app.json, show)


@command.command("prune")
@click.option("--keep", type=click.IntRange(min=0), default=5, show_default=True)
@destructive
@common
@click.pass_obj
def prune(app: App, keep: int, yes: bool, dry_run: bool) -> None:
    """Delete the oldest copies in the backups folder. Files with names of your own stay."""
    from align_agent.store.backup import prune as prune_copies

    database = app.require_home().database
    doomed = prune_copies(database, keep, dry_run=True)
    if doomed and not dry_run:
        confirm(f"Delete {counted(len(doomed), 'backup')}?", yes=yes)
        doomed = prune_copies(database, keep)
    verb = "would delete" if dry_run else "deleted"
    listed = ", ".join(path.name for path in doomed) or "nothing"
    data = {"deleted": [str(path) for path in doomed], "dry_run": dry_run}
    emit(data, app.json, lambda: say(f"{verb} {listed}"))


@command.command("restore")
@click.argument("backup", metavar="FILE", type=click.Path(path_type=Path))
@common
@click.pass_obj
def restore(app: App, backup: Path) -> None:
    """Put a backup in the place of the database, which is kept beside the other backups.

    FILE is looked at first, and brought up to date. Nothing else may have the database open, and no
    night may run. What was forgotten since stays forgotten. Versions stay as they are.
    """
    from align_agent.privacy.restore import restore as put_back

    if not app.home.root.is_dir():
        app.require_home()
    done = put_back(app.home, backup)
    before = "" if done.turns_before is None else f", {done.turns_before:,} before"

    def show() -> None:
        pairs(
            [
                ("database", app.home.database),
                ("turns", f"{done.turns:,}{before}"),
                *([("left out", f"{done.forgotten:,} forgotten")] if done.forgotten else []),
                ("was", done.kept or "(nothing)"),
            ]
        )
        if done.turns_before is not None:
            note(f"`align-agent store restore {done.kept}` takes it back")

    emit({"path": str(app.home.database), **plain(done)}, app.json, show)


@command.command("reindex")
@common
@click.pass_obj
def reindex(app: App) -> None:
    """Make the search index anew from the turns."""
    with app.store() as store, store.transaction():
        store.rebuild_search()
        turns = store.turns.count()
    emit({"turns": turns}, app.json, lambda: say(f"{counted(turns, 'turn')} can be searched again"))


@command.command("path")
@common
@click.pass_obj
def path(app: App) -> None:
    """Where the file is, or would be."""
    emit({"path": str(app.home.database)}, app.json, lambda: say(str(app.home.database)))
