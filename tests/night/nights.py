"""A home with a small model and a few corrected conversations, for the tests of the night."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from align_agent.paths import Home
from align_agent.records import Feedback, Message, Rule, Turn
from align_agent.store import Store

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

# Enough training for the tiny random model to move measurably towards its teacher.
LEARNS: dict[str, dict] = {
    "model": {"temperature": 1.0, "max_new_tokens": 24},
    "distill": {"epochs": 4, "learning_rate": 0.02, "lora_rank": 8, "heldout_share": 0.5},
}

RULE = "Write plain text: no bold, no lists, no headings."
BAD = "1. Add them.\n2. **Final Answer:** 42"
COMPLAINT = "No bold and no lists, please."


def make_home(root: Path, model_dir: Path, **sections: dict) -> Home:
    """A home whose nights are short: few tokens, few probes, one epoch."""
    home = Home(root).ensure()
    settings: dict[str, dict] = {
        "model": {"base": str(model_dir), "max_new_tokens": 12, "threads": 1},
        "feedback": {"gap_threshold": 1e-6},
        "distill": {
            "epochs": 1,
            "batch_size": 4,
            "lora_rank": 4,
            "rollouts": "logged",
            "anchors": 0.0,
            "learning_rate": 0.01,
            "warmup_steps": 0,
            "min_turns": 2,
        },
        "gate": {"probes": 4, "samples": 3},
    }
    home.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    configure(home, **sections)
    return home


def configure(home: Home, **sections: dict) -> None:
    """Change single fields of the home's config.yaml."""
    settings = yaml.safe_load(home.config.read_text(encoding="utf-8")) or {}
    for name, section in sections.items():
        settings.setdefault(name, {}).update(section)
    home.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


# What a night imports: seconds that are spent once, in the process that nights are forked off.
HEAVY = ["transformers.models.qwen3.modeling_qwen3", "peft", "align_agent.distill.train"]


def begin(home: Home) -> ForkServerProcess:
    """A night as a process of its own, like `python -m align_agent.night`, without its start."""
    nights = multiprocessing.get_context("forkserver")
    nights.set_forkserver_preload(HEAVY)
    process = nights.Process(target=_night, args=(str(home.root),))
    process.start()
    return process


def _night(root: str) -> None:
    from align_agent.night.__main__ import main

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.exit(main(["--home", root]))


def conversation(number: int, turns: int = 3, *, answer: str = BAD) -> list[Turn]:
    """`turns` questions, each answered in a style that the user does not want."""
    made: list[Turn] = []
    history: tuple[Message, ...] = ()
    for place in range(turns):
        asked = f"What is {number + 1} plus {place + 2}?"
        prompt = (*history, Message("user", asked))
        said = Message("assistant", answer)
        made.append(
            Turn(f"chat-{number}", prompt, (said,), asked, answer, id=f"turn-{number}-{place}")
        )
        history = (*prompt, said)
    return made


def talk(
    home: Home, conversations: int = 5, turns: int = 3, *, rule: bool = False, first: int = 0
) -> None:
    """Conversations whose every answer was complained about, perhaps with a rule that follows."""
    with Store.open(home.database) as store:
        for number in range(first, first + conversations):
            for turn in conversation(number, turns):
                store.turns.add(turn)
                store.feedback.add(
                    Feedback(turn.id, "follow_up", "negative", "format", 0.9, COMPLAINT, "test")
                )
        if rule:
            store.rules.add(
                Rule(RULE, "active", direction="format:plain", check={"name": "no_markdown"})
            )
