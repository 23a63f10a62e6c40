"""What learning at once changes, and what else it moves: `make bench-live`.

A person talks to the product's own agent with `learn.live: true` and speaks up against one thing, at
most twice, each time in a new conversation and only where it shows. After each step other tasks are
asked: is the thing gone, is the answer still right, what else looks otherwise, how far is it from the
base; then `/undo`. Beside it, in the same run: the same words without learning, in their own
conversation and in the next. Cells that are on file are not played again. Writes
docs/benchmarks/live.md; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import live_editing
import live_files
import live_taught
import torch
from live_cases import CASES, EACH, OVERWRITES, SHIPPED_DENIAL, Case, beside
from live_person import STEPS, Person, ask, drift, kept, rest_figures, same
from personalization.results import append, load, mean, median
from report import measured, publish, report, span, table

from align_agent.agent import live
from align_agent.config import Config
from align_agent.discover.estimate import interval
from align_agent.models.generation import Generation
from align_agent.models.local import LocalModel
from align_agent.models.pocket.styles import AXES
from align_agent.models.pocket.world import Problem
from align_agent.paths import Home

CELLS = Path(__file__).with_name("live-cells.jsonl")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "live.md"
CACHE = Path(__file__).parents[1] / ".cache"
TEACHERS = {"sums": live_taught.teach, "files": live_editing.teach}
OWN = 20  # other tasks like those corrected
AIM_SECONDS = 3.0


# One cell


@dataclass
class Sheet:
    """Every answer to a case's other tasks and to the tasks beside them."""

    own: list[Generation]
    rest: list[Generation]


def play(model: LocalModel, case: Case, seed: int, root: Path) -> dict[str, Any]:
    """Everything about one case and seed, answer by answer: 1 where it is so, 0 where not."""
    if case.edits:
        return live_files.play(model, case, seed, root, OWN)
    home = Home(root).ensure()
    usual = Config()
    config = replace(
        usual,
        model=replace(usual.model, seed=seed),
        learn=replace(usual.learn, live=True),
        agent=replace(usual.agent, approve=("calculator",) if case.denies else ()),
    )
    own, rest = case.tasks(OWN, f"own/{seed}"), beside(case, seed)

    def sheet(adapter: Path | None) -> Sheet:
        return Sheet(ask(model, config, own, adapter), ask(model, config, rest, adapter))

    person = Person(case, home, config, model, seed)
    sheets = [sheet(None)]
    context = person.in_context(own)
    person.talk()
    sheets += [sheet(adapter) for adapter in person.adapters]
    cell: dict[str, Any] = {
        "seconds": person.seconds,
        "processor": person.processor,
        "read": person.read,
        "asked": person.asked,
        "shown_context": [case.shows(p, s) for p, s in zip(own, context, strict=True)],
        "undone": undone(person, sheets, lambda adapter: ask(model, config, own, adapter)),
    }
    for number in range(STEPS + 1):
        at = min(number, len(person.adapters))  # who had nothing to correct took no further step
        adapter = person.adapters[at - 1] if at else None
        cell |= {
            f"{name}_{number}": values
            for name, values in figures_of(model, case, own, rest, sheets, at, adapter).items()
        }
    return cell


def undone(
    person: Person, sheets: Sequence[Sheet], asked: Callable[[Path | None], list[Generation]]
) -> list[bool]:
    """Answer by answer, whether each `/undo` brings back what was said before that step."""
    found: list[bool] = []
    for before in reversed(sheets[:-1]):
        found += same(asked(person.undo()), before.own)
    return found


def figures_of(
    model: LocalModel,
    case: Case,
    own: Sequence[Problem],
    rest: Sequence[Problem],
    sheets: Sequence[Sheet],
    at: int,
    adapter: Path | None,
) -> dict[str, list[float]]:
    before, now = sheets[0], sheets[at]
    axis = case.wish.partition(":")[0]
    return {
        "shows": [case.shows(p, s) for p, s in zip(own, now.own, strict=True)],
        "right": [case.right(p, s) for p, s in zip(own, now.own, strict=True)],
        "looks": kept(own, before.own, now.own, axis) if axis in AXES else [],
        "kl": drift(model, Config(), adapter, own, now.own),
    } | rest_figures(model, Config(), adapter, axis, rest, before.rest, now.rest)


def load_all(cells: Path, base_hash: str) -> list[dict[str, Any]]:
    """The cells on file that were played as each case is played now."""
    kinds = {protocol_of(case, base_hash) for case in CASES}
    return [cell for kind in sorted(kinds) for cell in load(cells, kind)]


def play_missing(seeds: int, minutes: float, cells: Path, base_hash: str) -> None:
    """Every case on every seed that is not on file, known words first, until the time is up."""
    end = time.monotonic() + 60 * minutes
    done = {(r["user"], r["seed"]) for r in load_all(cells, base_hash)}
    missing = [
        (s, c) for late in (False, True) for s in range(seeds) for c in CASES if c.unseen is late
    ]
    missing = [(seed, case) for seed, case in missing if (case.name, seed) not in done]
    with tempfile.TemporaryDirectory(prefix="align-agent-live-") as folder:
        root = Path(folder)
        models = {"": LocalModel.load("pocket", device="cpu")}
        for place, (seed, case) in enumerate(missing):
            if time.monotonic() > end:
                return
            if case.taught not in models:
                models[case.taught] = TEACHERS[case.taught](CACHE)
            cell = play(models[case.taught], case, seed, root / str(place))
            protocol = protocol_of(case, base_hash)
            row = {"protocol": protocol, "user": case.name, "method": "live", "seed": seed}
            append(cells, row | {key: plain(value) for key, value in cell.items()})
            told = {k: round(mean(v), 3) for k, v in cell.items() if isinstance(v, list) and v}
            print(seed, case.name, told, file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """1 and 0 for yes and no, and seconds that nobody has to read to the microsecond."""
    return [round(float(one), 4) for one in value] if isinstance(value, list) else value


def protocol_of(case: Case, base_hash: str) -> str:
    """Cells of other weights or of another step are other figures."""
    step = f"{live.ANSWERS}/{live.UPDATES}/{live.RATE:g}"
    taught = live_editing.digest(base_hash) if case.edits else live_taught.STAGE.tokens
    return f"{STEPS}/{OWN}/{EACH}/{step}/{taught}/{base_hash[:12]}"


# Telling


GONE = {
    "shows_0": "without learning",
    "shows_1": "after one step",
    "shows_2": "after at most two",
    "shown_context": "said in the context, same conversation",
}
MOVED = {
    "right": "... after",
    "right_rest": "right on the rest",
    "looks": "other looks of these as before",
    "others_rest": "other looks of the rest as before",
    "kept_rest": "all looks of the rest as before",
    "calls": "tools called as before",
    "kl": "KL on these",
    "kl_rest": "KL on the rest",
    "undone": "`/undo` brings back the answer",
}


def pooled(cells: Sequence[dict[str, Any]], key: str) -> tuple[float, float, float] | None:
    """(mean, low, high) of the answers of all seeds; None where the case has no such figure."""
    groups = [list(map(float, cell[key])) for cell in cells if cell[key]]
    return interval(groups) if groups else None


def shown(found: tuple[float, float, float] | None) -> str:
    return span(*found) if found else ""


def tables(cells: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What goes and what else moves, case by case, and all figures."""
    gone: list[list[object]] = []
    moved: list[list[object]] = []
    figures: dict[str, Any] = {}
    for case in CASES:
        own = [cell for cell in cells if cell["user"] == case.name]
        if not own:
            continue
        steps = [float(len(cell["seconds"])) for cell in own]
        found = {key: pooled(own, key) for key in GONE}
        after = {key: pooled(own, key if key == "undone" else f"{key}_{STEPS}") for key in MOVED}
        before = {f"{key} before": pooled(own, f"{key}_0") for key in ("right", "right_rest")}
        gone.append([case.name, len(own), f"{mean(steps):.1f}", *map(shown, found.values())])
        moved.append([case.name, shown(before["right before"]), *map(shown, after.values())])
        figures[case.name] = {"seeds": len(own), "steps": steps} | {
            key: [round(x, 4) for x in value]
            for key, value in (found | after | before).items()
            if value
        }
    head = ["what was said", "seeds", "steps"]
    text = table(gone, [*head, *GONE.values()])
    return (
        f"{text}\n\n{table(moved, [head[0], 'right on these, before', *MOVED.values()])}",
        figures,
    )


def aims(cells: Sequence[dict[str, Any]]) -> list[Sequence[object]]:
    """The rows of what is aimed at. The denial that the shipped model cannot follow has its own."""
    rows: list[Sequence[object]] = []
    known = [case.name for case in CASES if not case.unseen and case.name != SHIPPED_DENIAL]
    groups = {
        "the thing still shows, words it knows": known,
        "... words it never saw": [case.name for case in CASES if case.unseen],
        "... a file is overwritten, lines to be edited": [OVERWRITES],
        "... a denied call, as shipped": [SHIPPED_DENIAL],
    }
    for title, names in groups.items():
        own = [cell for cell in cells if cell["user"] in names]
        if own:
            now, before = (mean([mean(cell[k]) for cell in own]) for k in ("shows_2", "shows_0"))
            rows.append((title, now, before, now - before, 0, now == 0))
    if own := [cell for cell in cells if cell["user"] == OVERWRITES]:
        now, before = (mean([mean(cell[k]) for cell in own]) for k in ("right_2", "right_0"))
        rows.append(("files that end as asked for", now, before, now - before, 1, now == 1))
    seconds = [s for cell in cells for s in cell["seconds"]]
    processor = [s for cell in cells for s in cell["processor"]]
    for title, taken in (("seconds of a step", seconds), ("... of the processor", processor)):
        middle, worst = median(taken), max(taken)
        rows.append((f"{title}, median and worst", f"{middle:.1f}", f"{worst:.1f}", "",
                     AIM_SECONDS, worst <= AIM_SECONDS))  # fmt: skip
    undone = mean([one for cell in cells for one in cell["undone"]])
    rows.append(
        ("answers that `/undo` brings back, letter by letter", undone, "", "", 1, undone == 1)
    )
    return rows


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--minutes", type=float, default=60, help="begin no cell after so long")
    ask.add_argument("--cells", type=Path, default=CELLS)
    given = ask.parse_args()
    torch.set_num_threads(1)
    stated = measured()
    base_hash = LocalModel.load("pocket", device="cpu").base_hash
    play_missing(given.seeds, given.minutes, given.cells, base_hash)
    cells = [cell for cell in load_all(given.cells, base_hash) if cell["seed"] < given.seeds]
    text, figures = tables(cells)
    rows = aims(cells)
    publish(PAGE, f"{stated}.\n\n{text}\n\n{table(rows)}")
    print(text)
    report("live", rows, figures, "torch")


if __name__ == "__main__":
    main()
