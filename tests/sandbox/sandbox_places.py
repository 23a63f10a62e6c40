"""Walls and who puts them up; and how a test that runs as root becomes an ordinary user's."""

from __future__ import annotations

import ctypes
import os
import pickle
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from align_agent.sandbox import levels

ROOT = Path(__file__).parents[2]
# No user of any machine that we know; one for each process of tests, for what a user may start is
# counted over all that it has running.
SOMEBODY = 60_123 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_ASKED = "version = _libc.syscall(444, None, 0, 1)"
_NEWNS, _TO_PRIVATE, _BIND = 0x20000, 0x44000, 0x5000


class Place(NamedTuple):
    """A wall, who puts it up, and the version of Landlock where the machine's own is too new."""

    wall: levels.Wall
    who: str
    landlock: int = 0


PLACES = [
    *(Place(wall, who) for wall in levels.WALLS for who in ("root", "ordinary")),
    Place("landlock", "ordinary", 5),  # the last that bounds no signals
]
ORDINARY = [place for place in PLACES if place.who == "ordinary"]


def name_of(place: Place) -> str:
    return "-".join(str(part) for part in place if part)


def ordinary(item: pytest.Item) -> bool:
    """Whether a test is one of an ordinary user's."""
    place = getattr(getattr(item, "callspec", None), "params", {}).get("wall")
    return isinstance(place, Place) and place.who == "ordinary"


def older(patch: pytest.MonkeyPatch, folder: Path, version: int) -> None:
    """A kernel whose Landlock is of that version."""
    text = levels.INNER.read_text(encoding="utf-8")
    assert text.count(_ASKED) == 1
    inner = folder / "inner.py"
    inner.write_text(text.replace(_ASKED, f"version = {version}"), encoding="utf-8")
    patch.setattr(levels, "INNER", inner)


def stands(place: Place) -> None:
    """Skips where this machine cannot put up the wall."""
    try:
        held = levels.probe(place.wall)
    except (OSError, ValueError) as error:
        pytest.skip(f"{place.wall} does not work on this machine: {error}")
    assert place.wall in held


def in_a_child(test: Callable[[], None], home: Path) -> None:
    """Run a test as an ordinary user whose home is the folder. Raises what it raised, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        said: tuple[str, str] = ("passed", "")
        try:
            become_somebody(home)
            test()
        except pytest.skip.Exception as skipped:
            said = ("skipped", str(skipped))
        except BaseException:
            said = ("failed", traceback.format_exc())
        finally:
            with suppress(BaseException), os.fdopen(writing, "wb") as file:
                pickle.dump(said, file)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    os.waitpid(child, 0)
    kind, text = pickle.loads(data) if data else ("failed", "the child was ended")
    if kind == "skipped":
        pytest.skip(text)
    assert kind == "passed", text


def become_somebody(home: Path) -> None:
    """An ordinary user, for whom the interpreter and this repository can be reached."""
    open_the_way([Path(levels.python()).parents[1], Path(sys.prefix), ROOT])
    os.setgroups([])
    os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
    os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
    # Without it the files of /proc that begin namespaces belong to root: we were root a moment ago.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    os.chdir("/")
    os.environ |= {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
    tempfile.tempdir = str(home)


def open_the_way(paths: list[Path]) -> None:
    """Where a folder on the way is private, such as root's, put an empty one over it that holds
    the paths alone: by mounts that nobody else sees."""
    shut: dict[Path, list[Path]] = {}
    for path in (one.resolve() for one in paths):
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & stat.S_IXOTH:
                shut.setdefault(parent, []).append(path)
                break
    if not shut:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNS) or libc.mount(None, b"/", None, _TO_PRIVATE, None):
        pytest.skip("no other user can reach the interpreter here")
    for parent, inside in shut.items():
        held = [(path, os.open(path, os.O_PATH)) for path in inside]
        assert libc.mount(b"way", bytes(parent), b"tmpfs", 0, b"mode=755") == 0
        for path, fd in held:
            path.mkdir(parents=True)
            assert libc.mount(b"/proc/self/fd/%d" % fd, bytes(path), None, _BIND, None) == 0
            os.close(fd)
