"""Does `align-agent distill plan --probe` foretell a night? `make bench-foretold`.

Homes of three sizes with the pocket model: each is probed, then its night is run, both in processes
of their own. Prints minutes and memory, foretold and found, and as its last line one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONVERSATIONS = (6, 16, 48)
WITHIN = 0.3
COMPLAINT = "No bold and no lists, please."


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--conversations", type=int, nargs="+", default=CONVERSATIONS)
    given = ask.parse_args()
    from report import report

    rows, figures = [], {}
    for size in given.conversations:
        with tempfile.TemporaryDirectory() as folder:
            turns = people_talk(Path(folder), size)
            one = compared(Path(folder))
        print(json.dumps(one), file=sys.stderr, flush=True)
        for name in ("minutes", "memory_gb"):
            ratio = one["foretold"][name] / one["found"][name]
            fits = 1 - WITHIN <= ratio <= 1 + WITHIN
            rows.append(
                (f"{name}, {turns} turns", one["foretold"][name], one["found"][name], ratio,
                 f"within {WITHIN:.0%}", fits)
            )  # fmt: skip
            figures[f"{name}_ratio_{turns}"] = round(ratio, 3)
    report("foretold", rows, figures, "torch")


def people_talk(root: Path, conversations: int) -> int:
    """A home with conversations of three turns, each answered by the pocket model's own manner and
    complained of. Returns its number of turns."""
    from align_agent.models.pocket.world import anchor_prompts
    from align_agent.paths import Home
    from align_agent.records import Feedback, Message, Rule, Turn
    from align_agent.store import Store

    home = Home(root).ensure()
    home.config.write_text("schedule:\n  enabled: false\n")
    questions = anchor_prompts(3 * conversations, 7)
    chance = random.Random(0)
    with Store.open(home.database) as store, store.transaction():
        store.rules.add(
            Rule("Write plain text: no bold, no lists, no headings.", "active", "format:plain",
                 check={"name": "no_markdown"})
        )  # fmt: skip
        for place, asked in enumerate(questions):
            answer = f"1. Start with {chance.randrange(50)}.\n2. **Final Answer:** {place}"
            said = (Message("assistant", answer),)
            prompt = (Message("user", asked),)
            turn = Turn(f"chat-{place // 3}", prompt, said, asked, answer, id=f"turn-{place:04d}")
            store.turns.add(turn)
            store.feedback.add(
                Feedback(turn.id, "follow_up", "negative", "format", 0.9, COMPLAINT, "bench")
            )
    return len(questions)


def compared(home: Path) -> dict[str, Any]:
    """What was foretold of the home's next night, and what it then took."""
    told, _, _ = ran("-m", "align_agent", "distill", "plan", "--probe", "--json", home=home)
    night, seconds, memory = ran("-m", "align_agent.night", "--home", str(home), home=home)
    estimate = json.loads(told)["estimate"]
    return {
        "foretold": {n: estimate[n] for n in ("minutes", "memory_gb", "seconds")},
        "found": {"minutes": seconds / 60, "memory_gb": memory, "night": night.strip()[:200]},
    }


def ran(*arguments: str, home: Path) -> tuple[str, float, float]:
    """Output, seconds by the wall and peak memory in GB of one Python process."""
    environment = {**os.environ, "ALIGN_AGENT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: the gate refused, which is a night as well
        raise SystemExit(f"{arguments} failed ({process.returncode})")
    return output, time.monotonic() - begun, usage.ru_maxrss / 2**20


if __name__ == "__main__":
    main()
