"""`align-agent turns`: what was said, and bringing in chats from elsewhere."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, say, table, warn, when
from align_agent.display import counted
from align_agent.errors import InputError, UsageError
from align_agent.records import IMPORT

if TYPE_CHECKING:
    from align_agent.records import Feedback, Turn
    from align_agent.store import Store

_SHOWN_PROBLEMS = 5


@click.group(cls=NounGroup)
@common
def command() -> None:
    """What was said. A turn is one message of yours and everything the model answered to it."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--offset", default=0, type=click.IntRange(min=0), help="Skip this many.")
@click.option("--conversation", default="", metavar="ID", help="Only this conversation.")
@click.option(
    "--search", default=None, metavar="WORDS", help="Only turns that contain these words."
)
@click.option("--main", is_flag=True, help="Leave out side traffic (titles, heartbeats).")
@common
@click.pass_obj
def list_(
    app: App, limit: int, offset: int, conversation: str, search: str | None, main: bool
) -> None:
    """The newest turns first."""
    if search is not None and not search.strip():
        raise UsageError(
            "nothing to search for", hint='words, or a "quoted phrase", after --search'
        )
    with app.store(read_only=True) as store:
        turns = store.turns.list(
            limit=limit,
            offset=offset,
            conversation=conversation,
            search=search or "",
            main_only=main,
        )
        opinions = {turn.id: store.feedback.for_turn(turn.id) for turn in turns}
    rows = [_summary(turn, opinions[turn.id]) for turn in turns]

    def show() -> None:
        if not rows:
            note("no turns" + (" match" if search or conversation else " yet"))
        table(
            ("id", "when", "version", "feedback", "you", "answer"),
            [
                (
                    turn.id[:12],
                    when(turn.created_at),
                    turn.answered_by,
                    row["feedback"],
                    turn.user_text[:400],
                    turn.answer[:400],
                )
                for turn, row in zip(turns, rows, strict=True)
            ],
            flexible=(4, 5),
            spare=("version", "feedback"),
        )

    emit(rows, app.json, show)


def _summary(turn: Turn, opinions: list[Feedback]) -> dict[str, Any]:
    return {
        "id": turn.id,
        "conversation": turn.conversation_id,
        "created_at": turn.created_at,
        "channel": turn.channel,
        "version": turn.version,
        "answered_by": turn.answered_by,
        "main": turn.main,
        "excluded": turn.excluded,
        "feedback": _mood(turn, opinions),
        "user": turn.user_text,
        "answer": turn.answer,
    }


def _mood(turn: Turn, opinions: list[Feedback]) -> str:
    """One word for a table: the turn's strongest undismissed opinion."""
    if turn.excluded:
        return "excluded"
    counted = [opinion for opinion in opinions if not opinion.dismissed]
    if not counted:
        return ""
    return max(counted, key=lambda opinion: opinion.confidence).polarity


@command.command("show")
@click.argument("turn_id", metavar="ID")
@common
@click.pass_obj
def show_turn(app: App, turn_id: str) -> None:
    """One turn in full: what the model saw, what it said, what you thought of it."""
    with app.store(read_only=True) as store:
        turn = store.turns.get(turn_id)
        opinions = store.feedback.for_turn(turn.id)
        later = store.turns.follow_up_of(turn)
    data = {
        "turn": _turn_dict(turn),
        "feedback": opinions,
        "follow_up": later.user_text if later else None,
    }

    def show() -> None:
        pairs(
            [
                ("turn", turn.id + ("  (excluded)" if turn.excluded else "")),
                ("conversation", f"{turn.conversation_id}, turn {turn.position + 1}"),
                ("when", when(turn.created_at)),
                ("answered by", _by(turn)),
                ("you", turn.user_text),
                ("answer", turn.answer or "(none)"),
                *[
                    ("tool", f"{call.name}({call.arguments})")
                    for message in turn.response
                    for call in message.tool_calls
                ],
                *([("next message", later.user_text)] if later else []),
            ]
        )
        if opinions:
            say()
        table(
            ("feedback", "kind", "polarity", "category", "sure", "text"),
            [
                (
                    opinion.id[:12],
                    opinion.kind + (" (dismissed)" if opinion.dismissed else ""),
                    opinion.polarity,
                    opinion.category,
                    f"{opinion.confidence:.2f}",
                    opinion.text,
                )
                for opinion in opinions
            ],
        )

    emit(data, app.json, show)


def _by(turn: Turn) -> str:
    if turn.channel.startswith(IMPORT):
        return f"{turn.base or 'a model elsewhere'} ({turn.channel})"
    return f"{turn.base or 'unknown base'}, {turn.answered_by}"


def _turn_dict(turn: Turn) -> dict[str, Any]:
    from align_agent.cli.output import plain

    data: dict[str, Any] = plain(turn)
    data["prompt"] = [message.to_dict() for message in turn.prompt]
    data["response"] = [message.to_dict() for message in turn.response]
    return data


@command.command("explain")
@click.argument("turn_id", metavar="[ID]", default="latest")
@click.option(
    "--feedback", default="", metavar="TEXT", help="What was wrong, instead of what is on record."
)
@click.option("--at", default=0, metavar="N", type=click.IntRange(min=0), help="Only this token.")
@click.option("--alternatives", default=5, show_default=True, type=click.IntRange(1, 50))
@common
@click.pass_obj
def explain(app: App, turn_id: str, feedback: str, at: int, alternatives: int) -> None:
    """What was wrong in an answer: each token coloured by what the feedback says of it.

    Red: the model that knows the feedback would hardly write this; green: it would all the more.
    Below, what it would write at the places that it blames most. Default: the latest turn that
    was corrected.
    """
    from align_agent.cli.credit import credit_of, show_credit

    data = credit_of(app, turn_id, feedback, alternatives)
    emit(data.to_dict(), app.json, lambda: show_credit(data, at))


@command.command("exclude")
@click.argument("turn_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--undo", is_flag=True, help="Let them be learned from again.")
@common
@click.pass_obj
def exclude(app: App, turn_ids: tuple[str, ...], undo: bool) -> None:
    """Never learn from these turns. They stay in the log."""
    with app.store() as store:
        found = [store.turns.get(turn_id) for turn_id in turn_ids]
        for turn in found:
            store.turns.exclude(turn.id, not undo)
    result = [{"id": turn.id, "excluded": not undo} for turn in found]
    word = "may be learned from again" if undo else "will not be learned from"
    emit(result, app.json, lambda: say("\n".join(f"{turn.id} {word}" for turn in found)))


@command.command("import")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["auto", "openai", "sharegpt", "chatgpt", "openclaw"]),
    default="auto",
    show_default=True,
    help="How the chats are written; auto finds out.",
)
@click.option("--dry-run", is_flag=True, help="Read and count, store nothing.")
@common
@click.pass_obj
def import_(app: App, file: Path, kind: str, dry_run: bool) -> None:
    """Bring in chats from elsewhere, so that learning starts with your history.

    FILE holds JSON lines of OpenAI messages, ShareGPT conversations or a ChatGPT export. With
    --format openclaw it is a session of OpenClaw, or a folder such as ~/.openclaw/agents. Secrets
    are redacted before anything is stored. Importing a file twice adds nothing. Your follow-ups
    in it are read like any others.
    """
    result = _import(app, file, kind, dry_run)
    emit(result, app.json, lambda: _show_import(result))
    if result["problems"]:
        shown = result["problems"][:_SHOWN_PROBLEMS]
        for problem in shown:
            warn(problem["message"])
        more = len(result["problems"]) - _SHOWN_PROBLEMS
        if more > 0:
            warn(f"and {counted(more, 'more chat')} that cannot be used; --json lists them")
        for hint in dict.fromkeys(problem["hint"] for problem in shown if problem["hint"]):
            note(f"hint: {hint}")
    if not dry_run:
        note("`align-agent distill plan` shows what can be learned from them")


class _DryRunDone(Exception):
    """Undoes everything that a dry run did."""


def _import(app: App, file: Path, kind: str, dry_run: bool) -> dict[str, Any]:
    from align_agent.capture.importers import import_file, import_openclaw
    from align_agent.feedback.signals import observe

    def read(mine: Store, turn: Turn) -> None:
        observe(mine, turn, app.config)

    app.make_home()
    if file.is_dir() and kind != "openclaw":
        raise UsageError(
            f"{file} is a folder", hint="name a file; only --format openclaw reads folders"
        )
    if kind not in ("auto", "openclaw"):
        _all_of_kind(file, kind)
    bring_in = import_openclaw if kind == "openclaw" else import_file
    with app.store() as store:
        before = Counter(store.feedback.count())
        with suppress(_DryRunDone), store.transaction() if dry_run else nullcontext():
            report = bring_in(store, file, app.config.privacy, on_stored=read)
            after = Counter(store.feedback.count())
            if dry_run:
                raise _DryRunDone
    if report.problems and not report.chats:
        raise report.problems[0]
    return {
        "chats": report.chats,
        "added": report.added,
        "known": report.known,
        "left_out": report.left_out,
        "ignored": report.ignored,
        "redacted": report.redacted,
        "feedback": dict(after - before),
        "problems": [{"message": p.message, "hint": p.hint} for p in report.problems],
        "dry_run": dry_run,
    }


def _all_of_kind(file: Path, kind: str) -> None:
    """Raises InputError when the file holds a chat of another format than was said."""
    from align_agent.capture.importers import read_chats

    for chat in read_chats(file, problems=[]):
        if chat.channel != f"import:{kind}":
            found = chat.channel.removeprefix("import:")
            raise InputError(
                f"{chat.place} is written as {found}, not as {kind}",
                hint="leave --format out: each chat's format is found by itself",
            )


def _show_import(result: dict[str, Any]) -> None:
    verb = "would add" if result["dry_run"] else "added"
    added = f"{verb} {counted(result['added'], 'turn')}, {result['known']} known before"
    say(f"{counted(result['chats'], 'chat')}: {added}")
    if left := result["left_out"]:
        how = "it was recorded as it" if left == 1 else "they were recorded as they"
        say(f"{counted(left, 'session')} left out: {how} happened")
    if ignored := result["ignored"]:
        say(f"{counted(ignored, 'turn')} left out by privacy.ignore")
    for title, counts in (("follow-ups", result["feedback"]), ("redacted", result["redacted"])):
        if counts:
            told = ", ".join(f"{number} {name}" for name, number in counts.items())
            say(f"{title}: {told}")
