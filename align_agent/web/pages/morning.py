"""Morning: what changed over night, whether anything got worse, and the way back."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from align_agent import schedule
from align_agent.adapters.registry import FALLBACK
from align_agent.checkup import losses
from align_agent.errors import InputError, MissingDependency
from align_agent.feedback.checks import run_check
from align_agent.feedback.profile import Profile
from align_agent.gate.report import Judgement
from align_agent.gate.told import table_of
from align_agent.localtime import here
from align_agent.night.lock import NightLock, as_it_is
from align_agent.night.told import USES, complaint, reasons
from align_agent.records import BASE_VERSION, Rule, Run, version_label
from align_agent.web.desk import Desk
from align_agent.web.news import Facts, headline

PAIRS = 3
LEARNED = 8


def data(desk: Desk) -> dict[str, Any]:
    """The sentence, the gate's table, answers before and after, what was learned from."""
    store = desk.store
    run = as_it_is(desk.store.runs.latest("night"), desk.home)
    rules = Profile(store, desk.config).rules()
    facts = _facts(desk, run, rules)
    judged = _judged(desk, run, facts.champion)
    return {
        "news": headline(facts).to_dict(),
        "serving": {"label": version_label(desk.registry.served()[0]), "since": facts.since},
        "held": facts.held,
        "actions": {
            "rollback": _previous(desk),
            "promote": facts.waiting and version_label(facts.waiting),
            "hold": not facts.held,
        },
        "night": None if run is None else night_of(run),
        "judged": None if judged is None else night_of(judged),
        "reasons": reasons(judged) if judged else [],
        "table": table_of(judged.verdict if judged else {}),
        "pairs": pairs(store.runs.samples(judged.id), rules, judged.seed) if judged else [],
        "learned": _learned(desk, judged),
        "warnings": _warnings(desk),
    }


def _judged(desk: Desk, run: Run | None, champion: int) -> Run | None:
    """The night to show the work of: the last one, or, where that made nothing, the night that
    made what serves."""
    if run is None or run.candidate is not None:
        return run
    if champion == BASE_VERSION:
        return None
    made = next((a.run_id for a in desk.store.adapters.list() if a.version == champion), "")
    return desk.store.runs.get(made) if made else None


def night_of(run: Run) -> dict[str, Any]:
    """A night in a few words."""
    return {
        "id": run.id,
        "status": run.status,
        "phase": run.phase,
        "reason": run.reason,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "made": version_label(run.candidate) if run.candidate else "",
        "parent": version_label(run.parent),
    }


def _facts(desk: Desk, run: Run | None, rules: Sequence[Rule]) -> Facts:
    store, registry = desk.store, desk.registry
    champion = registry.champion()
    moved = next((r for r in store.adapters.history(100) if r["name"] == "champion"), {})
    uses = _uses(desk, run)
    behind = set(store.looks.rules_behind(run.id)) if run else set()
    due, forbids = _due(desk)
    return Facts(
        champion=champion,
        since=str(moved.get("at", "")),
        moved_by=str(moved.get("who", "")),
        run=run,
        trained=uses.get("train", 0),
        rules=sum(rule.status == "declared" or rule.id in behind for rule in rules),
        gates=gates_of(run.verdict) if run else (0, 0),
        waiting=_waiting(desk),
        held=registry.held(),
        fallback=store.state.get(FALLBACK),
        due=due,
        forbids=forbids,
        scheduler=NightLock(desk.home.scheduler_lock).busy(),
        **({} if run else _unread(desk)),
    )


def _unread(desk: Desk) -> dict[str, int]:
    """What waits for the first night."""
    sure = desk.config.feedback.min_confidence
    turns = desk.store.turns
    return {"turns": turns.count(), "corrected": turns.count_corrected(sure)}


def _uses(desk: Desk, run: Run | None) -> dict[str, int]:
    """use -> the number of turns that a night put to it."""
    found: dict[str, int] = {}
    for row in desk.store.looks.run_uses(run.id) if run else ():
        found[row["use"]] = row["number"]
    return found


def _due(desk: Desk) -> tuple[str, tuple[str, ...]]:
    now = here()
    try:
        due = schedule.missed(desk.config, desk.store, now)
    except MissingDependency:
        return "", ()  # Settings says so
    lock = NightLock(desk.home.night_lock)
    if due is None or lock.busy():
        return "", ()
    allowed = schedule.may_run(now, desk.config, desk.store, desk.registry, lock)
    return due.isoformat(), () if allowed.allowed else allowed.reasons


def _waiting(desk: Desk) -> int:
    """The version that only a person may promote; 0 when there is none."""
    candidate = desk.store.adapters.alias("candidate")
    if not candidate or candidate == desk.registry.champion():
        return 0
    adapter = desk.store.adapters.get(candidate)
    return candidate if adapter.verdict != "reject" and not adapter.deleted else 0


def _previous(desk: Desk) -> str:
    previous = desk.store.adapters.alias("previous")
    if previous is None or previous == desk.registry.champion() or desk.registry.rolled_back():
        return ""
    return version_label(previous)


def gates_of(verdict: Mapping[str, Any]) -> tuple[int, int]:
    """How many gates were passed, of those at which something was measured."""
    judged = Judgement.from_dict(verdict)
    passed = judged.gates() if judged else {}
    return sum(passed.values()), len(passed)


def pairs(
    samples: Sequence[Mapping[str, Any]], rules: Sequence[Rule], seed: int
) -> list[dict[str, Any]]:
    """Some answers before and after: drawn by the night's seed, after the largest regression.

    A regression is an answer that meets fewer of the rules that a program can check.
    """
    specs = [rule.check for rule in rules if rule.check]
    rated = [
        {
            **sample,
            "met": [
                _met(specs, str(sample[side]), str(sample["prompt"]))
                for side in ("before", "after")
            ],
            "of": len(specs),
            "worst": False,
        }
        for sample in samples
    ]
    losses = [pair for pair in rated if pair["met"][1] < pair["met"][0]]
    worst = max(losses, key=lambda pair: pair["met"][0] - pair["met"][1], default=None)
    rest = [pair for pair in rated if pair is not worst]
    drawn = random.Random(seed).sample(rest, min(PAIRS, len(rest)))
    if worst is None:
        return drawn
    return [{**worst, "worst": True}, *drawn[: PAIRS - 1]]


def _met(specs: Sequence[Mapping[str, Any]], answer: str, asked: str) -> int:
    met = 0
    for spec in specs:
        try:
            met += run_check(spec, answer, asked=asked)
        except InputError:  # a check of a newer program: the gate has said so
            continue
    return met


def _learned(desk: Desk, run: Run | None) -> dict[str, Any]:
    if run is None:
        return {"uses": [], "turns": []}
    uses = _uses(desk, run)
    turns = desk.store.looks.used(run.id, "train", LEARNED)
    return {
        "uses": [{"use": use, "means": USES.get(use, use), "number": uses[use]} for use in uses],
        "turns": [
            {
                "id": turn["id"],
                "conversation": turn["conversation_id"],
                "user": turn["user_text"],
                "complaint": complaint(desk.store, turn["id"]),
            }
            for turn in turns
        ],
    }


def _warnings(desk: Desk) -> list[str]:
    """What was lost, in words."""
    lost = losses(desk.store)
    return [f"{number:,} {name.replace('_', ' ')}" for name, number in lost.items()]
