"""A home in which one conversation is to be forgotten: every place that can hold its words."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from align_agent.adapters.registry import Registry
from align_agent.paths import Home
from align_agent.records import Feedback, Message, Rule, Run, Turn
from align_agent.store import Store

SECRET = "zanzibarius"  # stands in every text of what is to be forgotten
KEPT = "ordinarium"  # stands in what stays


def turn(number: int, word: str, conversation: str, history=(), **changes) -> Turn:
    asked = f"Tell me about {word} number {number}, please."
    answer = f"The {word} number {number} lives by the sea."
    return Turn(
        **{
            "conversation_id": conversation,
            "prompt": (*history, Message("user", asked)),
            "response": (Message("assistant", answer),),
            "user_text": asked,
            "answer": answer,
            "id": f"turn-{conversation}-{number}",
            **changes,
        }
    )


def after(earlier: Turn) -> tuple[Message, ...]:
    """The history that the next turn of the conversation shows."""
    return (*earlier.prompt, *earlier.response)


def fill(root: Path) -> Home:
    """Two conversations (`secret`, `kept`), and `mixed`, whose second turn is the secret one."""
    home = Home(root).ensure()
    with Store.open(home.database) as store:
        for conversation, word in (("secret", SECRET), ("kept", KEPT)):
            history: tuple[Message, ...] = ()
            for number in range(3):
                added = turn(number, word, conversation, history)
                store.turns.add(added)
                store.links.note(added.id, "surface", f"telegram {word}")
                store.links.put("message", f"{conversation} telegram {word}{number}", added.id)
                history = after(added)
        first = turn(0, KEPT, "mixed")
        second = turn(1, SECRET, "mixed", after(first))
        third = turn(2, KEPT, "mixed", after(second))
        for added in (first, second, third):
            store.turns.add(added)
        store.feedback.add(
            Feedback(
                "turn-secret-0",
                "follow_up",
                "negative",
                "format",
                0.9,
                f"No {SECRET} lists, please.",
                "reader",
                source_turn_id="turn-secret-1",
                layers={"words": 0.5},
                review=f"{SECRET}: the layers disagree",
            )
        )
        for name, word in (("secret", SECRET), ("kept", KEPT)):
            rule = Rule(f"Never mention {word} again.", "active", id=f"rule-{name}")
            store.rules.add(rule)
            store.rules.link(rule.id, f"turn-{name}-0")
        store.events.add("note", "something happened")
        for number, used in ((1, "turn-secret-0"), (2, "turn-kept-0")):
            run = Run(f"run-{number}", "promoted", base="pocket")
            store.runs.create(run)
            store.runs.add_turns(run.id, [(used, "train", "corrected")])
            word = SECRET if number == 1 else KEPT
            store.runs.add_sample(run.id, f"About {word}?", word, word, f"No {word}.")
            registry = Registry(store, home)
            staged = root / f"staged-{number}"
            staged.mkdir()
            (staged / "adapter_model.safetensors").write_bytes(bytes([number]) * 64)
            made = registry.register(
                staged, base="pocket", base_hash="", run_id=run.id, verdict="promote"
            )
            registry.promote(made.version, why="it gained", who="night")
        leave_run(home, store)
        store.backup()
    remember(home, {"secret": SECRET, "kept": KEPT, "mixed": SECRET})
    return home


def leave_run(home: Home, store: Store) -> None:
    """A night that was killed: its row says running, its folder holds texts."""
    store.runs.create(Run("run-3", "running", base="pocket", phase="train"))
    store.runs.add_turns("run-3", [("turn-secret-1", "train", "corrected")])
    for run_id in ("run-1", "run-3"):
        folder = home.runs / run_id
        folder.mkdir()
        text = json.dumps({"train": [["turn-secret-1", f"No {SECRET}!"]]})
        for name in ("select.json", "rollouts.json", ".gate.json.4711", "error.txt"):
            (folder / name).write_text(text)
    home.probed.mkdir()
    home.probed.joinpath("0a.json").write_text(json.dumps({"replies": [f"As {SECRET} said."]}))
    home.logs.joinpath("night.log").write_text(f"ValueError: {SECRET}\n")


def remember(home: Home, threads: dict[str, str]) -> None:
    """The agent's memory, as LangGraph's checkpointer keeps it."""
    with sqlite3.connect(home.checkpoints) as memory:
        memory.execute("pragma journal_mode = wal")
        memory.execute(
            "create table checkpoints (thread_id text, checkpoint_id text, checkpoint blob, "
            "metadata blob, primary key (thread_id, checkpoint_id))"
        )
        memory.execute("create table writes (thread_id text, idx integer, value blob)")
        for thread, word in threads.items():
            packed = f"messages {word} {thread}".encode()
            memory.execute("insert into checkpoints values (?, '1', ?, x'')", [thread, packed])
            memory.execute("insert into writes values (?, 0, ?)", [thread, packed])
    memory.close()


def files_holding(home: Home, word: str) -> list[str]:
    """The files of the home in whose raw bytes a word stands, in any case: plain, as UTF-16, or
    as JSON writes it."""
    found = []
    forms = {word.lower().encode(), word.lower().encode("utf-16-le")}
    forms.add(json.dumps(word).strip('"').lower().encode())
    for path in sorted(p for p in home.root.rglob("*") if p.is_file()):
        data = path.read_bytes().lower()
        if any(form in data for form in forms):
            found.append(str(path.relative_to(home.root)))
    return found
