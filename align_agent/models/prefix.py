"""Caches of answers that are over, so that a conversation's next turn computes only what is new.

Kept by adapter and token ids, the least recently used leave first. Not thread-safe.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

import torch

from align_agent.models.cache import RowCache, row_of

MIN_SHARED = 16  # tokens; below that, computing is as quick as copying


class PrefixCache:
    """At most `max_bytes` of keys and values."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._entries: OrderedDict[int, tuple[Hashable, torch.Tensor, RowCache]] = OrderedDict()
        self._next = 0
        self.used = 0

    def put(self, key: Hashable, ids: Sequence[int], cache: RowCache) -> None:
        """Keep the cache of these tokens; entries that it continues are dropped."""
        size = cache.bytes()
        if size > self._max:
            return
        mine = torch.tensor(ids[: cache.length])
        for number, (other_key, other, _) in list(self._entries.items()):
            if other_key == key and _shared(mine, other) == len(other):
                self._drop(number)
        self._entries[self._next] = (key, mine, cache)
        self._next += 1
        self.used += size
        while self.used > self._max:
            self._drop(next(iter(self._entries)))

    def get(self, key: Hashable, ids: Sequence[int]) -> RowCache | None:
        """A copy of the longest kept beginning of `ids`, shorter than `ids` itself; or None."""
        wanted = torch.tensor(ids[:-1])
        best, number = 0, -1
        for n, (other_key, other, _) in self._entries.items():
            if other_key == key and (shared := _shared(wanted, other)) > best:
                best, number = shared, n
        if best < MIN_SHARED:
            return None
        self._entries.move_to_end(number)
        kept = self._entries[number][2].cache
        copied = row_of(kept, 0, 0)
        copied.crop(best)
        return RowCache(copied, best)

    def _drop(self, number: int) -> None:
        self.used -= self._entries.pop(number)[2].bytes()


def _shared(a: torch.Tensor, b: torch.Tensor) -> int:
    """How many tokens two sequences begin with in common."""
    n = min(len(a), len(b))
    differ = (a[:n] != b[:n]).nonzero()
    return int(differ[0]) if len(differ) else n
