"""`align-agent rules`: the user's wishes, learned or declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, say, table, when
from align_agent.display import printable

if TYPE_CHECKING:
    from align_agent.feedback.profile import Profile
    from align_agent.records import Rule
    from align_agent.store import Store


_ASKS = {"do": "do", "dont": "don't"}


@click.group(cls=NounGroup)
@common
def command() -> None:
    """Your wishes as short rules: learned from what you said, or declared in config.yaml."""


@contextmanager
def _profile(app: App) -> Iterator[tuple[Store, Profile]]:
    from align_agent.feedback.profile import Profile

    with app.store() as store:
        profile = Profile(store, app.config)
        profile.sync_declared(app.config.preferences)
        yield store, profile


@command.command("list")
@click.option(
    "--status",
    type=click.Choice(["active", "declared", "proposed", "retired"]),
    multiple=True,
    help="Only rules in this state (may be given more than once).",
)
@common
@click.pass_obj
def list_(app: App, status: tuple[str, ...]) -> None:
    """All rules; active and declared ones are what the agent learns to follow."""
    with _profile(app) as (store, _):
        rules = store.rules.list(status)

    def show() -> None:
        if not rules:
            note("no rules yet: correct the agent in a chat, or `align-agent rules add TEXT`")
        table(
            ("id", "status", "seen", "last", "asks", "check", "rule"),
            [
                (
                    rule.id[:12],
                    rule.status,
                    f"{rule.count}x",
                    when(rule.last_seen),
                    _ASKS[rule.polarity],
                    "yes" if rule.check else "",
                    rule.text,
                )
                for rule in rules
            ],
        )

    emit(rules, app.json, show)


@command.command("show")
@click.argument("rule_id", metavar="ID")
@common
@click.pass_obj
def show_one(app: App, rule_id: str) -> None:
    """One rule, how it can be checked, and the turns behind it."""
    with app.store(read_only=True) as store:
        rule = store.rules.get(rule_id)
        turns = store.rules.turns_of(rule.id)

    def show() -> None:
        pairs(
            [
                ("rule", rule.id),
                ("text", rule.text),
                ("status", rule.status + (f" ({rule.reason})" if rule.reason else "")),
                ("asks", _ASKS[rule.polarity]),
                ("direction", rule.direction or "(in your own words)"),
                ("check", rule.check or "(no program can tell)"),
                ("scope", rule.scope),
                ("seen", f"{rule.count}x, {when(rule.first_seen)} to {when(rule.last_seen)}"),
                ("turns", "\n".join(turns) or "(none)"),
            ]
        )

    emit({"rule": rule, "turns": turns}, app.json, show)


@command.command("explain")
@click.argument("rule_id", metavar="[ID]", required=False)
@common
@click.pass_obj
def explain(app: App, rule_id: str | None) -> None:
    """The words behind a rule, and what it replaced; without an ID, of all rules in force."""
    with _profile(app) as (store, profile):
        rules = [store.rules.get(rule_id)] if rule_id else profile.rules()
        told = [_explained(app, store, profile, rule) for rule in rules]

    def show() -> None:
        if not told:
            note("no rules in force: `align-agent rules list` shows all there are")
        for number, facts in enumerate(told):
            if number:
                say("")
            _show_explained(facts)

    emit(told, app.json, show)


def _explained(app: App, store: Store, profile: Profile, rule: Rule) -> dict[str, Any]:
    from align_agent.explain import words_behind
    from align_agent.feedback.fading import weight
    from align_agent.records import now

    heard: dict[str, list[str]] = {}
    for turn_id, text in words_behind(store, rule):
        heard.setdefault(turn_id, []).append(text)
    because = []
    for turn in map(store.turns.get, heard):
        said = {"turn": turn.id, "you_asked": turn.user_text, "answer": turn.answer}
        because.append({**said, "then": heard[turn.id]})
    half_life = app.config.feedback.half_life_days
    return {
        "rule": rule,
        "weight": round(weight(rule, now(), half_life), 2),
        "because": because,
        "contrary": profile.contrary(rule),
    }


def _show_explained(facts: dict[str, Any]) -> None:
    rule = facts["rule"]
    state = rule.status + (f" ({rule.reason})" if rule.reason else "")
    say(f"{printable(rule.text)}  [{rule.id[:12]}, {state}]")
    origin = "declared in config.yaml" if rule.status == "declared" else f"asked for {rule.count}x"
    asks = f"a {_ASKS[rule.polarity]}"
    say(f"  {origin}, last {when(rule.last_seen)}; {asks}; counts for: {rule.scope}")
    for reason in facts["because"]:
        say(f"  you asked   {_short(reason['you_asked'])}")
        say(f"  answer      {_short(reason['answer'])}")
        for text in reason["then"]:
            say(f"  then        {_short(text)}")
    if not facts["because"]:
        say("  no conversation behind it: you wrote it yourself")
    for other in facts["contrary"]:
        why = f" ({other.reason})" if other.reason else ""
        say(f"  against it  {printable(other.text)}  [{other.id[:12]}, {other.status}{why}]")


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= 90 else f"{line[:89]}…"


@command.command("add")
@click.argument("text")
@click.option(
    "--scope",
    default="everything",
    show_default=True,
    help="everything, code, channel:NAME, or words like topic:mail,letter.",
)
@common
@click.pass_obj
def add(app: App, text: str, scope: str) -> None:
    """Say a wish outright. It counts from the next night on."""
    from align_agent.capture.redact import without_secrets

    with _profile(app) as (_, profile):
        rule = profile.add(without_secrets(text), scope)
    _told(app, rule, "added")


@command.command("accept")
@click.argument("rule_id", metavar="ID")
@common
@click.pass_obj
def accept(app: App, rule_id: str) -> None:
    """Make a proposed rule an active one."""
    with _profile(app) as (store, profile):
        found = store.rules.get(rule_id)
        profile.accept(found.id)
        rule = store.rules.get(found.id)
    _told(app, rule, "active")


@command.command("edit")
@click.argument("rule_id", metavar="ID")
@click.argument("text")
@common
@click.pass_obj
def edit(app: App, rule_id: str, text: str) -> None:
    """Put a rule into better words."""
    from align_agent.capture.redact import without_secrets

    with _profile(app) as (store, profile):
        found = store.rules.get(rule_id)
        profile.edit(found.id, without_secrets(text))
        rule = store.rules.get(found.id)
    _told(app, rule, "now says")


@command.command("retire")
@click.argument("rule_id", metavar="ID")
@common
@click.pass_obj
def retire(app: App, rule_id: str) -> None:
    """Stop following a rule. It stays on record and can be accepted again."""
    with _profile(app) as (store, profile):
        found = store.rules.get(rule_id)
        profile.retire(found.id)
        rule = store.rules.get(found.id)
    _told(app, rule, "retired")


def _told(app: App, rule: Rule, what: str) -> None:
    emit(rule, app.json, lambda: say(f"{rule.id[:12]} {what}: {rule.text}"))
