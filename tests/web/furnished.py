"""A home as a person has it after two nights: talk, opinions, rules, runs, two real versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch

from align_agent.adapters.registry import Registry
from align_agent.config import Config
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import observe
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.records import Message, Rule, Run, Turn, now
from align_agent.server.service import Service
from align_agent.store import Store


@dataclass
class Dashboard:
    """A server under test."""

    service: Service
    url: str

    def store(self) -> Store:
        self.service.scribe.flush()
        return Store.open(self.service.home.database)


TALK = (
    ("chat-1", "How many cups are 7 and 5?", "1. **Add** 7 and 5.\n2. The answer is **12**."),
    ("chat-1", "No bold and no numbered list, please.", "7 + 5 = 12."),
    ("chat-1", "Thanks, that is good.", "You are welcome."),
    ("chat-2", "What is the capital of France?", "**Paris** is the capital of France."),
    ("chat-2", "Please write plain text, without the bold.", "Paris."),
    ("chat-3", "What is a hexagon?", "A hexagon has six sides."),
)
# Weeks ago, before any version: the trend begins there.
EARLIER = (
    ("chat-old", 21, "How far is the moon?", "- **384,000 km**"),
    ("chat-old", 21, "No bold and no lists, please.", "384,000 km."),
    ("chat-older", 28, "How tall is the tower?", "300 metres."),
)


def say(store: Store, conversation: str, user: str, answer: str, **more: Any) -> Turn:
    turn = Turn(
        conversation_id=conversation,
        prompt=(Message("user", user),),
        response=(Message("assistant", answer),),
        user_text=user,
        answer=answer,
        base="tiny",
        **more,
    )
    store.turns.add(turn)
    observe(store, turn, Config())
    return turn


# What the pages that show one thing are asked for in such a home.
QUERIES = {
    "/conversation": {"id": "chat-1"},
    "/night": {"id": "run-2", "use": "skip", "reason": "fine"},
    "/compare": {"a": "v1", "b": "v2"},
    "/trial": {"id": "trial-1"},
    "/credit": {"turn": "turn-0", "token": "2"},
}


def furnish(home: Home, model: LocalModel, workshop: Path, extra: Sequence[Rule] = ()) -> None:
    """Fill a home. v1 and v2 were promoted; v2 serves."""
    home.ensure()
    with Store.open(home.database) as store:
        for number, (conversation, days, *words) in enumerate(EARLIER):
            moment = datetime.now(UTC) - timedelta(days=days, seconds=-number)
            say(store, conversation, *words, id=f"turn-old-{number}", created_at=moment.isoformat())
        turns = [say(store, *words, id=f"turn-{n}") for n, words in enumerate(TALK)]
        profile = Profile(store, Config())
        profile.add("Keep answers short.")
        for rule in (Rule("Always greet me by my name.", "proposed"), *extra):
            store.rules.add(rule)
        registry = Registry(store, home)
        for number in (1, 2):
            night(store, registry, model, workshop / f"v{number}", number, turns)
        for side, turn in zip("ab", turns, strict=False):
            store.links.put("trial", f"trial-1-{side}", turn.id)


def night(
    store: Store,
    registry: Registry,
    model: LocalModel,
    folder: Path,
    number: int,
    turns: Sequence[Turn],
) -> None:
    run = Run(f"run-{number}", "running", base=model.base, parent=number - 1, seed=number)
    store.runs.create(run)
    store.runs.add_turns(
        run.id,
        [
            (turn.id, "train" if place in (0, 3) else "skip", "" if place in (0, 3) else "fine")
            for place, turn in enumerate(turns)
        ],
    )
    for step in range(1, 6):
        figures = {"loss": 1 / step, "kl": 0.1 * step, "grad_norm": 2.0 / step}
        store.runs.add_metric(run.id, step, **figures)
    store.runs.add_sample(run.id, "What is 2 + 2?", "4", "2 + 2 = 4.", "**4**", "")
    store.runs.add_sample(run.id, "Who are you?", "A model.", "**A model.**", "A model.", "")
    adapter = registry.register(
        shifted(model, folder, number),
        base=model.base,
        base_hash=model.base_hash,
        run_id=run.id,
        parent=number - 1,
        rank=4,
        verdict="promote",
        reasons=("it met 9 of 10 rule checks", "it answered 98 of 100 ability probes right"),
    )
    registry.promote(adapter.version, why=f"{run.id} passed the gate", who="night")
    row = {"rules": "9/10", "rule_share": 0.9, "probes": "98/100", "correct": 0.98, "words": 7.5}
    verdict = {
        "verdict": "promote",
        "reasons": list(adapter.reasons),
        "table": [{"who": who, **row} for who in ("base", "champion", "candidate")],
    }
    store.runs.update(
        run.id,
        status="promoted",
        candidate=adapter.version,
        finished_at=now(),
        verdict=verdict,
        config={"distill": {"epochs": number}},
    )


def shifted(model: LocalModel, folder: Path, seed: int) -> Path:
    """An adapter with random weights: it changes every answer, and needs no training."""
    peft = model.fresh_lora(4, 8.0, 0.0, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    model.save_lora(peft, folder)
    return folder
