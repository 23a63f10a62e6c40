"""A backup put back: whole or not at all, with what was there kept, and nothing forgotten back."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from disks import fill as fill_disk
from homes import KEPT, SECRET, files_holding, fill, turn

from align_agent.adapters import working
from align_agent.errors import (
    AlignAgentError,
    DiskFull,
    InputError,
    NightBusy,
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreLocked,
    StoreTooNew,
)
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.privacy.forget import forget
from align_agent.privacy.restore import restore
from align_agent.privacy.wanted import Wanted
from align_agent.store import SCHEMA_VERSION, Store
from align_agent.store.connection import Connection
from align_agent.store.lost import newest_backup
from align_agent.store.migrations import applied, migrate

HOLDER = """
import pathlib, sys
from align_agent.store import Store
with Store.open(pathlib.Path(sys.argv[1]), read_only=sys.argv[2] == "reading") as store:
    store.turns.count()
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home").ensure()
    add(home, "before")
    return home


@pytest.fixture
def backup(home: Home, tmp_path: Path) -> Path:
    """A copy from before `after` was said."""
    with Store.open(home.database) as store:
        made = store.backup(tmp_path / "elsewhere" / "copy.db")
    add(home, "after")
    return made


def add(home: Home, name: str) -> None:
    with Store.open(home.database) as store:
        store.turns.add(turn(0, KEPT, name, id=f"turn-{name}"))


def held(path: Path) -> set[str]:
    """The turns of a database that is sound."""
    with Store.open(path) as store:
        assert store.check() == []
        return {found.id.removeprefix("turn-") for found in store.turns.list(limit=-1)}


def digests(home: Home) -> dict[str, bytes]:
    """Every file of the home but those that come with looking: the lock's, the index of the log."""
    files = (path for path in home.root.rglob("*") if path.is_file())
    found = {path.name: path.read_bytes() for path in files if path.suffix != ".lock"}
    return {name: data for name, data in found.items() if data and not name.endswith("-shm")}


def test_the_database_holds_what_the_backup_held(home: Home, backup: Path) -> None:
    done = restore(home, backup)
    assert (done.turns, done.turns_before) == (1, 2)
    assert held(home.database) == {"before"}


def test_what_was_there_is_kept_and_can_be_put_back_itself(home: Home, backup: Path) -> None:
    kept = restore(home, backup).kept
    assert kept is not None and kept.parent == home.backups
    restore(home, kept)
    assert held(home.database) == {"before", "after"}


def test_the_backup_stays_as_it_is(home: Home, backup: Path) -> None:
    before = backup.read_bytes()
    restore(home, backup)
    assert backup.read_bytes() == before
    assert list(backup.parent.iterdir()) == [backup]


def test_nothing_unfinished_is_left_beside_the_backups(home: Home, backup: Path) -> None:
    kept = restore(home, backup).kept
    assert list(home.backups.iterdir()) == [kept]


def test_a_restored_database_belongs_to_its_owner_alone(home: Home, backup: Path) -> None:
    backup.chmod(0o644)
    home.database.unlink()
    restore(home, backup)
    assert home.database.stat().st_mode & 0o777 == 0o600


def no_file(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def rubbish(path: Path) -> None:
    path.write_bytes(b"not a database at all")


def blank(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("vacuum")


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("create table theirs (x)")


def newer(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    raw.close()


def cut_off(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data), 8192):
        data[start : start + 64] = b"\xee" * 64
    path.write_bytes(data)


def pointing_at_nothing(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("update turns set conversation_id = 'gone'")
    raw.close()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (no_file, InputError),
        (empty, StoreCorrupt),
        (rubbish, StoreCorrupt),
        (blank, StoreCorrupt),
        (foreign, StoreForeign),
        (newer, StoreTooNew),
        (cut_off, StoreCorrupt),
        (overwritten, StoreCorrupt),
        (pointing_at_nothing, StoreCorrupt),
    ],
)
def test_a_file_that_is_no_sound_backup_of_ours_is_refused_and_nothing_changes(
    home: Home, backup: Path, spoil, error: type[AlignAgentError]
) -> None:
    spoil(backup)
    before = digests(home)
    with pytest.raises(error) as caught:
        restore(home, backup)
    assert str(backup) in caught.value.message and caught.value.hint
    assert digests(home) == before


def test_the_database_cannot_be_its_own_backup(home: Home, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(home.database)
    with pytest.raises(InputError, match="itself"):
        restore(home, link)


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_a_database_that_another_process_has_open_is_left_alone(
    home: Home, backup: Path, how: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.database), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked) as caught:
            restore(home, backup)
        holder.communicate()
    assert "align-agent serve" in caught.value.hint
    assert held(home.database) == {"before", "after"}


def test_a_database_that_this_process_has_open_is_left_alone(home: Home, backup: Path) -> None:
    with Store.open(home.database) as store, pytest.raises(StoreLocked):
        restore(home, backup)
        store.turns.count()


def test_a_lost_database_that_another_process_has_open_is_not_replaced(
    home: Home, backup: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.database), "writing"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        home.database.unlink()
        with pytest.raises(StoreLocked):
            restore(home, backup)
        holder.communicate()


def test_nothing_is_put_back_while_a_night_runs(home: Home, backup: Path) -> None:
    with NightLock(home.night_lock), pytest.raises(NightBusy):
        restore(home, backup)


@pytest.fixture
def log_left(home: Home, backup: Path) -> Iterator[bytes]:
    """The log of a writer that was killed, beside the database."""
    script = (
        "import os, signal, sys\nsys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\nfrom align_agent.paths import Home\n"
        "from homes import turn\nfrom align_agent.store import Store\n"
        "store = Store.open(Home(Path(sys.argv[1])).database)\n"
        "store.turns.add(turn(0, 'logged', 'late', id='turn-late'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", script, str(home.root), here], check=False)
    log = home.database.with_name("align.db-wal").read_bytes()
    assert b"logged" in log
    yield log


def test_what_a_killed_writer_left_in_the_log_is_kept_with_the_rest(
    home: Home, backup: Path, log_left: bytes
) -> None:
    kept = restore(home, backup).kept
    assert held(home.database) == {"before"}
    assert kept is not None and held(kept) == {"before", "after", "late"}


@pytest.mark.parametrize("spoil", [no_file, empty, rubbish])
def test_the_log_of_a_database_that_is_gone_is_not_read_into_the_backup(
    home: Home, backup: Path, log_left: bytes, spoil
) -> None:
    spoil(home.database)
    restore(home, backup)
    assert held(home.database) == {"before"}
    (log,) = home.backups.glob("*-damaged.db-wal")
    assert log.read_bytes() == log_left


@pytest.mark.parametrize("spoil", [rubbish, cut_off, overwritten])
def test_a_damaged_database_is_kept_and_never_passes_for_a_backup(
    home: Home, backup: Path, spoil
) -> None:
    spoil(home.database)
    kept = restore(home, backup).kept
    assert held(home.database) == {"before"}
    assert kept is not None and kept.exists() and newest_backup(home.database) is None


def test_what_was_kept_of_a_damaged_database_goes_with_what_is_forgotten(
    home: Home, backup: Path
) -> None:
    home.database.write_bytes(b"rubbish " + SECRET.encode())
    restore(home, backup)
    assert files_holding(home, SECRET) != []
    forget(home, Wanted("query", SECRET))
    assert files_holding(home, SECRET) == []


def test_a_database_of_another_program_is_not_replaced(home: Home, backup: Path) -> None:
    foreign(home.database)
    with pytest.raises(StoreForeign):
        restore(home, backup)
    with sqlite3.connect(home.database) as raw:
        assert raw.execute("select count(*) from theirs").fetchone() == (0,)


def test_a_database_of_a_newer_version_gives_way(home: Home, backup: Path) -> None:
    newer(home.database)
    kept = restore(home, backup).kept
    assert held(home.database) == {"before"}
    assert kept is not None
    connection = Connection(kept, read_only=True)
    assert applied(connection) == SCHEMA_VERSION + 1
    connection.close()


def test_a_backup_of_an_older_schema_is_brought_up_to_date(home: Home, tmp_path: Path) -> None:
    older = Connection(tmp_path / "older.db", read_only=False)
    migrate(older, upto=5)
    older.close()
    restore(home, tmp_path / "older.db")
    assert held(home.database) == set()
    assert [path.name[-12:] for path in home.backups.iterdir()] == ["-replaced.db"]


def test_a_database_that_somebody_copied_with_its_log_is_put_back_with_it(
    home: Home, backup: Path, log_left: bytes, tmp_path: Path
) -> None:
    for end in ("", "-wal"):
        shutil.copy(home.root / f"align.db{end}", tmp_path / f"raw.db{end}")
    restore(home, tmp_path / "raw.db")
    assert held(home.database) == {"before", "after", "late"}


def test_what_was_forgotten_since_stays_forgotten(tmp_path: Path) -> None:
    home = fill(tmp_path / "home")
    with Store.open(home.database) as store:
        copy = store.backup(tmp_path / "copy.db")
    forget(home, Wanted("conversation", "secret"))
    done = restore(home, copy)
    assert done.forgotten == 3
    with Store.open(home.database) as store:
        assert not store.turns.list(conversation="secret")
        assert store.forgotten.has("turn-secret-0")


def test_a_forgetting_that_is_not_finished_comes_first(home: Home, backup: Path) -> None:
    with Store.open(home.database) as store:
        store.forgotten.begin("turn", {"turns": ["turn-after"]}, {})
    with pytest.raises(StoreError) as caught:
        restore(home, backup)
    assert "--resume" in caught.value.hint


def test_steps_of_live_mode_do_not_come_back(home: Home, tmp_path: Path) -> None:
    with Store.open(home.database) as store:
        state = working.Standing(0, "hash", ("0001",))
        working._set(store, state)
        copy = store.backup(tmp_path / "copy.db")
    restore(home, copy)
    with Store.open(home.database) as store:
        assert working.standing(store) is None


def test_a_disk_without_room_changes_nothing(small_disk: Path, backup: Path) -> None:
    home = Home(small_disk / "home").ensure()
    add(home, "here")
    fill_disk(small_disk)
    with pytest.raises(DiskFull):
        restore(home, backup)
    (small_disk / "filler").unlink()
    assert held(home.database) == {"here"}


def killed_at(home: Home, backup: Path, moment: int) -> bool:
    """Restore in a process that is killed at its `moment`th change of a file; whether it was."""
    child = os.fork()
    if not child:
        seen = 0

        def stop(event: str, _: object) -> None:
            nonlocal seen
            if event in ("os.rename", "os.remove", "os.mkdir", "sqlite3.connect"):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(stop)
            restore(home, backup)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.fixture
def kills(home: Home, backup: Path, tmp_path: Path) -> Callable[[], Iterator[int]]:
    """Restores in the home as it was, each killed a moment later than the one before, until one
    comes to its end."""
    original = tmp_path / "original"

    def one_after_another() -> Iterator[int]:
        shutil.copytree(home.root, original)
        for moment in count(1):
            if not killed_at(home, backup, moment):
                return
            yield moment
            shutil.rmtree(home.root)
            shutil.copytree(original, home.root)

    return one_after_another


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(home: Home, kills) -> None:
    found = [held(home.database) for _ in kills()]
    assert found[0] == {"before", "after"} and found[-1] == {"before"}
    assert all(turns in (found[0], found[-1]) for turns in found)
    assert not list(home.backups.glob("*.partial*"))


def test_a_kill_at_any_moment_leaves_the_way_on(home: Home, backup: Path, kills) -> None:
    rubbish(home.database)
    for _ in kills():
        restore(home, backup)
        assert held(home.database) == {"before"}
