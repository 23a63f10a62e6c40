"""Drawing tokens: the sampling rule and the loop with a key-value cache, for one row or many.

Knows nothing of text; `answer.AnswerBuilder` decides when a row is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from align_agent.errors import ModelError
from align_agent.models.cache import growing_cache
from align_agent.models.forward import keys_and_values
from align_agent.models.generation import Sampling

# Below one by more than float32 can lose: u * total stays under the last cumulated probability.
_BELOW_ONE = 1.0 - 1e-6


def noise(seed: int, rows: Sequence[int], steps: int) -> torch.Tensor:
    """Uniform numbers for sampling, (len(rows), steps) on the CPU.

    Each row draws from a generator of its own, so that an answer depends on the seed and on its
    place in the request, and not on how the request was cut into batches.
    """
    drawn = []
    for row in rows:
        generator = torch.Generator().manual_seed((seed * 1_000_003 + row) % 2**63)
        drawn.append(torch.rand(steps, generator=generator))
    return torch.stack(drawn) * _BELOW_ONE


def draw(
    logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row, by inverting the cumulated distribution at `uniform`.

    logits (B, V), uniform (B,) in [0, 1). Returns ids (B,) and their log-probabilities (B,) in
    nats under softmax(logits), before temperature and top_p. Greedy when the temperature is 0;
    ties go to the lowest id.
    """
    logits = logits.float()
    logprobs = torch.log_softmax(logits, dim=-1)
    if sampling.temperature == 0:
        ids = logits.argmax(dim=-1)
    else:
        probs = torch.softmax(logits / sampling.temperature, dim=-1)  # (B, V)
        if sampling.top_p < 1:
            probs, order = probs.sort(dim=-1, descending=True, stable=True)
            before = probs.cumsum(dim=-1) - probs  # mass of all likelier tokens
            probs = probs * (before < sampling.top_p)  # the likeliest token always stays
        cumulated = probs.cumsum(dim=-1)
        target = uniform[:, None] * cumulated[:, -1:]
        ids = torch.searchsorted(cumulated, target, right=True).squeeze(-1)
        ids = ids.clamp(max=logits.shape[-1] - 1)
        if sampling.top_p < 1:
            ids = order.gather(-1, ids[:, None]).squeeze(-1)
    return ids, logprobs.gather(-1, ids[:, None]).squeeze(-1)


class Decoder:
    """The loop's state: cache, attention mask, and which rows are still being written.

    Prompts of different lengths are padded on the left; padding is masked and has no position,
    so that a row gets the numbers that it would get alone.
    """

    def __init__(
        self,
        network: Any,
        prompts: Sequence[Sequence[int]],
        uniform: torch.Tensor,
        sampling: Sampling,
        pad_id: int,
    ) -> None:
        device = network.device
        longest = max(map(len, prompts))
        padded = [[pad_id] * (longest - len(p)) + list(p) for p in prompts]
        self._network = network
        self._sampling = sampling
        self._uniform = uniform.to(device)  # (B, steps)
        self._next = torch.tensor(padded, device=device)  # (B, T), later (B, 1)
        self._cache = growing_cache(network.config)
        self._attention: torch.Tensor | None = None  # (B, T) where there is padding
        if any(len(p) < longest for p in prompts):
            masks = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
            self._attention = torch.tensor(masks, device=device)
        self._step = 0
        self.rows = list(range(len(prompts)))

    def step(self) -> list[tuple[int, int, float]]:
        """Write one token in every row that is left: (row, token id, log-probability in nats).

        Raises ModelError when the network's output is not a number.
        """
        with torch.inference_mode():
            logits = self._forward()  # (B, V)
            uniform = self._uniform[self.rows, self._step]
            ids, logprobs = draw(logits, uniform, self._sampling)
            self._next = ids[:, None]
        self._step += 1
        written = list(zip(self.rows, ids.tolist(), logprobs.tolist(), strict=True))
        if any(math.isnan(logprob) for _, _, logprob in written):
            raise ModelError(
                "the network's output is not a number",
                hint="the model or its adapter is damaged: roll back, or check the model's files",
            )
        return written

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone; the others are over and cost nothing more."""
        if len(rows) == len(self.rows):
            return
        wanted = set(rows)
        index = [slot for slot, row in enumerate(self.rows) if row in wanted]
        self.rows = [self.rows[slot] for slot in index]
        if not index:
            return
        slots = torch.tensor(index, device=self._next.device)
        with torch.inference_mode():
            self._cache.batch_select_indices(slots)
            self._next = self._next[slots]
            if self._attention is not None:
                self._attention = self._attention[slots]

    def _forward(self) -> torch.Tensor:
        inputs: dict[str, Any] = {}
        if self._attention is not None:
            if self._step:
                ones = self._attention.new_ones(len(self.rows), 1)
                self._attention = torch.cat([self._attention, ones], dim=1)
            positions = (self._attention.cumsum(dim=1) - 1).clamp(min=0)  # (B, T)
            inputs["attention_mask"] = self._attention
            inputs["position_ids"] = positions[:, -self._next.shape[1] :]
        output = self._network(
            input_ids=self._next,
            use_cache=True,
            logits_to_keep=1,
            **keys_and_values(self._network, self._cache),
            **inputs,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits
