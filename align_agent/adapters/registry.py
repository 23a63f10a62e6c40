"""Which adapter versions there are, which one serves, and how that changes.

Versions never change once registered; `champion`, `previous` and `candidate` are names that move
over them, each move with who, why and when. Decides nothing about quality: that is `gate/`.
Version 0 is the base model without an adapter.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.adapters import files, refusals, working
from align_agent.adapters.shelf import bring_in
from align_agent.errors import (
    AdapterDamaged,
    AdapterError,
    GateRefused,
    NotFound,
    PromotionHeld,
)
from align_agent.paths import Home, size_of
from align_agent.records import BASE_VERSION, Adapter, Alias, Verdict, version_label

if TYPE_CHECKING:
    from align_agent.store import Store

log = logging.getLogger(__name__)

HOLD = "promotion_hold"
FALLBACK = "serving_fallback"
FALLBACK_COUNTER = "serving_fallbacks"
INSTEAD = "serving_instead"  # the version that answers while there is a fallback
ROLLED_BACK = "rolled_back_from"
ALIASES: tuple[Alias, ...] = ("champion", "previous", "candidate")


class Registry:
    """The adapter versions of one home. One Registry per Store, so one per thread."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home
        self._verified: dict[int | str, object] = {}
        self._last_good: tuple[int, Path | None] = (BASE_VERSION, None)

    # Reading

    def champion(self) -> int:
        """The version that serves; 0 (the base) before anything was promoted."""
        return self._store.adapters.alias("champion") or BASE_VERSION

    def served(self) -> tuple[int, str]:
        """The version that answers, and why that is not the champion: "" if it is.

        As it was found when the last answer was asked for; reads no adapter's files.
        """
        told = self._store.state.get(FALLBACK)
        if not told:
            return self.champion(), ""
        return int(self._store.state.get(INSTEAD) or BASE_VERSION), told

    def resolve(self, name: str | int) -> int:
        """The version that "champion", "previous", "candidate", "base", "v3" or "3" means.

        Raises NotFound for a name without a version, and for a version that never existed.
        """
        text = str(name).strip().lower()
        if text == "base":
            return BASE_VERSION
        if text == "champion":
            return self.champion()
        if text in ALIASES:
            version = self._store.adapters.alias(text)
            if version is None:
                raise NotFound(
                    f"no adapter is called {text} now", hint="see `align-agent adapters list`"
                )
            return version
        digits = text.removeprefix("v")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
            raise NotFound(
                f"there is no adapter {str(name)[:60]!r}",
                hint="use base, champion, previous, candidate, or a version such as v3",
            )
        version = int(digits)
        if version != BASE_VERSION:
            self._store.adapters.get(version)
        return version

    def folder(self, version: int) -> Path:
        """Where a version's files lie, whether or not they are there."""
        return self._home.adapters / files.folder_name(version)

    def path(self, version: int, *, base: str = "", base_hash: str = "") -> Path | None:
        """The verified folder of a version, None for the base.

        Raises NotFound, AdapterDamaged (a file is missing or differs from its manifest) and
        WrongBase (trained on another base than the one that is asked for).
        """
        if version == BASE_VERSION:
            return None
        adapter = self._alive(version)
        if base_hash and adapter.base_hash and adapter.base_hash != base_hash:
            raise refusals.wrong_base(adapter, base)
        folder = self.folder(version)
        self._verify(version, folder, adapter.manifest_sha256)
        return folder

    def serving(
        self, base: str = "", base_hash: str = "", *, ahead: bool = False
    ) -> tuple[int, Path | None]:
        """The version to answer with now: the champion, else previous, else the base.

        A champion that is damaged or of another base is passed over, with an event and a count.
        `ahead`: nobody waits for an answer, so nothing is counted.
        Never raises: when even the database cannot be read, the last good version serves on.
        """
        try:
            chosen, problems = self._first_usable(base, base_hash)
            self._report_fallback(chosen, problems, count=not ahead)
            self._last_good = (chosen, None if chosen == BASE_VERSION else self.folder(chosen))
        except Exception:
            # Answering matters more than the registry: the failure is logged, the chat goes on.
            log.exception("the adapter registry cannot be read; serving the last good version")
        return self._last_good

    def answering(
        self, base: str = "", base_hash: str = "", *, ahead: bool = False
    ) -> tuple[int, Path | None]:
        """`serving`, with the working adapter in its place where one began from that version.

        A damaged one is given up. Never raises, as `serving`.
        """
        version, path = self.serving(base, base_hash, ahead=ahead)
        try:
            step = working.current(self._store, self._home, version, base_hash)
            if step is not None:
                self._verify(working.KEY, step)
                return version, step
        except AdapterError as error:
            log.error("%s", error.message)
            working.give_up(self._store, error.message)
        except Exception:
            log.exception("the working adapter cannot be read; the champion answers")
        return version, path

    def lineage(self, version: int) -> list[str]:
        """The ids of the turns whose text shaped the version's weights (trained on, or anchors)."""
        if version == BASE_VERSION:
            return []
        adapter = self._store.adapters.get(version)
        uses = self._store.runs.turns_of(adapter.run_id)
        return [turn_id for turn_id, use, _ in uses if use in ("train", "anchor")]

    # Registering

    def register(
        self,
        staged: Path,
        *,
        base: str,
        base_hash: str,
        run_id: str,
        parent: int = BASE_VERSION,
        rank: int = 0,
        verdict: Verdict = "review",
        reasons: tuple[str, ...] = (),
    ) -> Adapter:
        """Copy `staged` into a new version, whole or not at all. The source stays where it is.

        Registering the same run again returns what the first call made, also when a crash came
        between the folder and the row. A version that may serve becomes `candidate`.
        Raises AdapterError, DiskFull.
        """
        known = self._of_run(run_id)
        if known is not None:
            return known
        adapter = replace(
            self._brought_in(staged, base, base_hash, run_id),
            verdict=verdict,
            parent=parent,
            rank=rank,
            reasons=tuple(reasons),
        )
        with self._store.transaction():
            self._store.adapters.add(adapter)
            if verdict != "reject":
                why = f"{run_id} ended with the verdict {verdict}"
                self._store.adapters.set_alias("candidate", adapter.version, why=why, who="night")
        return adapter

    def take_in(self, source: Path, *, base: str, base_hash: str, why: str) -> Adapter:
        """Copy a folder from elsewhere into a new version, which waits for review: no gate of this
        home has seen it. Checks nothing; that is `carried.py`. Raises AdapterError, DiskFull.
        """
        adapter = replace(self._brought_in(source, base, base_hash), reasons=(why,))
        with self._store.transaction():
            self._store.adapters.add(adapter)
            what = f"{adapter.label}: {why}"
            self._store.events.add("imported", what, version=adapter.version)
        return adapter

    def _brought_in(self, source: Path, base: str, base_hash: str, run_id: str = "") -> Adapter:
        version = bring_in(
            self._store.adapters,
            self._home.adapters,
            source,
            base=base,
            base_hash=base_hash,
            run_id=run_id,
        )
        folder = self.folder(version)
        return Adapter(
            version=version,
            base=base,
            base_hash=base_hash,
            run_id=run_id,
            verdict="review",
            size_bytes=size_of(folder),
            manifest_sha256=files.manifest_digest(folder),
        )

    def _of_run(self, run_id: str) -> Adapter | None:
        found = [a for a in self._store.adapters.list() if a.run_id == run_id]
        return found[0] if found and run_id else None

    # Moving the names

    def promote(
        self, version: int, *, why: str, who: str = "user", force: bool = False
    ) -> tuple[int, int]:
        """Make a version the champion; the champion of before becomes `previous`.

        Returns (old, new). Only the user may promote while promotion is held, or promote a
        version that waits for review. Raises PromotionHeld, GateRefused (for a rejected version
        unless `force`), NotFound, AdapterDamaged.
        """
        if version != BASE_VERSION:
            self._may_serve(self._store.adapters.get(version), who, force)
            self._verified.pop(version, None)
            self.path(version)
        with self._store.transaction():
            # Asked inside the transaction: while the files are read, a rollback may come, a
            # forgetting, or a prune.
            held = self.held()
            if held and who != "user":
                raise PromotionHeld(
                    f"promotion is held: {held}",
                    hint="release it with `align-agent adapters release`",
                )
            old = self.champion()
            if old == version:
                return old, version
            if version != BASE_VERSION:
                self._may_serve(self._alive(version), who, force)
            self._move("previous", old, why=why, who=who)
            self._move("champion", version, why=why, who=who)
            if self._store.adapters.alias("candidate") == version:
                self._move("candidate", None, why=why, who=who)
            self._store.events.add(
                "promoted", f"{version_label(version)} serves: {why}", old=old, new=version, who=who
            )
        return old, version

    def rollback(self, *, why: str, who: str = "user") -> tuple[int, int]:
        """Swap `champion` and `previous`, and hold promotion. Returns (old, new).

        Raises NotFound when no other version served before, UsageError right after another rollback
        (the way back would lead forward), AdapterDamaged when the version to go back to cannot be
        used, GateRefused when it learned from what was forgotten since.
        """
        if rolled_back := self.rolled_back():
            raise refusals.rolled_back(rolled_back, self.champion())
        previous = self._store.adapters.alias("previous")
        if previous is None or previous == self.champion():
            raise refusals.nothing_before()
        self._verified.pop(previous, None)
        try:
            self.path(previous)
        except AdapterDamaged as error:
            raise AdapterDamaged(error.message, hint=refusals.TO_THE_BASE) from error
        with self._store.transaction():
            old = self.champion()
            # Asked again: another process may have been quicker while the files were read.
            if gone := self.rolled_back():
                raise refusals.rolled_back(gone, old)
            if self._store.adapters.alias("previous") != previous:
                raise refusals.overtaken()
            if previous != BASE_VERSION and self._alive(previous).tainted:
                raise refusals.tainted(previous)
            self._move("champion", previous, why=why, who=who)
            self._move("previous", old, why=why, who=who)
            self._store.state.set(ROLLED_BACK, version_label(old))
            message = f"rolled back from {version_label(old)} to {version_label(previous)}"
            self._store.state.set(HOLD, f"{message} ({why})" if why else message)
            self._store.events.add("rolled_back", f"{message}: {why}", old=old, new=previous)
        return old, previous

    def rolled_back(self) -> str:
        """The version that was rolled back from, "" once the names have moved since."""
        return self._store.state.get(ROLLED_BACK)

    def hold(self, reason: str) -> None:
        """Let no night promote until `release`."""
        with self._store.transaction():
            self._store.state.set(HOLD, reason or "held by the user")
            self._store.events.add("held", f"promotion is held: {reason}")

    def release(self) -> None:
        """Let nights promote again."""
        with self._store.transaction():
            if self.held():
                self._store.events.add("released", "promotion is released")
            self._store.state.set(HOLD, "")

    def held(self) -> str:
        """Why promotion is held, or the empty string."""
        return str(self._store.state.get(HOLD, ""))

    # Keeping house

    def pin(self, version: int, pinned: bool = True) -> Adapter:
        """Protect a version from `prune`, or stop doing so. Raises NotFound."""
        adapter = self._store.adapters.get(version)
        if adapter.pinned != pinned:
            with self._store.transaction():
                self._store.adapters.update(version, pinned=pinned)
                word = "is kept whatever prune does" if pinned else "may be pruned again"
                kind = "pinned" if pinned else "unpinned"
                self._store.events.add(kind, f"{adapter.label} {word}", version=version)
        return replace(adapter, pinned=pinned)

    def prune(self, keep: int, dry_run: bool = False) -> list[int]:
        """Delete the files of the oldest versions so that `keep` remain. Returns their numbers.

        Champion, previous, candidate and pinned versions always stay, and count among the kept.
        The rows stay, marked deleted: a number is never used twice.
        """
        with self._store.transaction():
            alive = [a for a in self._store.adapters.list() if not a.deleted]
            names = {self._store.adapters.alias(alias) for alias in ALIASES}
            safe = {a.version for a in alive if a.pinned or a.version in names}
            newest = sorted((a.version for a in alive), key=lambda v: (v in safe, v), reverse=True)
            doomed = sorted(v for v in newest[max(keep, 0) :] if v not in safe)
            if dry_run or not doomed:
                return doomed
            self._note_gone(doomed, "pruned")
        for version in doomed:
            files.remove(self.folder(version))
        return doomed

    def delete(self, versions: Sequence[int], *, why: str, dry_run: bool = False) -> list[int]:
        """Delete the files of these versions, whatever they are called. Returns their numbers.

        A name that points at one moves on: the champion to the version before it if that stays,
        else to the base. The rows stay, marked deleted. Raises NotFound.
        """
        alive = [self._store.adapters.get(version) for version in sorted(set(versions))]
        doomed = [adapter.version for adapter in alive if not adapter.deleted]
        if dry_run or not doomed:
            return doomed
        with self._store.transaction():
            for alias in ALIASES:
                if self._store.adapters.alias(alias) in doomed:
                    self._move(alias, self._instead(alias, doomed), why=why, who="user")
            self._note_gone(doomed, "deleted", f": {why}")
        for version in doomed:
            files.remove(self.folder(version))
        return doomed

    def _note_gone(self, doomed: Sequence[int], kind: str, why: str = "") -> None:
        for version in doomed:
            self._store.adapters.update(version, deleted=True)
        listed = ", ".join(version_label(version) for version in doomed)
        self._store.events.add(kind, f"removed the files of {listed}{why}")

    def _instead(self, alias: Alias, doomed: Sequence[int]) -> int | None:
        if alias == "candidate":
            return None
        previous = self._store.adapters.alias("previous")
        stays = previous and previous not in doomed
        if alias != "champion" or not stays or self._store.adapters.get(previous or 0).tainted:
            return BASE_VERSION
        return previous

    def tainted(self) -> list[int]:
        """The versions with files that learned from what was forgotten since."""
        return [a.version for a in self._store.adapters.list() if a.tainted and not a.deleted]

    def sweep(self) -> list[Path]:
        """Remove what crashed installs and prunes left behind. Returns the removed folders."""
        gone = files.leftovers(self._home.adapters)
        deleted = [a.version for a in self._store.adapters.list() if a.deleted]
        gone += [self.folder(v) for v in deleted if self.folder(v).exists()]
        for folder in gone:
            files.remove(folder)
        return gone

    # Inside

    def _alive(self, version: int) -> Adapter:
        """The row of a version whose files were not removed. Raises NotFound, AdapterDamaged."""
        adapter = self._store.adapters.get(version)
        if adapter.deleted:
            raise refusals.pruned(adapter)
        return adapter

    def _first_usable(self, base: str, base_hash: str) -> tuple[int, list[str]]:
        problems: list[str] = []
        champion = self.champion()
        previous = self._store.adapters.alias("previous") or BASE_VERSION
        if champion == BASE_VERSION:
            return BASE_VERSION, problems
        for version in (champion, previous):
            if version == BASE_VERSION:
                continue
            try:
                self.path(version, base=base, base_hash=base_hash)
            except (AdapterError, NotFound) as error:
                problems.append(error.message)
            else:
                return version, problems
        return BASE_VERSION, problems

    def _report_fallback(self, chosen: int, problems: list[str], count: bool) -> None:
        message = ""
        if problems:
            message = f"{problems[0]}; {version_label(chosen)} serves instead"
            if count:
                self._store.counters.bump(FALLBACK_COUNTER)
        if message == str(self._store.state.get(FALLBACK, "")):
            return
        # One event per change, not per turn: a broken champion is asked for all day.
        with self._store.transaction():
            self._store.state.set(FALLBACK, message)
            self._store.state.set(INSTEAD, str(chosen) if message else "")
            if message:
                self._store.events.add(FALLBACK, message, serving=chosen)
        if message:
            log.error(message)

    def _may_serve(self, adapter: Adapter, who: str, force: bool) -> None:
        if adapter.verdict == "reject" and not force:
            why = "; ".join(adapter.reasons) or "the gate gave no reason"
            raise GateRefused(
                f"the gate rejected {adapter.label}: {why}",
                hint=f"look with `align-agent adapters compare champion {adapter.label}`, "
                "or insist with --force",
            )
        if adapter.tainted and not force:
            raise refusals.tainted(adapter.version)
        if adapter.verdict == "review" and who != "user":
            raise GateRefused(
                f"{adapter.label} waits for your review",
                hint=f"promote it yourself: `align-agent adapters promote {adapter.label}`",
            )

    def _verify(self, key: int | str, folder: Path, manifest: str = "") -> None:
        """Read a folder's files through, unless they are as they were the last time."""
        seen = files.signature(folder)
        if not seen or self._verified.get(key) != seen:
            files.verify(folder, manifest)
            self._verified[key] = seen

    def _move(self, alias: Alias, version: int | None, *, why: str, who: str) -> None:
        self._store.adapters.set_alias(alias, version, why=why, who=who)
        if alias != "candidate":
            self._store.state.set(ROLLED_BACK, "")
        if alias == "champion":
            self._store.state.set(FALLBACK, "")  # said of the one before
            working.give_up(self._store, f"{version_label(version or BASE_VERSION)} serves now")
