"""How a night tells what it is doing: bars on a terminal, plain lines elsewhere, or nothing.

Goes to standard error; standard output is for results. rich is imported only for a terminal.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_QUIET_S = 10.0  # a plain log gets a line about a phase's progress at most this often


class Progress(Protocol):
    """What a night calls. `phase` begins one (`total` steps when known; with 0 nothing is shown),
    or says the total of the one that has begun; `step` reports within."""

    def __enter__(self) -> Progress: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def phase(self, name: str, total: int | None = None) -> None: ...
    def step(self, done: int, note: str = "") -> None: ...
    def say(self, text: str) -> None: ...


class Silent:
    """No progress at all."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, name: str, total: int | None = None) -> None:
        return None

    def step(self, done: int, note: str = "") -> None:
        return None

    def say(self, text: str) -> None:
        return None


class Plain:
    """Plain lines, now and then: for logs, pipes and `NO_COLOR` in a dumb terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._told = 0.0

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, name: str, total: int | None = None) -> None:
        known = name == self._name  # its steps are counted only now
        self._name, self._total, self._told, self._done = name, total, time.monotonic(), 0
        if total != 0 and not known:
            self.say(f"night: {name}")

    def step(self, done: int, note: str = "") -> None:
        if done == self._done:
            return
        self._done = done
        if time.monotonic() - self._told >= _QUIET_S or done == self._total:
            self._told = time.monotonic()
            of = f" of {self._total}" if self._total else ""
            self.say(f"night: {self._name} {done}{of} {note}".rstrip())

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bars:
    """One line with a bar for each phase, on a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bars: RichProgress | None = None
        self._task: TaskID | None = None
        self._name = ""

    def __enter__(self) -> Bars:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        self._bars = Progress(
            TextColumn("{task.description:<15}"),
            BarColumn(),
            MofNCompleteColumn(),
            Elapsed(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=self._stream),
        )
        self._bars.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._bars is not None:
            if error is None:
                self._finish()
            self._bars.stop()

    def phase(self, name: str, total: int | None = None) -> None:
        if self._bars is None:
            return
        if name == self._name and self._task is not None:  # its steps are counted only now
            self._bars.update(self._task, total=total)
            return
        self._finish()
        self._name = name
        self._task = None if total == 0 else self._bars.add_task(name, total=total, note="")

    def step(self, done: int, note: str = "") -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, note=note)

    def say(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)

    def _finish(self) -> None:
        if self._bars is None or self._task is None:
            return
        task = next(t for t in self._bars.tasks if t.id == self._task)
        done = task.total if task.total is not None else max(task.completed, 1)
        self._bars.update(self._task, total=done, completed=done)


def progress_for(stream: IO[str] | None = None) -> Progress:
    """Bars where a person looks at a terminal, plain lines everywhere else."""
    target = stream if stream is not None else sys.stderr
    return Bars(target) if target.isatty() else Plain(target)
