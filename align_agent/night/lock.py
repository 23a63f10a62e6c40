"""One night at a time: a lock that the operating system drops when its process ends or is killed.

So it tells whether a night that is noted as running does. Says nothing about whether one should
(`schedule.py`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from align_agent.errors import NightBusy
from align_agent.paths import Home, is_claimed, lock, try_lock
from align_agent.records import Run

R = TypeVar("R", Run, Run | None)


class NightLock:
    """A lock on `night.lock`, as a context manager. The file holds the number of its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> NightLock:
        """Take the lock. Raises NightBusy that names the process which has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+", encoding="utf-8")
        if not lock(file.fileno()):
            pid = _read(file)
            file.close()
            who = f" (process {pid})" if pid else ""
            raise NightBusy(
                f"another night is running{who}",
                hint="wait for its end, or look at it with `align-agent runs`",
            )
        file.truncate(0)
        with suppress(OSError):  # a full disk: the lock holds without the number
            os.write(file.fileno(), f"{os.getpid()}\n".encode())
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()  # closing drops the lock
            self._file = None

    def busy(self) -> bool:
        """Whether a night holds the lock now."""
        try:
            with self.path.open("r", encoding="utf-8") as file:
                return not try_lock(file.fileno())
        except FileNotFoundError:
            return False


def as_it_is(run: R, home: Home) -> R:
    """The run. One whose process is gone does not run, whatever its row says."""
    if run is None or run.status != "running":
        return run
    if run.kind == "solve":
        if is_claimed(home.runs / run.id):
            return run
        reason = f"it was cut off; `align-agent solve PROBLEM --resume {run.id}` goes on with it"
        return replace(run, status="interrupted", reason=reason)
    if run.kind != "night" or NightLock(home.night_lock).busy():
        return run
    reason = f"it was cut off in its phase {run.phase}; the next night goes on from there"
    return replace(run, status="interrupted", reason=reason)


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read(20).strip()
