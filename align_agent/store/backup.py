"""Copies of a database, and the exchange of one for another. Knows no table.

A copy is made through SQLite, so that it is whole while others write, and one file. The exchange is
either done or not, wherever it is killed; what was there before is kept.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from align_agent.errors import StoreCorrupt, StoreError
from align_agent.paths import fsync
from align_agent.store.connection import Connection, is_open_here, refused
from align_agent.store.lost import DAMAGED, backups_of, is_empty

REPLACED = "-replaced"  # how the name of a copy ends that was kept before another was put back
BESIDE = ("-wal", "-shm", "-journal")  # how the names of files end that SQLite lays beside one
_OURS = "align-"  # how the names of copies begin that are made here
_PATIENCE_S = 2.0


def place_for(path: Path, ending: str = "") -> Path:
    """Where a copy of the database belongs that is made now: `backups/` beside it."""
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return backups_of(path) / f"{_OURS}{moment}{ending}.db"


def copies(path: Path) -> list[Path]:
    """The copies beside a database, the newest first; whatever else lies there comes before."""
    found = backups_of(path).glob("*.db")
    return sorted(found, key=lambda copy: (not _is_ours(copy), copy.name), reverse=True)


def prune(path: Path, keep: int, *, dry_run: bool = False) -> list[Path]:
    """Delete the oldest copies so that `keep` remain. Returns them, the newest first.

    Files that were not made here stay. Raises DiskFull or StoreError.
    """
    doomed = [copy for copy in copies(path) if _is_ours(copy)][max(keep, 0) :]
    for copy in () if dry_run else doomed:
        try:
            copy.unlink(missing_ok=True)
        except OSError as error:
            raise refused(error, copy) from error
    return doomed


def _is_ours(copy: Path) -> bool:
    return copy.name.startswith(_OURS)


def back_up(connection: Connection, target: Path) -> Path:
    """Copy the whole database, as it is at this moment, to a private file. Returns the file.

    Raises StoreError when the target exists already.
    """
    if target.exists():
        raise StoreError(f"{target} exists already", hint="name another file")
    with copied(connection, target.with_name(f"{target.name}.partial")) as partial:
        partial.rename(target)
    return target


@contextmanager
def copied(connection: Connection, partial: Path) -> Iterator[Path]:
    """A copy that is being made ready: gone after the block, unless it was moved away."""
    leavings = [partial.with_name(partial.name + end) for end in ("", *BESIDE)]
    try:
        partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in leavings:
            path.unlink(missing_ok=True)
        copy = Connection(partial, read_only=False)
        try:
            with connection.translated(), copy.translated():
                connection.raw.backup(copy.raw)
            leave_log(copy)
        finally:
            copy.close()
        yield partial
    except OSError as error:
        raise refused(error, partial) from error
    finally:
        with suppress(OSError):  # what kept it from being made is told already
            for path in leavings:
                path.unlink(missing_ok=True)


def leave_log(connection: Connection) -> None:
    """Bring all into one file that can be copied anywhere, without a -wal beside it."""
    connection.execute("pragma journal_mode = delete")


def is_in_use(path: Path) -> bool:
    """Whether any connection to the database is open, as far as the locks on its files tell."""
    if is_open_here(path):
        return True
    return any(_is_locked(file) for file in (path, path.with_name(f"{path.name}-shm")))


def _is_locked(file: Path) -> bool:
    """Whether another process has a lock on some byte, as SQLite takes them."""
    try:
        with file.open("r+b") as opened:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise refused(error, file) from error
    return False


def exchange(path: Path, staged: Path) -> Path | None:
    """Let the database at `path` hold what `staged` holds, which is gone afterwards, and keep what
    was there. Returns the copy, None where there was nothing.

    What is no database is moved away. Raises StoreLocked where anybody has it open, StoreForeign.
    """
    if is_empty(path):
        return _move_in(path, staged)
    try:
        present = Connection(path, read_only=False, busy_seconds=_PATIENCE_S)
    except StoreCorrupt:
        return _move_in(path, staged)
    try:
        _lock_out_others(present)
        kept = back_up(present, place_for(path, REPLACED if _is_sound(present) else DAMAGED))
        # Into the same file, and in one transaction: who waits for it now never sees another one,
        # nor puts a log beside it that belongs to the old.
        new = Connection(staged, read_only=True)
        try:
            with new.translated(), present.translated():
                new.raw.backup(present.raw)
        finally:
            new.close()
    finally:
        present.close()
    return kept


def sweep(backups: Path) -> None:
    """Remove what exchanges left that were killed. None may be under way."""
    for ending in (REPLACED, DAMAGED):
        for path in backups.glob(f"*{ending}.db.partial*"):
            path.unlink(missing_ok=True)


def _is_sound(connection: Connection) -> bool:
    try:
        return bool(connection.value("pragma quick_check(1)") == "ok")
    except StoreCorrupt:
        return False


def _lock_out_others(connection: Connection) -> None:
    with connection.transaction():
        pass  # raises what is wrong with the disk
    with connection.translated():
        connection.raw.execute("pragma locking_mode = exclusive")
        # SQLite leaves the log only where nobody else has the file open. The lock stays.
        connection.raw.execute("pragma journal_mode = delete")
        connection.raw.execute("begin exclusive")
        connection.raw.execute("commit")


def _move_in(path: Path, staged: Path) -> Path | None:
    """Put the file where there is no database. What lies there, and its log, is moved away first:
    a log beside another file would be read into it."""
    kept = None
    target = place_for(path, DAMAGED)
    try:
        for end in ("", "-wal", "-journal"):
            old = path.with_name(path.name + end)
            if old.exists() and old.stat().st_size:
                old.rename(target.with_name(target.name + end))
                kept = target if not end else kept
        for end in BESIDE:
            path.with_name(path.name + end).unlink(missing_ok=True)
        staged.rename(path)
        fsync(path.parent)
    except OSError as error:
        raise refused(error, path) from error
    return kept
