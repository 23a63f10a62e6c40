"""Runs an iterator in a thread of its own, so that its reader can stop at any moment.

Without it, Ctrl-C during an answer would have to wait until the model has finished.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType


class Stopped(Exception):
    """Raised by the source when it sees that nobody listens any more."""


class Pump:
    """The items of `source`, produced in the background, as an iterator and context manager.

    An exception of the source is raised to the reader. Leaving the `with` block early sets
    `stop`; the source is expected to look at it and end.
    """

    def __init__(self, source: Iterator[str], stop: threading.Event) -> None:
        self._source = source
        self._stop = stop
        self._items: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="agent-turn", daemon=True)

    def __enter__(self) -> Pump:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[str]:
        while (item := self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _work(self) -> None:
        try:
            for item in self._source:
                self._items.put(item)
            self._items.put(None)
        except BaseException as error:
            self._items.put(error)
