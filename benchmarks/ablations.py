"""What each part of the training is worth: `make bench-ablations`.

One person, the demonstration's student, complains about the pocket model's answers; the real log,
reader, profile and selection make lessons of it. Each arm then takes the same number of steps over
the same lessons in the same order, on answers that the student draws itself just before the step
(SDPO, arXiv 2601.20802), and differs in one thing alone: the teacher's weights, the tokens that are
compared, what the teacher is shown, the distance. Cells that are on file are not run again. Writes
docs/benchmarks/ablations.md; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from personalization import results
from personalization.life import MAX_NEW_TOKENS, MEASURED, PROBES, Life, Serving
from personalization.users import WORD_PROBLEMS, HiddenUser
from report import measured, publish, report, table

from align_agent.demo.personas import STUDENT
from align_agent.distill.hindsight import Example
from align_agent.distill.step import StepConfig, Stepper
from align_agent.gate.likelihood import Asked, weigh
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.world import PROBE_KINDS, draw_problems
from align_agent.night import plan
from align_agent.prompts import HINDSIGHT_CLOSE
from align_agent.records import Message
from align_agent.store import Store

CELLS = Path(__file__).with_name("ablations-cells.jsonl")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "ablations.md"
SESSIONS, STEPS, BATCH, RATE = 16, 32, 4, 1e-3
EARLY = (6, 12)  # steps after which it is looked at before the end
ATTEMPT_HEADER = "The answer that it is about:"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train: what differs from the settings of a night, and whether the teacher is shown
    the answer that failed."""

    part: str
    changed: dict[str, Any] = field(default_factory=dict)
    attempt: bool = False


USUAL = "as shipped"
ARMS: dict[str, Arm] = {
    USUAL: Arm("teacher frozen, top 20, without the failed answer, reverse KL"),
    "a moving average (0.05 a step)": Arm("teacher", {"teacher_follows": 0.05}),
    "live": Arm("teacher", {"teacher_follows": 1.0}),
    "top 1": Arm("tokens compared", {"top_k": 1}),
    "top 4": Arm("tokens compared", {"top_k": 4}),
    "the whole vocabulary": Arm("tokens compared", {"exact": True}),
    "with the failed answer": Arm("what the teacher sees", attempt=True),
    "forward KL": Arm("distance", {"loss": "forward_kl"}),
    "JSD": Arm("distance", {"loss": "jsd"}),
}
COLUMNS = {
    **{f"after_{n}": f"satisfied after {n} steps" for n in EARLY},
    "satisfied": "satisfied at the end",
    "correct": "right on these",
    "ability": "right, all kinds",
    "kept": "the rest looks as before",
    "kl": "KL to the base on other kinds, nats a token",
    "seconds": "processor, s",
}


def settings_of(arm: Arm) -> StepConfig:
    """A night's caps and ranks, a constant rate, and what the arm changes."""
    usual = StepConfig(learning_rate=RATE, token_clip=10.0, sample_cap=2.0)
    return replace(usual, **arm.changed)


def logged(
    model: LocalModel, seed: int, root: Path, sessions: int = SESSIONS
) -> tuple[Life, list[tuple[Example, str]]]:
    """A day of complaints, and the lessons of a night over it with the answers that failed."""
    user = HiddenUser("student", seed, WORD_PROBLEMS, STUDENT.wants)
    life = Life.begin(user, model, root)
    life.hold(range(sessions), Serving())
    with Store.open(life.home.database) as store:
        wishes = plan.Wishes(store, life.config)
        chosen = plan.choose(store, life.config, wishes)
        lessons = [
            (plan.lesson_of(one, wishes, life.config), one.turn.answer) for one in chosen.train
        ]
    return life, lessons


def shown_attempt(lesson: Example, answer: str) -> Example:
    """The lesson with the failed answer among what its teacher sees."""
    extra = f"{ATTEMPT_HEADER}\n{answer}\n{HINDSIGHT_CLOSE}"
    return replace(lesson, hindsight=lesson.hindsight.replace(HINDSIGHT_CLOSE, extra))


def on_policy(
    model: LocalModel, stepper: Stepper, batch: Sequence[Example], seed: int
) -> list[Example]:
    """The lessons with the student's own answers of this moment."""
    said = model.generate_batch(
        [model.fit(one.prompt, reserve=MAX_NEW_TOKENS) for one in batch],
        sampling=Sampling(MAX_NEW_TOKENS, 1.0, seed=seed),
        network=stepper.network,
    )
    return [
        replace(one, response=(found.message(),), complete=found.finish_reason != "length")
        for one, found in zip(batch, said, strict=True)
        if found.text.strip()
    ]


def play(
    model: LocalModel,
    life: Life,
    lessons: Sequence[tuple[Example, str]],
    arm: Arm,
    seed: int,
    out: Path,
    steps: int = STEPS,
    early: Sequence[int] = EARLY,
) -> dict[str, float]:
    """Train one arm and measure it. Seconds are the processor's, of the steps alone."""
    learned = [shown_attempt(*one) if arm.attempt else one[0] for one in lessons]
    base = life.ask([p.question for p in life.user.measured(MEASURED)], Serving())
    stepper = Stepper(model, settings_of(arm), seed=seed)
    chance, waiting = random.Random(f"ablations/{seed}"), []
    found: dict[str, float] = {}
    seconds = 0.0
    for step in range(steps):
        began = time.process_time()
        if len(waiting) < BATCH:
            waiting = chance.sample(learned, len(learned))
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        if answered := on_policy(model, stepper, batch, seed * 1009 + step):
            stepper.step(answered)
        seconds += time.process_time() - began
        if step + 1 in (*early, steps):
            folder = out / str(step + 1)
            stepper.save(folder)
            serving = Serving(adapter=folder)
            sheet = life.measure(serving, 0, base, probed=step + 1 == steps)
            if step + 1 in early:
                found[f"after_{step + 1}"] = sheet["satisfied"]
    found |= {name: sheet[name] for name in COLUMNS if name in sheet}
    return {**found, "kl": drift(model, life, serving), "seconds": seconds}


def drift(model: LocalModel, life: Life, serving: Serving) -> float:
    """How far the adapter is from the base on kinds that the person never asks about, in nats a
    token."""
    kinds = [kind for kind in PROBE_KINDS if kind not in life.user.problem_kinds]
    drawn = [draw_problems(kind, PROBES // len(kinds), f"drift/{life.user.seed}") for kind in kinds]
    asked = [problem.question for group in drawn for problem in group]
    said = life.ask(asked, serving)
    pairs = [
        Asked((Message("user", text),), answer) for text, answer in zip(asked, said, strict=True)
    ]
    found = weigh(model, serving.adapter, pairs)
    return sum(one.kl for one in found) / len(found)


def play_missing(model: LocalModel, seeds: int, minutes: float, cells: Path) -> None:
    """Every arm on every seed that is not on file, seed by seed, until the time is up."""
    end = time.monotonic() + 60 * minutes
    protocol = protocol_of(model)
    for seed in range(seeds):
        known = {r["method"] for r in results.load(cells, protocol) if r["seed"] == seed}
        missing = [name for name in ARMS if name not in known]
        with tempfile.TemporaryDirectory(prefix="align-agent-ablations-") as folder:
            root = Path(folder)
            life, lessons = logged(model, seed, root / "home") if missing else (None, [])
            for place, name in enumerate(missing):
                if time.monotonic() > end:
                    return
                assert life is not None
                figures = play(model, life, lessons, ARMS[name], seed, root / str(place))
                row = {"protocol": protocol, "user": "student", "method": name, "seed": seed}
                row |= {key: round(value, 4) for key, value in figures.items()}
                results.append(cells, row)
                print(seed, name, len(lessons), figures, file=sys.stderr, flush=True)


def protocol_of(model: LocalModel) -> str:
    """Cells of other weights or other settings are other figures."""
    return f"{SESSIONS}/{STEPS}/{BATCH}/{RATE:g}/{model.base_hash[:12]}"


def rows_of(cells: Sequence[dict[str, Any]]) -> tuple[list[list[object]], dict[str, Any]]:
    """The table's rows and all figures: means over the seeds with their intervals."""
    rows: list[list[object]] = []
    figures: dict[str, Any] = {}
    for name, arm in ARMS.items():
        own = [cell for cell in cells if cell["method"] == name]
        if not own:
            continue
        row: list[object] = [arm.part, name, len(own)]
        figures[name] = {"seeds": len(own)}
        for key in COLUMNS:
            values = [float(cell[key]) for cell in own]
            mean, (low, high) = results.mean(values), results.interval(values)
            several = f" ({low:.2f} to {high:.2f})" if len(own) > 1 else ""
            row.append(f"{mean:.0f}" if key == "seconds" else f"{mean:.2f}{several}")
            figures[name][key] = [round(x, 4) for x in (mean, low, high)]
        rows.append(row)
    return rows, figures


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--minutes", type=float, default=60, help="begin no cell after so long")
    ask.add_argument("--cells", type=Path, default=CELLS)
    given = ask.parse_args()
    torch.set_num_threads(1)
    model = LocalModel.load("pocket", device="cpu")
    stated = measured()
    play_missing(model, given.seeds, given.minutes, given.cells)
    rows, figures = rows_of(results.load(given.cells, protocol_of(model)))
    head = ["part", "arm", "seeds", *COLUMNS.values()]
    publish(
        PAGE, f"{given.seeds} seeds, {STEPS} steps of {BATCH}, {stated}.\n\n{table(rows, head)}"
    )
    report("ablations", rows, figures, "torch", head=head)


if __name__ == "__main__":
    main()
