"""A key-value cache that grows in place. transformers' own copies everything at every token.

Measured with 2 M parameters, 64 rows and one core: half of the time of an answer was that copy.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

_ROOM = 64  # tokens by which a full buffer grows


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values: buffers (B, heads, capacity, d), of which a part is in use.

    `keys` and `values`, which everything else reads, are views of that part.
    """

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (B, heads, T, d) and return all keys and values so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._keys = key_states.new_empty(*key_states.shape[:2], 0, key_states.shape[3])
            self._values = value_states.new_empty(*value_states.shape[:2], 0, value_states.shape[3])
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if end > self._keys.shape[2]:
            self._keys = _grown(self._keys, start, end + _ROOM)
            self._values = _grown(self._values, start, end + _ROOM)
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        self._look(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Go on with these rows alone."""
        length = self.get_seq_length()
        if length:
            self._keys, self._values = self._keys[indices], self._values[indices]
            self._look(length)

    def _look(self, length: int) -> None:
        self.keys, self.values = self._keys[:, :, :length], self._values[:, :, :length]


def growing_cache(config: Any) -> Any:
    """A cache for a network of this configuration; layers of other kinds stay as they are."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


def _grown(buffer: torch.Tensor, used: int, capacity: int) -> torch.Tensor:
    larger = buffer.new_empty(*buffer.shape[:2], capacity, buffer.shape[3])
    larger[:, :, :used] = buffer[:, :, :used]
    return larger
