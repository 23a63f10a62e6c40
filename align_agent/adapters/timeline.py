"""The story of the versions: when each was made and by which night, who moved which name and why,
holds, pins, prunes and imports. Reads the store; changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from align_agent.errors import NotFound
from align_agent.records import BASE_VERSION, Adapter, Run, version_label

if TYPE_CHECKING:
    from align_agent.store import Store

Kind = Literal["made", "moved", "held", "released", "pinned", "unpinned", "pruned", "imported"]
_EVENTS: tuple[Kind, ...] = ("held", "released", "pinned", "unpinned", "pruned", "imported")
_LEARNED = ("train", "anchor")
RULES = "rules_in_force"  # where a run keeps the texts of the rules that it went by


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `version` is the one it is about, None where it is about none.

    `who` is "user" or "night" where that is known; `text` says what, `why` the reason.
    """

    at: str
    kind: Kind
    text: str
    version: int | None = None
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version with all that is known of where it comes from.

    `turns` counts those that shaped its weights, `rules` are the texts that its night went by
    (empty for versions of before these were kept), `aliases` the names that point at it now.
    """

    adapter: Adapter
    night: Run | None
    turns: int
    rules: tuple[str, ...]
    aliases: tuple[str, ...]


def timeline(store: Store, limit: int = 200) -> list[Moment]:
    """What happened to the versions, the newest first."""
    moments = [_made(adapter) for adapter in store.adapters.list() if adapter.run_id]
    moments += [
        Moment(
            row["at"],
            "moved",
            f"{row['name']}: {_named(row['before'])} -> {_named(row['after'])}",
            row["after"],
            row["who"],
            row["why"],
        )
        for row in store.adapters.history(limit)
    ]
    for kind in _EVENTS:
        for event in store.events.list(limit, kind=kind):
            data = event["data"] or {}
            moments.append(
                Moment(
                    event["at"], kind, event["message"], data.get("version"), data.get("who", "")
                )
            )
    moments.sort(key=lambda moment: moment.at, reverse=True)
    return moments[:limit]


def facts_of(store: Store, version: int) -> VersionFacts:
    """All that is known of one version. Raises NotFound; the base is no version of ours."""
    adapter = store.adapters.get(version)
    try:
        night = store.runs.get(adapter.run_id) if adapter.run_id else None
    except NotFound:
        night = None
    uses = store.runs.turns_of(adapter.run_id) if adapter.run_id else []
    names = ("champion", "previous", "candidate")
    return VersionFacts(
        adapter,
        night,
        sum(use in _LEARNED for _, use, _ in uses),
        tuple(night.config.get(RULES, ())) if night else (),
        tuple(name for name in names if store.adapters.alias(name) == version),
    )


def _made(adapter: Adapter) -> Moment:
    parent = version_label(adapter.parent)
    return Moment(
        adapter.created_at,
        "made",
        f"{adapter.label} was made over {parent}: {adapter.verdict}",
        adapter.version,
        "night",
        adapter.reasons[0] if adapter.reasons else "",
    )


def _named(version: int | None) -> str:
    if version is None:
        return "nothing"
    return "base" if version == BASE_VERSION else version_label(version)
