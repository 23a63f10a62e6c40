"""What a gradient through the prompt is worth: `make bench-prompt-gradient`.

The pocket model's own nights with `distill.prompt_gradient` on and off, on the same turns and seeds.
Prints the seconds of both trainings (draft and night), how many of the gate's rule checks the
candidate meets, and what is left of the divergence; as its last line one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--conversations", type=int, default=16)
    given = ask.parse_args()
    import torch
    from report import report

    torch.set_num_threads(1)
    rows: list[tuple[object, ...]] = []
    found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for seed in range(given.seeds):
        for through in (True, False):
            found[through].append(one_night(given.conversations, seed, through))
            print(json.dumps({"seed": seed, "through": through, **found[through][-1]}),
                  file=sys.stderr, flush=True)  # fmt: skip
    figures: dict[str, Any] = {}
    for name in found[True][0]:
        one, two = (sum(row[name] for row in found[t]) / given.seeds for t in (True, False))
        rows.append((name, two, one, two / one if one else 0.0, "", ""))
        figures |= {f"{name}_through": one, f"{name}_cut": two}
    report("prompt_gradient", rows, figures, "torch")


def one_night(conversations: int, seed: int, through: bool) -> dict[str, float]:
    """Seconds of the processor in both trainings, checks met, divergence left at the end."""
    from engine.foretold import people_talk

    from align_agent.night import phases
    from align_agent.night.progress import Silent
    from align_agent.night.run import run_night
    from align_agent.paths import Home
    from align_agent.store import Store

    spent = 0.0
    train = phases._train

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        begun = time.process_time()
        try:
            return train(*arguments)
        finally:
            spent += time.process_time() - begun

    phases._train = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            people_talk(home.root, range(3 * conversations))
            home.config.write_text(
                f"distill: {{seed: {seed}, prompt_gradient: {str(through).lower()}}}\n"
                "gate: {probes: 50}\n"
            )
            run = run_night(home, progress=Silent())
            with Store.open(home.database) as store:
                steps = [row for row in store.runs.metrics(run.id) if "kl" in row]
                last = store.runs.metrics(run.id)[-1]
    finally:
        phases._train = train
    tenth = steps[-max(1, len(steps) // 10) :]
    return {
        "training_seconds": spent,
        "kl_left": sum(row["kl"] for row in tenth) / len(tenth),
        "checks_met": last["gate_candidate_rules"],
        "correct": last["gate_candidate_correct"],
        "promoted": float(run.status == "promoted"),
    }


if __name__ == "__main__":
    main()
