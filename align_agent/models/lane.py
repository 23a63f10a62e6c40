"""Rows that are answered at the same time: they join and leave while the others go on.

A row enters with its prompt already in a cache of its own. Rows of different lengths are padded on
the left; padding is masked and has no position, so that a row gets the numbers it would get alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from align_agent.models.answer import AnswerBuilder
from align_agent.models.cache import RowCache, joined, row_of, trim
from align_agent.models.decoding import draw
from align_agent.models.forward import keys_and_values
from align_agent.models.generation import Deliver, Piece, Sampling, Token
from align_agent.models.mixed import Version


@dataclass(slots=True, eq=False)
class Row:
    """One answer under way."""

    prompt: Sequence[int]
    version: Version
    sampling: Sampling
    builder: AnswerBuilder
    uniform: torch.Tensor  # (steps,)
    deliver: Deliver
    top: int = 0  # how many alternatives to report for each token
    step: int = 0
    unsaid: list[Token] = field(default_factory=list)

    def push(self, token: Token) -> None:
        """Take a token; deliver the text that it makes final, or its alternatives."""
        self.step += 1
        self.unsaid.append(token)
        text = self.builder.push(token.id, token.logprob)
        if text or (self.top and not self.builder.done):
            self.say(text)

    def say(self, text: str) -> None:
        tokens, self.unsaid = tuple(self.unsaid), []
        self.deliver(Piece(text, tokens))


class Lane:
    """Rows, their cache and the tokens that go in next.

    `forward` is the network: (the rows' versions, inputs) -> its output.
    """

    def __init__(self, forward: Callable[..., Any], device: torch.device) -> None:
        self._compute = forward
        self._device = device
        self.rows: list[Row] = []
        self.cache: Any = None
        self._length = 0  # columns of the cache, padding included
        self._pads: list[int] = []

    def join(self, rows: Sequence[Row], caches: Sequence[RowCache]) -> None:
        """Let rows in; each cache holds its row's prompt but for the last token."""
        parts = [] if self.cache is None else [self.cache]
        self.cache, length = joined([*parts, *(c.cache for c in caches)])
        self._pads = [pad + length - self._length for pad in self._pads]
        self._pads += [length - c.length for c in caches]
        self._length = length
        self.rows += rows

    def step(self) -> list[Row]:
        """One more token in every row. Returns the rows whose output is not a number: they got
        none, and must leave."""
        with torch.inference_mode():
            logits = self._forward()  # (B, V)
            ids, logprobs, tops = self._draw(logits)
        broken: list[Row] = []
        for row, token_id, logprob, top in zip(self.rows, ids, logprobs, tops, strict=True):
            if math.isnan(logprob):
                broken.append(row)
            else:
                row.push(Token(token_id, logprob, top))
        return broken

    def keep(self, wanted: Callable[[Row], bool]) -> None:
        """Go on with these rows alone."""
        index = [i for i, row in enumerate(self.rows) if wanted(row)]
        if len(index) == len(self.rows):
            return
        self.rows = [self.rows[i] for i in index]
        self._pads = [self._pads[i] for i in index]
        if not index:
            self.cache, self._length = None, 0
            return
        with torch.inference_mode():
            self.cache.batch_select_indices(torch.tensor(index, device=self._device))
            if spare := min(self._pads):
                trim(self.cache, spare)
                self._length -= spare
                self._pads = [pad - spare for pad in self._pads]

    def take(self, row: Row) -> RowCache:
        """A copy of a row's cache: its prompt and all that it wrote but the last token."""
        index = self.rows.index(row)
        pad = self._pads[index]
        return RowCache(row_of(self.cache, index, pad), self._length - pad)

    def _forward(self) -> torch.Tensor:
        device = self._device
        last = [r.builder.token_ids[-1] if r.step else r.prompt[-1] for r in self.rows]
        positions = [self._length - pad for pad in self._pads]
        inputs: dict[str, Any] = {}
        if any(self._pads):
            columns = torch.arange(self._length + 1, device=device)
            pads = torch.tensor(self._pads, device=device)
            inputs["attention_mask"] = (columns[None, :] >= pads[:, None]).long()  # (B, L+1)
        output = self._compute(
            [row.version for row in self.rows],
            input_ids=torch.tensor(last, device=device)[:, None],
            position_ids=torch.tensor(positions, device=device)[:, None],
            use_cache=True,
            logits_to_keep=1,
            **keys_and_values(self.rows[0].version.network, self.cache),
            **inputs,
        )
        self._length += 1
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _draw(
        self, logits: torch.Tensor
    ) -> tuple[list[int], list[float], list[tuple[tuple[int, float], ...]]]:
        uniform = torch.stack([row.uniform[row.step] for row in self.rows]).to(logits.device)
        groups: dict[tuple[float, float], list[int]] = defaultdict(list)
        for i, row in enumerate(self.rows):
            groups[row.sampling.temperature, row.sampling.top_p].append(i)
        ids, logprobs = [0] * len(self.rows), [0.0] * len(self.rows)
        for members in groups.values():
            alone = len(members) == len(self.rows)
            chosen = slice(None) if alone else torch.tensor(members, device=logits.device)
            drawn, found = draw(logits[chosen], uniform[chosen], self.rows[members[0]].sampling)
            for i, token, logprob in zip(members, drawn.tolist(), found.tolist(), strict=True):
                ids[i], logprobs[i] = token, logprob
        return ids, logprobs, [self._top(logits[i], row.top) for i, row in enumerate(self.rows)]

    @staticmethod
    def _top(logits: torch.Tensor, count: int) -> tuple[tuple[int, float], ...]:
        if not count:
            return ()
        values, ids = torch.log_softmax(logits.float(), dim=-1).topk(count)
        return tuple(zip(ids.tolist(), values.tolist(), strict=True))
