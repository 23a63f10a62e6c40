"""The working adapter: what serves between two nights, moved by one small step at a time.

Each step is a folder of its own that never changes (`working/0003/`); the state in the database
names those that count, in order, and the champion that they began from. Undoing a step takes its
name away, so that what answered before answers again, byte for byte. When another version becomes
the champion the working adapter is over: the night, or the user, has decided.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters import files
from align_agent.errors import NotFound
from align_agent.paths import Home
from align_agent.records import now

if TYPE_CHECKING:
    from align_agent.store import Store

KEY = "working_adapter"
KEPT = 10  # steps that can be taken back; each is a whole adapter on the disk


@dataclass(frozen=True, slots=True)
class Standing:
    """The steps that count. `older` ones came before those that are kept, `spare` are undone but
    may still be answering."""

    champion: int
    base_hash: str
    steps: tuple[str, ...]
    older: int = 0
    spare: tuple[str, ...] = ()
    at: str = ""

    @property
    def count(self) -> int:
        return self.older + len(self.steps)


def standing(store: Store) -> Standing | None:
    """What the database names; None when no step counts."""
    try:
        data = json.loads(store.state.get(KEY) or "null")
        steps, spare = tuple(data.pop("steps")), tuple(data.pop("spare"))
        return Standing(steps=steps, spare=spare, **data)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None  # nothing there, or it was blanked since it held what was forgotten


def current(store: Store, home: Home, champion: int, base_hash: str = "") -> Path | None:
    """The folder of the last step, if it began from this champion of this base; else None."""
    found = standing(store)
    if found is None or not found.steps or found.champion != champion:
        return None
    if base_hash and found.base_hash != base_hash:
        return None
    return home.working / found.steps[-1]


def number(store: Store, home: Home, folder: Path | None) -> int:
    """Which step an adapter's folder is, of those that count; 0 where it is none of them."""
    found = standing(store)
    if found is None or folder is None or folder.parent != home.working:
        return 0
    return found.older + found.steps.index(folder.name) + 1 if folder.name in found.steps else 0


def advance(
    store: Store, home: Home, write: Callable[[Path], None], champion: int, base_hash: str
) -> Path:
    """Make what `write` puts into a folder the next step: whole or not at all. Returns its folder.

    Raises AdapterError, DiskFull; what answered before answers on.
    """
    staging = files.staging_folder(home.working)
    try:
        write(staging)
        files.write_manifest(staging, base_hash=base_hash, champion=champion)
        with store.transaction():
            before = standing(store)
            numbers = (int(p.name) for p in home.working.glob("[0-9]*"))
            folder = home.working / f"{max(numbers, default=0) + 1:04d}"
            files.install(staging, folder)
            fresh = Standing(champion, base_hash, ())
            same = before and (before.champion, before.base_hash) == (champion, base_hash)
            begun = before if before and same else fresh
            steps = (*begun.steps, folder.name)
            older = begun.older + max(0, len(steps) - KEPT)
            _set(store, replace(fresh, steps=steps[-KEPT:], older=older, at=now()))
    except BaseException:
        files.remove(staging)
        raise
    # What was undone a moment ago may still be answering: it goes a step later.
    _sweep(store, home, before.spare if before else ())
    return folder


def undo(store: Store) -> int:
    """Take the last step back: what answered before it answers again, byte for byte.

    Returns how many steps are left. Raises NotFound when there is none that can be.
    """
    with store.transaction():
        found = standing(store)
        if found is None or not found.steps:
            raise NotFound("there is no step to undo", hint="steps are taken with learn.live: true")
        if len(found.steps) == 1 and found.older:
            raise NotFound(
                f"only the last {KEPT} steps are kept, and they are undone",
                hint="`align-agent distill run` learns from the log afresh",
            )
        steps, spare = found.steps[:-1], (*found.spare, found.steps[-1])
        _set(store, replace(found, steps=steps, spare=spare))
        left = found.older + len(steps)
        store.events.add("live_undone", f"a step was taken back, {left} left")
    return left


def give_up(store: Store, why: str) -> None:
    """Let the champion answer again. The files go with the next step, or with `clear`."""
    with store.transaction():
        if standing(store) is not None:
            store.state.set(KEY, "")
            store.events.add("live_over", f"the working adapter is over: {why}")


def clear(home: Home) -> None:
    """Remove the files of every step, whoever answers with them: they learned from what is to go.
    `give_up` comes first."""
    if home.working.is_dir():
        for folder in home.working.iterdir():
            files.remove(folder)


def _set(store: Store, at: Standing) -> None:
    store.state.set(KEY, json.dumps(asdict(at)))


def _sweep(store: Store, home: Home, spared: tuple[str, ...]) -> None:
    # Within a transaction: another process may be taking a step of its own.
    with store.transaction():
        found = standing(store)
        kept = {*spared, *(found.steps + found.spare if found else ())}
        for folder in home.working.glob("[0-9]*"):
            if folder.name not in kept:
                files.remove(folder)
    for folder in files.leftovers(home.working):
        files.remove(folder)
