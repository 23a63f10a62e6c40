"""Networks whose rotary positions depend on a pass's length, so that a long row changes short ones.

"longrope" turns every position of a pass by its long factors once a single row is longer than what
the network was first trained for; "dynamic" by a base that grows with the longest row so far. Both
leave shorter passes as they are. A row must be scored as if it stood alone: here is which rows may
go through together. Answers that are generated side by side are looked after by who batches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

_LIMITS: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def limit(network: Any) -> int:
    """The longest row that leaves positions as they are; 0 where no length changes them."""
    known = _LIMITS.get(network)
    if known is None:
        found = [at for module in network.modules() for at in _limits_of(module)]
        known = _LIMITS[network] = min(found, default=0)
    return known


def is_long(network: Any, length: int) -> bool:
    """Whether a row of so many tokens has positions of its own."""
    return 0 < limit(network) < length


def apart(network: Any, lengths: Sequence[int]) -> list[list[int]]:
    """The rows' indices in passes that change none of them: mostly all in one. Those that are
    longer than the limit go alone."""
    short = [i for i, length in enumerate(lengths) if not is_long(network, length)]
    alone = [[i] for i, length in enumerate(lengths) if is_long(network, length)]
    return [short, *alone] if short else alone


def forget(network: Any) -> None:
    """Have the next pass turn its positions by its own length, not by the longest before it."""
    if not limit(network):
        return
    for module in network.modules():
        for name in vars(module):
            if name.endswith("max_seq_len_cached"):
                setattr(module, name, 0)


def _limits_of(module: Any) -> Iterator[int]:
    """The limits of one rotary embedding, which may know several kinds of layers."""
    kinds = getattr(module, "rope_type", None)
    if not isinstance(kinds, str | dict):
        return
    named = getattr(module.config, "rope_parameters", None) or {}
    for layer, kind in kinds.items() if isinstance(kinds, dict) else [("", kinds)]:
        told = (named.get(layer) if layer else named) or {}
        if kind == "longrope" and "original_max_position_embeddings" in told:
            yield int(told["original_max_position_embeddings"])
        elif kind == "longrope" or "dynamic" in kind:
            yield int(module.original_max_seq_len)
