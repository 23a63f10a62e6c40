"""Why the agent answers as it does now: version, rules with their turns, last night, hold."""

from __future__ import annotations

from dataclasses import dataclass

from align_agent.adapters.registry import Registry
from align_agent.errors import NotFound
from align_agent.feedback.profile import Profile
from align_agent.records import Rule, Run, version_label
from align_agent.store import Store

SHOWN_WORDS = 3
SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the agent answers as it does now.

    `rules` are those in force, each with the words that asked for it, the latest last;
    `learned_from` counts the turns that shaped the serving version's weights; `fallback` says why
    that is not the champion.
    """

    version: int
    learned_from: int
    rules: list[tuple[Rule, list[str]]]
    last_run: Run | None
    held: str
    fallback: str = ""

    def lines(self) -> list[str]:
        serving = version_label(self.version)
        taught = "1 turn" if self.learned_from == 1 else f"{self.learned_from} turns"
        shown = [
            f"{serving} serves, learned from {taught}"
            if self.version
            else "the base model serves"
            if self.fallback
            else "the base model serves: nothing is learned yet"
        ]
        if self.fallback:
            shown.append(self.fallback)
        shown.append("rules in force:" if self.rules else "no rules in force")
        for rule, words in self.rules:
            origin = "declared in config.yaml" if rule.status == "declared" else f"{rule.count}x"
            shown.append(f"- {rule.text} ({origin})")
            shown += [f'    "{_shortened(text)}"' for text in words]
        if self.last_run is not None:
            reason = f": {self.last_run.reason}" if self.last_run.reason else ""
            shown.append(f"last night: {self.last_run.status}{reason}")
        if self.held:
            shown.append(f"promotion is held: {self.held}")
        return shown


def words_behind(store: Store, rule: Rule) -> list[tuple[str, str]]:
    """What the user said that made the rule, as (turn that it was said of, words), oldest first."""
    behind = store.rules.turns_of(rule.id)
    return [
        (turn_id, opinion.text)
        for turn_id in behind
        for opinion in store.feedback.for_turn(turn_id)
        if opinion.text and not opinion.dismissed and opinion.source_turn_id in ("", *behind)
    ]


def explain(
    store: Store, registry: Registry, profile: Profile, last_run: Run | None
) -> Explanation:
    """What is in force now: version, rules with the latest words behind them, last night, hold."""
    version, fallback = registry.served()
    try:
        lineage = len(registry.lineage(version))
    except NotFound:  # the row was lost with an older backup; the files serve on
        lineage = 0
    rules = []
    for rule in profile.rules():
        rules.append((rule, [text for _, text in words_behind(store, rule)][-SHOWN_WORDS:]))
    return Explanation(version, lineage, rules, last_run, registry.held(), fallback)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"
