"""`align-agent feedback`: what you thought of the answers, as far as it was understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, say, table, when

if TYPE_CHECKING:
    from align_agent.records import Feedback


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
@click.option("--review", is_flag=True, help="Only what waits for your look.")
@common
@click.pass_obj
def list_(app: App, limit: int, polarity: str | None, review: bool) -> None:
    """The newest opinions first."""
    with app.store(read_only=True) as store:
        if review:
            opinions = [
                o for o in store.feedback.to_review(limit) if polarity in (None, o.polarity)
            ]
        else:
            opinions = store.feedback.list(limit, polarity or "")

    def show() -> None:
        if not opinions:
            note("nothing waits for your look" if review else "no feedback yet")
        table(
            ("id", "turn", "when", "polarity", "category", "sure", "text"),
            [
                (
                    opinion.id[:12],
                    opinion.turn_id[:12],
                    when(opinion.created_at),
                    opinion.polarity + _state(opinion),
                    opinion.category,
                    f"{opinion.confidence:.2f}",
                    opinion.text[:300],
                )
                for opinion in opinions
            ],
            spare=("sure", "when"),
        )

        if any(opinion.review and not opinion.dismissed for opinion in opinions):
            note("(look?): `align-agent feedback show ID`, then `accept ID` or `dismiss ID`")

    emit(opinions, app.json, show)


def _state(opinion: Feedback) -> str:
    if opinion.dismissed:
        return " (dismissed)"
    return " (look?)" if opinion.review else ""


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
                ("layers", ", ".join(f"{n} {v:.2f}" for n, v in opinion.layers.items()) or "(one)"),
                ("waits for you", opinion.review or "no"),
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


@command.command("accept")
@click.argument("feedback_id", metavar="ID")
@common
@click.pass_obj
def accept(app: App, feedback_id: str) -> None:
    """Yes, that was meant as it was read: learn from it."""
    from align_agent.feedback.signals import accept as take

    with app.store() as store:
        opinion = take(store, store.feedback.get(feedback_id).id, app.config)
    emit(opinion, app.json, lambda: say(f"{opinion.id} accepted"))


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
