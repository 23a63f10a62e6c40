"""Does `align-agent distill plan --probe` foretell a night? `make bench-foretold`.

Homes with the pocket model, of three sizes and of kinds that are not the usual: each is probed, then
its night is run, both in processes of their own. Prints minutes and memory, foretold and found, and
as its last line one JSON object. A night that finds in its preflight that there is nothing new is
held against what was foretold of that end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WITHIN = 0.3
COMPLAINT = "No bold and no lists, please."


@dataclass(frozen=True)
class Case:
    """A home: its turns, its own settings, whether its base is a folder, so that the everyday
    prompts are those of any model, and how many turns came after a night that nobody measured."""

    turns: int
    settings: str = ""
    folder: bool = False
    later: int = 0


CASES = {
    "18 turns": Case(18),
    "48 turns": Case(48),
    "144 turns": Case(144),
    "4 turns": Case(4),
    "512 turns, max_minutes: 1": Case(512, "distill:\n  max_minutes: 1\n"),
    "second night, 8 turns more": Case(18, later=8),
    "a folder as base, 300 turns": Case(300, folder=True),
}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    given = ask.parse_args()
    from report import report

    rows, figures = [], {}
    for name in given.cases:
        with tempfile.TemporaryDirectory() as folder:
            one = compared(prepared(Path(folder), CASES[name]))
        print(json.dumps({name: one}), file=sys.stderr, flush=True)
        for what in ("minutes", "memory_gb"):
            ratio = one["foretold"][what] / one["found"][what]
            fits = 1 - WITHIN <= ratio <= 1 + WITHIN
            rows.append(
                (f"{what}, {name}", one["foretold"][what], one["found"][what], ratio,
                 f"within {WITHIN:.0%}", fits)
            )  # fmt: skip
            figures[f"{what}_ratio {name}"] = round(ratio, 3)
    report("foretold", rows, figures, "torch")


def prepared(root: Path, case: Case) -> Path:
    """The case's home, before the night that is foretold."""
    settings = case.settings
    if case.folder:
        from align_agent.models.pocket import WEIGHTS

        shutil.copytree(WEIGHTS, root / "base")
        settings += f"model:\n  base: {root / 'base'}\n"
    home = root / "home"
    people_talk(home, range(case.turns), settings)
    if case.later:
        ran("-m", "align_agent.night", "--home", str(home), home=home)
        people_talk(home, range(case.turns, case.turns + case.later), settings)
    return home


def people_talk(root: Path, places: range, settings: str = "") -> None:
    """Turns, three to a conversation, each answered by the pocket model's own manner and complained
    of."""
    from align_agent.models.pocket.world import anchor_prompts
    from align_agent.paths import Home
    from align_agent.records import Feedback, Message, Rule, Turn
    from align_agent.store import Store

    home = Home(root).ensure()
    home.config.write_text(f"schedule:\n  enabled: false\n{settings}")
    questions = anchor_prompts(places.stop, 7)
    chance = random.Random(places.start)
    with Store.open(home.database) as store, store.transaction():
        if not places.start:
            store.rules.add(
                Rule("Write plain text: no bold, no lists, no headings.", "active", "format:plain",
                     check={"name": "no_markdown"})
            )  # fmt: skip
        for place in places:
            asked = questions[place]
            answer = f"1. Start with {chance.randrange(50)}.\n2. **Final Answer:** {place}"
            said = (Message("assistant", answer),)
            prompt = (Message("user", asked),)
            turn = Turn(f"chat-{place // 3}", prompt, said, asked, answer, id=f"turn-{place:04d}")
            store.turns.add(turn)
            store.feedback.add(
                Feedback(turn.id, "follow_up", "negative", "format", 0.9, COMPLAINT, "bench")
            )


def compared(home: Path) -> dict[str, Any]:
    """What was foretold of the home's next night, and what it then took."""
    from align_agent.paths import Home
    from align_agent.store import Store

    told, _, _ = ran("-m", "align_agent", "distill", "plan", "--probe", "--json", home=home)
    _, seconds, memory = ran("-m", "align_agent.night", "--home", str(home), home=home)
    estimate = json.loads(told)["estimate"]
    with Store.open(Home(home).database) as store:
        night = store.runs.list(1)[0]
    if night.status == "skipped":
        estimate["minutes"] = estimate["least_minutes"]
    return {
        "foretold": {n: estimate[n] for n in ("minutes", "memory_gb", "seconds")},
        "found": {"minutes": seconds / 60, "memory_gb": memory, "night": night.status},
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
