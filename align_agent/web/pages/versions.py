"""Versions: which there are, who moved which name when and why, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_agent.adapters.registry import ALIASES
from align_agent.compare import gate_figures, word_diff
from align_agent.errors import NotFound
from align_agent.gate.told import title
from align_agent.records import BASE_VERSION, Adapter, Run, version_label
from align_agent.web.desk import Desk
from align_agent.web.words import link

SHOWN = 30
MOVES = 20


def data(desk: Desk) -> dict[str, Any]:
    """A page of versions, the newest first, and the last moves of the names."""
    before = desk.number("before")
    adapters = [a for a in desk.store.adapters.list() if before is None or a.version < before]
    names = names_of(desk)
    shown = adapters[:SHOWN]
    trained = desk.store.looks.trained([a.run_id for a in shown])
    return {
        "versions": [
            _row(adapter, names.get(adapter.version, []), trained.get(adapter.run_id, 0))
            for adapter in shown
        ],
        "base_is": names.get(BASE_VERSION, []),
        "next": link("/versions", {"before": shown[-1].version}) if adapters[SHOWN:] else "",
        "first": "/versions" if before is not None else "",
        "held": desk.registry.held(),
        "moves": [
            {
                "at": move["at"],
                "name": move["name"],
                "before": _label(move["before"]),
                "after": _label(move["after"]),
                "who": move["who"],
                "why": move["why"],
            }
            for move in desk.store.adapters.history(MOVES)
        ],
    }


def names_of(desk: Desk) -> dict[int, list[str]]:
    """The names that point at each version. Before any promotion the base is the champion."""
    found: dict[int, list[str]] = {}
    for alias in ALIASES:
        version = desk.store.adapters.alias(alias)
        if version is None and alias == "champion":
            version = BASE_VERSION
        if version is not None:
            found.setdefault(version, []).append(alias)
    return found


def _label(version: int | None) -> str:
    return "nothing" if version is None else version_label(version)


def _row(adapter: Adapter, names: list[str], trained: int) -> dict[str, Any]:
    return {
        "version": adapter.version,
        "label": adapter.label,
        "names": names,
        "made": adapter.created_at,
        "run": adapter.run_id,
        "parent": version_label(adapter.parent),
        "base": adapter.base,
        "turns": trained,
        "verdict": adapter.verdict,
        "reasons": list(adapter.reasons),
        "size": adapter.size_bytes,
        "pinned": adapter.pinned,
        "tainted": adapter.tainted,
        "deleted": adapter.deleted,
    }


def choices(desk: Desk) -> list[str]:
    """What may be compared: the base, and every version whose files are there."""
    kept = [a.label for a in desk.store.adapters.list() if not a.deleted]
    return ["base", *kept[:200]]


def compare(desk: Desk) -> dict[str, Any]:
    """Two versions: what the gate measured of each, and answers to prompts that both were asked."""
    a, b = (
        _resolved(desk, desk.text(name) or alias)
        for name, alias in (("a", "previous"), ("b", "champion"))
    )
    runs = [_run_of(desk, version) for version in (a, b)]
    answers = [_answers(desk, version, run) for version, run in zip((a, b), runs, strict=True)]
    return {
        "a": version_label(a),
        "b": version_label(b),
        "choices": choices(desk),
        "measures": _figures(desk, a, b)
        or _measures(_scores(runs[0], runs[1]), _scores(runs[1], runs[0])),
        "answers": [
            {
                "prompt": prompt,
                "a": answers[0][prompt],
                "b": answers[1][prompt],
                "same": answers[0][prompt] == answers[1][prompt],
                "diff": [
                    {"mark": piece.mark, "text": piece.text}
                    for piece in word_diff(answers[0][prompt], answers[1][prompt])
                ],
            }
            for prompt in answers[1]
            if prompt in answers[0]
        ],
    }


def _resolved(desk: Desk, name: str) -> int:
    try:
        return desk.registry.resolve(name)
    except NotFound:
        if name == "previous":  # nothing was ever promoted
            return BASE_VERSION
        raise


def _run_of(desk: Desk, version: int) -> Run | None:
    if version == BASE_VERSION:
        return None
    run_id = desk.store.adapters.get(version).run_id
    return desk.store.runs.get(run_id) if run_id else None


def _answers(desk: Desk, version: int, run: Run | None) -> dict[str, str]:
    """prompt -> what the version answered at the gate, in any night that asked it."""
    return desk.store.looks.answers(version, run.id if run else "")


def _figures(desk: Desk, a: int, b: int) -> list[dict[str, Any]]:
    """What the gate measured of both. Nights of before its measures were kept have none."""
    return [
        {"measure": f.title, "a": f.a, "b": f.b, "difference": f.difference}
        for f in gate_figures(desk.store, a, b)
    ]


def _scores(run: Run | None, other: Run | None) -> dict[str, Any]:
    """What the gate measured of the version that a night made; of the base, in the other's."""
    asked, who = (run, "candidate") if run else (other, "base")
    rows = asked.verdict.get("table", ()) if asked else ()
    found: dict[str, Any] = next((row for row in rows if row.get("who") == who), {})
    return {name: value for name, value in found.items() if name != "who"}


def _measures(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures side by side. The nights asked each its own held-out prompts."""
    found: list[dict[str, Any]] = []
    for name in [*one, *(n for n in two if n not in one)]:
        first, second = one.get(name), two.get(name)
        differ = (
            second - first
            if isinstance(first, int | float) and isinstance(second, int | float)
            else None
        )
        if differ is None and isinstance(first, str) and first == second == "0/0":
            continue
        found.append({"measure": title(name), "a": first, "b": second, "difference": differ})
    return found
