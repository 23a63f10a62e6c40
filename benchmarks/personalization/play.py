"""Plays one cell: one user, one method, one seed, all days and nights. Returns a row of figures."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from align_agent.models.local import LocalModel
from personalization import methods
from personalization.life import MEASURED, Life, Serving
from personalization.peers import Recipe
from personalization.users import hidden_user

SESSIONS_A_DAY = 4
NIGHTS = 3
NIGHTS_WITH_FLIP = 4
# Raised when the users, the days, the measuring, the pocket model or our defaults change: older
# rows are then other figures.
PROTOCOL = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """What is played."""

    user: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.user}/{self.method}/{self.seed}"


def nights_of(user: str) -> int:
    return NIGHTS_WITH_FLIP if user == "flip" else NIGHTS


def play(
    model: LocalModel,
    cell: Cell,
    *,
    nights: int = 0,
    recipe: Recipe | None = None,
    more_config: str = "",
) -> dict[str, Any]:
    """Live it. CPU seconds are this process's own, so that a busy machine changes little.

    `recipe` is a peer's in place of the tuned one, `more_config` joins our config.yaml: for trying
    them out.
    """
    nights = nights or nights_of(cell.user)
    sessions = SESSIONS_A_DAY * nights
    user = hidden_user(cell.user, cell.seed, sessions)
    method = methods.make(cell.method, recipe)
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="align-agent-bench-") as folder:
        life = Life.begin(user, model, Path(folder), method.more_config + more_config)
        base = life.ask([p.question for p in user.measured(MEASURED)], Serving())
        rows: list[dict[str, Any]] = [life.measure(method.serving(life), 0, base)]
        for night in range(1, nights + 1):
            first = SESSIONS_A_DAY * (night - 1)
            live_day(life, method, range(first, first + SESSIONS_A_DAY))
            started = time.process_time()
            ended = method.night(life, night, first)
            seconds = time.process_time() - started
            last = first + SESSIONS_A_DAY - 1
            row = life.measure(method.serving(life), last, base, probed=night == nights)
            rows.append({**row, "cpu_seconds": seconds, "ended": ended})
            if cell.method == "ours" and night == nights:
                told = life.measure(Serving(rules=life.rules()), last, base, probed=True)
                rows[-1] |= {f"told_{k}": told[k] for k in ("satisfied", "correct", "ability")}
        rules = life.rules()
    return {
        "protocol": PROTOCOL,
        "user": cell.user,
        "method": cell.method,
        "seed": cell.seed,
        "wants": list(user.wants),
        "torn": user.torn,
        "flips_at": user.flips_at,
        "first_answers": life.first_answers,
        "complaints": life.complaints,
        "rules": list(rules),
        "nights": [rounded(row) for row in rows],
        "cpu_seconds": round(time.process_time() - began, 2),
    }


def live_day(life: Life, method: methods.Method, numbers: range) -> None:
    """The sessions of a day, side by side where nothing changes between them."""
    for part in [numbers] if method.at_once else [[number] for number in numbers]:
        life.hold(
            list(part), method.serving(life), partial(method.hear, life) if method.hears else None
        )


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
