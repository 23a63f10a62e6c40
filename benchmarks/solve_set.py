"""Makes the generated problem set: draws questions and hidden demands, measures the base's rate on
each from its own rollouts, and sorts them into levels by that rate alone.

`python benchmarks/solve_set.py` writes align_agent/discover/ranges.json; about ten minutes on a core.
Rates by which problems were chosen flatter whoever is compared with the base: what was drawn low is
lower than it is. So best-of-k is scored on a second sample (`--again`), drawn for nothing else.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from align_agent.discover.methods import WINDOW
from align_agent.discover.ranges import SET
from align_agent.errors import ModelError
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import wordings
from align_agent.models.pocket.code import CHOICES, CodeTask, draw_code_task
from align_agent.records import Message

ROLLOUTS = 2944
HARD, VERY_HARD = 0.5, 0.03  # the base's pass@64 below which a problem is one
MANY = 6  # problems with more demands than the window of multi-turn holds
WANTED = {"easy": 4, "hard": 18, "very hard": 12}
SAY = ("words", "tests", "noisy")


def questions(rng: random.Random, count: int) -> list[tuple[str, CodeTask]]:
    """Questions of all lengths; the first is the plainest."""
    found = {"Write a python function that returns all numbers from 1 to n.": CodeTask()}
    while len(found) < count:
        task = draw_code_task(rng, odds=rng.choice((0.15, 0.4, 0.7)))
        found.setdefault(task.question(rng), task)
    return list(found.items())


def hidden(task: CodeTask, rng: random.Random) -> list[CodeTask]:
    """Targets that differ from what is asked for: all on one axis, some on more."""
    found = [task]
    for axis, options in CHOICES.items():
        found += [replace(task, **{axis: o}) for o in options if o != getattr(task, axis)]
    found += [turned(task, count, rng) for count in (2, 2, 3, 4, 5, 6)]
    return [t for i, t in enumerate(found) if sound(t) and (not i or not t.agrees_with(task))]


def turned(task: CodeTask, count: int, rng: random.Random) -> CodeTask:
    """A task that differs on so many axes."""
    axes = rng.sample(list(CHOICES), count)
    changed = {a: rng.choice([o for o in CHOICES[a] if o != getattr(task, a)]) for a in axes}
    return replace(task, **changed)


def sound(task: CodeTask) -> bool:
    """A sum has no order, so none may be demanded of it."""
    return not (task.result == "sum" and task.order == "down")


def level(passed: int, rollouts: int) -> str:
    at_64 = 1 - (1 - passed / rollouts) ** 64
    return "very hard" if at_64 < VERY_HARD else "hard" if at_64 < HARD else "easy"


def answers_to(model: LocalModel, question: str, seed: int) -> Counter[str]:
    """The base's answers to a question, and how often each came."""
    prompts = [[Message("user", question)]] * ROLLOUTS
    found = model.generate_batch(prompts, sampling=Sampling(64, 1.0, seed=seed))
    return Counter(answer.text for answer in found)


def row_of(
    question: str, task: CodeTask, target: CodeTask, texts: Counter[str], rng: random.Random
) -> dict[str, Any]:
    """A problem: what is asked, what its tests demand, how that may be said, the base's rate."""
    axes = target.differences(task)
    said = {a: wordings.say_code(f"{a}:{getattr(target, a)}", rng) for a in CHOICES}
    lie = rng.choice([a for a in CHOICES if a not in axes] or list(CHOICES))
    other = rng.choice([o for o in CHOICES[lie] if o != getattr(target, lie)])
    return {
        "question": question,
        "target": asdict(target),
        "demands": len(axes),
        "wishes": said,
        "misleading": wordings.say_code(f"{lie}:{other}", rng),
        "rollouts": ROLLOUTS,
        "passed": sum(n for text, n in texts.items() if target.solved_by(text)),
    }


def whole_set(model: LocalModel) -> list[dict[str, Any]]:
    rng, started = random.Random(2026), time.time()
    drawn: dict[str, list[dict[str, Any]]] = {name: [] for name in WANTED}
    for number, (question, task) in enumerate(questions(rng, 12)):
        texts = answers_to(model, question, number + 1)
        for target in hidden(task, rng):
            row = row_of(question, task, target, texts, rng)
            drawn[level(row["passed"], ROLLOUTS)].append(row)
        counts = {k: len(v) for k, v in drawn.items()}
        print(number, question, counts, f"{time.time() - started:.0f} s", flush=True)
    problems = []
    for name, count in WANTED.items():
        rng.shuffle(drawn[name])
        for place, row in enumerate(drawn[name][:count]):
            label = f"{name.replace(' ', '-')}-{place + 1:02d}"
            problems.append({"name": label, "level": name, "say": SAY[place % 3], **row})
    return problems


def many_demands(model: LocalModel) -> list[dict[str, Any]]:
    """Problems with more demands than multi-turn's window holds, said in each of the three ways."""
    rng = random.Random("many")
    problems: list[dict[str, Any]] = []
    for number, (question, task) in enumerate(questions(rng, MANY // len(SAY))):
        texts = answers_to(model, question, 100 + number)
        for say in SAY:
            target = turned(task, WINDOW + 1 + number % 2, rng)
            while not sound(target):
                target = turned(task, WINDOW + 1 + number % 2, rng)
            row = row_of(question, task, target, texts, rng)
            name, hard = f"many-{len(problems) + 1:02d}", level(row["passed"], ROLLOUTS)
            problems.append({"name": name, "level": hard, "say": say, **row})
            print(name, say, row["demands"], row["passed"], question, flush=True)
    return problems


def score_again(model: LocalModel, problems: Sequence[dict[str, Any]]) -> None:
    """Write into each problem how often the base passes it in answers that chose nothing."""
    asked = dict.fromkeys(str(row["question"]) for row in problems)
    for number, question in enumerate(asked):
        texts = answers_to(model, question, 1000 + number)
        for row in problems:
            if row["question"] == question:
                target = CodeTask(**row["target"])
                passed = sum(n for text, n in texts.items() if target.solved_by(text))
                row["again"] = {"rollouts": ROLLOUTS, "passed": passed}
                print(row["name"], row["passed"], passed, flush=True)


def set_for(model: LocalModel) -> list[dict[str, Any]]:
    """The problems on file. Raises ModelError when another base was asked then."""
    kept = json.loads(SET.read_text(encoding="utf-8"))
    if kept["base"] != model.base_hash:
        raise ModelError(
            f"{SET} was rated with other weights", hint="make it anew, without --again"
        )
    return list(kept["problems"])


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--many", action="store_true", help="only those with many demands, anew")
    ask.add_argument("--again", action="store_true", help="only the second sample, anew")
    given = ask.parse_args()
    torch.set_num_threads(1)
    model = LocalModel.load("pocket", device="cpu")
    if given.again:
        problems = set_for(model)
    elif given.many:
        kept = [row for row in set_for(model) if not row["name"].startswith("many-")]
        problems = [*kept, *many_demands(model)]
    else:
        problems = [*whole_set(model), *many_demands(model)]
    score_again(model, problems)
    found = {"base": model.base_hash, "problems": problems}
    SET.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
