"""How many tokens go through the network at a time, so that memory is enough. Measures, adapts."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Sequence
from typing import Any

import torch

from align_agent.distill.head import CHUNK_VALUES
from align_agent.models.forward import has_plain_head
from align_agent.models.tree import hidden_at

# Without a limit of the user's, by the network's size: the rest of a batch waits its turn.
_SMALL_MODEL = 200_000_000
_TOKENS_SMALL, _TOKENS_LARGE = 16_384, 2_048
_PROBE = 64  # tokens


def tokens_at_once(student: Any, max_memory_gb: float) -> int:
    """Tokens of one pass, forward and backward. A function of network and limit alone, so that
    the same training gives the same bytes.

    `max_memory_gb` is what a step may take besides the loaded base; 0 leaves it to the size.
    """
    if not max_memory_gb:
        size = sum(p.numel() for p in student.parameters())
        return _TOKENS_SMALL if size < _SMALL_MODEL else _TOKENS_LARGE
    room = max(0.0, max_memory_gb * 2**30 - fixed_bytes(student))
    each, logits, rows = bytes_per_token(student), *_widest(student)
    if room <= rows * (each + logits):
        return max(1, int(room / (each + logits)))
    return int((room - rows * logits) / each)


def fixed_bytes(student: Any) -> int:
    """What training holds whatever the tokens: weights, gradients and moments of the LoRA."""
    learned = sum(p.numel() * p.element_size() for p in student.parameters() if p.requires_grad)
    return int(4 * learned)


def _widest(student: Any) -> tuple[int, float]:
    """Bytes of one token's logits, four copies of them, and how many tokens have theirs at a time
    at most: a chunk's (the teacher's table and the exact distances take whole rows), or everyone's
    where the network changes its logits behind the head."""
    network = student.get_base_model()
    vocabulary = len(network.get_output_embeddings().weight)
    rows = max(1, CHUNK_VALUES // vocabulary) if has_plain_head(network) else math.inf
    return 4 * 4 * vocabulary, rows


def bytes_per_token(student: Any) -> float:
    """What a forward pass keeps for its backward, per token: measured on a short one."""
    weights = {p.untyped_storage().data_ptr() for p in student.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = [list(range(_PROBE))]
    network = student.get_base_model()
    hidden_at(network, ids, [[_PROBE - 1]])  # what is asked once only is not to be counted
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = hidden_at(network, ids, [[_PROBE - 1]])
        hidden.sum().backward()
    for parameter in student.parameters():
        parameter.grad = None
    # The backward pass holds a layer's gradients beside what was kept.
    return 1.25 * sum(kept.values()) / _PROBE


def peak_gb(device: torch.device) -> float:
    """The most that this process has held so far: on the card, or of the machine's memory."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def halved(tokens: int, lengths: Sequence[int]) -> int:
    """Half as many tokens at a time, counted from what the batch has at most."""
    return max(1, min(tokens, sum(lengths)) // 2)
