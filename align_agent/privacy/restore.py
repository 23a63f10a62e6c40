"""A backup put back in the place of the database: looked at first, whole or not at all.

What was there is kept. What was forgotten meanwhile stays forgotten, also where the backup is older
or was made elsewhere. Versions, nights' folders and the agent's memory stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from align_agent.adapters import working
from align_agent.errors import InputError, StoreCorrupt, StoreError, StoreLocked
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.store import MISFIT, Store
from align_agent.store.backup import copied, exchange, is_in_use, leave_log, sweep
from align_agent.store.connection import Connection, Row
from align_agent.store.lost import is_empty
from align_agent.store.migrations import applied, known, migrate
from align_agent.store.scrub import erase_pages, scrub

_ANOTHER = "choose another backup; nothing was changed"


@dataclass(frozen=True, slots=True)
class Restored:
    """What the database holds now, and before (`turns_before`: None where nobody could tell).

    `kept` is the copy of what was there, None where nothing was. `forgotten` turns were in the
    backup, and stay out.
    """

    turns: int
    turns_before: int | None
    forgotten: int
    kept: Path | None


@dataclass(frozen=True, slots=True)
class _Present:
    turns: int | None = None
    forgotten: tuple[Row, ...] = ()
    exchanges: tuple[Row, ...] = ()


def restore(home: Home, backup: Path) -> Restored:
    """Put a backup back. Raises InputError (no such file), StoreCorrupt, StoreForeign, StoreTooNew
    (what the file is), StoreLocked (something has the database open), NightBusy, StoreError.
    """
    _refuse_other_files(home, backup)
    home.ensure()
    with NightLock(home.night_lock):
        if is_in_use(home.database):
            raise StoreLocked(
                f"{home.database} is open in another program",
                hint="stop `align-agent serve`, `schedule run` and every chat, then try again",
            )
        sweep(home.backups)
        present = _present(home.database)
        with _staged(home, backup) as staged:
            forgotten = _make_ready(staged, backup, present)
            kept = exchange(home.database, staged)
    with Store.open(home.database) as store:
        return Restored(store.turns.count(), present.turns, forgotten, kept)


def _refuse_other_files(home: Home, backup: Path) -> None:
    if not backup.is_file():
        raise InputError(
            f"there is no file {backup}", hint=f"your backups are in {home.backups}, if anywhere"
        )
    if home.database.exists() and backup.samefile(home.database):
        raise InputError(f"{backup} is the database itself", hint="name a copy of it")
    if is_empty(backup):
        raise StoreCorrupt(f"{backup} is empty", hint=_ANOTHER)


def _present(path: Path) -> _Present:
    """What has to be known of the database that goes; nothing of one that cannot be read.

    Raises StoreForeign, and StoreError where a forgetting is not finished.
    """
    if is_empty(path):
        return _Present()
    try:
        connection = Connection(path, read_only=True)
        try:
            found, unfinished = _read(connection)
        finally:
            connection.close()
    except StoreCorrupt:
        return _Present()
    if unfinished:
        raise StoreError(
            "something was to be forgotten, and it is not finished",
            hint="`align-agent forget --resume` finishes it; restore after that",
        )
    return found


def _read(connection: Connection) -> tuple[_Present, bool]:
    rows = connection.rows("select name from sqlite_master where type = 'table'")
    tables = {row["name"] for row in rows}
    turns = connection.value("select count(*) from turns") if "turns" in tables else 0
    if "forgotten" not in tables:
        return _Present(turns), False
    named = "select turn_id, conversation_id, position, main, at from forgotten"
    present = _Present(
        turns,
        tuple(connection.rows(named)),
        tuple(connection.rows("select digest from forgotten_exchanges")),
    )
    return present, bool(Store(connection).forgotten.unfinished())


@contextmanager
def _staged(home: Home, backup: Path) -> Iterator[Path]:
    """A copy of the backup in the home, once it proved to be a sound database of ours."""
    try:
        source = Connection(backup, read_only=True)
    except StoreCorrupt as error:
        raise StoreCorrupt(error.message, hint=_ANOTHER) from error
    try:
        if not applied(source):
            raise StoreCorrupt(f"{backup} holds nothing of align-agent's", hint=_ANOTHER)
        known(source)
        if problems := Store(source).check():
            raise StoreCorrupt(f"{backup} is damaged: {problems[0]}", hint=_ANOTHER)
        # Forgetting takes away what is left of it after a kill.
        with copied(source, home.backups / "restoring.partial") as partial:
            yield partial
    finally:
        source.close()


def _make_ready(staged: Path, backup: Path, present: _Present) -> int:
    """Bring the copy up to date: schema, search index, what was forgotten. Returns how many turns
    of those that were forgotten it held."""
    connection = Connection(staged, read_only=False)
    try:
        migrate(connection, keep=False)
        store = Store(connection)
        with store.transaction():
            gone = scrub(connection, [row["turn_id"] for row in present.forgotten])
            for table, rows in (
                ("forgotten", present.forgotten),
                ("forgotten_exchanges", present.exchanges),
            ):
                for row in rows:
                    connection.insert(table, row, conflict="ignore")
            # Its steps are of another day, and their numbers may have been given anew.
            working.give_up(store, "a backup was put back")
            store.events.add("restored", f"{backup.name} was put back")
        if store.check() == [MISFIT]:
            store.rebuild_search()
        if gone.turns:
            erase_pages(connection)
        leave_log(connection)
    finally:
        connection.close()
    return len(gone.turns)
