"""`align-agent adapters`: the versions, which one serves, and moving between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.adapters.timeline import VersionFacts, facts_of, timeline
from align_agent.cli.app import App, common, confirm, destructive
from align_agent.cli.groups import NounGroup
from align_agent.cli.nightly import detailed
from align_agent.cli.output import emit, note, pairs, plain, say, table, when
from align_agent.errors import AdapterError, UsageError
from align_agent.records import BASE_VERSION, version_label

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.records import Adapter
    from align_agent.store import Store

ALIASES = ("champion", "previous", "candidate")
_HISTORY = 500  # moves of the names that are looked through, newest first


@click.group(cls=NounGroup)
@common
def command() -> None:
    """The versions of what was learned. `champion` answers; `previous` is one step back.

    A version may be named v3, 3, champion, previous, candidate or base.
    """


@command.command("list")
@click.option("--base", default="", metavar="MODEL", help="Only versions of this base model.")
@common
@click.pass_obj
def list_(app: App, base: str) -> None:
    """All versions, newest first, with the names that point to them."""
    with app.registry() as (store, registry):
        adapters = [a for a in store.adapters.list() if not base or a.base == base]
        adapters.sort(key=lambda adapter: adapter.version, reverse=True)
        names = _names(store)
        held = registry.held()
        rows = [
            {**_row(facts_of(store, one.version)), "damaged": _damaged(registry, one, names)}
            for one in adapters
        ]

    def show() -> None:
        from align_agent.gate.told import VERDICTS

        if not rows:
            note("no adapters yet: the base model answers")
        table(
            ("version", "is", "made", "from", "turns", "rules", "verdict", "size", "notes"),
            [
                (
                    row["label"],
                    ", ".join(row["aliases"]),
                    when(row["created_at"]),
                    version_label(row["parent"]),
                    row["turns"],
                    len(row["rules"]),
                    VERDICTS[row["verdict"]],
                    "deleted" if row["deleted"] else f"{row['size_bytes'] / 1e6:.2f} MB",
                    "; ".join([*_marks(row), *row["reasons"][:1]]),
                )
                for row in rows
            ],
            spare=("size", "rules", "turns", "from"),
        )
        if rows and BASE_VERSION in names:
            say(f"base is {', '.join(names[BASE_VERSION])}")
        if held:
            note(f"promotion is held: {held} (`align-agent adapters release` lifts it)")

    emit(rows, app.json, show)


def _row(facts: VersionFacts) -> dict[str, Any]:
    return {
        **plain(facts.adapter),
        "label": facts.adapter.label,
        "aliases": list(facts.aliases),
        "turns": facts.turns,
        "rules": list(facts.rules),
        "night": facts.night.started_at if facts.night else "",
    }


@command.command("timeline")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@common
@click.pass_obj
def timeline_(app: App, limit: int) -> None:
    """What happened to the versions, newest first: made, promoted, rolled back, held, pinned."""
    with app.store(read_only=True) as store:
        moments = timeline(store, limit)

    def show() -> None:
        if not moments:
            note("nothing has happened yet: the base model answers")
        table(
            ("when", "what", "who", "why"),
            [(when(one.at), one.text, one.who, one.why) for one in moments],
        )

    emit(moments, app.json, show)


def _names(store: Store) -> dict[int, list[str]]:
    """The aliases of each version. Without any promotion the base is the champion."""
    names: dict[int, list[str]] = {}
    for alias in ALIASES:
        version = store.adapters.alias(alias)
        if version is None and alias == "champion":
            version = BASE_VERSION
        if version is not None:
            names.setdefault(version, []).append(alias)
    return names


def _damaged(registry: Registry, adapter: Adapter, names: dict[int, list[str]]) -> str:
    """What is wrong with the files of a version that serves or may be asked to, else ""."""
    if adapter.deleted or adapter.version not in names:
        return ""
    try:
        registry.path(adapter.version)
    except AdapterError as error:
        return error.message
    return ""


def _marks(row: dict[str, Any]) -> list[str]:
    damaged = [row["damaged"]] if row.get("damaged") else []
    return [*damaged, *(mark for mark in ("pinned", "tainted") if row[mark])]


@command.command("show")
@click.argument("version", default="champion")
@common
@click.pass_obj
def show_one(app: App, version: str) -> None:
    """One version: where it comes from, how it was judged, the turns that shaped it."""
    with app.registry() as (store, registry):
        number = registry.resolve(version)
        moves = store.adapters.history(_HISTORY)
        history = [row for row in moves if number in (row["before"], row["after"])]
        data: dict[str, Any] = {
            "version": number,
            "label": version_label(number),
            "aliases": _names(store).get(number, []),
            "adapter": None if number == BASE_VERSION else store.adapters.get(number),
            "lineage": registry.lineage(number),
            "rules": [] if number == BASE_VERSION else facts_of(store, number).rules,
            "history": history,
        }
    emit(data, app.json, lambda: _show(data))


def _show(data: dict[str, Any]) -> None:
    from align_agent.gate.told import VERDICTS

    adapter: Adapter | None = data["adapter"]
    rows: list[tuple[str, object]] = [
        ("version", data["label"]),
        ("is", ", ".join(data["aliases"]) or "(not in use)"),
    ]
    if adapter is not None:
        rows += [
            ("base", adapter.base),
            ("made", f"{when(adapter.created_at)} by {adapter.run_id or 'an import'}"),
            ("from", version_label(adapter.parent)),
            ("verdict", VERDICTS[adapter.verdict]),
            ("reasons", "\n".join(f"- {why}" for why in adapter.reasons) or "(none given)"),
            ("rank", adapter.rank),
            ("size", f"{adapter.size_bytes / 1e6:.2f} MB"),
            ("marks", ", ".join(_marks(plain(adapter))) or "none"),
            ("rules", "\n".join(data["rules"]) or "(none on record)"),
            ("turns", "\n".join(data["lineage"]) or "(none)"),
        ]
    rows += [("history", "\n".join(_moved(row) for row in data["history"]) or "(never named)")]
    pairs(rows)


def _moved(row: dict[str, Any]) -> str:
    before, after = (
        "nothing" if version is None else version_label(version)
        for version in (row["before"], row["after"])
    )
    return f"{when(row['at'])}  {row['name']}: {before} -> {after}, {row['why']} ({row['who']})"


@command.command("compare")
@click.argument("a", default="previous", metavar="[A]")
@click.argument("b", default="champion", metavar="[B]")
@click.option(
    "--prompt", "prompts", multiple=True, metavar="TEXT", help="Ask this (may be repeated)."
)
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@detailed
@common
@click.pass_obj
def compare(app: App, a: str, b: str, prompts: tuple[str, ...], limit: int, details: bool) -> None:
    """The same questions to two versions, side by side.

    Without --prompt, the questions are those that were kept aside when B was trained, else your
    latest ones. --details marks the words that differ, and adds every figure. Default: previous
    against champion.
    """
    from align_agent.cli.compare import compare_versions, show_comparison

    with app.registry() as (store, registry):
        data = compare_versions(app, store, registry, (a, b), prompts, limit)
    emit(data.to_dict(), app.json, lambda: show_comparison(data, details))


@command.command("promote")
@click.argument("version")
@click.option("--why", default="chosen by the user", help="A reason, kept in the history.")
@click.option("--force", is_flag=True, help="Even if the gate rejected it.")
@common
@click.pass_obj
def promote(app: App, version: str, why: str, force: bool) -> None:
    """Let a version answer from the next turn on. Exit code 3 if the gate rejected it."""
    with app.registry() as (_, registry):
        number = registry.resolve(version)
        old, new = registry.promote(number, why=why, force=force)
    if old == new:
        told = f"{version_label(new)} serves already"
        emit({"old": old, "new": new}, app.json, lambda: say(told))
        return
    _moved_to(app, old, new, "promoted")


@command.command("rollback")
@click.option("--why", default="rolled back by the user", help="A reason, kept in the history.")
@common
@click.pass_obj
def rollback(app: App, why: str) -> None:
    """Go back to the previous version, and hold promotion so that no night undoes it.

    One step: a second rollback is refused. Any other version answers after `promote`.
    """
    with app.registry() as (_, registry):
        old, new = registry.rollback(why=why)
    _moved_to(app, old, new, "rolled back")
    note("promotion is held: no night begins by itself until `align-agent adapters release`")


def _moved_to(app: App, old: int, new: int, verb: str) -> None:
    data = {"old": old, "new": new}
    emit(data, app.json, lambda: say(f"{verb}: {version_label(old)} -> {version_label(new)}"))


@command.command("hold")
@click.argument("reason", default="held by the user")
@common
@click.pass_obj
def hold(app: App, reason: str) -> None:
    """Let no night begin by itself or promote anything until `release`.

    `distill run` still learns; what passes then waits for your review.
    """
    with app.registry() as (_, registry):
        registry.hold(reason)
        held = registry.held()
    emit({"held": held}, app.json, lambda: say(f"promotion is held: {held}"))


@command.command("release")
@common
@click.pass_obj
def release(app: App) -> None:
    """Let nights begin by themselves and promote again."""
    with app.registry() as (_, registry):
        registry.release()
    emit({"held": ""}, app.json, lambda: say("nights may promote again"))


@command.command("pin")
@click.argument("version")
@click.option("--undo", is_flag=True, help="Let it be pruned again.")
@common
@click.pass_obj
def pin(app: App, version: str, undo: bool) -> None:
    """Keep a version whatever `prune` does."""
    with app.registry() as (_, registry):
        number = _an_adapter(registry, version)
        registry.pin(number, not undo)
    word = "may be pruned" if undo else "is kept"
    data = {"version": number, "pinned": not undo}
    emit(data, app.json, lambda: say(f"{version_label(number)} {word}"))


def _an_adapter(registry: Registry, name: str) -> int:
    number = registry.resolve(name)
    if number == BASE_VERSION:
        raise UsageError("the base is no adapter", hint="see `align-agent adapters list`")
    return number


@command.command("prune")
@click.option("--keep", type=click.IntRange(min=0), default=None, help="Else `adapters.keep`.")
@destructive
@common
@click.pass_obj
def prune(app: App, keep: int | None, yes: bool, dry_run: bool) -> None:
    """Delete the files of the oldest versions. Never those in use, nor pinned ones."""
    limit = app.config.adapters.keep if keep is None else keep
    with app.registry() as (_, registry):
        doomed = registry.prune(limit, dry_run=True)
        if doomed and not dry_run:
            labels = ", ".join(version_label(version) for version in doomed)
            confirm(f"Delete the files of {labels}?", yes=yes)
            doomed = registry.prune(limit, dry_run=False)
    verb = "would delete" if dry_run else "deleted"
    listed = ", ".join(version_label(version) for version in doomed) or "nothing"
    data = {"deleted": doomed, "dry_run": dry_run}
    emit(data, app.json, lambda: say(f"{verb} {listed}"))


@command.command("delete")
@click.argument("versions", nargs=-1, metavar="VERSION...")
@click.option("--tainted", is_flag=True, help="All that learned from what was forgotten since.")
@destructive
@common
@click.pass_obj
def delete(app: App, versions: tuple[str, ...], tainted: bool, yes: bool, dry_run: bool) -> None:
    """Delete the files of versions, also of the one that answers: then the one before, or the base.

    The base itself cannot be deleted.
    """
    if not versions and not tainted:
        raise UsageError("which versions?", hint="name some, or use --tainted")
    with app.registry() as (_, registry):
        wanted = [_an_adapter(registry, version) for version in versions]
        wanted += registry.tainted() if tainted else []
        doomed = registry.delete(wanted, why="deleted by the user", dry_run=True)
        labels = ", ".join(version_label(version) for version in doomed)
        if doomed and not dry_run:
            answers = " (one of them answers now)" if registry.champion() in doomed else ""
            confirm(f"Delete the files of {labels}{answers}?", yes=yes)
            doomed = registry.delete(wanted, why="deleted by the user")
        serving = registry.champion()
    verb = "would delete" if dry_run else "deleted"
    data = {"deleted": doomed, "serving": serving, "dry_run": dry_run}
    told = f"{verb} {labels or 'nothing'}; {version_label(serving)} answers"
    emit(data, app.json, lambda: say(told))


@command.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@common
@click.pass_obj
def import_(app: App, folder: Path) -> None:
    """Take in a version that `export --format peft` wrote, here or on another machine.

    Refused unless every file agrees with the folder's manifest, and it was trained on exactly the
    base model that is configured. It waits for your review: `adapters compare`, then `promote`.
    """
    from align_agent.adapters.carried import import_folder
    from align_agent.models.files import fingerprint, locate

    spec = app.config.model.base
    base_hash = fingerprint(locate(spec))
    with app.registry() as (store, registry):
        adapter = import_folder(registry, store, folder, base=spec, base_hash=base_hash)
    data = {**plain(adapter), "label": adapter.label}
    emit(data, app.json, lambda: say(f"{adapter.label} is here and {_fate(adapter)}"))


def _fate(adapter: Adapter) -> str:
    if adapter.verdict == "review":
        return "waits for your review"
    return f"was here before: {adapter.verdict}"


@command.command("export")
@click.argument("version")
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(("peft", "merged", "gguf", "gguf-merged")),
    help="peft: the adapter's folder. merged: a transformers model. gguf: a LoRA for llama.cpp, or "
    "the base itself. gguf-merged: a model that needs no LoRA.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to; it must not exist yet. A GGUF file may go into a folder that does.",
)
@click.option(
    "--dtype",
    default="float16",
    show_default=True,
    type=click.Choice(("float16", "float32")),
    help="Of a whole model's weights; float32 is exact.",
)
@common
@click.pass_obj
def export(app: App, version: str, form: str, out: Path, dtype: str) -> None:
    """Write a version for other programs: PEFT, transformers, llama.cpp, Ollama, LM Studio.

    `export base --format gguf` writes the base model. Nothing is overwritten.
    """
    from align_agent.export.run import Export
    from align_agent.export.run import export as write

    with app.registry() as (_, registry):
        wanted = Export(registry.resolve(version), form, out, dtype)
        note("writing ...")
        data = write(wanted, registry, app.config.model.base)
    emit(data, app.json, lambda: say(f"wrote {data['path']} ({data['bytes'] / 1e6:.2f} MB)"))
