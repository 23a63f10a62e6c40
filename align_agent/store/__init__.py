"""The store: one SQLite file that belongs to the user, one module for each noun.

`Store.open(path)` gives a store for the calling thread. Rows are read and written with plain SQL;
sqlite-utils does the schema and is imported only when the schema has to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from align_agent.errors import StoreCorrupt
from align_agent.store.adapters import Adapters
from align_agent.store.backup import back_up, place_for
from align_agent.store.connection import Connection
from align_agent.store.feedback import FeedbackTable
from align_agent.store.forgotten import Forgotten
from align_agent.store.journal import Counters, Events, State
from align_agent.store.links import Links
from align_agent.store.looks import Looks
from align_agent.store.lost import refuse_lost
from align_agent.store.migrations import SCHEMA_VERSION, migrate
from align_agent.store.rules import Rules
from align_agent.store.runs import Runs
from align_agent.store.text import storable
from align_agent.store.turns import Turns

if TYPE_CHECKING:
    import sqlite_utils

__all__ = ["MISFIT", "SCHEMA_VERSION", "Store", "storable"]

MISFIT = "the search index does not fit the turns"


class Store:
    """The user's database. Use one for each thread; all of them may work at the same time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.turns = Turns(connection)
        self.feedback = FeedbackTable(connection)
        self.links = Links(connection)
        self.forgotten = Forgotten(connection)
        self.rules = Rules(connection)
        self.runs = Runs(connection)
        self.adapters = Adapters(connection)
        self.events = Events(connection)
        self.looks = Looks(connection)
        self.counters = Counters(connection)
        self.state = State(connection)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        busy_seconds: float = 10.0,
        fresh: bool = False,
    ) -> Store:
        """Open the database, which is made where there is none, and bring its schema up to date.

        Where an earlier one is gone, but what it left is there, a new one is made only if `fresh`.
        Waits `busy_seconds` for another process that is writing. Raises StoreCorrupt (also for a
        lost one), StoreForeign, StoreTooNew, StoreLocked, DiskFull, or StoreError.
        """
        if not fresh:
            refuse_lost(Path(path))
        connection = Connection(Path(path), read_only=read_only, busy_seconds=busy_seconds)
        try:
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    @property
    def path(self) -> Path:
        return self.connection.path

    @property
    def db(self) -> sqlite_utils.Database:
        """The connection as a sqlite-utils database."""
        return self.connection.utils

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """Everything within is stored together, or nothing of it."""
        with self.connection.transaction():
            yield self

    def check(self) -> list[str]:
        """What is wrong with the file, in words; empty when it is whole.

        Reads all of it. Raises StoreCorrupt when even that is not possible.
        """
        connection = self.connection
        rows = connection.rows("pragma integrity_check(20)")
        problems = [str(row["integrity_check"]) for row in rows]
        problems = [text for text in problems if text != "ok"]
        for row in connection.rows("pragma foreign_key_check"):
            problems.append(
                f"row {row['rowid']} of {row['table']} points at a row of {row['parent']} "
                "that is not there"
            )
        if not connection.read_only:
            try:
                connection.execute(
                    "insert into turns_fts (turns_fts, rank) values ('integrity-check', 1)"
                )
            except StoreCorrupt:
                problems.append(MISFIT)
        return problems[:20]

    def rebuild_search(self) -> None:
        """Make the search index anew from the turns."""
        self.connection.execute("insert into turns_fts (turns_fts) values ('rebuild')")

    def backup(self, target: Path | None = None) -> Path:
        """Copy the database, also while others write, to a file of its own. Returns the file.

        Without a target: into `backups/` beside the database, named after the moment.
        """
        return back_up(self.connection, target or place_for(self.path))

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
