"""The agent's conversation memory: LangGraph's SQLite checkpointer, in a file of its own.

One checkpoint a conversation is kept: the memory is a list that only grows.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_agent.errors import StoreCorrupt, StoreError

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver

BUSY_SECONDS = 10.0


@contextmanager
def open_memory(path: Path) -> Iterator[SqliteSaver]:
    """The checkpointer on a file that only its owner can read.

    Raises StoreCorrupt when the file is no database, StoreError when it cannot be opened.
    """
    from langgraph.checkpoint.sqlite import SqliteSaver

    hint = f"move {path} away: conversations then start afresh, nothing learned is lost"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened: {error}", hint=hint) from error
    try:
        saver = SqliteSaver(connection)
        saver.setup()
        yield saver
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"{path} cannot be used: {error}", hint=hint) from error
        raise StoreCorrupt(f"{path} is no sound database: {error}", hint=hint) from error
    finally:
        connection.close()


def forget_older(saver: Any, conversation_id: str) -> None:
    """Delete all but the newest checkpoint of a conversation: each holds the whole memory."""
    newest = "select max(checkpoint_id) from checkpoints where thread_id = ?"
    with saver.cursor() as cursor:
        for table in ("checkpoints", "writes"):
            cursor.execute(
                f"delete from {table} where thread_id = ? "  # noqa: S608
                f"and checkpoint_id < ({newest})",
                [conversation_id, conversation_id],
            )
