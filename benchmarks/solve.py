"""Methods side by side on the generated problems: how many attempts until the first success.

`make bench-solve`. Every cell (problem, method, seed) is one search with the same budget; cells that
are on file are not run again (`--fresh` runs all). best-of-k comes from the base rollouts by which the
problems were rated, without bias; grpo, which has no gradient before its first success, equals it.
Writes docs/benchmarks/solve.md and its picture, prints the table and, last, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from kept import kept_rows
from report import machine, measured, publish, span, table

from align_agent.discover.estimate import interval, of_independent, of_searches
from align_agent.discover.methods import WINDOW
from align_agent.discover.ranges import Rated, load_ranges
from align_agent.discover.search import Search, solve
from align_agent.discover.verdicts import Judge
from align_agent.models.local import LocalModel

ROOT = Path(__file__).parents[1]
CELLS = ROOT / "benchmarks" / "solve-cells.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "solve.md"
PICTURE = ROOT / "docs" / "img" / "solve.svg"
METHODS = ("auto", "multi-turn", "multi-turn-attempts", "sdpo")
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
    "best-of-k": "#777777",
}
KS = (1, 4, 16, 32, 64, 128, 256, 512)

Cells = dict[tuple[str, str, int], int | None]


def part_of(one: Rated) -> str:
    """The part of the set that a problem belongs to: by the base's rate, and by its demands."""
    return MANY if one.demands > WINDOW else one.level


def load_cells(budget: int) -> Cells:
    found = [row for row in kept_rows(CELLS) if row["budget"] == budget]
    return {(row["problem"], row["method"], row["seed"]): row["first"] for row in found}


def run_cells(rated: list[Rated], cells: Cells, budget: int, seeds: int, minutes: float) -> None:
    """Run what is missing, one seed after the other, until the time is up."""
    import torch

    end = time.monotonic() + minutes * 60
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    model = LocalModel.load("pocket", device="cpu")
    judges = {one.problem.name: Judge(one.problem) for one in rated}
    rest = [
        (one, method, seed)
        for seed in range(seeds)
        for part in PARTS
        for method in METHODS
        for one in rated
        if part_of(one) == part and (one.problem.name, method, seed) not in cells
    ]
    for one, method, seed in rest:
        if time.monotonic() > end:
            break
        done = solve(model, Search(one.problem, method, budget, seed), judges[one.problem.name])
        first = done.solution.number + 1 if done.solution else None
        cells[one.problem.name, method, seed] = first
        row = {"problem": one.problem.name, "method": method, "seed": seed, "first": first}
        row |= {"budget": budget, "seconds": round(done.seconds, 1)}
        with CELLS.open("a") as file:
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
        return interval([[of_independent(one.rollouts, one.passed, k)] for one in rated])
    groups = firsts(rated, cells, method, seeds)
    return interval([[of_searches([f], k) for f in group] for group in groups])


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
            count = str(sum(map(len, groups))) if groups else f"{chosen[0].rollouts} attempts each"
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
                    share = sum(of_independent(o.rollouts, o.passed, k) for o in chosen) / len(
                        chosen
                    )
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fresh", action="store_true")
    chosen = parser.parse_args()
    if chosen.fresh:
        CELLS.unlink(missing_ok=True)
    order = list(PARTS)
    rated = [one for one in load_ranges() if part_of(one) in PARTS]
    rated.sort(key=lambda one: order.index(part_of(one)))
    cells = load_cells(chosen.budget)
    run_cells(rated, cells, chosen.budget, chosen.seeds, chosen.minutes)
    asked = (rated, cells, chosen.budget, chosen.seeds)
    lines, figures = curves(*asked)
    more, by_kind = by_feedback(*asked)
    PICTURE.write_text(picture(*asked))
    stated = f"Budget {chosen.budget} attempts, {chosen.seeds} seeds, {measured()}."
    publish(PAGE, "\n".join([stated, *lines, *more]))
    print("\n".join([*lines, *more]))
    print(json.dumps({"name": "solve", "figures": figures | by_kind, "machine": machine("torch")}))


if __name__ == "__main__":
    main()
