"""discovery@k: the probability of a first success within k attempts. Pure arithmetic.

Best-of-k's attempts are independent, so one large sample of n attempts with c successes gives an
unbiased estimate for every k <= n: 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374, eq. 1). The
attempts of a method that learns are not; there each search counts once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def of_independent(n: int, c: int, k: int) -> float:
    """discovery@k of independent attempts of which c in n passed. Raises ValueError for k > n."""
    if not 0 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"k = {k} attempts cannot be judged from {c} of {n}")
    if n - c < k:
        return 1.0
    return -math.expm1(sum(math.log1p(-k / (n - i)) for i in range(c)))


def of_searches(firsts: Sequence[int | None], k: int) -> float:
    """The share of searches whose first success was among the first k attempts; `firsts` are the
    numbers of attempts needed, None for a search without success."""
    return sum(first is not None and first <= k for first in firsts) / len(firsts)


def interval(
    groups: Sequence[Sequence[float]], *, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """(mean, low, high) of the groups' means: problems are drawn again with replacement, and
    within each its searches (percentile bootstrap)."""
    chance = random.Random(seed)
    means = []
    for _ in range(draws):
        drawn = chance.choices(groups, k=len(groups))
        means.append(_mean([_mean(chance.choices(g, k=len(g))) for g in drawn]))
    means.sort()
    cut = (1 - level) / 2
    low, high = means[int(cut * draws)], means[min(draws - 1, int((1 - cut) * draws))]
    return _mean([_mean(g) for g in groups]), low, high


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
