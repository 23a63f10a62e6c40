"""The agent's conversation memory: LangGraph's SQLite checkpointer, in a file of its own.

One checkpoint a conversation is kept: the memory is a list that only grows. A disk that takes
nothing keeps no answer back: the conversation is then remembered in this process alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.errors import StoreCorrupt, StoreError

if TYPE_CHECKING:
    from align_agent.agent.saver import Saver


@contextmanager
def open_memory(path: Path, conversation_id: str, *, personal: bool = True) -> Iterator[Saver]:
    """The checkpointer on a file that only its owner can read; its `fault` is what keeps it from
    being written. Secrets stay out of the file, and personal data with `personal`.

    Raises StoreCorrupt when the file is no database, StoreError when it cannot be opened.
    """
    from align_agent.agent.saver import Saver

    hint = f"move {path} away: conversations then start afresh, nothing learned is lost"
    try:
        saver = Saver(path, conversation_id, personal=personal)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error}", hint=hint) from error
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error, hint) from error
    try:
        yield saver
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error, hint) from error
    finally:
        saver.conn.close()


def _unusable(path: Path, error: sqlite3.DatabaseError, hint: str) -> StoreError:
    if isinstance(error, sqlite3.OperationalError):
        return StoreError(f"{path} cannot be used: {error}", hint=hint)
    return StoreCorrupt(f"{path} is no sound database: {error}", hint=hint)
