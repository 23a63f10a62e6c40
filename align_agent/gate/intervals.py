"""How sure a figure is: bootstrap intervals. Pure; the same numbers give the same interval.

A mean is resampled with replacement, prompt by prompt (Efron and Tibshirani 1993, chapter 13). A
figure of a whole set of texts, such as the share of distinct word pairs, would fall by the mere
repeats of such a sample: it is taken on random halves instead, whose spread is that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES = 1000
HALVES = 100
LEVEL = 0.95
# Of fewer prompts an interval says nothing: four that agree by chance look certain.
FEWEST = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference, and where it lies with the probability `LEVEL`."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def of_mean(values: Sequence[float], seed: int = 0) -> Interval | None:
    """The mean of the values with its percentile interval; None for fewer than `FEWEST`."""
    if len(values) < FEWEST:
        return None
    import numpy as np

    data = np.asarray(values, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(data), (RESAMPLES, len(data)))
    low, high = np.quantile(data[picks].mean(axis=1), _ends())
    return Interval(float(data.mean()), float(low), float(high))


def of_ratio(above: Sequence[float], below: Sequence[float], seed: int = 0) -> Interval | None:
    """sum(above) / sum(below), paired; None for fewer than `FEWEST` pairs or a sum of zero."""
    if len(above) < FEWEST or sum(below) <= 0:
        return None
    import numpy as np

    one, two = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(one), (RESAMPLES, len(one)))
    ratios = one[picks].sum(axis=1) / np.maximum(two[picks].sum(axis=1), 1e-9)
    low, high = np.quantile(ratios, _ends())
    return Interval(float(one.sum() / two.sum()), float(low), float(high))


def of_sets(
    figure: Callable[[Sequence[str]], float], one: Sequence[str], two: Sequence[str], seed: int = 0
) -> Interval | None:
    """figure(one) - figure(two), the texts paired; None for fewer than twice `FEWEST`."""
    if len(one) < 2 * FEWEST:
        return None
    import numpy as np

    chance = np.random.default_rng(seed)
    found = []
    for _ in range(HALVES):
        half = chance.permutation(len(one))[: len(one) // 2]
        found.append(figure([one[i] for i in half]) - figure([two[i] for i in half]))
    low, high = np.quantile(found, _ends())
    value = figure(one) - figure(two)
    # Halves are a little more varied than the whole: only their spread is used.
    middle = float(np.mean(found))
    return Interval(value, value + float(low) - middle, value + float(high) - middle)


def _ends() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2
