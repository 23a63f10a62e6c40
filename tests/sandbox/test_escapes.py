"""Code in a box tries to get out, to last, or to take more than its share. Every wall is tried, as
root and as an ordinary user."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from align_agent.sandbox import levels
from align_agent.sandbox.box import Box, BoxError
from align_agent.sandbox.levels import Limits

QUICK = Limits(memory=256 << 20, seconds=20, cpu=3)


def run(source: str, limits: Limits = QUICK) -> tuple[int | None, str, str]:
    with Box("program", limits, source=source, stdin="") as box:
        return box.finish()


def running(mark: str) -> list[str]:
    """The processes of this machine whose command line holds the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "cmdline").read_text(errors="replace"):
                found.append(folder.name)
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    """Whether no process with the mark is left: what was killed takes a moment."""
    deadline = time.monotonic() + 10
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(mark)


def test_this_machine_has_a_wall() -> None:
    name, held = levels.wall()
    assert name in held
    assert "seccomp" in held


def test_plain_code_runs_and_prints(wall: str) -> None:
    status, text, why = run("import math, heapq, collections\nprint(math.factorial(5))")
    assert (status, text, why) == (0, "120\n", "")


def test_a_fork_bomb_is_bounded_and_gone_afterwards(wall: str) -> None:
    bomb = """
import os, time
made = 0
while True:
    try:
        pid = os.fork()
    except OSError:
        print(made, flush=True)
        break
    made += 1
    if pid == 0:
        os.execv("/bin/sleep", ["align-fork-bomb", "300"])
time.sleep(60)
"""
    with Box("program", Limits(seconds=1, processes=12), source=bomb, stdin="") as box:
        _, text, why = box.finish()
    assert "timed out" in why
    assert 0 < int(text.split()[0]) <= 12
    assert gone("align-fork-bomb")


def test_ten_gigabytes_are_not_given(wall: str) -> None:
    _, text, _ = run("try:\n    bytearray(10 << 30)\nexcept MemoryError:\n    print('refused')")
    assert text == "refused\n"


def test_endless_output_is_cut_off(wall: str) -> None:
    limits = Limits(output=100_000, seconds=20)
    status, text, why = run("while True: print('x' * 1000)", limits)
    assert status is None
    assert "too much output" in why
    assert len(text) <= 100_000


def test_an_endless_loop_is_ended(wall: str) -> None:
    status, _, why = run("while True: pass", Limits(seconds=0.3))
    assert status is None
    assert why == "timed out after 0.3 s"


def test_nothing_is_written_outside(wall: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    places = [str(tmp_path / "x"), "/tmp/align-escaped", "/usr/align-escaped", "/dev/shm/align-x"]
    _, text, _ = run(
        f"for place in {places!r}:\n"
        "    try:\n        open(place, 'w').write('x'); print('wrote', place)\n"
        "    except OSError:\n        print('no')"
    )
    assert text == "no\n" * len(places)
    assert not any(Path(place).exists() for place in places)


def test_processes_of_others_are_not_named(wall: str) -> None:
    if wall == "landlock":
        pytest.skip("names of files can be asked after there")
    _, text, _ = run(
        "import os\nnumbers = range(1, os.getpid() + 5000)\n"
        "print(sum(os.path.exists(f'/proc/{n}') for n in numbers) < 5)\n"
        f"print(os.path.exists('/proc/{os.getpid()}/cmdline'))"
    )
    assert text == "True\nFalse\n"


def test_a_large_file_is_not_given(wall: str) -> None:
    code = (
        "try:\n    with open('big', 'wb') as f:\n        f.write(bytes(100 << 20))\n"
        "except OSError:\n    print('refused')"
    )
    status, text, _ = run("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + code)
    assert (status, text) == (0, "refused\n")


def test_what_lies_at_home_and_in_the_project_is_not_read(wall: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    home, here = str(Path.home()), str(Path(__file__).parent)
    _, text, _ = run(
        "import os\n"
        f"for place in {[str(secret), here + '/test_escapes.py']!r}:\n"
        "    try:\n        print(open(place).read())\n    except OSError:\n        print('no')\n"
        f"for place in {[home, here, '/etc']!r}:\n"
        "    try:\n        print([n for n in os.listdir(place) if n != 'alternatives' "
        "and not n.startswith('ld.so')])\n    except OSError:\n        print('no')\n"
        "print(os.listdir('.'))"
    )
    *places, own = text.splitlines()
    assert places[:2] == ["no", "no"]
    assert set(places[2:]) <= {"no", "[]", "['.pyenv']"}
    assert own == "[]"


def test_the_environment_is_empty(wall: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for you")
    _, text, _ = run("import os; print(sorted(os.environ))")
    assert set(eval(text)) <= {"HOME", "LANG", "LC_CTYPE", "PATH", "PWD", "TMPDIR"}


def test_there_is_no_network(wall: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        _, text, _ = run(
            "import socket\n"
            f"for kind, place in ((socket.AF_INET, ('127.0.0.1', {port})), "
            "(socket.AF_UNIX, '\\0x')):\n"
            "    try:\n        socket.socket(kind).connect(place); print('connected')\n"
            "    except OSError:\n        print('no')"
        )
    assert text == "no\nno\n"


def test_it_cannot_signal_who_started_it(wall: str) -> None:
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        run(
            "import os, signal\n"
            f"for pid in ({os.getpid()}, os.getppid() or {os.getpid()}, {other.pid}, -1):\n"
            "    try:\n"
            "        os.kill(pid, signal.SIGUSR1)\n"
            "    except OSError: pass"
        )
        time.sleep(0.1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        signal.signal(signal.SIGUSR1, before)
    assert heard == []


def test_children_that_hide_are_ended_with_it(wall: str) -> None:
    code = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        for leave in (os.setsid, lambda: os.setpgid(0, 0)):
            try:
                leave()
            except OSError:
                pass
        if os.fork() == 0:
            os.execv("/bin/sleep", ["align-hidden-child", "300"])
        os._exit(0)
time.sleep(0.3)
print("started")
"""
    with Box("program", QUICK, source=code, stdin="") as box:
        box.finish()
    assert gone("align-hidden-child")


# What code may do so that it lasts. Then it sleeps, in a child and itself.
_LETS_GO = "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)"
_SIGNALS = "os.kill(0, signal.SIGUSR1); time.sleep(0.3)"
_STOPS = "stop = True"
_LASTS = {
    "does nothing": "",
    "lets go of its parent": _LETS_GO,
    "signals its group": _SIGNALS,
    "stops its group": _STOPS,
    "does it all": f"{_LETS_GO}; {_SIGNALS}; {_STOPS}",
}
_LASTING = """
import ctypes, os, signal, time
for number in signal.valid_signals() - {{9, 19, 17}}:
    signal.signal(number, signal.SIG_IGN)
stop = False
{attack}
sleeping, begun = os.pipe()
if not os.fork():
    os.execv("/bin/sleep", ["sleep", "{mark}"])
os.close(begun)
os.read(sleeping, 1)
print("up", flush=True)
if stop:
    os.kill(0, signal.SIGSTOP)
os.execv("/bin/sleep", ["sleep", "{mark}"])
"""


@pytest.mark.parametrize("attack", _LASTS.values(), ids=_LASTS)
def test_a_killed_parent_takes_the_box_with_it(wall: str, tmp_path: Path, attack: str) -> None:
    mark = f"300.{os.getpid()}{random.randrange(10**6)}"  # seconds to sleep that nobody else does
    source = _LASTING.format(attack=attack, mark=mark)
    starter = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from align_agent.sandbox import box, levels\n"
        f"levels.INNER = Path({str(levels.INNER)!r})\n"
        f"box.wall = lambda: ({wall!r}, {wall!r})\n"
        f"with box.Box('program', source={source!r}, stdin='') as one:\n"
        "    print(os.read(one._process.stdout.fileno(), 9).decode(), end='', flush=True)\n"
        "    time.sleep(60)\n"
    )
    tmp_path.chmod(0o755)
    parent = subprocess.Popen(
        [sys.executable, "-c", starter],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    assert set(running(mark)) > {str(parent.pid)}
    parent.kill()
    parent.wait()
    assert gone(mark)
    parent.stdout.close()


def test_nothing_is_left_on_disk(
    wall: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "boxes"
    folder.mkdir()
    folder.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    run(
        "import os\nopen('left', 'w').write('x'); os.mkdir('shut', 0)\n"
        "for _ in range(1500):\n    os.mkdir('d'); os.chdir('d')"
    )
    assert list(folder.iterdir()) == []


def test_a_reader_that_is_gone_is_told_in_words(wall: str) -> None:
    with (
        Box("solution", QUICK, source="import os\ndef f(): os._exit(0)") as box,
        pytest.raises(BoxError, match="ended by itself"),
    ):
        assert box.read() == {"ready": True}
        box.tell({"name": "f", "args": ["list", []], "kwargs": ["dict", []]})
        box.read()
