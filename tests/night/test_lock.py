import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from align_agent.errors import NightBusy
from align_agent.night.lock import NightLock

HOLDER = """
import sys, time
from pathlib import Path
from align_agent.night.lock import NightLock
with NightLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "night.lock")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_night_is_refused_and_told_who_has_the_lock(tmp_path, holder):
    with pytest.raises(NightBusy, match=str(holder.pid)) as caught:
        NightLock(tmp_path / "night.lock").__enter__()
    assert caught.value.hint


def test_a_killed_night_leaves_the_lock_free(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with NightLock(tmp_path / "night.lock"):
        pass


def test_busy_tells_whether_another_process_has_it(tmp_path, holder):
    lock = NightLock(tmp_path / "night.lock")
    assert lock.busy()
    holder.kill()
    holder.wait()
    assert not lock.busy()


def test_a_lock_that_was_never_taken_is_not_busy(tmp_path):
    assert not NightLock(tmp_path / "night.lock").busy()


def test_the_lock_is_free_after_an_error_inside(tmp_path):
    lock = NightLock(tmp_path / "night.lock")
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    assert not lock.busy()


def test_two_locks_of_one_process_exclude_each_other(tmp_path):
    with NightLock(tmp_path / "night.lock"), pytest.raises(NightBusy):
        NightLock(tmp_path / "night.lock").__enter__()


def test_looking_at_the_lock_does_not_keep_a_night_from_starting(tmp_path):
    path = tmp_path / "night.lock"
    watcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from align_agent.night.lock import NightLock\n"
            "lock = NightLock(Path(sys.argv[1]))\n"
            "print('on', flush=True)\n"
            "while True: lock.busy()",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        for _ in range(50):
            with NightLock(path):
                pass
    finally:
        watcher.kill()
        watcher.wait()
