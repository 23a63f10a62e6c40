"""`align-agent rules`: the user's wishes, learned or declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from align_agent.cli.app import App, common
from align_agent.cli.groups import NounGroup
from align_agent.cli.output import emit, note, pairs, say, table, when

if TYPE_CHECKING:
    from align_agent.feedback.profile import Profile
    from align_agent.records import Rule
    from align_agent.store import Store


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
            ("id", "status", "seen", "last", "check", "rule"),
            [
                (
                    rule.id[:12],
                    rule.status,
                    f"{rule.count}x",
                    when(rule.last_seen),
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
                ("direction", rule.direction or "(in your own words)"),
                ("check", rule.check or "(no program can tell)"),
                ("scope", rule.scope),
                ("seen", f"{rule.count}x, {when(rule.first_seen)} to {when(rule.last_seen)}"),
                ("turns", "\n".join(turns) or "(none)"),
            ]
        )

    emit({"rule": rule, "turns": turns}, app.json, show)


@command.command("add")
@click.argument("text")
@common
@click.pass_obj
def add(app: App, text: str) -> None:
    """Say a wish outright. It counts from the next night on."""
    with _profile(app) as (_, profile):
        rule = profile.add(text)
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
    with _profile(app) as (store, profile):
        found = store.rules.get(rule_id)
        profile.edit(found.id, text)
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
