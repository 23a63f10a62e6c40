"""A log of any size for the benchmarks: conversations of ten turns, a third of them corrected, or
none, where nobody ever complains and no answer breaks a rule.

Written through the store as the server writes it, in a few large transactions.
"""

from __future__ import annotations

import random
from pathlib import Path

from align_agent.paths import Home
from align_agent.records import Feedback, Message, Rule, Turn
from align_agent.store import Store

TURNS = 10  # of one conversation
COMPLAINT = "No bold and no lists, please."
RULES = (
    Rule("Write plain text.", "active", "format:plain", check={"name": "no_markdown"}),
    Rule("Keep answers short.", "active", "length:brief", check={"name": "max_words", "n": 40}),
)
_WORDS = (
    "a the pupil adds takes away two seven apples books of page line sum step result because first "
    "then half twice whole same time school teacher shop basket"
).split()


def fill(root: Path, count: int, quiet: bool = False) -> Home:
    """A home whose database holds `count` turns. Half of the answers break a rule; none if
    `quiet`."""
    home = Home(root).ensure()
    chance = random.Random(0)
    with Store.open(home.database) as store:
        for rule in RULES:
            store.rules.add(rule)
        for start in range(0, count, 5000):
            with store.transaction():
                for number in range(start, min(start + 5000, count), TURNS):
                    _conversation(store, number, min(TURNS, count - number), chance, quiet)
    return home


def _conversation(
    store: Store, number: int, turns: int, chance: random.Random, quiet: bool
) -> None:
    history: tuple[Message, ...] = ()
    for place in range(number, number + turns):
        asked = f"{_text(chance, 12)} {place}?"
        answer = _text(chance, chance.choice((20, 30) if quiet else (20, 60)))
        if not quiet and chance.random() < 0.3:
            answer = f"1. {answer}\n2. **{place}**"
        prompt = (*history, Message("user", asked))
        said = Message("assistant", answer)
        turn = Turn(f"chat-{number}", prompt, (said,), asked, answer, id=f"turn-{place:07d}")
        store.turns.add(turn)
        if not quiet and chance.random() < 1 / 3:
            store.feedback.add(
                Feedback(turn.id, "follow_up", "negative", "format", 0.9, COMPLAINT, "bench")
            )
        history = (*prompt, said)


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words)).capitalize()
