"""Forgetting: the text is gone from every file of the home, and what learned from it is marked.

Reads nothing into memory that stays. The order makes a kill harmless: one transaction takes the
text out of the tables and notes what is left to do; the rest (the agent's memory, backups, run
folders, free pages, logs) can be done again from that note by `resume`. The search index, the
write-ahead log and free pages are written anew at the end. Works while others use the database.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.adapters import working
from align_agent.errors import NightBusy, StoreCorrupt, StoreForeign
from align_agent.night.artefacts import RunFolder
from align_agent.night.lock import NightLock
from align_agent.night.run import give_up
from align_agent.paths import Home
from align_agent.privacy.memory import clear_memory, remembered
from align_agent.privacy.wanted import Wanted
from align_agent.privacy.words import Words
from align_agent.records import denied_in, version_label
from align_agent.store import Store
from align_agent.store.backup import BESIDE, copies, leave_log
from align_agent.store.connection import Connection
from align_agent.store.lost import DAMAGED
from align_agent.store.scrub import Scrubbed, any_holding, erase_pages, scrub

NIGHT_PATIENCE_S = 120.0
WHY = "what it had chosen was forgotten"

# Called with the name of each step before it begins; tests stop there.
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What was forgotten, or would be. Ids and counts; `rules` alone are texts.

    `edited` turns stay, without what was forgotten in their prompts. `tainted` versions learned
    from it; they serve on until the next night, which starts from the base without it, has made
    another one, or until they are deleted.
    """

    turns: tuple[str, ...]
    conversations: tuple[str, ...]
    edited: tuple[str, ...]
    feedback: int
    rules: tuple[str, ...]
    runs: tuple[str, ...]
    samples: int
    tainted: tuple[int, ...]
    backups: int
    cells: int  # other places in the tables
    elsewhere: tuple[str, ...]  # files that hold words of a query, beside the database
    done: bool

    @property
    def empty(self) -> bool:
        """Whether there was nothing to forget."""
        return not (
            self.turns or self.edited or self.feedback or self.rules or self.cells or self.elsewhere
        )


class _Undone(Exception):
    """Takes back everything that a preview did."""


def preview(home: Home, wanted: Wanted) -> Forgetting:
    """What `forget` would do. Changes nothing. Raises StoreError."""
    with Store.open(home.database) as store:
        found = Scrubbed()
        with suppress(_Undone), store.transaction():
            found = _scrub(store, wanted)
            raise _Undone
    return _told(found, len(copies(home.database)), _elsewhere(home, wanted), done=False)


def forget(home: Home, wanted: Wanted, *, on_step: Step = lambda _: None) -> Forgetting:
    """Forget it, for good. A night that runs is stopped first, and begins anew later.

    What an earlier forgetting left undone is finished too. Raises StoreError (then `resume`
    goes on), NightBusy when a night does not stop.
    """
    on_step("night")
    with no_night(home), Store.open(home.database) as store:
        elsewhere = _elsewhere(home, wanted)
        on_step("tables")
        with store.transaction():
            found = _scrub(store, wanted)
            query = wanted.what if wanted.kind == "query" else ""
            facts = _facts(found)
            store.forgotten.begin(wanted.kind, _work(found, query, True), facts)
            if found.turns or found.edited:
                store.events.add("forgotten", _sentence(found), **facts)
            # Its steps saw the rules and what was said before: whatever goes may be among it.
            working.give_up(store, "something was forgotten")
        backups = _finish_all(home, store, on_step)
    return _told(found, backups, elsewhere, done=True)


def let_expire(home: Home, turns: Sequence[str]) -> Forgetting:
    """Drop the texts of turns that were kept long enough; what was learned from them stays.

    Raises StoreError, NightBusy.
    """
    with no_night(home), Store.open(home.database) as store:
        with store.transaction():
            found = scrub(store.connection, turns, unlearn=False)
            store.forgotten.begin("retention", _work(found, "", False), _facts(found))
        backups = _finish_all(home, store, lambda _: None)
    return _told(found, backups, (), done=True)


def resume(home: Home, *, on_step: Step = lambda _: None) -> int:
    """Finish what was interrupted. Returns how many forgettings there were to finish."""
    if not home.database.exists():
        return 0
    with Store.open(home.database) as store:
        left = len(store.forgotten.unfinished())
        if left:
            with no_night(home):
                _finish_all(home, store, on_step)
    return left


@contextmanager
def no_night(home: Home, patience: float = NIGHT_PATIENCE_S) -> Iterator[None]:
    """Hold the lock of the nights; one that runs is asked to stop at its next step.

    Raises NightBusy when it does not within `patience` seconds.
    """
    lock = NightLock(home.night_lock)
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    while True:
        try:
            lock.__enter__()
            break
        except NightBusy:
            if time.monotonic() > deadline:
                raise
            pid = _holder_of(home.night_lock)
            # Whoever holds the lock is alive, so that the number is still its own.
            if pid and pid != os.getpid() and pid not in asked:
                asked.add(pid)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.__exit__()


def _scrub(store: Store, wanted: Wanted) -> Scrubbed:
    if wanted.kind == "query":
        return scrub(store.connection, (), Words(wanted.what))
    if wanted.kind == "turn":
        return scrub(store.connection, [wanted.what, *_denied_calls(store, wanted.what)])
    turns = store.turns.list(limit=-1, conversation=wanted.what)
    turns += store.turns.list(limit=-1, conversation=denied_in(wanted.what))
    return scrub(store.connection, [turn.id for turn in turns])


def _denied_calls(store: Store, turn_id: str) -> list[str]:
    """The turns beside one that hold its denied calls, and so its question too."""
    if not store.turns.has(turn_id):
        return []
    beside = denied_in(store.turns.get(turn_id).conversation_id)
    return [
        turn.id
        for turn in store.turns.list(limit=-1, conversation=beside)
        if turn.id.endswith(f"-{turn_id.removeprefix('turn-')}")
    ]


def _finish_all(home: Home, store: Store, on_step: Step) -> int:
    """Do what is left of every forgetting. Returns the number of backups that were cleaned."""
    pending = store.forgotten.unfinished()
    backups = 0
    for _, work in pending:
        if not work:  # all but the last step was done
            continue
        if work["unlearn"]:
            on_step("working")
            working.clear(home)
        on_step("memory")
        words = Words(work["query"]) if work["query"] else None
        clear_memory(home.checkpoints, work["conversations"], words)
        on_step("backups")
        backups = _clean_backups(home, work)
        on_step("runs")
        give_up(home, store, WHY)
        _clean_runs(home, work["runs"], words)
        # What a version said there it may have learned from what is forgotten.
        shutil.rmtree(home.probed, ignore_errors=True)
    on_step("pages")
    # The journal's own note, which may hold a query, goes before the pages are written anew.
    for forgetting, _ in pending:
        store.forgotten.wipe(forgetting)
    on_step("journal")
    erase_pages(store.connection)
    for forgetting, _ in pending:
        store.forgotten.finish(forgetting)
    return backups


def _elsewhere(home: Home, wanted: Wanted) -> tuple[str, ...]:
    """Where else the words of a query stand: the agent's memory, folders of runs, backups. They
    may do so alone, as when a turn was never recorded or has expired."""
    if wanted.kind != "query":
        return ()
    words = Words(wanted.what)
    found = [home.checkpoints.name] if remembered(home.checkpoints, words) else []
    for folder in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        if folder.is_dir() and _any_holds(folder, words):
            found.append(f"{home.runs.name}/{folder.name}")
    found += [
        f"{home.backups.name}/{p.name}" for p in copies(home.database) if _would_change(p, words)
    ]
    return tuple(found)


def _would_change(path: Path, words: Words) -> bool:
    try:
        copy = Connection(path, read_only=True)
        try:
            return any_holding(copy, words)
        finally:
            copy.close()
    except (StoreCorrupt, StoreForeign):
        return True  # it would be removed: nobody could say what it holds


def _clean_backups(home: Home, work: dict[str, Any]) -> int:
    """Take the same turns out of our backups. One that is no sound database is removed: nobody
    could say what it holds. Returns how many there are."""
    words = Words(work["query"]) if work["query"] else None
    found = copies(home.database)
    for path in found:
        try:
            _clean_backup(path, work["turns"], words, work["unlearn"])
        except (StoreCorrupt, StoreForeign):
            path.unlink(missing_ok=True)
        for end in BESIDE:
            path.with_name(path.name + end).unlink(missing_ok=True)
    # Copies that were cut off, and what was kept of a damaged database.
    for pattern in ("*.partial*", f"*{DAMAGED}.db*"):
        for path in home.backups.glob(pattern) if home.backups.is_dir() else ():
            path.unlink(missing_ok=True)
    return len(found)


def _clean_backup(path: Path, turns: list[str], words: Words | None, unlearn: bool) -> None:
    copy = Connection(path, read_only=False)
    try:
        with copy.transaction():
            scrub(copy, turns, words, unlearn=unlearn)
        erase_pages(copy)
        leave_log(copy)
    finally:
        copy.close()


def _clean_runs(home: Home, runs: list[str], words: Words | None) -> None:
    """The folders of the runs that used it, or hold it, go; of the others, what is unfinished."""
    for folder in home.runs.iterdir() if home.runs.is_dir() else ():
        if not folder.is_dir():
            continue
        RunFolder(folder).clear()
        (folder / "error.txt").unlink(missing_ok=True)
        if folder.name in runs or (words is not None and _any_holds(folder, words)):
            shutil.rmtree(folder, ignore_errors=True)
    for path in home.logs.glob("*.log") if home.logs.is_dir() else ():
        path.write_bytes(b"")  # a traceback may quote a message


def _any_holds(folder: Path, words: Words) -> bool:
    # Numbers of a training that is under way hold no text, may be larger than the memory, and go
    # in any case.
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not (path.suffix == ".safetensors" or path.parent.name.startswith(".state-"))
    )
    return any(words.in_bytes(path.read_bytes()) for path in files)


def _holder_of(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8")[:20].strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() else 0


def _work(found: Scrubbed, query: str, unlearn: bool) -> dict[str, Any]:
    """What is needed to finish a forgetting that was interrupted."""
    return {
        "turns": found.turns,
        "conversations": found.conversations,
        "runs": found.runs,
        "query": query,
        "unlearn": unlearn,
    }


def _facts(found: Scrubbed) -> dict[str, Any]:
    return {
        "turns": len(found.turns),
        "edited": len(found.edited),
        "feedback": found.feedback,
        "rules": len(found.rules),
        "tainted": found.tainted,
    }


def _sentence(found: Scrubbed) -> str:
    turns = "1 turn was" if len(found.turns) == 1 else f"{len(found.turns)} turns were"
    labels = ", ".join(version_label(version) for version in found.tainted)
    return f"{turns} forgotten" + (f"; learned from that: {labels}" if labels else "")


def _told(found: Scrubbed, backups: int, elsewhere: tuple[str, ...], *, done: bool) -> Forgetting:
    return Forgetting(
        turns=tuple(found.turns),
        conversations=tuple(found.conversations),
        edited=tuple(found.edited),
        feedback=found.feedback,
        rules=tuple(found.rules),
        runs=tuple(found.runs),
        samples=found.samples,
        tainted=tuple(found.tainted),
        backups=backups,
        cells=found.blanked,
        elsewhere=elsewhere,
        done=done,
    )
