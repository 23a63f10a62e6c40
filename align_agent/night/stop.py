"""Asking a night to stop by a signal: it ends at its next step, never inside one.

An exception raised in a signal's handler can strike anywhere, also while an import or another
library holds a lock, which is then never released. So the first signal only leaves a note, which
the next report of progress finds; a second one does not wait.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from align_agent.night.progress import Progress


class Stoppable:
    """A progress that raises KeyboardInterrupt at the first report after a stop was asked for."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._asked = False

    def __enter__(self) -> Stoppable:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def on_signals(self, *numbers: signal.Signals) -> None:
        """Let these signals ask for the stop."""
        for number in numbers:
            signal.signal(number, self.ask)

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask for the stop; whoever asks twice gets it at once. Raises KeyboardInterrupt."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def phase(self, name: str, total: int | None = None) -> None:
        self._check()
        self._shown.phase(name, total)

    def step(self, done: int, note: str = "") -> None:
        self._check()
        self._shown.step(done, note)

    def say(self, text: str) -> None:
        self._shown.say(text)

    def _check(self) -> None:
        if self._asked:
            raise KeyboardInterrupt
