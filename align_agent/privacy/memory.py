"""The agent's conversation memory (LangGraph's checkpoints), as far as forgetting needs it.

A conversation's memory is one packed list: it is dropped as a whole, and the conversation goes on
without it. Needs no langgraph.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from align_agent.errors import StoreError, StoreLocked
from align_agent.privacy.words import Words

_BUSY_S = 10.0
_TABLES = ("checkpoints", "writes")
# Columns that name and order; every other one is searched.
_NAMES = {
    "thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "task_id", "idx",
    "channel", "task_path",
}  # fmt: skip


def clear_memory(
    path: Path,
    conversations: Sequence[str],
    words: Words | None = None,
    *,
    patience: float = 30.0,
) -> list[str]:
    """Drop the memory of these conversations, and of all that hold the words; returns them.

    Nothing of it stays in free pages or in the log. Raises StoreError, StoreLocked.
    """
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as database:
            return _clear(database, set(conversations), words, path, patience)
    except sqlite3.OperationalError as error:
        raise StoreLocked(
            f"{path} cannot be cleaned: {error}",
            hint="end the chat that uses it, then `align-agent forget --resume`",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} is no sound database: {error}",
            hint=f"delete {path}, then `align-agent forget --resume`: nothing learned is lost",
        ) from error


def remembered(path: Path, words: Words) -> list[str]:
    """The conversations whose memory holds the words; none where there is no sound memory."""
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as database:
            return sorted(_holding(database, words))
    except sqlite3.DatabaseError:
        return []


def _tables(database: sqlite3.Connection) -> list[str]:
    there = {row[0] for row in database.execute("select name from sqlite_master")}
    return [table for table in _TABLES if table in there]


def _holding(database: sqlite3.Connection, words: Words) -> set[str]:
    found = set()
    for table in _tables(database):
        rows = database.execute(f"select * from {table}")  # noqa: S608
        names = [column[0] for column in rows.description]
        place = names.index("thread_id")
        for row in rows:
            cells = (cell for name, cell in zip(names, row, strict=True) if name not in _NAMES)
            if any(words.in_packed(_bytes(cell)) for cell in cells if cell):
                found.add(row[place])
    return found


def _bytes(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogatepass")


def _clear(
    database: sqlite3.Connection,
    doomed: set[str],
    words: Words | None,
    path: Path,
    patience: float,
) -> list[str]:
    database.execute("pragma secure_delete = on")
    tables = _tables(database)
    if words is not None:
        doomed |= _holding(database, words)
    gone = set()
    for table in tables:
        for thread in sorted(doomed):
            deleted = database.execute(f"delete from {table} where thread_id = ?", [thread])  # noqa: S608
            if deleted.rowcount:
                gone.add(thread)
    database.execute("vacuum")
    deadline = time.monotonic() + patience
    while database.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise StoreLocked(
                f"another process keeps reading {path}, so that its log cannot be emptied",
                hint="end the chat that uses it, then `align-agent forget --resume`",
            )
        time.sleep(0.05)
    return sorted(gone)
