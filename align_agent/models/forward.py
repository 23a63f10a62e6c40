"""Scoring given text: logits and log-probabilities at chosen positions, in padded batches.

Generates nothing. The head runs on the chosen positions alone: with a vocabulary of 150,000 the
logits of a prompt would cost more memory than the network.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch

from align_agent.models import rope
from align_agent.models.cache import growing_cache

PIECE = 256  # tokens that are scored while others wait
_PAUSE = 0.001
_PLAIN_HEAD: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
_CACHE_NAME: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def pad_right(sequences: Sequence[Sequence[int]], device: Any = "cpu") -> torch.Tensor:
    """Ids (B, T) filled up with 0 on the right."""
    longest = max(map(len, sequences))
    rows = [[*s, *([0] * (longest - len(s)))] for s in sequences]
    return torch.tensor(rows, device=device)


def logits_at(
    network: Any, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]
) -> torch.Tensor:
    """The logits that stand after the given positions.

    sequences: B lists of token ids. positions: B ascending lists of indices into them.
    Returns (B, A, V) in the network's dtype, A the longest list; a shorter row's rest is filler.
    Padding is on the right and needs no mask: nothing before it can see it. Rows that would turn
    each other's positions go through apart (`rope.apart`).
    """
    ends = [row[-1] + 1 for row in positions]
    cut = [s[:end] for s, end in zip(sequences, ends, strict=True)]
    index = pad_right(positions, network.device)  # (B, A)
    parts = rope.apart(network, ends)
    if len(parts) == 1:
        return _logits(network, pad_right(cut, network.device), index, use_cache=False)
    found: list[torch.Tensor] = [index.new_empty(0)] * len(cut)
    for part in parts:
        ids = pad_right([cut[i] for i in part], network.device)
        for i, row in zip(part, _logits(network, ids, index[part], use_cache=False), strict=True):
            found[i] = row
    return torch.stack(found)


def logprobs_by_piece(
    network: Any,
    ids: Sequence[int],
    positions: Sequence[int],
    lock: AbstractContextManager[Any],
    *,
    piece: int = PIECE,
    before_each: Callable[[], None] = lambda: None,
) -> Iterator[torch.Tensor]:
    """What `logits_at` says of one row as log-probabilities, (a, V) in float32, a few at a time.

    Joined they are (A, V). `lock` is held for `piece` tokens at a time, so that a long text keeps
    no answer waiting, and the whole table never stands in memory. `before_each` piece may raise.
    """
    reader = body(network) if has_plain_head(network) else network
    kept = keys_and_values(reader, growing_cache(network.config))
    end = positions[-1] + 1
    if rope.is_long(network, end):
        piece = end  # its first tokens would be turned as those of a short text
    for start in range(0, end, piece):
        before_each()
        part = torch.tensor([ids[start : min(start + piece, end)]], device=network.device)
        at = [place - start for place in positions if start <= place < start + piece]
        with lock, torch.inference_mode():
            index = torch.tensor([at], dtype=torch.long, device=network.device)
            logits = _logits(network, part, index, use_cache=True, **kept)[0]
            table = torch.log_softmax(logits.float(), dim=-1)
        if at:
            yield table
        # A lock is not fair: without a pause we would have it again before those who wait.
        time.sleep(_PAUSE)


def answer_positions(prompt_length: int, mask: Sequence[bool]) -> list[int]:
    """The positions whose logits predict the masked tokens of an answer that follows a prompt."""
    return [prompt_length - 1 + i for i, written in enumerate(mask) if written]


def by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths, longest first: memory fails early or not at all."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def rows_at_once(vocabulary: int, longest: int, *, most: int, values: int = 2**25) -> int:
    """How many rows, of at most `longest` scored positions each, go through together: `most`, or as
    many as have no more than so many `values` in their logits (128 MB in fp32); 1 at least."""
    return max(1, min(most, values // (vocabulary * max(1, longest))))


def _logits(network: Any, ids: torch.Tensor, index: torch.Tensor, **more: Any) -> torch.Tensor:
    """The logits (B, A, V) of ids (B, T) at index (B, A). `more` goes into the forward pass."""
    rope.forget(network)
    if not has_plain_head(network):
        return _pick(network(input_ids=ids, **more).logits, index)
    hidden = body(network)(input_ids=ids, **more).last_hidden_state  # (B, T, H)
    result: torch.Tensor = network.get_output_embeddings()(_pick(hidden, index))
    return result


def _pick(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """values (B, T, D) at index (B, A) -> (B, A, D)."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[-1]))


@contextmanager
def without_dropout(network: Any) -> Iterator[None]:
    """The network as it serves, whatever its parts were set to; no random number is drawn."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def keys_and_values(network: Any, kept: Any) -> dict[str, Any]:
    """A forward pass's argument that holds earlier tokens' keys and values.

    transformers 5.24 renamed it from `past_key_values` to `cache`, architecture by architecture.
    """
    name = _CACHE_NAME.get(network)
    if name is None:
        known = inspect.signature(type(network).forward).parameters
        name = _CACHE_NAME[network] = "cache" if "cache" in known else "past_key_values"
    return {name: kept}


def body(network: Any) -> Any:
    return getattr(network, network.base_model_prefix)


def has_plain_head(network: Any) -> bool:
    """Whether the network's logits are its head applied to its last hidden state and no more.

    Some architectures scale or cap their logits after the head; asking once is surer than a list.
    """
    known = _PLAIN_HEAD.get(network)
    if known is None:
        ids = torch.tensor([[0, 1]], device=network.device)
        with torch.no_grad(), without_dropout(network):
            hidden = body(network)(input_ids=ids, use_cache=False).last_hidden_state
            direct = network.get_output_embeddings()(hidden)
            whole = network(input_ids=ids, use_cache=False).logits
        known = bool(torch.allclose(direct.float(), whole.float(), rtol=1e-3, atol=1e-4))
        _PLAIN_HEAD[network] = known
    return known
