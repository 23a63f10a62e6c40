"""Why a name is not moved to a version, in words with the way out. Decides nothing."""

from __future__ import annotations

from align_agent.errors import AdapterDamaged, GateRefused, NotFound, UsageError, WrongBase
from align_agent.records import Adapter, version_label

TO_THE_BASE = "go back to the base: `align-agent adapters promote base`"


def wrong_base(adapter: Adapter, base: str) -> WrongBase:
    """The version was trained on another base than `base`."""
    named = f"`{base}`" if base and base != adapter.base else "a base whose weights differ"
    return WrongBase(
        f"adapter {adapter.label} was trained on `{adapter.base}`, but the configuration names "
        f"{named}",
        hint="set `model.base` in config.yaml back, or learn anew: `align-agent distill run`",
    )


def tainted(version: int) -> GateRefused:
    """The version learned from what was forgotten since."""
    label = version_label(version)
    return GateRefused(
        f"{label} learned from what was forgotten since",
        hint="`align-agent adapters promote base`, or insist: "
        f"`align-agent adapters promote {label} --force`",
    )


def pruned(adapter: Adapter) -> AdapterDamaged:
    """The version's files were removed."""
    return AdapterDamaged(
        f"adapter {adapter.label} was pruned: its files are gone",
        hint="choose another version: `align-agent adapters list`",
    )


def nothing_before() -> NotFound:
    """A rollback where nothing else served before, or is there no more."""
    return NotFound(
        "there is nothing to roll back to: no other version served before",
        hint="see `align-agent adapters list`",
    )


def overtaken() -> UsageError:
    """While a version's files were read, another one was promoted."""
    return UsageError(
        "another version was promoted meanwhile",
        hint="see `align-agent adapters list`, then roll back again",
    )


def rolled_back(label: str, champion: int) -> UsageError:
    """A rollback from `label` came just before: another one would lead forward again."""
    return UsageError(
        f"already rolled back from {label} to {version_label(champion)}",
        hint=f"forward again: `align-agent adapters promote {label}`; "
        "any other version: `align-agent adapters list`",
    )
