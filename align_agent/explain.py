"""Why the agent answers as it does now: version, rules with their turns, last night, hold."""

from __future__ import annotations

from dataclasses import dataclass

from align_agent.adapters.registry import Registry
from align_agent.errors import NotFound
from align_agent.feedback.profile import Profile
from align_agent.records import Rule, Run, Turn, version_label
from align_agent.store import Store

SHOWN_TURNS = 3
SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the agent answers as it does now.

    `rules` are those in force, each with the turns behind it; `learned_from` counts the turns
    that shaped the serving version's weights.
    """

    version: int
    learned_from: int
    rules: list[tuple[Rule, list[Turn]]]
    last_run: Run | None
    held: str

    def lines(self) -> list[str]:
        serving = version_label(self.version)
        taught = "1 turn" if self.learned_from == 1 else f"{self.learned_from} turns"
        shown = [
            f"{serving} serves, learned from {taught}"
            if self.version
            else "the base model serves: nothing is learned yet"
        ]
        shown.append("rules in force:" if self.rules else "no rules in force")
        for rule, turns in self.rules:
            origin = "declared in config.yaml" if rule.status == "declared" else f"{rule.count}x"
            shown.append(f"- {rule.text} ({origin})")
            shown += [f'    "{_shortened(turn.user_text)}"' for turn in turns]
        if self.last_run is not None:
            reason = f": {self.last_run.reason}" if self.last_run.reason else ""
            shown.append(f"last night: {self.last_run.status}{reason}")
        if self.held:
            shown.append(f"promotion is held: {self.held}")
        return shown


def explain(store: Store, registry: Registry, profile: Profile) -> Explanation:
    """What is in force now: version, rules with their latest turns, last night, hold."""
    version = registry.champion()
    try:
        lineage = len(registry.lineage(version))
    except NotFound:  # the row was lost with an older backup; the files serve on
        lineage = 0
    rules = []
    for rule in profile.rules():
        ids = store.rules.turns_of(rule.id)[-SHOWN_TURNS:]
        rules.append((rule, [store.turns.get(turn_id) for turn_id in ids]))
    return Explanation(version, lineage, rules, store.runs.latest("night"), registry.held())


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"
