"""One SQLite connection: opening it safely, and turning SQLite's errors into ours.

Reads and writes rows with plain SQL; sqlite-utils (schema changes) shares the same connection.
Knows no table.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.errors import (
    DiskFull,
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreLocked,
)
from align_agent.store.lost import way_back
from align_agent.store.text import storable

if TYPE_CHECKING:
    import sqlite_utils

APPLICATION_ID = 0x416C4167  # "AlAg"
_MAGIC = b"SQLite format 3\x00"
_BUSY_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 1.0  # how long a refusal of the disk is believed while the file stays the same
_IO_FULL = {  # extended codes of I/O errors that a full disk or a quota brings about
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}

_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}

Row = dict[str, Any]
Identity = tuple[int, ...]

# The files that this process has connections to. A system forgets all of a process's locks on a
# file when the process closes it anywhere, so a file that SQLite works on must not be opened
# besides: the next process that leaves would take itself for the last, and remove the log that
# this one goes on writing to.
_OPENING = threading.RLock()
_OPEN: Counter[Identity] = Counter()


class ConstraintError(StoreError):
    """A row would point at something that is not there, or exists already."""


class Connection:
    """A connection to a store's file, for one thread. Raises only `StoreError`s.

    On a disk that is full or may only be read it opens for reading: whatever wants to write then
    raises what is wrong with the disk. Once the disk takes something again, it is opened as asked.
    """

    def __init__(self, path: Path, *, read_only: bool, busy_seconds: float = _BUSY_SECONDS) -> None:
        self.path = path
        self.read_only = read_only
        self._asked = (read_only, busy_seconds)
        self._refusal: StoreError | None = None
        try:
            self._open(busy_seconds)
        except StoreError as error:
            if not _still(path, error):
                raise
            self.read_only, self._refusal = True, error
            self._open(busy_seconds)
            self._believe()

    def _open(self, busy_seconds: float) -> None:
        with _OPENING:
            if self._refusal is None:
                _check_file(self.path, read_only=self.read_only)
            with self.translated():
                mode = (
                    "immutable=1" if self._refusal else "mode=ro" if self.read_only else "mode=rw"
                )
                self._raw = _connect(self.path, mode, busy_seconds)
            self._file = _identity(self.path)
            _OPEN[self._file] += 1
        try:
            with self.translated():
                self._check_owner()
                _configure(self._raw, read_only=self.read_only, busy_seconds=busy_seconds)
        except BaseException:
            self.close()
            raise

    def _believe(self) -> None:
        """Take the refusal for granted for a while. What asking made beside the file is no news."""
        self._seen = _stamp(self.path)
        self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS

    def _ask_again(self) -> None:
        """Where the disk refused: open as it was asked for, or look at the file as it is now.

        The view without locks sees nothing of what others write, so it must not be kept for long.
        """
        if self._refusal is None or self._raw.in_transaction:
            return
        if time.monotonic() < self._ask_at and _stamp(self.path) == self._seen:
            return
        if _identity(self.path) != self._file:
            return  # moved away: opening would make a blank one in its place
        read_only, busy_seconds = self._asked
        try:
            now = Connection(self.path, read_only=read_only, busy_seconds=busy_seconds)
        except StoreError:  # such as a log that cannot be read: the next question may fare better
            return
        finally:
            self._believe()
        self.close()
        self._raw, self._file, self._refusal = now._raw, now._file, now._refusal
        self.read_only = now.read_only
        self.__dict__.pop("utils", None)  # speaks to the connection that is closed

    @property
    def raw(self) -> sqlite3.Connection:
        """SQLite's own connection: ask for it anew each time, it may be another one by then."""
        self._ask_again()
        return self._raw

    @cached_property
    def utils(self) -> sqlite_utils.Database:
        """The same connection as a sqlite-utils database: schema changes, maintenance."""
        # Imported here: it takes longer than everything that `align-agent status` does.
        import sqlite_utils

        return sqlite_utils.Database(self.raw, recursive_triggers=False, execute_plugins=False)

    def close(self) -> None:
        with _OPENING:
            self._raw.close()
            _OPEN[self._file] -= 1
            self._file = ()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query, as dicts."""
        with self.translated():
            cursor = self.raw.execute(sql, [_bound(p) for p in parameters])
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row of a query."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row; None when there is no row."""
        row = self.row(sql, parameters)
        return next(iter(row.values())) if row else None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; return the number of rows it changed."""
        with self.translated():
            return self.raw.execute(sql, [_bound(p) for p in parameters]).rowcount

    def execute_many(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each of the parameter lists."""
        with self.translated():
            self.raw.executemany(sql, [[_bound(p) for p in one] for one in many])

    def insert(self, table: str, values: Mapping[str, Any], *, conflict: str = "") -> int:
        """Insert a row; `conflict` is "", "ignore" or "replace". Returns the rows inserted."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        clause = f" or {conflict}" if conflict else ""
        sql = f'insert{clause} into "{table}" ({names}) values ({marks})'
        return self.execute(sql, list(values.values()))

    def update(self, table: str, key: str, key_value: Any, values: Mapping[str, Any]) -> int:
        """Change the columns of the rows whose `key` has that value."""
        changes = ", ".join(f'"{name}" = ?' for name in values)
        sql = f'update "{table}" set {changes} where "{key}" = ?'  # noqa: S608
        return self.execute(sql, [*values.values(), key_value])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. The write lock is taken at the start; inner calls join the outer one."""
        self._ask_again()
        if self._refusal is not None:
            raise self._refusal
        if self.read_only:
            raise StoreError(
                f"{self.path} was opened for reading only", hint="open it without read_only"
            )
        if self.raw.in_transaction:
            with self._savepoint():
                yield
            return
        with self.translated():
            self.raw.execute("begin immediate")
        try:
            yield
            with self.translated():
                self.raw.execute("commit")
        except BaseException:
            # SQLite ends the transaction itself on some errors, such as a full disk.
            if self.raw.in_transaction:
                self.raw.execute("rollback")
            raise

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self.raw.execute("savepoint inner_part")
        try:
            yield
        except BaseException:
            if self.raw.in_transaction:
                self.raw.execute("rollback to inner_part")
                self.raw.execute("release inner_part")
            raise
        self.raw.execute("release inner_part")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what SQLite raises into a `StoreError` that carries its cure."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self._refusal is not None and _code(error) & 0xFF == sqlite3.SQLITE_READONLY:
                raise self._refusal from error
            raise translate(error, self.path) from error

    def _check_owner(self) -> None:
        """Refuse a sound database that is not ours."""
        # In one transaction: another opener may make the tables between the two questions.
        self._raw.execute("begin")
        try:
            owner = self._raw.execute("pragma application_id").fetchone()[0]
            tables = self._raw.execute("select count(*) from sqlite_master").fetchone()[0]
        finally:
            if self._raw.in_transaction:  # SQLite ends it itself where the disk is full
                self._raw.execute("rollback")
        if owner == APPLICATION_ID:
            return
        if owner != 0 or tables:
            raise StoreForeign(
                f"{self.path} is a database of another program",
                hint="move it away, or choose another home with ALIGN_AGENT_HOME or --home",
            )


def _code(error: sqlite3.Error) -> int:
    """SQLite's extended code, whose last byte is the primary one; 0 where there is none."""
    return getattr(error, "sqlite_errorcode", None) or 0


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """The `StoreError` that says in words what SQLite's code means for this file."""
    code = _code(error)
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return ConstraintError(f"{path}: {error}", hint="run `align-agent store check`")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(
            f"{path} is in use by another process that did not let go in time",
            hint="stop the other align-agent (or the program that has the file open), try again",
        )
    if primary == sqlite3.SQLITE_FULL or code in _IO_FULL:
        return DiskFull(
            f"{path} cannot grow: the disk is full, over its quota, or refuses to write",
            hint="free some space; nothing that was stored is lost",
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _corrupt(path, str(error))
    if primary in _UNWRITABLE and read_only_disk(path):
        return _read_only(path)
    if primary in _UNWRITABLE:
        return StoreError(
            f"{path} cannot be opened or written: {error}",
            hint="check that the file and its folder belong to you and are writable",
        )
    return StoreError(f"{path}: {error}", hint="run `align-agent store check`")


def refused(error: OSError, path: Path) -> StoreError:
    """The `StoreError` for a file that the system does not let us open or make."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"{path} cannot be made: the disk is full or over its quota", hint="free some space"
        )
    if error.errno == errno.EROFS:
        return _read_only(path)
    return StoreError(
        f"{path} cannot be opened: {error.strerror or error}",
        hint="check that the file and its folder belong to you and are writable",
    )


def read_only_disk(path: Path) -> bool:
    """Whether the file system that holds the path can only be read."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _read_only(path: Path) -> StoreError:
    return StoreError(
        f"{path} cannot be written: its file system can only be read",
        hint="mount it for writing, or choose another home with ALIGN_AGENT_HOME or --home",
    )


def _still(path: Path, error: StoreError) -> bool:
    """Whether a disk that takes nothing is all that keeps the file from being read: SQLite wants
    to make companions for it, though without a log all that was stored is in the file itself."""
    log = path.with_name(f"{path.name}-wal")
    try:
        whole = path.stat().st_size > 0 and not (log.exists() and log.stat().st_size)
    except OSError:
        return False
    return whole and (isinstance(error, DiskFull) or read_only_disk(path))


def _corrupt(path: Path, cause: str) -> StoreCorrupt:
    return StoreCorrupt(
        f"{path} is no SQLite database, or a damaged one ({cause})",
        hint=f"{way_back(path)}, and keeps this file",
    )


def _check_file(path: Path, *, read_only: bool) -> None:
    """Refuse what is no database before SQLite touches it; make a blank file private."""
    try:
        if path.exists():
            if not path.is_file():
                raise StoreError(f"{path} is not a file", hint="move it away")
            if not _OPEN[_identity(path)]:
                with path.open("rb") as file:
                    head = file.read(len(_MAGIC))
                if head and head != _MAGIC:
                    raise _corrupt(path, "it does not begin as one")
            if not read_only and path.stat().st_mode & 0o077:
                path.chmod(0o600)
        elif read_only:
            raise StoreError(f"{path} does not exist", hint="run `align-agent init` first")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm files the mode of the database.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise refused(error, path) from error


def is_open_here(path: Path) -> bool:
    """Whether this process has a connection to the file."""
    return _OPEN[_identity(path)] > 0


def _identity(path: Path) -> Identity:
    """What stays the same however a file is named; empty where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino


def _stamp(path: Path) -> list[Identity]:
    """What changes when somebody writes to the file or to its log."""
    stamps: list[Identity] = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            found = file.stat()
        except OSError:
            stamps.append(())
        else:
            stamps.append((found.st_mtime_ns, found.st_size))
    return stamps


def _connect(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    # No isolation level: transactions begin and end where `transaction` says, nowhere else.
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None)


def _configure(raw: sqlite3.Connection, *, read_only: bool, busy_seconds: float) -> None:
    raw.execute("pragma foreign_keys = on")
    raw.execute("pragma secure_delete = on")
    if not read_only:
        # A turn that was acknowledged must survive a power cut, not only a killed process.
        raw.execute("pragma synchronous = full")
        _enter_wal(raw, busy_seconds)


def _enter_wal(raw: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to write-ahead logging. SQLite does not wait for others here, so this does."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            # A network file system may refuse; the rollback journal is slower but as safe.
            raw.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _bound(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
