"""Finished lives, one JSON line each, and what is computed from many of them. Plays nothing.

A line is appended whole when a life has ended, so a run can be cut off at any moment and taken up
again: what is in the file is not played anew, and half a line is no life.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kept import kept_rows

RUN = 3  # first answers in a row that satisfy: stable
DRAWS = 2000


def load(path: Path, protocol: object) -> list[dict[str, Any]]:
    """The lives in the file that were played by this protocol, each cell once."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in kept_rows(path):
        if row.get("protocol") == protocol:
            found.setdefault((row["user"], row["method"], row["seed"]), row)
    return list(found.values())


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one life: a single write, also beside another process that does the same."""
    data = (json.dumps(row, separators=(",", ":"), sort_keys=True) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if not ends_with_newline(path):
            data = b"\n" + data
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        if not stream.tell():
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def sessions_until_stable(first_answers: Sequence[bool], run: int = RUN) -> float:
    """Sessions before the first `run` first answers in a row that satisfy; infinity if none."""
    for start in range(len(first_answers) - run + 1):
        if all(first_answers[start : start + run]):
            return start
    return math.inf


def median(values: Sequence[float]) -> float:
    """The middle value, the mean of the two middle ones; infinities stay what they are."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def interval(
    values: Sequence[float],
    figure: Callable[[Sequence[float]], float] = mean,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """A percentile bootstrap interval over seeds, always the same for the same values."""
    rng = random.Random(0)
    n = len(values)
    drawn = sorted(figure([values[rng.randrange(n)] for _ in range(n)]) for _ in range(draws))
    cut = (1 - level) / 2
    return drawn[math.floor(cut * (draws - 1))], drawn[math.ceil((1 - cut) * (draws - 1))]


def mean_within(limit: int, values: Sequence[float]) -> list[float]:
    """The values with infinity as `limit`: the mean of them is a lower bound."""
    return [min(value, float(limit)) for value in values]
