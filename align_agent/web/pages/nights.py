"""Nights: how each went, what it used and skipped and why, its curves, and one that runs now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_agent.config import SECRETS
from align_agent.gate.told import sentence, table_of
from align_agent.night.clock import SPENT
from align_agent.night.context import BASE_HASH, SERVED
from align_agent.night.continual import OUT_OF_TIME, START, WARM_NIGHTS
from align_agent.night.lock import NightLock, as_it_is
from align_agent.night.phases import PHASES
from align_agent.night.run import ABANDONED, FINGERPRINT, REACHED, RESUMES
from align_agent.night.told import FIGURES, USES
from align_agent.records import Run
from align_agent.web.charts import line
from align_agent.web.desk import Desk
from align_agent.web.pages.morning import night_of
from align_agent.web.words import link

SHOWN = 40
TURNS = 40
# What a run notes beside its configuration.
_BESIDE = {
    *(FINGERPRINT, RESUMES, REACHED, ABANDONED, BASE_HASH, SERVED, SPENT, "trigger"),
    *(START, WARM_NIGHTS, OUT_OF_TIME),
}


def data(desk: Desk) -> dict[str, Any]:
    """The nights, the newest first."""
    before = desk.text("before")
    runs = desk.store.looks.runs(SHOWN + 1, before)
    more = len(runs) > SHOWN
    return {
        "nights": [night_of(_run(desk, run_id)) for run_id in runs[:SHOWN]],
        "next": link("/nights", {"before": runs[SHOWN - 1]}) if more else "",
        "first": "/nights" if before else "",
        "running": NightLock(desk.home.night_lock).busy(),
    }


def one(desk: Desk) -> dict[str, Any]:
    """One night in full."""
    run = _run(desk, desk.text("id"))
    metrics = desk.store.runs.metrics(run.id)
    earlier = desk.store.looks.runs(1, run.id)
    before = desk.store.runs.get(earlier[0]) if earlier else None
    use, reason = desk.text("use"), desk.text("reason")
    return {
        "night": night_of(run),
        "base": run.base,
        "seed": run.seed,
        "trigger": str(run.config.get("trigger", "")),
        "live": live(run) if run.status == "running" else None,
        "curves": curves(metrics),
        "uses": [
            {
                **row,
                "means": USES.get(row["use"], row["use"]),
                "href": link("/night", {"id": run.id, "use": row["use"], "reason": row["reason"]}),
                "chosen": (row["use"], row["reason"] or "") == (use, reason),
            }
            for row in desk.store.looks.uses(run.id)
        ],
        "turns": [
            {
                "id": row["id"],
                "conversation": row["conversation_id"],
                "user": row["user_text"],
                "mood": row["mood"],
            }
            for row in (desk.store.looks.used(run.id, use, TURNS, reason) if use else [])
        ],
        "changes": changes(before.config if before else {}, run.config),
        "before": before.id if before else "",
        "reasons": [sentence(str(why)) for why in run.verdict.get("reasons", ())],
        "table": table_of(run.verdict),
    }


def _run(desk: Desk, run_id: str) -> Run:
    return as_it_is(desk.store.runs.get(run_id), desk.home)


def live(run: Run) -> dict[str, Any]:
    """Where a running night is."""
    names = list(PHASES)
    place = names.index(run.phase) if run.phase in names else 0
    return {
        "status": run.status,
        "phase": run.phase,
        "phases": [
            {"name": name, "state": "done" if i < place else "now" if i == place else "to come"}
            for i, name in enumerate(names)
        ],
        "done": place,
        "of": len(names),
    }


def curves(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A curve for each figure that training measured at two steps at least."""
    steps = [row["step"] for row in metrics]
    names = [name for row in metrics for name in row if name != "step"]
    known = sorted(
        set(names), key=lambda name: (list(FIGURES).index(name) if name in FIGURES else 99, name)
    )
    found = []
    for name in known:
        values = [row.get(name) for row in metrics]
        if sum(value is not None for value in values) > 1:
            found.append(line(FIGURES.get(name, name.replace("_", " ")), steps, values))
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The settings that differ between two nights. A night without a record differs in nothing."""
    old, new = _flat(before), _flat(after)
    if not old:
        return []
    return [
        {"key": key, "before": _shown(old.get(key)), "after": _shown(new.get(key))}
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if not prefix and key in _BESIDE:
            continue
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{key}."))
        elif prefix + key not in SECRETS:
            found[prefix + key] = value
    return found


def _shown(value: Any) -> str:
    return "(not there)" if value is None else str(value)
