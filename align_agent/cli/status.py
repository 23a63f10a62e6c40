"""`align-agent status`: everything a user asks first, in one look. Reads only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align_agent.adapters.working import standing
from align_agent.checkup import losses
from align_agent.cli.app import App, common
from align_agent.cli.output import emit, paint, pairs, say, warn, when
from align_agent.display import counted, tally
from align_agent.paths import size_of
from align_agent.records import version_label
from align_agent.store.lost import refuse_lost

if TYPE_CHECKING:
    from align_agent.adapters.registry import Registry
    from align_agent.records import Run
    from align_agent.store import Store


@click.command()
@common
@click.pass_obj
def command(app: App) -> None:
    """What serves, what was learned, when the next night runs, and whether anything was lost."""
    refuse_lost(app.home.database)
    if not app.home.database.exists():
        data: dict[str, Any] = {"home": str(app.home.root), "initialised": False}
        emit(data, app.json, lambda: say(f"no home at {app.home.root} yet: align-agent init"))
        return
    data = gather(app)
    emit(data, app.json, lambda: _show(data))


def gather(app: App) -> dict[str, Any]:
    """All of it, for JSON. Only what SQL counts: a look must be quick on any log.

    Raises ConfigError, StoreError.
    """
    from align_agent.capture.arrivals import arrivals
    from align_agent.night.lock import as_it_is
    from align_agent.schedule import outlook

    config = app.config
    with app.registry() as (store, registry):
        counters = store.counters.all()
        arrived = arrivals(store)
        return {
            "home": str(app.home.root),
            "initialised": True,
            "base": config.model.base,
            "champion": _champion(store, registry),
            "last_night": _night(as_it_is(store.runs.latest("night"), app.home)),
            "next_night": outlook(app.home, config, store, registry),
            "turns": {
                "total": store.turns.count(),
                "corrected": store.turns.count_corrected(config.feedback.min_confidence),
            },
            "arrivals": {
                "latest": arrived.came,
                "usable": arrived.usable,
                "reasons": dict(arrived.reasons),
                "alarm": arrived.told() if arrived.alarming else "",
            },
            "feedback": store.feedback.count(),
            "to_review": len(store.feedback.to_review()),
            "rules": _rules(store),
            "held": registry.held(),
            "live": _live(config.learn.live, store),
            "forgotten": {
                "turns": store.forgotten.count(),
                "unfinished": len(store.forgotten.unfinished()),
                "tainted": registry.tainted(),
            },
            "counters": counters,
            "losses": losses(store),
            "disk": _disk(app.home.root),
        }


def _champion(store: Store, registry: Registry) -> dict[str, Any]:
    version = registry.champion()
    since = next(
        (row["at"] for row in store.adapters.history(100) if row["name"] == "champion"), None
    )
    serves, fallback = registry.served()
    return {
        "version": version,
        "label": version_label(version),
        "since": since,
        "serves": version_label(serves),
        "fallback": fallback,
    }


def _live(on: bool, store: Store) -> dict[str, Any]:
    """Whether it learns at once, and how many steps answer beyond the champion."""
    found = standing(store)
    return {"on": on, "steps": found.count if found else 0, "at": found.at if found else None}


def _night(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "run": run.id,
        "status": run.status,
        "phase": run.phase,
        "reason": run.reason,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _rules(store: Store) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rule in store.rules.list():
        counts[rule.status] = counts.get(rule.status, 0) + 1
    return counts


def _disk(root: Path) -> dict[str, int]:
    return {"used_bytes": size_of(root), "free_bytes": shutil.disk_usage(root).free}


def _show(data: dict[str, Any]) -> None:
    from align_agent.cli.schedule import told

    champion, night, ahead = data["champion"], data["last_night"], data["next_night"]
    since = f" since {when(champion['since'])}" if champion["since"] else ""
    if champion["fallback"]:
        since = f" in place of {champion['label']}"
    pairs(
        [
            ("home", data["home"]),
            ("serving", f"{data['base']}, {champion['serves']}{since}"),
            ("last night", _told(night)),
            ("next night", told(ahead)),
            ("now", ("may run: " if ahead["may_run_now"] else "") + "; ".join(ahead["reasons"])),
            ("turns", tally(data["turns"]) or "none"),
            ("feedback", tally(data["feedback"]) or "none"),
            ("rules", tally(data["rules"]) or "none"),
            ("held", data["held"] or "no"),
            ("at once", _told_live(data["live"])),
            ("recorder", tally(data["losses"]) or "nothing lost"),
            ("disk", _sizes(data["disk"])),
        ]
    )
    if champion["fallback"]:
        cure = "restore its folder, or `align-agent adapters promote base`"
        warn(f"{champion['fallback']} ({cure})")
    _warn_of_forgotten(data["forgotten"], champion["version"], held=bool(data["held"]))
    if data["to_review"]:
        waiting = counted(data["to_review"], "opinion")
        say(f"{waiting} to look at: `align-agent feedback list --review`")
    if data["losses"]:
        warn(f"something went wrong: {tally(data['losses'])} (`align-agent doctor`)")
    if data["arrivals"]["alarm"]:
        warn(f"{data['arrivals']['alarm']} (`align-agent turns`)")
    in_force = data["rules"].get("active", 0) + data["rules"].get("declared", 0)
    if data["turns"]["total"] and not data["turns"]["corrected"] and not in_force:
        say(paint("nothing to learn from yet: `align-agent distill plan` says why", dim=True))


def _warn_of_forgotten(forgotten: dict[str, Any], champion: int, *, held: bool) -> None:
    if forgotten["unfinished"]:
        warn("a forgetting was interrupted: `align-agent forget --resume` finishes it")
    if champion in forgotten["tainted"]:
        night = (
            "no night replaces it while promotion is held" if held else "the next night replaces it"
        )
        warn(
            f"{version_label(champion)} learned from what you forgot since; {night}, "
            "`align-agent adapters delete --tainted` removes it now"
        )


def _told(night: dict[str, Any] | None) -> str:
    if night is None:
        return "none so far"
    state = night["status"] if night["status"] != "running" else f"running ({night['phase']})"
    reason = f": {night['reason']}" if night["reason"] else ""
    return f"{when(night['finished_at'] or night['started_at'])} {state}{reason}"


def _told_live(live: dict[str, Any]) -> str:
    if not live["steps"]:
        return "no step since the champion" if live["on"] else "off"
    steps = counted(live["steps"], "step")
    if not live["on"]:
        return f"off; {steps} are kept and do not answer (learn.live)"
    return f"{steps} beyond the champion, the last {when(live['at'])}; /undo takes it back"


def _sizes(disk: dict[str, int]) -> str:
    return f"{disk['used_bytes'] / 1e6:.1f} MB used, {disk['free_bytes'] / 1e9:.1f} GB free"
