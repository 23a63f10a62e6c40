"""Finds recipes on development seeds that are never reported: the peers', and settings of ours.

Each peer is played with each of its recipes; the best mean share of satisfied answers over the
nights of the user with three preferences wins and is what the benchmark plays. Ours is played as
shipped and with the settings that were weighed as its defaults, for one night: what a later night
learns can no more make it stable within five sessions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from align_agent.models.local import LocalModel
from personalization.methods import FRESH, TUNED
from personalization.peers import PEERS, Recipe
from personalization.play import Cell, play
from personalization.results import mean

RATES = (1e-3, 3e-3)
# A day's answers are those of the student as it was: the more passes over them, the further it
# gets from the answers that it is blamed for.
PASSES = {"sampled-token": (4, 16), "grpo": (4, 16)}
SEED = 1000
NIGHTS = 2
OURS = (1000, 1001, 1002, 1003)
SETTINGS = {
    "as shipped": "",
    "1 epoch": "distill:\n  epochs: 1\n",
    "2 epochs": "distill:\n  epochs: 2\n",
    "jsd": "distill:\n  loss: jsd\n",
    "forward_kl": "distill:\n  loss: forward_kl\n",
}

Tried = dict[str, Any]
Tell = Callable[[str], None]


def recipes(method: str) -> list[Recipe]:
    passes = PASSES.get(method, (16,))
    return [Recipe(rate, epochs, method in FRESH) for epochs in passes for rate in RATES]


def run(tell: Tell) -> None:
    """Search, and write `tuned.json` with every figure of the search. Goes on where it was cut."""
    import torch

    torch.set_num_threads(1)
    model = LocalModel.load("pocket", device="cpu")
    kept = json.loads(TUNED.read_text()) if TUNED.exists() else {}
    tried: list[Tried] = kept.get("tried", [])
    for method in PEERS:
        for recipe in recipes(method):
            what = {"method": method, "recipe": asdict(recipe), "seed": SEED}
            try_out(model, what, tried, tell, nights=NIGHTS, recipe=recipe)
    for name, settings in SETTINGS.items():
        for seed in OURS:
            what = {"method": "ours", "setting": name, "seed": seed}
            try_out(model, what, tried, tell, nights=1, more_config=settings)


def try_out(model: LocalModel, what: Tried, tried: list[Tried], tell: Tell, **more: Any) -> None:
    """Play it, unless that was done, and note how it went."""
    if any(what.items() <= one.items() for one in tried):
        return
    life = play(model, Cell("three", what["method"], what["seed"]), **more)
    entry = {**what, "wants": life["wants"], "cpu_seconds": life["cpu_seconds"]}
    for figure in ("satisfied", "correct"):
        entry[figure] = round(mean([night[figure] for night in life["nights"][1:]]), 4)
    tried.append(entry)
    write(tried)
    tell(f"{what}: satisfied {entry['satisfied']:.3f}, {life['cpu_seconds']:.0f} s")


def ranked(tried: list[Tried], method: str) -> list[Tried]:
    """The method's recipes, the best first."""
    own = [t for t in tried if t["method"] == method]
    return sorted(own, key=lambda t: (-t["satisfied"], -t["correct"]))


def write(tried: list[Tried]) -> None:
    best = {method: ranked(tried, method) for method in PEERS}
    chosen = {method: found[0]["recipe"] for method, found in best.items() if found}
    TUNED.write_text(json.dumps({"chosen": chosen, "tried": tried}, indent=1) + "\n")
