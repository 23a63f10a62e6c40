"""`make bench-personalization`: play what is missing in the results file, then report.

Options: --cells three/ours/*,flip/* (patterns of user/method/seed), --seeds 0-9, --minutes 20,
--results FILE, --tune (the recipes), --report (play nothing). Several processes may fill one file,
each with seeds of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
BLOCK = 5  # seeds; an interval over fewer says nothing


def main(arguments: list[str] | None = None) -> int:
    chosen = parse(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore", FutureWarning)
    from personalization import report

    if chosen.tune:
        from personalization import tune

        tune.run(tell)
        return 0
    if not chosen.report:
        play_missing(chosen)
    report.publish(chosen.results, write=chosen.results == RESULTS)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-personalization", description=__doc__)
    parser.add_argument("--cells", default="*", help="patterns of user/method/seed, by comma")
    parser.add_argument("--seeds", default="0-9", help="for example 0-9 or 3")
    parser.add_argument("--minutes", type=float, default=0, help="begin no cell after so long")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--tune", action="store_true", help="search recipes on other seeds")
    parser.add_argument("--report", action="store_true", help="play nothing")
    return parser.parse_args(arguments)


def wanted(cells: str, seeds: str) -> list[Any]:
    """The cells that match, so many seeds of every user before more: wherever a run is cut, what
    there is makes whole seeds, and the most telling users have intervals first."""
    from personalization.methods import METHODS
    from personalization.play import Cell
    from personalization.users import KINDS

    first, _, last = seeds.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    every = [
        Cell(user, method, seed)
        for start in range(0, len(numbers), BLOCK)
        for user in KINDS
        for seed in numbers[start : start + BLOCK]
        for method in METHODS
    ]
    patterns = cells.split(",")
    return [cell for cell in every if any(fnmatchcase(str(cell), p) for p in patterns)]


def play_missing(chosen: argparse.Namespace) -> None:
    import torch

    from align_agent.models.local import LocalModel
    from personalization import results
    from personalization.play import PROTOCOL, play

    torch.set_num_threads(1)
    model: LocalModel | None = None
    started = time.monotonic()
    for cell in wanted(chosen.cells, chosen.seeds):
        # Read anew: another process may have played it meanwhile.
        known = {
            (r["user"], r["method"], r["seed"]) for r in results.load(chosen.results, PROTOCOL)
        }
        if (cell.user, cell.method, cell.seed) in known:
            continue
        if chosen.minutes and time.monotonic() - started > 60 * chosen.minutes:
            tell(f"the {chosen.minutes:g} minutes are over; the rest another time")
            break
        model = model or LocalModel.load("pocket", device="cpu")
        at = time.monotonic()
        row = play(model, cell)
        results.append(chosen.results, row)
        firsts = "".join("x" if ok else "." for ok in row["first_answers"])
        tell(f"{cell!s:30} {firsts}  {time.monotonic() - at:.0f} s")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
