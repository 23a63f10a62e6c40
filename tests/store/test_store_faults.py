"""A full disk, a killed writer, several writers at once: nothing committed is ever lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disks import fill, make_room, only_read

from align_agent.errors import DiskFull, StoreError
from align_agent.store import Store

WRITER = """
import pathlib, resource, sys
from align_agent.errors import AlignAgentError
from align_agent.records import Message, Turn
from align_agent.store import Store

path, name, number, size = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
if len(sys.argv) > 5:
    limit = int(sys.argv[5])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with Store.open(path) as store:
        for n in range(number):
            text = f"{name} {n} " + "x" * int(size)
            turn = Turn("shared", (Message("user", text),), (Message("assistant", text[::-1]),),
                        text, text[::-1], id=f"turn-{name}-{n}")
            store.turns.add(turn)
            store.counters.bump("written")
            print(turn.id, flush=True)
except AlignAgentError as error:
    print(type(error).__name__, error.hint, flush=True)
"""


@pytest.fixture
def write():
    """Start a writer in a process of its own: (path, name, turns, size of a text, limit)."""
    running = []

    def start(path: Path, name: str, number: int, size: int = 100, limit: int | None = None):
        arguments = [str(path), name, str(number), str(size), *([str(limit)] if limit else [])]
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


def assert_whole(path: Path, ids: list[str]) -> None:
    """The database is sound, and holds these turns with their messages."""
    with Store.open(path) as store:
        assert store.check() == []
        store.connection.execute("insert into turns_fts (turns_fts) values ('integrity-check')")
        for turn_id in ids:
            turn = store.turns.get(turn_id)
            assert turn.prompt[0].content == turn.user_text
            assert turn.response[0].content == turn.answer
        stored = list(store.turns.all_main())
        assert sorted(turn.position for turn in stored) == list(range(len(stored)))


def test_a_disk_that_takes_no_more_is_named_and_loses_nothing(path, write):
    process = write(path, "a", 10_000, size=5000, limit=2_500_000)
    *ids, last = process.communicate(timeout=120)[0].splitlines()
    assert last.startswith("DiskFull")
    assert "free some space" in last
    assert len(ids) > 5
    assert_whole(path, ids)


def test_writing_goes_on_once_there_is_room_again(path, write):
    first = write(path, "a", 10_000, size=5000, limit=2_500_000)
    ids = first.communicate(timeout=120)[0].splitlines()[:-1]
    second = write(path, "b", 20)
    ids += second.communicate(timeout=120)[0].splitlines()
    assert len(ids) > 20
    assert_whole(path, ids)


def test_a_truly_full_disk_is_named_and_keeps_every_committed_turn(small_disk, make_turn):
    path = small_disk / "align.db"
    stored = []
    with Store.open(path) as store:
        with pytest.raises(DiskFull):
            for number in range(10_000):
                turn = make_turn(f"{number} " + "x" * 3000)
                store.turns.add(turn)
                stored.append(turn)
        assert len(stored) > 3
        # The same store goes on reading.
        assert store.turns.get(stored[-1].id).user_text == stored[-1].user_text
    with Store.open(path) as store:
        assert [turn.id for turn in store.turns.all_main()] == [turn.id for turn in stored]
        assert store.check() == []


def test_a_database_cannot_be_begun_on_a_full_disk(small_disk):
    fill(small_disk)
    with pytest.raises(DiskFull):
        Store.open(small_disk / "align.db")


def test_a_store_on_a_full_disk_is_read_and_says_so_when_it_should_write(small_disk, make_turn):
    path = stored_on_full(small_disk, make_turn())
    with Store.open(path) as store:
        assert store.turns.count() == 1
        for write in (lambda: store.turns.add(make_turn()), lambda: store.counters.bump("x")):
            with pytest.raises(DiskFull):
                write()


def test_a_store_on_a_disk_that_can_only_be_read_is_read(small_disk, make_turn):
    path = small_disk / "align.db"
    with Store.open(path) as store:
        store.turns.add(make_turn())
    only_read(small_disk)
    with Store.open(path) as store:
        assert store.turns.count() == 1
        with pytest.raises(StoreError, match="can only be read"):
            store.backup()


@pytest.mark.parametrize("refuse", [fill, only_read])
def test_a_store_that_was_opened_while_the_disk_refused_follows_the_others_and_writes_after_it(
    small_disk, make_turn, write, refuse
):
    path = small_disk / "align.db"
    with Store.open(path) as store:
        store.turns.add(make_turn())
    refuse(small_disk)
    with Store.open(path) as store, Store.open(path, read_only=True) as looking:
        assert store.turns.count() == looking.turns.count() == 1
        with pytest.raises(StoreError):
            store.turns.add(make_turn())
        make_room(small_disk)
        ids = write(path, "a", 4).communicate(timeout=120)[0].splitlines()
        assert len(ids) == 4  # through the log into the file: what was read before is stale
        assert looking.turns.count() == store.turns.count() == 5
        assert store.check() == looking.check() == []
        store.turns.add(make_turn())
        assert looking.turns.count() == store.turns.count() == 6
        with pytest.raises(StoreError, match="for reading only"):
            looking.turns.add(make_turn())


def stored_on_full(disk, turn):
    """A database that holds the turn, on a disk without any room left."""
    path = disk / "align.db"
    with Store.open(path) as store:
        store.turns.add(turn)
    fill(disk)
    return path


def test_a_store_whose_disk_has_room_again_writes_though_nobody_touched_the_file(
    small_disk, make_turn
):
    path = stored_on_full(small_disk, make_turn())
    with Store.open(path) as store:
        make_room(small_disk)
        deadline = time.monotonic() + 60
        while store.turns.count() == 1 and time.monotonic() < deadline:
            with contextlib.suppress(DiskFull):
                store.turns.add(make_turn())
            time.sleep(0.05)
        assert store.turns.count() == 2


def test_what_is_read_in_one_transaction_stays_one_view_when_the_disk_has_room_again(
    small_disk, make_turn, write
):
    path = stored_on_full(small_disk, make_turn())
    with Store.open(path) as store:
        store.connection.execute("begin")
        assert store.turns.count() == 1
        make_room(small_disk)
        write(path, "a", 5).communicate(timeout=120)
        assert store.turns.count() == 1
        store.connection.execute("rollback")
        assert store.turns.count() == 6


def test_a_store_on_a_full_disk_makes_no_blank_file_where_its_own_was_moved_away(
    small_disk, make_turn
):
    path = stored_on_full(small_disk, make_turn())
    with Store.open(path) as store:
        make_room(small_disk)
        path.rename(small_disk / "elsewhere.db")
        assert store.turns.count() == 1
        assert not path.exists()


def test_a_backup_on_a_full_disk_is_named_and_leaves_no_half_file(small_disk, path, make_turn):
    with Store.open(path) as store:
        with store.transaction():
            for number in range(200):
                store.turns.add(make_turn(f"{number} " + "x" * 5000))
        with pytest.raises(DiskFull):
            store.backup(small_disk / "copy.db")
        assert list(small_disk.iterdir()) == []
        assert store.turns.count() == 200


def test_a_database_at_its_page_limit_keeps_what_it_has(path, make_turn):
    with Store.open(path) as store:
        store.turns.add(make_turn(id="turn-kept"))
        store.connection.value("pragma max_page_count = 1")  # SQLite takes the present size
        with pytest.raises(DiskFull):
            store.turns.add(make_turn("x" * 300_000))
        assert store.turns.count() == 1
        store.connection.value("pragma max_page_count = 1000000")
        assert store.turns.add(make_turn("x" * 300_000))


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_writer_that_is_killed_loses_nothing_that_it_committed(path, write, after):
    process = write(path, "a", 100_000, size=2000)
    ids = [process.stdout.readline().strip() for _ in range(after)]
    os.kill(process.pid, signal.SIGKILL)
    ids += process.stdout.read().splitlines()
    assert process.wait() == -signal.SIGKILL
    assert len(ids) >= after
    assert_whole(path, ids)


def test_killing_writers_again_and_again_leaves_the_database_whole(path, write):
    ids = []
    for number in range(5):
        process = write(path, f"w{number}", 100_000, size=3000)
        ids.append(process.stdout.readline().strip())
        time.sleep(0.03 * number)
        os.kill(process.pid, signal.SIGKILL)
        ids += process.stdout.read().splitlines()
        process.wait()
    assert_whole(path, ids)


def test_a_process_killed_while_the_schema_is_made_does_no_harm(path, make_turn):
    code = (
        "import os, pathlib, signal\n"
        "from align_agent.store import Store, migrations\n"
        "steps = migrations.MIGRATIONS\n"
        "def die(db):\n"
        "    steps[4](db)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrations.MIGRATIONS = (*steps[:4], die, *steps[5:])\n"
        f"Store.open(pathlib.Path({str(path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -signal.SIGKILL
    with Store.open(path) as store:
        assert store.turns.add(make_turn())
        assert store.check() == []


def test_several_processes_write_at_once_from_the_first_moment(path, write):
    writers = [write(path, f"w{number}", 60) for number in range(3)]
    printed = [writer.communicate(timeout=120)[0].splitlines() for writer in writers]
    ids = [line for lines in printed for line in lines]
    assert len(ids) == 180
    assert all(line.startswith("turn-") for line in ids)
    assert_whole(path, ids)
    with Store.open(path) as store:
        assert store.turns.count() == 180
        assert store.counters.all() == {"written": 180}
    assert not (path.parent / "backups").exists()
