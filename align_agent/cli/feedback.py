"""`align-agent feedback`: what you thought of the answers, as far as it was understood."""

from __future__ import annotations

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, say, table, when


@click.group(cls=NounGroup)
@common
def command() -> None:
    """What you thought of the answers. Read from what you wrote next, or said outright."""


@command.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--polarity",
    type=click.Choice(["negative", "positive", "neutral"]),
    default=None,
    help="Only this kind of opinion.",
)
@common
@click.pass_obj
def list_(app: App, limit: int, polarity: str | None) -> None:
    """The newest opinions first."""
    with app.store(read_only=True) as store:
        opinions = store.feedback.list(limit, polarity or "")

    def show() -> None:
        if not opinions:
            note("no feedback yet")
        table(
            ("id", "turn", "when", "polarity", "category", "sure", "text"),
            [
                (
                    opinion.id[:12],
                    opinion.turn_id[:12],
                    when(opinion.created_at),
                    opinion.polarity + (" (dismissed)" if opinion.dismissed else ""),
                    opinion.category,
                    f"{opinion.confidence:.2f}",
                    opinion.text[:300],
                )
                for opinion in opinions
            ],
        )

    emit(opinions, app.json, show)


@command.command("show")
@click.argument("feedback_id", metavar="ID")
@common
@click.pass_obj
def show_one(app: App, feedback_id: str) -> None:
    """One opinion, and why the agent took it for one."""
    with app.store(read_only=True) as store:
        opinion = store.feedback.get(feedback_id)
        turn = store.turns.get(opinion.turn_id)

    def show() -> None:
        pairs(
            [
                ("feedback", opinion.id + ("  (dismissed)" if opinion.dismissed else "")),
                ("on turn", turn.id),
                ("you asked", turn.user_text),
                ("answer", turn.answer),
                ("then", opinion.text),
                ("read as", f"{opinion.polarity}, {opinion.category}"),
                ("sure", f"{opinion.confidence:.2f}, strength {opinion.strength:.2f}"),
                ("because", opinion.evidence or "(nothing noted)"),
                ("seen by", f"{opinion.kind}, {opinion.detector}"),
            ]
        )

    emit(opinion, app.json, show)


@command.command("dismiss")
@click.argument("feedback_id", metavar="ID")
@common
@click.pass_obj
def dismiss(app: App, feedback_id: str) -> None:
    """That was not meant as feedback: never learn from it."""
    with app.store() as store:
        opinion = store.feedback.get(feedback_id)
        store.feedback.dismiss(opinion.id)
    emit({"id": opinion.id, "dismissed": True}, app.json, lambda: say(f"{opinion.id} dismissed"))


@command.command("add")
@click.argument("turn_id", metavar="TURN")
@click.argument("verdict", type=click.Choice(["up", "down"]))
@click.argument("why", required=False, default="")
@common
@click.pass_obj
def add(app: App, turn_id: str, verdict: str, why: str) -> None:
    """Rate a turn. A reason in your own words helps, and is never required."""
    from align_agent.capture.redact import redact
    from align_agent.feedback.signals import rate

    words = redact(why, app.config.privacy.redact_personal).text
    with app.store() as store:
        turn = store.turns.get(turn_id)
        opinion = rate(store, turn.id, verdict == "up", words, app.config)
    emit(opinion, app.json, lambda: say(f"{turn.id} rated {verdict}"))
