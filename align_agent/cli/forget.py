"""`align-agent forget`: text gone for good, from the database, its log, backups, nights, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from align_agent.cli.app import App, common, confirm, destructive
from align_agent.cli.output import emit, note, pairs, plain, say, shorten
from align_agent.display import counted
from align_agent.errors import UsageError
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.privacy.forget import Forgetting
    from align_agent.privacy.wanted import Wanted


@click.command()
@click.argument("what", nargs=-1, metavar="[turn|conversation|query] WHAT")
@click.option("--resume", is_flag=True, help="Finish what was interrupted; needs no WHAT.")
@destructive
@common
@click.pass_obj
def command(app: App, what: tuple[str, ...], resume: bool, yes: bool, dry_run: bool) -> None:
    """Forget a turn, a conversation, or all that holds some words. There is no way back.

    WHAT is the id of a turn or of a conversation; anything else is a query, found as
    `turns list --search` finds it. The text goes from the tables, the search index, the log, free
    pages, the agent's memory, our backups in the home, and what nights left. Versions that learned
    from it are marked tainted; the next night starts from the base without it.
    """
    from align_agent.privacy.forget import forget, preview
    from align_agent.privacy.forget import resume as finish

    home = app.require_home()
    if resume:
        if what:
            raise UsageError("--resume takes no WHAT", hint="leave one of the two out")
        finished = finish(home)
        emit({"finished": finished}, app.json, lambda: say(f"{finished} finished"))
        return
    wanted = _wanted(app, what)
    found = preview(home, wanted)
    if found.empty:
        none = f"nothing to forget: nothing holds {wanted.what!r}"
        emit(plain(found), app.json, lambda: say(none))
        return
    if dry_run:
        emit(plain(found), app.json, lambda: _show(found, "would forget"))
        return
    if not yes:
        _show(found, "would forget", err=True)
    confirm("Forget this for good?", yes=yes)
    done = forget(home, wanted)
    emit(plain(done), app.json, lambda: _show(done, "forgot"))
    if done.tainted:
        note(
            "the next night learns without it; `align-agent adapters delete --tainted` removes "
            "what learned from it now"
        )


def _wanted(app: App, words: tuple[str, ...]) -> Wanted:
    from align_agent.privacy.wanted import Kind, meant

    if not words:
        raise UsageError(
            "what is to be forgotten?", hint="give a turn, a conversation, or words in quotes"
        )
    kind: Kind | None = None
    if len(words) > 1 and words[0] in get_args(Kind):
        kind, words = words[0], words[1:]  # type: ignore[assignment]
    with app.store() as store:
        return meant(store, " ".join(words), kind)


def _show(found: Forgetting, verb: str, *, err: bool = False) -> None:
    tainted = ", ".join(version_label(version) for version in found.tainted)
    rows: list[tuple[str, Any]] = [
        (verb, counted(len(found.turns), "turn")),
        ("", "\n".join(shorten(turn, 40) for turn in found.turns[:10])),
        ("shown in", f"{counted(len(found.edited), 'later prompt')}, which stay without it"),
        ("feedback", found.feedback),
        ("rules", "\n".join(found.rules) or "none"),
        ("nights", f"{counted(len(found.runs), 'night')} used it; their samples go"),
        ("tainted", tainted or "no version learned from it"),
        ("also in", "\n".join(found.elsewhere)),
        ("backups", f"{counted(found.backups, 'backup')} cleaned" if found.backups else "none"),
    ]
    shown = [(name, value) for name, value in rows if value != ""]
    if err:
        for name, value in shown:
            note(f"{name:<12}  {value}")
    else:
        pairs(shown)
