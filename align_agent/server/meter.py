"""How long answers take, as histograms. Counts are kept where things happen; see `metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Histogram

from align_agent.models.generation import Event, Piece

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Meter:
    """Histograms in a registry of their own: several servers may run in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._first = Histogram(
            "align_first_token_seconds",
            "From a request's arrival at the engine to its first text.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._whole = Histogram(
            "align_answer_seconds",
            "From a request's arrival at the engine to the end of its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch(self) -> Callable[[Event], None]:
        """Begin to measure one answer: hand every event of it to what this returns."""
        began = time.monotonic()
        waiting = True

        def hear(event: Event) -> None:
            nonlocal waiting
            passed = time.monotonic() - began
            if waiting and isinstance(event, Piece):
                self._first.observe(passed)
                waiting = False
            if not isinstance(event, Piece):
                self._whole.observe(passed)

        return hear
