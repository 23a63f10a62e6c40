"""A home as after a year of heavy use: many turns, a version for every night. Generated, seeded."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from align_agent.adapters.registry import Registry
from align_agent.directions import DIRECTIONS
from align_agent.paths import Home
from align_agent.records import Rule, Run
from align_agent.store import Store

WORDS = """
    about account answer apple book bread bridge build capital change chart city class clock code
    colour count cups design dinner document drive email error exercise explain file flight form
    function garden grade green history house island journey kitchen language leaf letter list long
    lunch machine market math message minute model morning music name number office paper pencil
    picture plain plan poem price problem python question quick range recipe report river school
    sentence short sister song square station step story street student summer table teacher text
    ticket time title total train travel tree version village visit water weather week window word
    work write year
""".split()
START = datetime(2026, 1, 1, tzinfo=UTC)
FIGURES = ("loss", "kl", "grad_norm", "learning_rate")
MODEL = "benchmark"


def build(home: Home, turns: int, versions: int, seed: int = 1) -> None:
    """Fill a home. The last night looked at every turn, the others at what they trained on."""
    rng = random.Random(seed)
    home.ensure()
    with Store.open(home.database) as store:
        with store.transaction():
            _turns(store, rng, turns, versions)
        with store.transaction():
            _feedback(store, rng, turns)
        _nights(store, home, rng, turns, versions)


def moment(share: float) -> str:
    """A moment of the year, as the store keeps it."""
    return (START + timedelta(days=365 * share)).isoformat(timespec="microseconds")


def text(rng: random.Random, low: int, high: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def _turns(store: Store, rng: random.Random, turns: int, versions: int) -> None:
    conversations, rows, messages, places = [], [], [], []
    conversation, left, position = 0, 0, 0
    for number in range(1, turns + 1):
        at = moment(number / turns)
        channel = rng.choice(("chat", "openclaw", "openai"))
        if not left:
            conversation, left, position = conversation + 1, rng.randint(1, 7), 0
            conversations.append((f"talk-{conversation}", channel, at))
        said, answered = text(rng, 4, 30), text(rng, 10, 90)
        version = int(number / turns * versions)
        rows.append(
            (number, f"turn-{number:020x}", f"talk-{conversation}", position, at, channel, said,
             answered, version, MODEL, int(rng.random() > 0.05), "stop", int(rng.random() < 0.01),
             400.0)
        )  # fmt: skip
        for part, role, content in (("prompt", "user", said), ("response", "assistant", answered)):
            messages.append((len(messages) + 1, number_bytes(len(messages)), role, content, "[]"))
            places.append((number, part, 0, len(messages)))
        left, position = left - 1, position + 1
    put = store.connection.execute_many
    put("insert into conversations (id, channel, created_at) values (?, ?, ?)", conversations)
    put(
        "insert into turns (number, id, conversation_id, position, created_at, channel, user_text, "
        "answer, version, base, main, finish_reason, excluded, latency_ms) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    put(
        "insert into messages (number, digest, role, content, tool_calls) values (?, ?, ?, ?, ?)",
        messages,
    )
    put("insert into turn_messages (turn, part, place, message) values (?, ?, ?, ?)", places)


def number_bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _feedback(store: Store, rng: random.Random, turns: int) -> None:
    rules = [Rule(d.text, "active", direction=key) for key, d in DIRECTIONS.items()]
    rules += [Rule(text(rng, 4, 9).capitalize(), "proposed") for _ in range(20)]
    for rule in rules:
        store.rules.add(rule)
    feedback, links = [], []
    for number in range(2, turns):
        chance = rng.random()
        if chance > 0.3:
            continue
        polarity = "negative" if chance < 0.2 else "positive"
        turn, source = f"turn-{number:020x}", f"turn-{number + 1:020x}"
        feedback.append(
            (f"fb-{number}", turn, source, "follow_up", polarity, "format", 0.9, 1.0,
             text(rng, 3, 12), "", "reader-1", 0, moment((number + 1) / turns))
        )  # fmt: skip
        if polarity == "negative":
            rule = rng.choice(rules)
            links += [(rule.id, turn), (rule.id, source)]
    put = store.connection.execute_many
    put(f"insert into feedback values ({', '.join('?' * 13)})", feedback)
    put("insert or ignore into rule_turns values (?, ?)", links)


def _nights(store: Store, home: Home, rng: random.Random, turns: int, versions: int) -> None:
    registry = Registry(store, home)
    workshop = home.root / "workshop"
    workshop.mkdir()
    for number in range(1, versions + 1):
        _night(store, registry, workshop, rng, number, turns, versions)
    for path in workshop.iterdir():
        path.unlink()
    workshop.rmdir()


def _night(
    store: Store,
    registry: Registry,
    workshop: Path,
    rng: random.Random,
    number: int,
    turns: int,
    versions: int,
) -> None:
    run = Run(
        f"run-{number:04d}", "running", moment(number / versions), base=MODEL, parent=number - 1
    )
    store.runs.create(run)
    (workshop / "adapter_model.safetensors").write_bytes(rng.randbytes(2_000))
    (workshop / "adapter_config.json").write_text(json.dumps({"r": 16}))
    with store.transaction():
        all_of_them = range(1, turns + 1) if number == versions else rng.sample(range(1, turns), 90)
        uses = [_use(rng, n) for n in all_of_them]
        store.runs.add_turns(run.id, uses)
        for step in range(1, 61):
            figures = {name: rng.random() / step for name in FIGURES}
            store.runs.add_metric(run.id, step, **figures)
        for _ in range(8):
            store.runs.add_sample(run.id, text(rng, 5, 20), *(text(rng, 10, 60) for _ in range(3)))
    adapter = registry.register(
        workshop, base=MODEL, base_hash="", run_id=run.id, parent=number - 1, rank=16,
        verdict="promote", reasons=("it met 40 of 40 rule checks on your own prompts, kept aside",),
    )  # fmt: skip
    registry.promote(adapter.version, why="passed the gate", who="night")
    store.runs.update(
        run.id, status="promoted", candidate=number, finished_at=moment(number / versions),
        verdict=_verdict(), config={"distill": {"epochs": 3 + number % 2}},
    )  # fmt: skip


def _use(rng: random.Random, number: int) -> tuple[str, str, str]:
    turn = f"turn-{number:020x}"
    chance = rng.random()
    if chance < 0.01:
        return turn, "train", "corrected"
    if chance < 0.02:
        return turn, rng.choice(("heldout", "anchor")), ""
    return turn, "skip", rng.choice(("not corrected", "too long", "no answer", "excluded"))


def _verdict() -> dict[str, Any]:
    row = {"rules": "39/40", "rule_share": 0.975, "probes": "99/100", "correct": 0.99}
    who = ("base", "champion", "candidate", "base with your rules")
    return {
        "verdict": "promote",
        "reasons": ["it met 40 of 40 rule checks on your own prompts, kept aside"],
        "table": [{"who": name, **row} for name in who],
    }
