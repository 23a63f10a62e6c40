"""The output head and the loss in one pass over tiles of the logits: no (B, T, V) is ever held.

Each token's loss depends on its own hidden state alone, so the gradient with respect to that state
is computed right where the logits are, and only (N, H) is kept for the backward pass. Against a
table of the teacher's, not even one token's logits are held whole: a tile of the vocabulary is
exponentiated, summed up and multiplied with its own weights while it is in the processor's cache,
as in an attention whose keys and values are the head's rows. The formulas are those of `loss`; here
is only how to get through the head cheaply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from align_agent.distill.loss import LOG_FLOOR, Formula, bucket_of, token_losses

# Tokens and vocabulary of one tile. A tile must stay in a CPU's cache: with whole rows of 150,000
# the same products ran at two thirds of the speed. A GPU wants larger ones, to be called less.
ROWS = 256
TILE_CPU, TILE_GPU = 4096, 32_768
# Values of a chunk's logits where the whole rows are needed: 64 MB in fp32.
CHUNK_VALUES = 2**24


@dataclass(frozen=True, slots=True)
class Target:
    """What N tokens are compared with: a table of the teacher, or its very hidden states.

    `written` (N,) are the answer's tokens. Either `ids` (N, K), `logprobs` (N, K) and `tail` (N,),
    or `hidden` (N, H), from which any distance is exact over the whole vocabulary, or, for "grpo",
    neither. `behaviour` (N,) and `advantage` (N,) as in `loss.token_losses`.
    """

    written: torch.Tensor
    ids: torch.Tensor | None = None
    logprobs: torch.Tensor | None = None
    tail: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    behaviour: torch.Tensor | None = None
    advantage: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """losses (N,) with a gradient; without one: the student's table (N, K + 1) over the target's
    buckets and the log-probability (N,) of each written token."""

    losses: torch.Tensor
    table: torch.Tensor
    written: torch.Tensor


def fused_losses(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: Target,
    formula: Formula,
    *,
    rows: int = ROWS,
    tile: int = 0,
) -> Scored:
    """The tokens' losses from the student's last hidden states (N, H) and the head (V, H), (V,).

    The head is frozen: only `hidden` gets a gradient. Logits are raised to fp32 (float64 stays).
    Where the target has neither ids nor hidden states, the table is that of the written token
    alone and all others together. `rows` tokens and `tile` words of the vocabulary go through at a
    time; 0 chooses by the device.
    """
    if target.hidden is not None:
        rows = max(1, min(rows, CHUNK_VALUES // len(weight)))
    tile = tile or (TILE_CPU if hidden.device.type == "cpu" else TILE_GPU)
    losses, table, written = _Fused.apply(hidden, weight, bias, target, formula, rows, tile)
    return Scored(losses, table, written)


class _Fused(torch.autograd.Function):  # type: ignore[misc]
    """See `fused_losses`."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        target: Target,
        formula: Formula,
        rows: int,
        tile: int,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wants_gradient else None
        found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            chunk = hidden[part], weight, bias, _part(target, part), formula
            if target.hidden is not None:
                losses, table, written, grad = _chunk_exact(*chunk, wants_gradient)
            else:
                losses, table, written, grad = _chunk_buckets(*chunk, wants_gradient, tile)
            found.append((losses, table, written))
            if gradient is not None and grad is not None:
                gradient[part] = grad
        losses, table, written = (torch.cat(column) for column in zip(*found, strict=True))
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(table, written)
        return losses, table, written

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        (gradient,) = ctx.saved_tensors
        scale = grads[0][:, None]
        return (gradient * scale).to(gradient.dtype), *([None] * 6)


_Chunk = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]


def _chunk_buckets(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: Target,
    formula: Formula,
    wants_gradient: bool,
    tile: int,
) -> _Chunk:
    """Losses, table, written log-probabilities and d loss / d hidden of one chunk, by buckets.

    With s_b the log-probability of bucket b, g_b = d loss / d s_b and G = sum_b g_b:
    d loss / d z_v = g_v - p_v G for a token of its own, p_v (g_tail / p_tail - G) in the tail.
    So the tail's part is one number a token times sum_v exp(z_v) W_v, which needs no second pass.
    """
    ids = target.written[:, None] if target.ids is None else target.ids  # (n, K)
    top, peak, mass, pull = _sweep(hidden, weight, bias, ids, tile, wants_gradient)
    peak_of_all = torch.maximum(peak, top.amax(dim=-1, keepdim=True))  # (n, 1)
    all_mass = mass * (peak - peak_of_all).exp() + (top - peak_of_all).exp().sum(-1, keepdim=True)
    norm = peak_of_all + all_mass.log()  # logsumexp over the vocabulary, (n, 1)
    # The tail is summed up from the other tokens, not taken as 1 - sum, which cancels when small.
    table = torch.cat([top, peak + mass.log()], dim=-1) - norm  # (n, K + 1)
    losses, slopes = _slopes(table, _teacher_of(target, table), target, formula, ids)
    probs = table[:, :-1].exp()  # (n, K)
    table = table.clamp(min=LOG_FLOOR)
    written = _logits_of(hidden, weight, bias, target.written, norm.dtype) - norm.squeeze(-1)
    written = written.clamp(min=LOG_FLOOR)
    if pull is None:
        return losses, table, written, None
    total = slopes.sum(dim=-1, keepdim=True)  # G, (n, 1)
    of_tail = slopes[:, -1:] / mass.clamp(min=torch.finfo(mass.dtype).tiny)
    of_tail = of_tail - total * (peak - norm).exp()  # (n, 1)
    own = (slopes[:, :-1] - probs * total).to(weight.dtype)  # (n, K)
    return losses, table, written, pull * of_tail + _weighed(ids, weight, own)


def _sweep(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    ids: torch.Tensor,
    tile: int,
    wants_gradient: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """One pass over the vocabulary, tile by tile.

    Returns the logits (n, K) of the ids and, over all other tokens v, a peak (n, 1) of their
    logits, their mass sum_v exp(z_v - peak) (n, 1), and sum_v exp(z_v - peak) W_v (n, H).
    """
    n, wide = len(hidden), torch.float64 if hidden.dtype == torch.float64 else torch.float32
    top = torch.empty(ids.shape, dtype=wide, device=hidden.device)
    peak = top.new_full((n, 1), torch.finfo(torch.float32).min)
    mass = top.new_zeros((n, 1))
    pull = top.new_zeros((n, hidden.shape[1])) if wants_gradient else None
    for first in range(0, len(weight), tile):
        rows = weight[first : first + tile]  # (v, H)
        some = None if bias is None else bias[first : first + tile]
        logits = torch.nn.functional.linear(hidden, rows, some).to(wide)  # (n, v)
        here = ((ids >= first) & (ids < first + tile)).nonzero(as_tuple=True)
        place = (here[0], ids[here] - first)
        top[here] = logits[place]
        logits[place] = float("-inf")
        higher = torch.maximum(peak, logits.amax(dim=-1, keepdim=True))
        shrink = (peak - higher).exp()
        logits.sub_(higher).exp_()
        mass = mass * shrink + logits.sum(dim=-1, keepdim=True)
        if pull is not None:
            pull.mul_(shrink).add_(logits.to(rows.dtype) @ rows)
        peak = higher
    return top, peak, mass, pull


def _weighed(
    ids: torch.Tensor, weight: torch.Tensor, own: torch.Tensor, *, gather: bool | None = None
) -> torch.Tensor:
    """The sum (n, H) of the rows `ids` (n, K) of the head, weighed by `own` (n, K).

    `gather` takes a copy of the rows first; by default on Apple's cards, which know bags of rows
    since torch 2.10 only.
    """
    if weight.device.type == "mps" if gather is None else gather:
        return torch.bmm(own[:, None], weight[ids]).squeeze(1)
    return torch.nn.functional.embedding_bag(ids, weight, mode="sum", per_sample_weights=own)


def fused_table(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    top_k: int,
    *,
    rows: int = 0,
    tile: int = 0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`loss.teacher_table` of the logits of hidden states (N, H), a few rows at a time:
    log-probabilities (N, K) of the likeliest tokens, their ids (N, K), and the tail's (N,).
    """
    rows = rows or max(1, CHUNK_VALUES // len(weight))
    tile = tile or (TILE_CPU if hidden.device.type == "cpu" else TILE_GPU)
    parts = [_top(part, weight, bias, top_k, tile) for part in hidden.split(rows)]
    values, ids, tail = (torch.cat(column) for column in zip(*parts, strict=True))
    return values, ids, tail


def _top(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, top_k: int, tile: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Products by tiles, but one search for the likeliest over whole rows: a search in each tile
    took as long as the products."""
    wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    logits = torch.empty(len(hidden), len(weight), dtype=wide, device=hidden.device)
    for first in range(0, len(weight), tile):
        some = None if bias is None else bias[first : first + tile]
        part = torch.nn.functional.linear(hidden, weight[first : first + tile], some)
        logits[:, first : first + tile] = part
    values, ids = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    rest = logits.scatter_(-1, ids, float("-inf")).logsumexp(dim=-1)  # summed up, not taken off
    norm = torch.logaddexp(rest, values.logsumexp(dim=-1))
    return values - norm[:, None], ids, rest - norm


def _logits_of(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    token: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The logit (n,) of one token for each hidden state."""
    logits = (hidden * weight[token]).to(dtype).sum(dim=-1)
    return logits if bias is None else logits + bias[token].to(dtype)


def _chunk_exact(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: Target,
    formula: Formula,
    wants_gradient: bool,
) -> _Chunk:
    """As `_chunk_buckets`, over the whole vocabulary: the teacher's logits are made anew.

    The table that is returned is that of the written token and all others.
    """
    assert target.hidden is not None
    wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    other = torch.nn.functional.linear(target.hidden.to(weight.dtype), weight, bias)
    teacher = torch.log_softmax(other.to(wide), dim=-1)  # (n, V)
    logits = torch.nn.functional.linear(hidden, weight, bias)
    table = torch.log_softmax(logits.to(wide), dim=-1)  # (n, V)
    probs = table.exp()
    losses, slopes = _slopes(table, teacher, target, formula, None)
    own = target.written[:, None]
    chosen = table.gather(-1, own).clamp(min=LOG_FLOOR)  # (n, 1)
    rest = probs.scatter(-1, own, 0.0).sum(dim=-1, keepdim=True).log().clamp(min=LOG_FLOOR)
    short = torch.cat([chosen, rest], dim=-1)
    if not wants_gradient:
        return losses, short, chosen.squeeze(-1), None
    slopes -= probs * slopes.sum(dim=-1, keepdim=True)  # now d loss / d logits
    return losses, short, chosen.squeeze(-1), slopes.to(weight.dtype) @ weight


def _slopes(
    table: torch.Tensor,
    teacher: torch.Tensor | None,
    target: Target,
    formula: Formula,
    ids: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (n,) and their derivatives (n, M) by the table's log-probabilities, from `loss`."""
    place = target.written if ids is None else bucket_of(ids, target.written)
    with torch.enable_grad():
        leaf = table.detach().requires_grad_()
        losses = token_losses(
            formula,
            leaf,
            teacher,
            place,
            behaviour=target.behaviour,
            advantage=target.advantage,
        )
        (slopes,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), slopes


def _teacher_of(target: Target, like: torch.Tensor) -> torch.Tensor | None:
    if target.logprobs is None or target.tail is None:
        return None
    return torch.cat([target.logprobs, target.tail[:, None]], dim=-1).to(like.dtype)


def _part(target: Target, rows: slice) -> Target:
    def cut(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values[rows]

    return Target(
        written=target.written[rows],
        ids=cut(target.ids),
        logprobs=cut(target.logprobs),
        tail=cut(target.tail),
        hidden=cut(target.hidden),
        behaviour=cut(target.behaviour),
        advantage=cut(target.advantage),
    )
