"""The third person of the demonstration: declares preferences in config.yaml before the first chat.

They are satisfied from the first answer, because the rules stand in the prompt; after the nights as
well without them. Nights and chats are those of `play`. Prints nothing.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.config import Config
from align_agent.demo.personas import Persona
from align_agent.demo.play import Life, Measured, day, measure, move_in, place_for, sleep
from align_agent.demo.show import Show
from align_agent.records import version_label

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

NIGHTS = 2
DECLARES = """\
preferences:
  formatting: plain
  length: brief
  dont: [use emoji]
"""
DECLARED = Persona(
    "declared",
    "declares in config.yaml: plain text, brief, no emoji",
    ("sum", "difference", "product"),
    ("format:plain", "length:brief", "emoji:none"),
)


def run_declared(root: Path | None, *, json_only: bool) -> dict[str, Any]:
    """Two days and nights of the person who declares. Returns what `demo --declared` prints.

    Each row of `nights` has satisfied and correct `with_rules` in the prompt and `without_rules`.
    Raises AlignAgentError as `run_demo` does.
    """
    from align_agent.models.local import LocalModel

    started = time.monotonic()
    show = Show(quiet=json_only)
    with place_for(root) as folder:
        model = LocalModel.load("pocket")
        show.opening(NIGHTS, [DECLARED.about], folder if root else None)
        life = move_in(DECLARED, folder, DECLARES)
        show.person(DECLARED, told=True)
        saved = tokens_saved(life, model)
        rows = [_row(0, life, model)]
        show.declared(rows[-1], saved)
        for night in range(1, NIGHTS + 1):
            rows[-1]["corrections"] = day(life, model, night, show)
            run, seconds = sleep(life, show)
            rows.append(_row(night, life, model) | {"status": run.status, "reason": run.reason})
            rows[-1]["seconds"] = round(seconds, 1)
            show.declared(rows[-1], saved)
    seconds = round(time.monotonic() - started, 1)
    result = {"nights": rows, "tokens_saved_per_request": saved}
    return {"declared": result, "seconds": {"total": seconds}}


def tokens_saved(life: Life, model: LocalModel) -> int:
    """Tokens by which each request is shorter without the rules."""
    from align_agent.agent.session import first_prompt

    question = life.problems[0].question
    lengths = []
    for config in (life.config, _bare(life.config)):
        prompt, tools = first_prompt(config, model, question)
        lengths.append(len(model.encode(prompt, tools=tools)))
    return lengths[0] - lengths[1]


def _row(night: int, life: Life, model: LocalModel) -> dict[str, Any]:
    shown = measure(life, model)
    bare = measure(replace(life, config=_bare(life.config), by_version={}), model)
    return {
        "night": night,
        "version": version_label(shown.version),
        "with_rules": _figures(shown),
        "without_rules": _figures(bare),
        "corrections": None,
    }


def _figures(measured: Measured) -> dict[str, float]:
    return {
        "satisfied": round(measured.satisfied, 4),
        "correct": round(measured.correct, 4),
    }


def _bare(config: Config) -> Config:
    """The same person with the rules taken out of the prompt."""
    return replace(config, preferences=replace(config.preferences, in_prompt=False))
