"""From which weights a night starts, and what of the past is not wanted any more. Decides only.

The base is the rule: an adapter is then a function of the log and the rules alone, and what was
retired is truly gone. With more turns than one night can train on, that would forget most of them;
then a night goes on from what serves, on what is new and a sample of what was learned before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from align_agent.adapters.timeline import RULES
from align_agent.directions import DIRECTIONS, axis_of, direction_of_text
from align_agent.distill.select import TOO_MANY, Candidate, Selection, rank
from align_agent.records import BASE_VERSION, Rule, Run, version_label

if TYPE_CHECKING:
    from align_agent.config import Config
    from align_agent.store import Store

# In the run's row: the version that the night started from, how many nights in a row did not start
# from the base, and whether its training ran out of time.
START = "started_from"
WARM_NIGHTS = "nights_since_base"
OUT_OF_TIME = "out_of_time"
# Lessons of a night that goes on, if there are so many: fewer bend the model more than they teach.
LEAST = 64


@dataclass(frozen=True, slots=True)
class Start:
    """`version` is what the night starts from, 0 the base; `nights` how many did so in a row."""

    version: int
    why: str
    nights: int = 0


@dataclass(frozen=True, slots=True)
class Champion:
    """What serves now, and what it learned. `lineage` maps turns to what they were used for."""

    version: int
    run: Run
    lineage: dict[str, str]


def champion_of(store: Store, version: int) -> Champion | None:
    """None for the base, for what was imported, and for what learned from forgotten text."""
    if version == BASE_VERSION:
        return None
    adapter = store.adapters.get(version)
    if adapter.tainted or not adapter.run_id:
        return None
    uses = store.runs.turns_of(adapter.run_id)
    lineage = {turn_id: use for turn_id, use, _ in uses if use in ("train", "anchor")}
    return Champion(version, store.runs.get(adapter.run_id), lineage)


def start_of(
    config: Config,
    champion: Champion | None,
    chosen: Selection,
    rules: Sequence[Rule],
    excluded: Collection[str],
) -> Start:
    """From which weights the night starts. `rules` are those in force, `excluded` the turns that
    the user took out."""
    settings = config.distill
    if settings.start == "base" or champion is None:
        return Start(BASE_VERSION, "")
    label = version_label(champion.version)
    too_many = any(reason == TOO_MANY for _, reason in chosen.skipped)
    if settings.start == "auto" and not too_many and not champion.run.config.get(OUT_OF_TIME):
        return Start(BASE_VERSION, "all that there is to learn fits into one night")
    nights = int(champion.run.config.get(WARM_NIGHTS, 0)) + 1
    obstacle = _obstacle(config, champion, chosen, rules, excluded, nights)
    if obstacle:
        return Start(BASE_VERSION, f"not from {label}: {obstacle}")
    return Start(champion.version, f"from {label}: there is more to learn than fits", nights)


def _obstacle(
    config: Config,
    champion: Champion,
    chosen: Selection,
    rules: Sequence[Rule],
    excluded: Collection[str],
    nights: int,
) -> str:
    """Why a night must not go on from the champion, or the empty string."""
    then = champion.run.config
    settings: dict[str, Any] = then.get("distill", {})
    if champion.run.base != config.model.base:
        return "it has another base"
    if any(settings.get(n) != getattr(config.distill, n) for n in ("lora_rank", "lora_alpha")):
        return "its LoRA has another shape"
    if nights > config.distill.rebuild_after:
        return f"{nights - 1} nights in a row went on from the one before"
    gone = unwanted(then.get(RULES, ()), rules)
    if gone:
        return f"it learned what is not wanted any more ({gone[0]})"
    if champion.lineage.keys() & set(excluded):
        return "it learned from a turn that was excluded since"
    if champion.lineage.keys() & {candidate.turn.id for candidate in chosen.heldout}:
        return "it learned from a turn that is kept aside for the gate now"
    return ""


def unwanted(learned: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """Those of the learned rules (their texts) that are not in force any more, in any words."""
    texts = {rule.text for rule in rules}
    directions = {rule.direction for rule in rules if rule.direction}
    return [t for t in learned if t not in texts and direction_of_text(t) not in directions]


def retired(learned: Sequence[str], rules: Sequence[Rule]) -> list[str]:
    """Those of the learned rules that are not in force, and in whose place nothing else is.

    What took a rule's place is learned over it; what merely ended must be unlearned.
    """
    axes = {axis_of(rule.direction) for rule in rules if rule.direction}
    return [t for t in unwanted(learned, rules) if axis_of(direction_of_text(t)) not in axes]


def with_replay(chosen: Selection, champion: Champion, share: float, seed: int) -> Selection:
    """The selection of a night that goes on from the champion: of the turns that taught it only a
    sample, `share` of all lessons, or as many as make up `LEAST`; none where the share is 0."""
    known = [c for c in chosen.train if c.turn.id in champion.lineage]
    new = [c for c in chosen.train if c.turn.id not in champion.lineage]
    wanted = max(round(share / (1 - share) * len(new)), LEAST - len(new)) if share else 0
    drawn = sorted(known, key=lambda candidate: rank(seed, candidate.turn.id))
    kept = {candidate.turn.id for candidate in drawn[: max(wanted, 0)]}
    why = f"{version_label(champion.version)} learned it, and the night goes on from there"
    return replace(
        chosen,
        train=[c for c in chosen.train if c.turn.id in kept or c.turn.id not in champion.lineage],
        skipped=[*chosen.skipped, *((c.turn.id, why) for c in known if c.turn.id not in kept)],
    )


def inherited(champion: Champion, chosen: Selection) -> list[tuple[str, str, str]]:
    """(turn id, use, reason) of what the champion learned from and this night does not: it shapes
    the new weights as well, and must be forgotten with them."""
    again: list[Candidate] = [*chosen.train, *chosen.anchors]
    now = {candidate.turn.id for candidate in again}
    why = f"{version_label(champion.version)} learned from it, and the night goes on from there"
    return [(turn, use, why) for turn, use in champion.lineage.items() if turn not in now]


def stale_rules(rules: Sequence[Rule], force: Sequence[Rule], faded: str) -> list[str]:
    """The ids of those of all `rules` that the user went back on, `force` being what counts now:
    the complaints that taught them count no more. What merely `faded` was never refused."""
    in_force = {rule.id for rule in force}
    return [
        rule.id
        for rule in rules
        if rule.id not in in_force
        and (
            (rule.status == "retired" and rule.reason != faded)
            or any(_opposed(rule, other) for other in force)
        )
    ]


def _opposed(rule: Rule, other: Rule) -> bool:
    return (
        rule.direction in DIRECTIONS
        and axis_of(rule.direction) == axis_of(other.direction)
        and rule.direction != other.direction
        and rule.scope == other.scope
    )
