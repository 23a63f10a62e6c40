"""The recorder: it never holds up the chat, and hides no failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from align_agent.capture import Recorder
from align_agent.config import PrivacyConfig
from align_agent.records import Message, Turn
from align_agent.store import Store

PRIVACY = PrivacyConfig()


def stored(path) -> list[str]:
    with Store.open(path) as store:
        return [turn.user_text for turn in store.turns.all_main()]


def counters(path) -> dict[str, int]:
    with Store.open(path) as store:
        return store.counters.all()


def test_a_recorded_turn_is_stored(path, make_turn):
    with Recorder(path, PRIVACY) as recorder:
        assert recorder.record(make_turn("hello"))
        assert recorder.flush()
        assert recorder.stats["recorded"] == 1
        assert recorder.stats["pending"] == 0
    assert stored(path) == ["hello"]


def test_turns_are_stored_in_the_order_in_which_they_came(path, make_turn):
    with Recorder(path, PRIVACY) as recorder:
        for number in range(50):
            recorder.record(make_turn(str(number)))
    assert stored(path) == [str(number) for number in range(50)]


def test_closing_stores_what_is_queued(path, make_turn):
    recorder = Recorder(path, PRIVACY)
    for number in range(20):
        recorder.record(make_turn(str(number)))
    assert recorder.close()
    assert len(stored(path)) == 20


def test_the_same_turn_is_recorded_once(path, make_turn):
    turn = make_turn()
    with Recorder(path, PRIVACY) as recorder:
        assert recorder.record(turn)
        assert recorder.record(turn)
        recorder.flush()
        assert (recorder.stats["recorded"], recorder.stats["known"]) == (1, 1)
    assert len(stored(path)) == 1


@pytest.mark.parametrize("odd", ["nothing", "reader", "rubbish"])
def test_turns_that_waited_together_are_all_stored_once_whatever_one_of_them_does(
    path, make_turn, odd
):
    gate, read = threading.Event(), []

    def on_stored(store, turn):
        gate.wait(30)
        if odd == "reader" and turn.position == 7:
            raise ValueError("unreadable")
        store.links.note(turn.id, "read", "1")
        read.append(turn.user_text)

    recorder = Recorder(path, PrivacyConfig(redact_personal=True), on_stored=on_stored)
    recorder.record(make_turn("first"))
    same = make_turn("mail 0@b.org")
    for turn in [same, same, *(make_turn(f"mail {number}@b.org") for number in range(1, 20))]:
        recorder.record(turn)
    if odd == "rubbish":
        recorder.record("no turn")  # type: ignore[arg-type]
    gate.set()
    assert recorder.close(60)
    assert stored(path) == ["first", *["mail [redacted:email]"] * 20]
    stats = recorder.stats
    assert (stats["recorded"], stats["known"]) == (21, 1)
    assert (stats["unread"], stats["failed"]) == (odd == "reader", odd == "rubbish")
    assert counters(path)["redacted.email"] == 20


def test_a_full_queue_drops_and_counts_and_never_waits(path, make_turn):
    gate = threading.Event()
    recorder = Recorder(path, PRIVACY, queue_size=3, on_stored=lambda *_: gate.wait(30))
    assert recorder.record(make_turn("first"))
    deadline = time.monotonic() + 30
    while recorder.stats["recorded"] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    taken = [recorder.record(make_turn(str(number))) for number in range(10)]
    assert taken == [True] * 3 + [False] * 7
    assert recorder.stats["dropped"] == 7
    assert recorder.stats["pending"] == 4
    gate.set()
    assert recorder.close(30)
    assert stored(path) == ["first", "0", "1", "2"]
    assert counters(path)["capture.dropped"] == 7


def test_recording_after_closing_is_refused_and_counted(path, make_turn):
    recorder = Recorder(path, PRIVACY)
    recorder.close()
    assert not recorder.record(make_turn())
    assert recorder.stats["dropped"] == 1


def test_a_recorder_that_is_never_used_makes_no_file_and_no_thread(path):
    before = threading.active_count()
    with Recorder(path, PRIVACY) as recorder:
        assert threading.active_count() == before
        assert recorder.flush()
    assert not path.exists()


def test_what_is_recorded_is_redacted(path, make_turn):
    key = "sk-" + "a1B2c3" * 8
    turn = make_turn(f"key {key}, mail a@b.org", f"kept {key}")
    with Recorder(path, PRIVACY) as recorder:
        recorder.record(turn)
    assert stored(path) == ["key [redacted:openai_key], mail [redacted:email]"]
    assert counters(path) == {"redacted.email": 1, "redacted.openai_key": 2}
    assert key.encode() not in path.read_bytes()


def test_personal_data_is_kept_when_the_setting_says_so(path, make_turn):
    with Recorder(path, PrivacyConfig(redact_personal=False)) as recorder:
        recorder.record(make_turn("mail a@b.org"))
    assert stored(path) == ["mail a@b.org"]


def test_turns_that_the_user_wants_ignored_are_counted_but_not_stored(path, make_turn):
    privacy = PrivacyConfig(ignore=("heartbeat*", "*OFF the record*"))
    with Recorder(path, privacy) as recorder:
        assert recorder.record(make_turn("tick", channel="heartbeat-1"))
        assert recorder.record(make_turn("this is\noff the Record, ok?"))
        assert recorder.record(make_turn("on the record"))
        recorder.flush()
        assert recorder.stats["ignored"] == 2
    assert stored(path) == ["on the record"]
    assert counters(path) == {"capture.ignored": 2}


def test_each_stored_turn_is_handed_on_with_its_position(path, make_turn):
    seen = []

    def look(store, turn):
        seen.append((threading.current_thread().name, turn.position, store.turns.count()))

    with Recorder(path, PRIVACY, on_stored=look) as recorder:
        recorder.record(make_turn("one"))
        recorder.record(make_turn("two"))
    assert seen == [("recorder", 0, 1), ("recorder", 1, 2)]


def test_a_reader_that_fails_loses_no_turn_and_is_counted(path, make_turn, caplog):
    def fail(store, turn):
        raise ZeroDivisionError("oops")

    with Recorder(path, PRIVACY, on_stored=fail) as recorder:
        recorder.record(make_turn("one"))
        recorder.record(make_turn("two"))
        recorder.flush()
        assert (recorder.stats["recorded"], recorder.stats["unread"]) == (2, 2)
        assert "oops" in recorder.last_error
    assert stored(path) == ["one", "two"]
    assert counters(path) == {"capture.unread": 2}
    assert "reading its feedback failed" in caplog.text


@pytest.mark.parametrize("rubbish", [None, 7, "turn", object()])
def test_recording_what_is_no_turn_is_counted_and_harms_nothing(path, make_turn, rubbish):
    with Recorder(path, PRIVACY) as recorder:
        recorder.record(rubbish)
        recorder.record(make_turn("after"))
        recorder.flush()
        assert recorder.stats["failed"] == 1
    assert stored(path) == ["after"]
    assert counters(path) == {"capture.failed": 1}


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "a" * 1_000_000], ids=repr)
def test_hard_texts_are_recorded(path, make_turn, text):
    with Recorder(path, PRIVACY) as recorder:
        recorder.record(make_turn(text, text))
    assert len(stored(path)) == 1


def test_a_foreign_database_fails_at_once_and_is_named(path, make_turn, caplog):
    path.write_bytes(b"somebody else's file")
    with Recorder(path, PRIVACY) as recorder:
        assert recorder.record(make_turn())
        assert recorder.flush(30)
        assert recorder.stats["failed"] == 1
        assert "no SQLite database" in recorder.last_error
    assert "was not recorded" in caplog.text
    assert path.read_bytes() == b"somebody else's file"


def test_a_disk_that_comes_back_in_time_loses_nothing(tmp_path, make_turn):
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    path = home / "align.db"
    with Recorder(path, PRIVACY, retry_seconds=60) as recorder:
        recorder.record(make_turn("one"))
        recorder.record(make_turn("two"))
        assert not recorder.flush(0.3)
        home.unlink()
        assert recorder.flush(30)
        assert recorder.stats["failed"] == 0
    assert stored(path) == ["one", "two"]


def test_a_disk_that_stays_away_is_given_up_on_and_counted(tmp_path, make_turn):
    home = tmp_path / "home"
    home.write_text("a file where the folder should be")
    path = home / "align.db"
    recorder = Recorder(path, PRIVACY, retry_seconds=0.2)
    for number in range(5):
        recorder.record(make_turn(str(number)))
    assert recorder.flush(30)
    assert recorder.stats["failed"] == 5
    home.unlink()
    recorder.record(make_turn("back"))
    assert recorder.close()
    assert stored(path) == ["back"]
    assert counters(path) == {"capture.failed": 5}


def test_closing_does_not_wait_for_a_disk_that_is_away(tmp_path, make_turn):
    (tmp_path / "home").write_text("a file where the folder should be")
    recorder = Recorder(tmp_path / "home" / "align.db", PRIVACY, retry_seconds=3600)
    recorder.record(make_turn())
    assert recorder.close(60)
    assert recorder.stats["failed"] == 1


def test_a_lock_held_by_another_process_delays_no_caller(path, make_turn):
    with Store.open(path) as holder, Recorder(path, PRIVACY) as recorder:
        with holder.transaction():
            assert recorder.record(make_turn("waited"))
            assert not recorder.flush(0.2)
        assert recorder.flush(30)
    assert stored(path) == ["waited"]


def test_a_system_without_threads_left_drops_and_counts(path, make_turn, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    recorder = Recorder(path, PRIVACY)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not recorder.record(make_turn("lost"))
    assert recorder.stats["dropped"] == 1
    assert "new thread" in recorder.last_error
    assert recorder.record(make_turn("kept"))
    recorder.close(30)
    assert stored(path) == ["kept"]


def test_many_threads_may_record_at_once(path, make_turn):
    with Recorder(path, PRIVACY) as recorder:
        threads = [
            threading.Thread(
                target=lambda name=name: [recorder.record(make_turn(f"{name}")) for _ in range(25)]
            )
            for name in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stored(path)) == 100


CHILD = """
import pathlib, sys, time
from align_agent.capture import Recorder
from align_agent.config import PrivacyConfig
from align_agent.records import Message, Turn

def heard(store, turn):
    print(turn.id, flush=True)

recorder = Recorder(pathlib.Path(sys.argv[1]), PrivacyConfig(), queue_size=100000, on_stored=heard)
for n in range(int(sys.argv[2])):
    text = f"{n} " + "x" * 2000
    recorder.record(Turn("c", (Message("user", text),), (), text, "", id=f"turn-{n}"))
if sys.argv[3] == "sleep":
    time.sleep(600)
"""


def test_a_killed_program_keeps_every_turn_that_was_acknowledged(path):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), "5000", "sleep"],
        stdout=subprocess.PIPE,
        text=True,
    )
    ids = [process.stdout.readline().strip() for _ in range(15)]
    os.kill(process.pid, signal.SIGKILL)
    ids += process.stdout.read().splitlines()
    process.wait()
    with Store.open(path) as store:
        assert store.check() == []
        assert all(store.turns.get(turn_id) for turn_id in ids)


def test_a_program_that_ends_without_closing_still_stores_its_queue(path):
    subprocess.run(
        [sys.executable, "-c", CHILD, str(path), "30", "end"], check=True, capture_output=True
    )
    assert len(stored(path)) == 30


def test_a_full_disk_is_counted_and_the_chat_goes_on(path, make_turn):
    # A limit on the size of files acts on the whole process, so this is a process of its own.
    code = (
        "import pathlib, resource, sys\n"
        "from align_agent.capture import Recorder\n"
        "from align_agent.config import PrivacyConfig\n"
        "from align_agent.records import Message, Turn\n"
        "from align_agent.store import Store\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "Store.open(path).close()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "recorder = Recorder(path, PrivacyConfig(), retry_seconds=0.2)\n"
        "for n in range(40):\n"
        "    text = f'{n} ' + 'x y ' * 5000\n"
        "    assert recorder.record(Turn('c', (Message('user', text),), (), text, ''))\n"
        "assert recorder.flush(60)\n"
        "print(recorder.stats['recorded'], recorder.stats['failed'], recorder.last_error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    recorded, failed, error = done.stdout.split(maxsplit=2)
    assert int(recorded) + int(failed) == 40
    assert int(failed) > 0
    assert "disk is full" in error
    assert len(stored(path)) == int(recorded)
    with Store.open(path) as store:
        assert store.check() == []


def test_a_turn_with_a_tool_result_keeps_its_shape(path):
    turn = Turn("c", (Message("user", "x"),), (Message("tool", "1", tool_call_id="a"),), "x", "")
    with Recorder(path, PRIVACY) as recorder:
        recorder.record(turn)
    with Store.open(path) as store:
        assert store.turns.get(turn.id).response == turn.response
