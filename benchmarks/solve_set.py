"""Makes the generated problem set: draws questions and hidden demands, measures the base's rate on
each from its own rollouts, and sorts them into levels by that rate alone.

`python benchmarks/solve_set.py` writes align_agent/discover/ranges.json; about ten minutes on a core.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, replace

import torch

from align_agent.discover.ranges import SET
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket import wordings
from align_agent.models.pocket.code import CHOICES, CodeTask, draw_code_task
from align_agent.records import Message

ROLLOUTS = 2944
HARD, VERY_HARD = 0.5, 0.03  # the base's pass@64 below which a problem is one
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
    for count in (2, 2, 3, 4, 5, 6):
        axes = rng.sample(list(CHOICES), count)
        changed = {a: rng.choice([o for o in CHOICES[a] if o != getattr(task, a)]) for a in axes}
        found.append(replace(task, **changed))
    sound = [t for t in found if not (t.result == "sum" and t.order == "down")]
    return [t for i, t in enumerate(sound) if not i or not t.agrees_with(task)]


def level(passed: int, rollouts: int) -> str:
    at_64 = 1 - (1 - passed / rollouts) ** 64
    return "very hard" if at_64 < VERY_HARD else "hard" if at_64 < HARD else "easy"


def main() -> None:
    torch.set_num_threads(1)
    rng, model, started = random.Random(2026), LocalModel.load("pocket", device="cpu"), time.time()
    drawn: dict[str, list[dict[str, object]]] = {name: [] for name in WANTED}
    for number, (question, task) in enumerate(questions(rng, 12)):
        prompts = [[Message("user", question)]] * ROLLOUTS
        answers = model.generate_batch(prompts, sampling=Sampling(64, 1.0, seed=number + 1))
        texts: dict[str, int] = {}
        for answer in answers:
            texts[answer.text] = texts.get(answer.text, 0) + 1
        for target in hidden(task, rng):
            passed = sum(n for text, n in texts.items() if target.solved_by(text))
            axes = target.differences(task)
            rows = drawn[level(passed, ROLLOUTS)]
            said = {a: wordings.say_code(f"{a}:{getattr(target, a)}", rng) for a in CHOICES}
            lie = rng.choice([a for a in CHOICES if a not in axes] or list(CHOICES))
            other = rng.choice([o for o in CHOICES[lie] if o != getattr(target, lie)])
            rows.append(
                {
                    "question": question,
                    "target": asdict(target),
                    "demands": len(axes),
                    "wishes": said,
                    "misleading": wordings.say_code(f"{lie}:{other}", rng),
                    "rollouts": ROLLOUTS,
                    "passed": passed,
                }
            )
        print(
            number,
            question,
            {k: len(v) for k, v in drawn.items()},
            f"{time.time() - started:.0f} s",
            flush=True,
        )
    problems = []
    for name, count in WANTED.items():
        rng.shuffle(drawn[name])
        for place, row in enumerate(drawn[name][:count]):
            label = f"{name.replace(' ', '-')}-{place + 1:02d}"
            problems.append({"name": label, "level": name, "say": SAY[place % 3], **row})
    SET.write_text(json.dumps({"base": model.base_hash, "problems": problems}, indent=1) + "\n")


if __name__ == "__main__":
    main()
