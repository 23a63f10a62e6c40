"""The agent's conversation memory (LangGraph's checkpoints), as far as forgetting needs it.

A conversation's memory is one packed list: it is dropped as a whole, and the conversation goes on
without it. Needs no langgraph.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from align_agent.errors import StoreError, StoreLocked

_BUSY_S = 10.0
_TABLES = ("checkpoints", "writes")


def clear_memory(
    path: Path,
    conversations: Sequence[str],
    holds: Callable[[str], bool] | None = None,
    *,
    patience: float = 30.0,
) -> list[str]:
    """Drop the memory of these conversations, and of all in which a text `holds`; returns them.

    Nothing of it stays in free pages or in the log. Raises StoreError, StoreLocked.
    """
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as database:
            return _clear(database, set(conversations), holds, path, patience)
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


def _clear(
    database: sqlite3.Connection,
    doomed: set[str],
    holds: Callable[[str], bool] | None,
    path: Path,
    patience: float,
) -> list[str]:
    database.execute("pragma secure_delete = on")
    there = {row[0] for row in database.execute("select name from sqlite_master")}
    tables = [table for table in _TABLES if table in there]
    if holds is not None:
        for table in tables:
            column = "checkpoint" if table == "checkpoints" else "value"
            for thread, packed in database.execute(f"select thread_id, {column} from {table}"):  # noqa: S608
                # Packed texts lie in it as they are.
                if packed and holds(bytes(packed).decode("utf-8", "ignore")):
                    doomed.add(thread)
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
