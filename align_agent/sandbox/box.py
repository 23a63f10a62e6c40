"""One box: started, talked to line by line, and taken down with everything that it started.

`Box` is a context manager; when its block ends nothing of it runs and nothing of it is on disk.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from align_agent.sandbox.levels import (
    PREFIX,
    UIDS,
    Limits,
    Wall,
    command,
    environment,
    order_of,
    other_user,
    wall,
)

_log = logging.getLogger(__name__)
_OLD = 600.0  # a box of now is never so old, whoever's process it belongs to
_START = 60.0  # seconds in which a box must stand, however busy the machine is
_END = 5.0  # seconds in which a guard ends what it guards, before it is ended itself


class BoxError(Exception):
    """The code in the box ended, hung or said too much. The message is for people."""


class BoxNotStarted(Exception):
    """A box that does not stand: no fault of the code, none of which has run. The message is for
    people."""


class Box:
    """Code behind a wall. `role` and its arguments are those of `roles.py`."""

    def __init__(self, role: str, limits: Limits | None = None, **arguments: Any) -> None:
        self.limits = limits or Limits()
        self._order = {"role": role, **arguments}
        self._buffer = b""
        self._said = 0

    def __enter__(self) -> Box:
        """Raises SandboxUnavailable, and BoxNotStarted."""
        name, self.level = wall()
        _sweep()
        try:
            self._start(name)
        except (BoxError, OSError) as error:
            raise BoxNotStarted(f"the box did not start: {error}") from error
        return self

    def _start(self, name: Wall) -> None:
        self._folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        try:
            uid = other_user()
            if uid is not None:
                os.chown(self._folder, uid, uid)
            self._deadline = time.monotonic() + _START
            self._process = subprocess.Popen(
                command(name, self.limits),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=environment(self._folder),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            _remove(self._folder)
            raise
        try:
            self._write(order_of(name, self.limits, self._folder, uid, **self._order))
            self.held: list[str] = self.read()["held"]
            if missing := set(self.level.split(" + ")) - set(self.held):
                raise BoxError(f"the wall does not stand: no {', '.join(sorted(missing))}")
            self._deadline = time.monotonic() + self.limits.seconds
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End everything in the box, and take away its folder."""
        self._process.terminate()  # the guard ends all others first
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process.wait()
        end = time.monotonic() + 1
        while time.monotonic() < end and (groups := _groups(self._process.pid)):
            for group in groups:  # only if the guard was killed; nobody can leave the session
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
            time.sleep(0.002)
        _remove(self._folder)

    def tell(self, message: dict[str, Any]) -> None:
        """Write one line to the box. Raises BoxError when it does not listen."""
        self._write(json.dumps(message).encode() + b"\n")

    def read(self) -> dict[str, Any]:
        """The next line from the box. Raises BoxError: it ended, hung, or said what is no JSON
        object or too long."""
        while b"\n" not in self._buffer:
            chunk = self._chunk()
            if not chunk:
                raise BoxError(self._how_it_ended())
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BoxError("the answer is not readable") from error
        if not isinstance(message, dict):
            raise BoxError("the answer is not readable")
        return message

    def finish(self) -> tuple[int | None, str, str]:
        """All that it prints until its end: (exit status, text, what stopped it or "").

        The status is None when it was stopped; a signal is told as a shell does, from 128 on.
        """
        text, self._buffer = bytearray(self._buffer), b""
        try:
            while chunk := self._chunk():
                text += chunk
            status = self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None, text.decode(errors="replace"), self._too_slow()
        except BoxError as error:
            return None, bytes(text[: self.limits.output]).decode(errors="replace"), str(error)
        return status, text.decode(errors="replace"), ""

    def _chunk(self) -> bytes:
        left = self._deadline - time.monotonic()
        stream = self._process.stdout
        assert stream is not None
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise BoxError(self._too_slow())
        chunk: bytes = os.read(stream.fileno(), 65536)
        self._said += len(chunk)
        if self._said > self.limits.output:
            raise BoxError(f"too much output: more than {self.limits.output:,} bytes")
        return chunk

    def _write(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
        view = memoryview(data)
        while view:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([], [stream], [], left)[1]:
                raise BoxError(self._too_slow())
            try:
                view = view[os.write(stream.fileno(), view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BoxError(self._how_it_ended()) from error

    def _too_slow(self) -> str:
        return f"timed out after {self.limits.seconds:g} s"

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "the process stopped answering"
        if status < 0 or status > 128:
            number = -status if status < 0 else status - 128
            try:
                return f"the process was ended by {signal.Signals(number).name}"
            except ValueError:
                pass
        return f"the process ended by itself (exit code {status})"


def _groups(session: int) -> set[int]:
    """The groups of a session in which a process is more than a name that nobody has asked after
    yet."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, _, group, own = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(own) == session and state not in "ZX":
                found.add(int(group))
    return found


def _remove(folder: str) -> None:
    """Take away a folder of a box whose processes have ended, folders within that were shut too.

    However deep: what lies in a folder within moves up beside it before that one goes, so there is
    neither a long path nor a call within a call.
    """
    fresh = (f"{os.urandom(8).hex()}-{number}" for number in count())
    with suppress(OSError):
        top = _opened(folder)
        try:
            waiting = _emptied(top, top, fresh)
            while waiting:
                name = waiting.pop()
                with suppress(OSError):
                    inner = _opened(name, top)
                    try:
                        waiting += _emptied(inner, top, fresh)
                    finally:
                        os.close(inner)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        Path(folder).rmdir()
    if os.path.lexists(folder):
        _log.warning("the folder of a box that has ended could not be removed: %s", folder)


def _emptied(place: int, top: int, fresh: Iterator[str]) -> list[str]:
    """Remove a folder's files and move its folders to `top`, whose names are given back."""
    moved = []
    with os.scandir(place) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        with suppress(OSError):
            if not is_folder:
                os.unlink(name, dir_fd=place)
                continue
            os.close(_opened(name, place))  # one that is shut cannot be moved
            new = next(fresh)
            os.rename(name, new, src_dir_fd=place, dst_dir_fd=top)
            moved.append(new)
    return moved


def _opened(name: str, place: int | None = None) -> int:
    """A folder, opened though it was shut; no link is followed."""
    held = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
    try:
        os.chmod(f"/proc/self/fd/{held}", 0o700)  # noqa: PTH101
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=held)
    finally:
        os.close(held)


@cache
def _sweep() -> None:
    """Take away, once in a process, the folders of boxes whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            found = folder.lstat()
            ours = found.st_uid == os.getuid() or (os.geteuid() == 0 and found.st_uid in UIDS)
            old = time.time() - found.st_mtime > _OLD
            if ours and old and owner.isdigit() and not _lives(int(owner)):
                _remove(str(folder))  # which follows no link, and fails with a warning alone


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
