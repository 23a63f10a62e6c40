"""The one way in for a live turn: a bounded queue and one writer. Reads no feedback itself.

`record` costs the caller the time of a list's append. Everything that can fail happens in the
writer's thread, where it is retried, counted and logged.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from align_agent.capture.ignore import Ignore
from align_agent.capture.redact import redact_turn
from align_agent.config import PrivacyConfig
from align_agent.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreTooNew,
)
from align_agent.records import Turn
from align_agent.store import Store

log = logging.getLogger(__name__)

OnStored = Callable[[Store, Turn], None]
T = TypeVar("T")

_TOGETHER = 64  # turns in one transaction, when so many wait
_HOPELESS = (StoreCorrupt, StoreForeign, StoreTooNew)


class Recorder:
    """Stores turns in the background.

    `on_stored` is called in the writer's thread with its store and the turn as it was stored. A
    disk that refuses is tried again for `retry_seconds`; then turns fail at once, and are counted,
    until it takes one again.
    """

    def __init__(
        self,
        db_path: Path,
        privacy: PrivacyConfig,
        *,
        queue_size: int = 1000,
        on_stored: OnStored | None = None,
        retry_seconds: float = 30.0,
    ) -> None:
        self._path = Path(db_path)
        self._personal = privacy.redact_personal
        self._ignore = Ignore(privacy.ignore)
        self._size = queue_size
        self._on_stored = on_stored
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Turn, bool]] = deque()  # with whether it is to be kept out
        self._busy = 0  # turns that the writer has in hand
        self._closed = False
        self._counts: Counter[str] = Counter()
        self._unsaved: Counter[str] = Counter()
        self._refusing = False
        self._thread: threading.Thread | None = None
        self._store: Store | None = None  # of the writer's thread alone
        self.last_error = ""

    def record(self, turn: Turn, *, keep_out: bool = False) -> bool:
        """Queue a turn; False when it was dropped, because the queue is full or closed.

        With `keep_out` it is left out, from later prompts too, as if a pattern had named it. Never
        waits for the disk, and never raises.
        """
        with self._changed:
            if not self._closed and len(self._waiting) < self._size and self._started():
                self._waiting.append((turn, keep_out))
                self._changed.notify_all()
                return True
            self._count("dropped")
            dropped = self._counts["dropped"]
        if dropped & (dropped - 1) == 0:  # the 1st, 2nd, 4th, 8th ...: a flood fills no log
            log.warning("a turn was dropped: the queue is full or closed (%d so far)", dropped)
        return False

    @property
    def stats(self) -> dict[str, int]:
        """recorded, dropped, failed, ignored, known, unread and pending turns of this recorder.

        known: had been stored before. unread: stored, but `on_stored` raised.
        """
        with self._changed:
            names = ("recorded", "dropped", "failed", "ignored", "known", "unread")
            pending = len(self._waiting) + self._busy
            return {name: self._counts[name] for name in names} | {"pending": pending}

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Wait until every queued turn is stored or counted as failed; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(self._idle, timeout)

    def close(self, timeout: float | None = 10.0) -> bool:
        """Store what is queued, then stop the writer. False when time ran out before the end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
            atexit.unregister(self.close)
        with self._changed:
            return self._idle()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _idle(self) -> bool:
        return not self._waiting and not self._busy

    def _started(self) -> bool:
        """Start the writer with the first turn: a recorder that is never used costs nothing.

        False when the system gives no more threads, or the program is ending.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self.last_error = str(error)
                return False
            self._thread = thread
            # A daemon thread is cut off when the program ends; what is queued should not be.
            atexit.register(self.close)
        return True

    def _count(self, name: str, by: int = 1) -> None:
        with self._changed:
            self._counts[name] += by
            self._unsaved[f"capture.{name}"] += by

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    break
                count = min(len(self._waiting), _TOGETHER)
                batch = [self._waiting.popleft() for _ in range(count)]
                self._busy = count
            for turn, keep_out in [] if self._stored_together(batch) else batch:
                try:
                    self._record_one(turn, keep_out)
                except Exception as error:
                    self._failed(error)
            with self._changed:
                self._busy = 0
                self._changed.notify_all()
        self._finish()

    def _stored_together(self, batch: Sequence[tuple[Turn, bool]]) -> bool:
        """Store many in one transaction, which takes a disk no longer than one turn.

        All or none. Where anything is out of the ordinary the turns go one by one, and what is
        wrong is told and counted there.
        """
        store = self._store
        if store is None or len(batch) < 2:
            return False
        noted: Counter[str] = Counter()
        fresh: list[Turn] = []
        try:
            if any(keep_out or self._ignore.matches(turn) for turn, keep_out in batch):
                return False
            with store.transaction():
                for turn, _ in batch:
                    clean, found = redact_turn(turn, self._personal)
                    is_new = store.turns.add(clean)
                    noted["capture.recorded" if is_new else "capture.known"] += 1
                    if is_new:
                        noted.update({f"redacted.{kind}": number for kind, number in found.items()})
                        fresh.append(clean)
        except Exception as error:
            log.info("%d turns are stored one by one: %s", len(batch), error)
            return False
        with self._changed:
            self._unsaved += noted
            for name in ("recorded", "known"):
                self._counts[name] += noted[f"capture.{name}"]
        self._refusing = False
        self._read_together(store, fresh)
        self._save_counts(store)
        return True

    def _read_together(self, store: Store, turns: Sequence[Turn]) -> None:
        """Hand on turns that are safely stored; one by one when that fails for any of them."""
        if self._on_stored is None:
            return
        try:
            with store.transaction():
                for turn in turns:
                    self._on_stored(store, store.turns.get(turn.id))
        except Exception as error:
            log.info("%d turns are read one by one: %s", len(turns), error)
            for turn in turns:
                self._read(store, turn)

    def _finish(self) -> None:
        """Leave the counters in the store, if it can be opened at all."""
        try:
            if self._store is None and self._unsaved:
                self._store = Store.open(self._path, busy_seconds=1.0)
            if self._store is not None:
                self._save_counts(self._store)
                self._store.close()
        except StoreError as error:
            log.warning("counters could not be stored: %s", error)

    def _record_one(self, turn: Turn, keep_out: bool) -> None:
        if keep_out or self._ignore.matches(turn):
            self._leave_out(turn)
        else:
            self._add(turn)
        if self._store is not None:
            self._save_counts(self._store)

    def _add(self, turn: Turn) -> None:
        clean, found = redact_turn(turn, self._personal)
        store, is_new = self._tried(lambda store: (store, store.turns.add(clean)))
        self._count("recorded" if is_new else "known")
        if is_new:
            with self._changed:
                for kind, number in found.items():
                    self._unsaved[f"redacted.{kind}"] += number
            self._read(store, clean)

    def _leave_out(self, turn: Turn) -> None:
        """Clients replay what was said: it must not come in with a later prompt either."""
        clean, _ = redact_turn(turn, self._personal)
        self._tried(lambda store: store.forgotten.never(clean.user_text, clean.answer))
        self._count("ignored")

    def _tried(self, work: Callable[[Store], T]) -> T:
        """Do some work on the store, again and again while the disk refuses and there is time."""
        deadline = time.monotonic() + (0 if self._refusing else self._retry_seconds)
        pause = 0.05
        while True:
            try:
                if self._store is None:
                    self._store = Store.open(self._path)
                done = work(self._store)
            except StoreError as error:
                # A fresh connection: the disk may have come back as another one.
                if self._store is not None:
                    self._store.close()
                    self._store = None
                if isinstance(error, _HOPELESS) or not self._wait(pause, deadline):
                    self._refusing = True
                    raise
                pause = min(2 * pause, 2.0)
            else:
                self._refusing = False
                return done

    def _wait(self, pause: float, deadline: float) -> bool:
        """Pause before another try; False when there is no time left, or we are closing."""
        if time.monotonic() + pause > deadline:
            return False
        with self._changed:
            return not self._changed.wait_for(lambda: self._closed, pause)

    def _read(self, store: Store, turn: Turn) -> None:
        if self._on_stored is None:
            return
        try:
            self._on_stored(store, store.turns.get(turn.id))
        except Exception as error:
            self._count("unread")
            self.last_error = f"{type(error).__name__}: {error}"
            log.exception("turn %s is stored, but reading its feedback failed", turn.id)

    def _failed(self, error: Exception) -> None:
        self._count("failed")
        self.last_error = str(error) or type(error).__name__
        expected = isinstance(error, StoreError)
        log.error("a turn was not recorded: %s", self.last_error, exc_info=not expected)

    def _save_counts(self, store: Store) -> None:
        """Add what was counted to the store's counters, which outlive this process."""
        with self._changed:
            unsaved, self._unsaved = self._unsaved, Counter()
        # What is in the store can be counted there; only what is not needs a counter.
        unsaved.pop("capture.recorded", None)
        unsaved.pop("capture.known", None)
        if not unsaved:
            return
        try:
            with store.transaction():
                for name, by in unsaved.items():
                    store.counters.bump(name, by)
        except StoreError as error:
            with self._changed:
                self._unsaved += unsaved
            log.warning("counters could not be stored: %s", error)
