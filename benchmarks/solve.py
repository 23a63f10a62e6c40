"""Methods side by side on the generated problems: how many attempts until the first success.

`make bench-solve`. Every cell (problem, method, seed) is one search with the same budget; cells that
are on file are not run again (`--fresh` runs all), unless they were run with another base or protocol.
best-of-k comes without bias from base rollouts drawn after the problems had been chosen. Writes
docs/benchmarks/solve.md and its picture, prints the table and, last, one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kept import kept_rows
from report import machine, measured, publish, span, table

from align_agent.config.sections import ModelConfig
from align_agent.discover import methods
from align_agent.discover.estimate import interval, of_independent, of_searches
from align_agent.discover.methods import BATCH, WINDOW, Method, learns
from align_agent.discover.problem import Problem
from align_agent.discover.ranges import Rated, load_ranges
from align_agent.discover.search import Search, solve
from align_agent.discover.verdicts import Judge
from align_agent.models.load import load_model
from align_agent.models.local import LocalModel

ROOT = Path(__file__).parents[1]
CELLS = ROOT / "benchmarks" / "solve-cells.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "solve.md"
PICTURE = ROOT / "docs" / "img" / "solve.svg"
METHODS: tuple[Method, ...] = ("auto", "multi-turn", "multi-turn-attempts", "sdpo", "grpo")
MANY = "many demands"
PARTS = {
    "very hard": "Very hard",
    "hard": "Hard",
    MANY: "Very hard, with more demands than multi-turn's window holds",
}
SAID = {"words": "one demand in words", "tests": "input, got, expected", "noisy": "misleading"}
COLOURS = {
    "auto": "#0b6e4f",
    "sdpo": "#1f5fa8",
    "multi-turn": "#b3541e",
    "multi-turn-attempts": "#8a3ffc",
    "grpo": "#c2378f",
    "best-of-k": "#777777",
}
KS = (1, 4, 16, 32, 64, 128, 256, 512)

# What a method's figures depend on that only its code says, change a word here with it; and the
# numbers of that code.
_NUMBERS = repr(
    (methods._FIRST_ROUNDS, methods._ROUNDS, methods._ANEW, methods._FORGET, methods._SHOWN)
)
MIXTURE = {
    "auto": (
        "conversation and all feedback",
        hashlib.sha256(_NUMBERS.encode()).hexdigest()[:12],
    )
}

Cells = dict[tuple[str, str, int], int | None]


def part_of(one: Rated) -> str:
    """The part of the set that a problem belongs to: by the base's rate, and by its demands."""
    return MANY if one.demands > WINDOW else one.level


def protocol_of(problem: Problem, method: Method) -> str:
    """What a search depends on besides base, seed and budget: cells of another problem by the same
    name, of other steps or of another mixture are other figures."""
    parts = [problem.digest()[:12], str(BATCH)]
    if method.startswith("multi-turn"):
        parts.append(f"window {WINDOW}")
    if learns(method):
        from align_agent.distill.step import StepConfig

        parts.append(hashlib.sha256(repr(StepConfig()).encode()).hexdigest()[:12])
    return "/".join([*parts, *MIXTURE.get(method, ())])


def load_cells(rated: list[Rated], base: str, budget: int, path: Path = CELLS) -> Cells:
    """What is on file of this base, these protocols and this budget; says what is left out."""
    protocols = {(o.problem.name, m): protocol_of(o.problem, m) for o in rated for m in METHODS}
    cells: Cells = {}
    others = 0
    for row in kept_rows(path):
        wanted = protocols.get((row["problem"], row["method"]))
        if row.get("base") != base or row.get("protocol") != wanted:
            others += 1
        elif row["budget"] == budget:
            cells[row["problem"], row["method"], row["seed"]] = row["first"]
    if others:
        told = f"{others} cells of another base or protocol in {path.name} are not counted"
        print(told, file=sys.stderr)
    return cells


def missing(
    rated: list[Rated],
    cells: Cells,
    seeds: int,
    parts: Sequence[str] = tuple(PARTS),
    methods: Sequence[Method] = METHODS,
) -> list[tuple[Rated, Method, int]]:
    """What is not on file of these parts and methods, one seed after the other."""
    return [
        (one, method, seed)
        for seed in range(seeds)
        for part in parts
        for method in methods
        for one in rated
        if part_of(one) == part and (one.problem.name, method, seed) not in cells
    ]


def run_cells(
    model: LocalModel,
    wanted: list[tuple[Rated, Method, int]],
    cells: Cells,
    budget: int,
    minutes: float,
    path: Path = CELLS,
) -> None:
    """Run what is missing until the time is up, each kept in the file as it ends."""
    end = time.monotonic() + minutes * 60
    judges: dict[str, Judge] = {}
    for one, method, seed in wanted:
        if time.monotonic() > end:
            break
        judge = judges.setdefault(one.problem.name, Judge(one.problem))
        done = solve(model, Search(one.problem, method, budget, seed), judge)
        first = done.solution.number + 1 if done.solution else None
        cells[one.problem.name, method, seed] = first
        row: dict[str, Any] = {"problem": one.problem.name, "method": method, "seed": seed}
        row |= {"first": first, "budget": budget, "seconds": round(done.seconds, 1)}
        row |= {"base": model.base_hash, "protocol": protocol_of(one.problem, method)}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(one.problem.name, method, seed, first or "-", f"{done.seconds:.0f} s", flush=True)


def firsts(rated: list[Rated], cells: Cells, method: str, seeds: int) -> list[list[int | None]]:
    """For each problem that has any search the attempts that each needed."""
    names = [one.problem.name for one in rated]
    found = [[cells[n, method, s] for s in range(seeds) if (n, method, s) in cells] for n in names]
    return [group for group in found if group]


def discovery(
    rated: list[Rated], cells: Cells, method: str, seeds: int, k: int
) -> tuple[float, float, float]:
    if method == "best-of-k":
        shares = [(of_independent(*one.again, k),) for one in rated]
    else:
        groups = firsts(rated, cells, method, seeds)
        shares = [tuple(of_searches([f], k) for f in group) for group in groups]
    return _interval(tuple(shares))


@cache
def _interval(groups: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """Between two attempts few searches end, so the same shares are asked for many times."""
    return interval(groups)


def reaches(curve: Callable[[int], float], goal: float, budget: int) -> int | None:
    """The fewest attempts with which a curve is at the goal."""
    return next((k for k in range(1, budget + 1) if curve(k) >= goal), None)


def curves(
    rated: list[Rated], cells: Cells, budget: int, seeds: int
) -> tuple[list[str], dict[str, object]]:
    """One table a part: discovery@k of every method."""
    lines: list[str] = []
    figures: dict[str, object] = {}
    ks = [k for k in KS if k <= budget]
    for part, title in PARTS.items():
        chosen = [one for one in rated if part_of(one) == part]
        if not chosen:
            continue
        goal = discovery(chosen, cells, "best-of-k", seeds, budget)[0]
        rows = []
        for method in (*METHODS, "best-of-k"):
            groups = firsts(chosen, cells, method, seeds)
            if method != "best-of-k" and not groups:
                continue
            count = str(sum(map(len, groups))) if groups else f"{chosen[0].again[0]} attempts each"
            found = [discovery(chosen, cells, method, seeds, k) for k in ks]
            needed: int | None = budget
            if method != "best-of-k":
                flat = [f for g in groups for f in g]
                needed = reaches(lambda k, flat=flat: of_searches(flat, k), goal, budget)
            told = (needed or "not reached") if goal else "it solves none"
            rows.append([method, count, *(span(*f) for f in found), told])
            shares = {str(k): [round(x, 4) for x in f] for k, f in zip(ks, found, strict=True)}
            figures[f"{part} {method}"] = {"discovery": shares, "needed": needed}
        head = ["method", "searches", *(f"@{k}" for k in ks), "as good as best-of-k's best with"]
        lines += ["", f"### {title}: {len(chosen)} problems", "", table(rows, head)]
    return lines, figures


def by_feedback(
    rated: list[Rated], cells: Cells, budget: int, seeds: int
) -> tuple[list[str], dict[str, object]]:
    """How each method does where the feedback is of a kind, over all parts."""
    rows = []
    figures: dict[str, object] = {}
    for method in METHODS:
        row: list[object] = [method]
        for say in SAID:
            chosen = [one for one in rated if one.say == say]
            flat = [f for group in firsts(chosen, cells, method, seeds) for f in group]
            if not flat:
                row.append("")
                continue
            needed = statistics.median(budget + 1 if f is None else f for f in flat)
            share = of_searches(flat, budget)
            row.append(f"{share:.2f} of {len(flat)}, {needed:g}")
            figures[f"{say} {method}"] = {"solved": round(share, 4), "median": needed}
        rows.append(row)
    title = f"### By kind of feedback: share solved within {budget}, median attempts"
    return ["", title, "", table(rows, ["method", *SAID.values()])], figures


def picture(rated: list[Rated], cells: Cells, budget: int, seeds: int) -> str:
    """discovery@k as steps, one panel a level; k grows by powers of two."""
    import math

    parts = []
    width, height, left = 380, 240, 50
    for panel, level in enumerate(PARTS):
        chosen = [one for one in rated if part_of(one) == level]
        if not chosen:
            continue
        x0 = left + panel * (width + 60)
        parts.append(f'<text x="{x0}" y="24" font-weight="600">{level}</text>')
        for share in (0, 0.5, 1):
            y = 40 + height * (1 - share)
            parts.append(
                f'<path d="M{x0} {y}h{width}" stroke="#ccc"/><text x="{x0 - 8}" y="{y + 4}" text-anchor="end">{share:g}</text>'
            )
        for k in (1, 4, 16, 64, 256):
            if k <= budget:
                x = x0 + width * math.log(k) / math.log(budget)
                parts.append(f'<text x="{x:.0f}" y="{height + 60}" text-anchor="middle">{k}</text>')
        for row, method in enumerate((*METHODS, "best-of-k")):
            if method != "best-of-k" and not firsts(chosen, cells, method, seeds):
                continue
            points = []
            for k in range(1, budget + 1):
                if method == "best-of-k":
                    share = sum(of_independent(*o.again, k) for o in chosen) / len(chosen)
                else:
                    groups = firsts(chosen, cells, method, seeds)
                    share = sum(of_searches(g, k) for g in groups) / len(groups)
                x, y = x0 + width * math.log(k) / math.log(budget), 40 + height * (1 - share)
                points.append(f"{x:.1f},{y:.1f}")
            colour = COLOURS[method]
            parts.append(
                f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(points)}"/>'
            )
            if not panel:
                parts.append(
                    f'<text x="{left + row * 150}" y="{height + 90}" fill="{colour}">{method}</text>'
                )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(PARTS) * (width + 60) + 60} {height + 105}" '
        'font-family="system-ui, sans-serif" font-size="13"><title>discovery@k by method</title>'
        '<rect width="100%" height="100%" fill="#fff"/>' + "\n".join(parts) + "</svg>\n"
    )


def aims(rated: list[Rated], cells: Cells, budget: int, seeds: int) -> list[tuple[str, str, bool]]:
    """What was aimed for, what came of it, and whether that is enough."""
    parts = {part: [one for one in rated if part_of(one) == part] for part in PARTS}
    parts = {part: chosen for part, chosen in parts.items() if chosen}
    found = []
    for part, least in (("very hard", 3), ("very hard", 5), ("hard", 2.4)):
        chosen = parts.get(part, [])
        if not firsts(chosen, cells, "sdpo", seeds):
            continue
        base = discovery(chosen, cells, "best-of-k", seeds, budget)
        if part == "very hard" and least == 3:
            ours = discovery(chosen, cells, "sdpo", seeds, budget)
            told = f"{span(*ours)} against {span(*base)}"
            aim = f"{part}: sdpo at {budget} attempts above best-of-k, intervals apart"
            found.append((aim, told, ours[1] > base[2]))
        flat = [f for group in firsts(chosen, cells, "sdpo", seeds) for f in group]
        goal = base[0] or 1 / (len(flat) + 1)  # where it solves none, the first that is solved
        needed = reaches(lambda k, flat=flat: of_searches(flat, k), goal, budget)
        told = f"{budget / needed:.1f} times fewer ({needed} for {budget})" if needed else "never"
        told += "" if base[0] else "; best-of-k solves none, this is sdpo's first"
        aim = f"{part}: sdpo where best-of-k ends with at least {least:g} times fewer attempts"
        found.append((aim, told, bool(needed and budget / needed >= least)))
    for part, chosen in parts.items():
        if firsts(chosen, cells, "auto", seeds):
            told, met = behind(chosen, cells, budget, seeds)
            found.append((f"{part}: auto nowhere behind another, intervals apart", told, met))
    return found


def behind(rated: list[Rated], cells: Cells, budget: int, seeds: int) -> tuple[str, bool]:
    """The number of attempts after which auto stands worst beside the best of the others, and
    whether their intervals overlap there and everywhere."""
    others = [m for m in (*METHODS, "best-of-k") if m != "auto"]
    others = [m for m in others if m == "best-of-k" or firsts(rated, cells, m, seeds)]
    worst, told = (-2.0, 0.0), "before all others after any number of attempts"
    for k in range(2, budget + 1):  # the first attempt is the same for all: the base's, of nothing
        ours = discovery(rated, cells, "auto", seeds, k)
        for method in others:
            theirs = discovery(rated, cells, method, seeds, k)
            gap = (theirs[1] - ours[2], theirs[0] - ours[0])
            if gap[1] > 0 and gap > worst:
                worst = gap
                told = f"widest at {k}: {span(*ours)} against {span(*theirs)} of {method}"
    return told, worst[0] <= 0


def main() -> None:
    import torch

    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--part", choices=PARTS, action="append", help="run no others")
    parser.add_argument("--method", choices=METHODS, action="append", help="run no others")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--model", default="pocket", help="another model: prints, writes no page")
    parser.add_argument("--cells", type=Path, default=CELLS, help="what was measured so far")
    chosen = parser.parse_args()
    if chosen.fresh:
        chosen.cells.unlink(missing_ok=True)
    order = list(PARTS)
    rated = [one for one in load_ranges() if part_of(one) in PARTS]
    rated.sort(key=lambda one: order.index(part_of(one)))
    stated = measured()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    pocket = chosen.model == "pocket"
    model = load_model(ModelConfig(base=chosen.model, device="cpu" if pocket else "auto"))
    cells = load_cells(rated, model.base_hash, chosen.budget, chosen.cells)
    wanted = missing(
        rated, cells, chosen.seeds, chosen.part or tuple(PARTS), chosen.method or METHODS
    )
    run_cells(model, wanted, cells, chosen.budget, chosen.minutes, chosen.cells)
    asked = (rated, cells, chosen.budget, chosen.seeds)
    lines, figures = curves(*asked)
    more, by_kind = by_feedback(*asked)
    judged = aims(*asked)
    more += ["", "### Aims", "", table(judged, ["aim", "measured", "met"])]
    figures["aims"] = {aim: met for aim, _, met in judged}
    stated = f"Budget {chosen.budget} attempts, up to {chosen.seeds} seeds, {stated}."
    if pocket:  # best-of-k and the problems' levels are of this base
        PICTURE.write_text(picture(*asked))
        publish(PAGE, "\n".join([stated, *lines, *more]))
    print("\n".join([*lines, *more]))
    print(json.dumps({"name": "solve", "figures": figures | by_kind, "machine": machine("torch")}))


if __name__ == "__main__":
    main()
