"""Opening the database: blank, older, newer, foreign, damaged, locked, private."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from align_agent.errors import (
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreLocked,
    StoreTooNew,
)
from align_agent.records import Feedback, Rule, Run
from align_agent.store import SCHEMA_VERSION, Store
from align_agent.store.connection import APPLICATION_ID, Connection
from align_agent.store.migrations import MIGRATIONS, migrate


def schema_of(path):
    with sqlite3.connect(path) as raw:
        return sorted(raw.execute("select type, name, sql from sqlite_master").fetchall(), key=str)


def test_a_blank_database_is_made_with_its_folder(tmp_path):
    with Store.open(tmp_path / "new" / "align.db") as store:
        assert store.turns.count() == 0
        assert store.check() == []


def test_an_empty_file_becomes_a_database(path):
    path.touch()
    with Store.open(path) as store:
        assert store.turns.list() == []


@pytest.mark.parametrize("left", ["adapters/v0001", "runs/run-1", "backups/align-1.db"])
@pytest.mark.parametrize("emptied", [True, False])
def test_a_lost_database_is_no_new_home(path, left, emptied):
    (path.parent / left).mkdir(parents=True)
    if emptied:
        path.touch()
    with pytest.raises(StoreCorrupt, match="used before"):
        Store.open(path)
    assert path.exists() == emptied


def test_an_emptied_database_whose_log_is_there_keeps_the_log(path):
    path.touch()
    log = path.with_name("align.db-wal")
    log.write_bytes(b"turns that no checkpoint moved")
    with pytest.raises(StoreCorrupt):
        Store.open(path)
    assert log.exists()


def test_a_kill_at_the_first_opening_locks_nobody_out(path):
    for folder in ("adapters", "runs", "backups"):
        (path.parent / folder).mkdir()
    with Connection(path, read_only=False).utils.conn as raw:
        assert raw.execute("pragma user_version").fetchone() == (0,)
    with Store.open(path) as store:
        assert store.check() == []


def test_a_backup_copied_to_the_place_of_a_lost_database_is_read(path, make_turn):
    with Store.open(path) as store:
        store.turns.add(make_turn())
        backup = store.backup()
    path.unlink()
    path.write_bytes(backup.read_bytes())
    with Store.open(path) as store:
        assert store.turns.count() == 1


def test_the_file_and_its_companions_are_private_to_their_owner(store, path, make_turn):
    store.turns.add(make_turn())
    for name in ("align.db", "align.db-wal", "align.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_made_private(path):
    Store.open(path).close()
    path.chmod(0o644)
    Store.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_database_is_marked_as_ours(store):
    assert store.connection.value("pragma application_id") == APPLICATION_ID
    assert store.connection.value("pragma user_version") == SCHEMA_VERSION == len(MIGRATIONS)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("secure_delete", 1), ("synchronous", 2)],
)
def test_the_connection_is_set_up_to_lose_and_leak_nothing(store, pragma, value):
    assert store.connection.value(f"pragma {pragma}") == value


OLDEST_COLUMNS = (
    "id conversation_id created_at channel user_text answer version base finish_reason latency_ms"
).split()


def build_older(path, version, make_turn):
    """A database as an older align-agent left it, with a row in every table that it had."""
    connection = Connection(path, read_only=False)
    migrate(connection, upto=version)
    older = Store(connection)
    turn = make_turn(id="turn-old")
    if version >= 10:
        older.turns.add(turn)
    elif version >= 1:
        connection.insert(
            "conversations", {"id": "chat-1", "channel": "chat", "created_at": turn.created_at}
        )
        row = {name: getattr(turn, name) for name in OLDEST_COLUMNS}
        connection.insert("turns", {**row, "main": 1, "excluded": 0, "position": 0, "number": 1})
    if 2 <= version < 10:
        for part, message in (("prompt", turn.prompt[0]), ("response", turn.response[0])):
            number = older.turns._message(message)
            place = {"turn": 1, "part": part, "place": 0, "message": number}
            connection.insert("turn_messages", place)
    if version >= 3:
        older.feedback.add(Feedback("turn-old", "rating", "negative", "tone", 1.0, "no", "rate"))
        rule = asdict(Rule("Never use slang.", "active", id="rule-old"))
        connection.insert("rules", {k: v for k, v in rule.items() if k != "polarity"})
    if version >= 4:
        older.runs.create(Run("run-old", "skipped"))
    if version >= 5:
        older.adapters.set_alias("champion", 0, why="first", who="user")
    if version >= 6:
        older.state.set("seen", "yes")
    older.close()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_every_older_schema_is_brought_up_to_date_with_its_rows(path, version, make_turn, tmp_path):
    build_older(path, version, make_turn)
    with Store.open(path) as store:
        assert store.check() == []
        assert store.turns.get("turn-old").user_text == "What is 2+2?"
        assert [turn.id for turn in store.turns.list(search="2+2")] == ["turn-old"]
        if version >= 3:
            assert len(store.feedback.for_turn("turn-old")) == 1
            rule = store.rules.get("rule-old")
            assert (rule.text, rule.polarity) == ("Never use slang.", "dont")
        if version >= 4:
            assert store.runs.get("run-old").status == "skipped"
        if version >= 5:
            assert store.adapters.alias("champion") == 0
        if version >= 6:
            assert store.state.get("seen") == "yes"
    blank = tmp_path / "blank" / "align.db"
    Store.open(blank).close()
    assert schema_of(path) == schema_of(blank)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_older_database_is_backed_up_before_it_is_changed(path, version, make_turn):
    build_older(path, version, make_turn)
    before = schema_of(path)
    Store.open(path).close()
    (backup,) = (path.parent / "backups").iterdir()
    assert backup.name.endswith(f"-schema{version}.db")
    assert schema_of(backup) == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_an_up_to_date_database_is_not_backed_up(path):
    Store.open(path).close()
    Store.open(path).close()
    assert not (path.parent / "backups").exists()


def test_a_step_that_fails_leaves_the_older_database_as_it_was(path, make_turn, monkeypatch):
    build_older(path, 3, make_turn)
    before = schema_of(path)

    def broken(db):
        MIGRATIONS[3](db)
        raise sqlite3.OperationalError("the power went")

    monkeypatch.setattr(
        "align_agent.store.migrations.MIGRATIONS", (*MIGRATIONS[:3], broken, *MIGRATIONS[4:])
    )
    with pytest.raises(StoreError, match="the power went"):
        Store.open(path)
    assert schema_of(path) == before


def test_a_database_of_a_newer_version_is_refused_untouched(path):
    Store.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    before = schema_of(path)
    with pytest.raises(StoreTooNew, match=f"schema {SCHEMA_VERSION + 1}") as caught:
        Store.open(path)
    assert "upgrade" in caught.value.hint
    assert schema_of(path) == before


@pytest.mark.parametrize("owner", [0, 12345])
def test_a_database_of_another_program_is_refused_untouched(path, owner):
    with sqlite3.connect(path) as raw:
        raw.execute("create table notes (text)")
        raw.execute(f"pragma application_id = {owner}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreForeign) as caught:
        Store.open(path)
    assert caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"not a database at all", b"\x00" * 4096, b"x", b"PK\x03\x04zip"])
def test_a_file_that_is_no_database_is_refused_untouched(path, data):
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt) as caught:
        Store.open(path)
    assert str(path) in caught.value.message
    assert path.read_bytes() == data


def test_the_hint_on_a_damaged_database_names_the_newest_backup(path):
    with Store.open(path) as store:
        store.backup()
        newest = store.backup()
    path.write_bytes(b"rubbish")
    with pytest.raises(StoreCorrupt) as caught:
        Store.open(path)
    assert str(newest) in caught.value.hint


def test_a_truncated_database_is_refused_as_corrupt(path, make_turn):
    with Store.open(path) as store:
        for number in range(50):
            store.turns.add(make_turn(f"question {number} " + "x" * 2000))
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StoreCorrupt), Store.open(path) as store:
        assert store.check()
        store.turns.list(limit=-1)


def test_overwritten_pages_are_reported_and_never_read_as_turns(path, make_turn):
    with Store.open(path) as store:
        for number in range(200):
            store.turns.add(make_turn(f"question {number} " + "x" * 500))
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data) - 4096, 8192):
        data[start : start + 64] = b"\xee" * 64
    path.write_bytes(bytes(data))
    with pytest.raises(StoreCorrupt) as caught, Store.open(path) as store:
        problems = store.check()
        assert problems
        store.turns.list(limit=-1)
    assert "backup" in caught.value.hint


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not a file"):
        Store.open(tmp_path)


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "home" / "align.db")
    assert caught.value.hint


def test_reading_only_needs_a_database_that_is_there(path):
    with pytest.raises(StoreError, match="does not exist") as caught:
        Store.open(path, read_only=True)
    assert "init" in caught.value.hint
    assert not path.exists()


def test_reading_only_sees_what_a_writer_committed(store, path, make_turn):
    store.turns.add(make_turn())
    with Store.open(path, read_only=True) as reader:
        assert reader.turns.count() == 1


def test_reading_only_refuses_to_write(store, path, make_turn):
    with Store.open(path, read_only=True) as reader:
        with pytest.raises(StoreError):
            reader.turns.add(make_turn())
        with pytest.raises(StoreError):
            reader.counters.bump("x")


def test_reading_only_does_not_change_an_older_schema(path, make_turn):
    build_older(path, 3, make_turn)
    before = schema_of(path)
    with pytest.raises(StoreError, match="older schema"):
        Store.open(path, read_only=True)
    assert schema_of(path) == before


def test_a_name_with_signs_that_mean_something_in_a_uri_works(tmp_path, make_turn):
    path = tmp_path / "what? 100% #1" / "align.db"
    with Store.open(path) as store:
        store.turns.add(make_turn())
    assert path.is_file()


def test_a_lock_that_is_not_released_is_named(path, make_turn):
    with Store.open(path) as holder, Store.open(path, busy_seconds=0.1) as other:
        with holder.transaction(), pytest.raises(StoreLocked) as caught:
            other.turns.add(make_turn())
        assert "stop" in caught.value.hint
        assert other.turns.add(make_turn())


def test_a_database_locked_by_another_program_is_named_at_opening(path):
    Store.open(path).close()
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("pragma locking_mode = exclusive")
    raw.execute("begin exclusive")
    try:
        with pytest.raises(StoreLocked):
            Store.open(path, busy_seconds=0.1)
    finally:
        raw.close()


def test_an_open_database_needs_no_heavy_library(path):
    Store.open(path).close()
    code = (
        "import sys, pathlib; from align_agent.store import Store\n"
        f"s = Store.open(pathlib.Path({str(path)!r})); s.turns.count(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlite_utils", "torch", "numpy", "yaml"} & set(done.stdout.split())


def test_a_backup_is_a_whole_database_with_everything_in_it(store, make_turn, tmp_path):
    store.turns.add(make_turn(id="turn-kept"))
    target = store.backup(tmp_path / "elsewhere" / "copy.db")
    assert sorted(p.name for p in target.parent.iterdir()) == ["copy.db"]
    with Store.open(target) as copy:
        assert copy.turns.get("turn-kept").answer == "4"
        assert copy.check() == []


def test_a_backup_never_overwrites_a_file(store, tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        store.backup(tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_broken_reference_is_found_by_the_check(store):
    store.connection.execute("pragma foreign_keys = off")
    store.connection.insert("rule_turns", {"rule_id": "rule-x", "turn_id": "turn-x"})
    problems = store.check()
    assert len(problems) == 2
    assert any("rules" in problem for problem in problems)


def test_many_may_open_a_new_database_at_the_same_moment(tmp_path):
    def open_it(path):
        together.wait()
        with Store.open(path) as store:
            return store.turns.count()

    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        for number in range(60):
            path = tmp_path / str(number) / "align.db"
            assert list(pool.map(open_it, [path] * 4)) == [0] * 4


LOOK = "import sys; from pathlib import Path; from align_agent.store import Store\n"
COUNT = LOOK + "with Store.open(Path(sys.argv[1])) as store: print(store.turns.count())"


def test_what_is_stored_while_another_process_comes_and_goes_is_there(path, make_turn):
    """A second store of one process once took the locks of the first with it."""

    def counted_elsewhere() -> int:
        command = [sys.executable, "-c", COUNT, str(path)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    with Store.open(path) as first, Store.open(path) as second:
        first.turns.add(make_turn())
        assert counted_elsewhere() == 1
        first.turns.add(make_turn())
        second.turns.add(make_turn())
        assert counted_elsewhere() == 3
    assert counted_elsewhere() == 3


def test_a_file_that_is_put_in_the_place_of_an_open_one_is_still_checked(path):
    with Store.open(path):
        path.rename(path.with_name("away.db"))
        path.write_text("no database")
        with pytest.raises(StoreCorrupt, match="does not begin as one"):
            Store.open(path)
