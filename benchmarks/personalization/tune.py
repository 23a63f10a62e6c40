"""Finds each method's learning rate on a development seed that is not reported.

The best mean share of satisfied answers over the nights of the user with three preferences wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from typing import Any

from align_agent.models.local import LocalModel
from personalization.methods import EPOCHS, FRESH, TUNED
from personalization.peers import PEERS, Recipe
from personalization.play import Cell, play
from personalization.results import mean

RATES = (1e-3, 3e-3)
TUNED_METHODS = ("ours", *PEERS)
SEED = 1000
NIGHTS = 2

Tried = dict[str, Any]


def run(tell: Callable[[str], None]) -> None:
    """Search, and write `tuned.json` with every figure of the search. Goes on where it was cut."""
    import torch

    torch.set_num_threads(1)
    model = LocalModel.load("pocket", device="cpu")
    tried: list[Tried] = json.loads(TUNED.read_text())["tried"] if TUNED.exists() else []
    for method, rate in product(TUNED_METHODS, RATES):
        try_out(model, method, Recipe(rate, EPOCHS, method in FRESH), tried, tell)


def try_out(
    model: LocalModel,
    method: str,
    recipe: Recipe,
    tried: list[Tried],
    tell: Callable[[str], None],
) -> None:
    """Play one recipe, unless that was done, and note how it went."""
    if any(t["method"] == method and t["recipe"] == asdict(recipe) for t in tried):
        return
    life = play(model, Cell("three", method, SEED), nights=NIGHTS, recipe=recipe)
    entry: Tried = {"method": method, "recipe": asdict(recipe)}
    for figure in ("satisfied", "correct"):
        entry[figure] = round(mean([night[figure] for night in life["nights"][1:]]), 4)
    tried.append(entry)
    write(tried)
    tell(f"{method:14} {recipe}: satisfied {entry['satisfied']:.3f}")


def ranked(tried: list[Tried], method: str) -> list[Tried]:
    """The method's recipes, the best first."""
    own = [t for t in tried if t["method"] == method]
    return sorted(own, key=lambda t: (-t["satisfied"], -t["correct"]))


def write(tried: list[Tried]) -> None:
    chosen = {
        method: ranked(tried, method)[0]["recipe"]
        for method in TUNED_METHODS
        if ranked(tried, method)
    }
    found = {"seed": SEED, "nights": NIGHTS, "chosen": chosen, "tried": tried}
    TUNED.write_text(json.dumps(found, indent=1) + "\n")
