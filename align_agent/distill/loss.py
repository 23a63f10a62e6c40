"""The distance between student and teacher, token by token. Pure functions over tensors.

All kinds compare the same K + 1 buckets: the teacher's K likeliest tokens one by one, and all
others together (the tail). Without the tail the student's mass outside the K tokens would be free
to go anywhere. With p the student's and q the teacher's bucket probabilities at one position:

- reverse_kl:  KL(p || q) = sum_b p_b (log p_b - log q_b)            (SDPO, arXiv 2601.20802, eq. 1)
- forward_kl:  KL(q || p) = sum_b q_b (log q_b - log p_b)
- jsd:         beta KL(q || m) + (1 - beta) KL(p || m), m = beta q + (1 - beta) p
                                                                     (GKD, arXiv 2306.13649, eq. 1)
- sampled:     -A log p_y, A = stopgrad(log q_y - log p_y), y the bucket of the written token; its
               mean over y ~ p has the gradient of reverse_kl         (arXiv 2603.12273)
"""

from __future__ import annotations

from typing import Literal

import torch

Kind = Literal["reverse_kl", "forward_kl", "jsd", "sampled"]

# Log-probabilities are floored here (2e-22): a token that one side rules out costs much, not
# infinitely much. Far above float32's own underflow, far below any cap.
LOG_FLOOR = -50.0


def distill_loss(
    student_logits: torch.Tensor,
    teacher_topk_logprobs: torch.Tensor,
    teacher_topk_ids: torch.Tensor,
    teacher_tail_logprob: torch.Tensor,
    mask: torch.Tensor,
    *,
    kind: Kind = "reverse_kl",
    token_clip: float | None = None,
    sample_cap: float | None = None,
    sampled_ids: torch.Tensor | None = None,
    beta: float = 0.5,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The batch's loss (a scalar with gradient) and figures about it (floats).

    student_logits (B, T, V); teacher_topk_logprobs (B, T, K) and teacher_topk_ids (B, T, K), the
    ids of one position distinct; teacher_tail_logprob (B, T), -inf where the K tokens are all;
    mask (B, T) bool, True on tokens that count. `sampled_ids` (B, T) are the written tokens, for
    the kind "sampled". All in nats, in fp32 (float64 logits stay so).

    A token counts at most `token_clip`, a sample's mean at most `sample_cap`, in size. A cap
    scales value and gradient alike: cutting the gradient off would leave alone exactly the tokens
    where the teacher disagrees most. Then the mean over each sample's tokens (long answers do not
    outweigh short ones), then over the samples that have any. Raises ValueError when none has.
    """
    counts = mask.sum(dim=1)  # (B,)
    if not bool((counts > 0).any()):
        raise ValueError("no token to learn on in this batch")
    student = bucket_logprobs(student_logits, teacher_topk_ids)  # (B, T, K + 1)
    tail = teacher_tail_logprob[..., None]
    teacher = torch.cat([teacher_topk_logprobs, tail], dim=-1).to(student.dtype)
    if kind == "sampled":
        if sampled_ids is None:
            raise ValueError('the kind "sampled" needs sampled_ids')
        tokens = _sampled(student, teacher, teacher_topk_ids, sampled_ids, token_clip)
    else:
        tokens = divergence(student, teacher, kind=kind, beta=beta)  # (B, T)
    # Filler positions may hold anything, NaN too: select, do not multiply.
    tokens = torch.where(mask, tokens, torch.zeros_like(tokens))
    capped = tokens if kind == "sampled" else cap(tokens, token_clip)
    samples = capped.sum(dim=1) / counts.clamp(min=1)  # (B,)
    samples = cap(samples, sample_cap)
    loss = samples.sum() / (counts > 0).sum()
    return loss, _figures(tokens, student, teacher, mask, token_clip)


def bucket_logprobs(logits: torch.Tensor, topk_ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (..., K + 1) of the K given tokens and of all others together.

    logits (..., V), topk_ids (..., K). The tail is summed up from the other tokens' logits, not
    taken as 1 - sum, which cancels when the tail is small. Floored at LOG_FLOOR.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    total = logits.logsumexp(dim=-1, keepdim=True)  # (..., 1)
    top = logits.gather(-1, topk_ids) - total
    rest = logits.scatter(-1, topk_ids, float("-inf"))
    empty = (rest == float("-inf")).all(dim=-1, keepdim=True)
    # logsumexp over nothing but -inf has a NaN gradient: give such rows another row to sum.
    tail = torch.where(empty, torch.zeros_like(rest), rest).logsumexp(dim=-1, keepdim=True) - total
    tail = torch.where(empty, torch.full_like(tail, LOG_FLOOR), tail)
    return torch.cat([top, tail], dim=-1).clamp(min=LOG_FLOOR)


def divergence(
    student: torch.Tensor, teacher: torch.Tensor, *, kind: Kind, beta: float = 0.5
) -> torch.Tensor:
    """Per-position divergence (...) of bucket log-probabilities (..., K + 1), uncapped, in nats."""
    teacher = teacher.clamp(min=LOG_FLOOR)
    if kind == "reverse_kl":
        return _kl(student, teacher)
    if kind == "forward_kl":
        return _kl(teacher, student)
    if kind == "jsd":
        if not 0 < beta < 1:
            raise ValueError("beta must lie between 0 and 1")
        weight = torch.tensor(beta, dtype=student.dtype, device=student.device)
        mean = torch.logaddexp(teacher + weight.log(), student + (1 - weight).log())
        return beta * _kl(teacher, mean) + (1 - beta) * _kl(student, mean)
    raise ValueError(f"unknown kind of loss: {kind!r}")


def cap(values: torch.Tensor, limit: float | None) -> torch.Tensor:
    """Values scaled down to at most `limit` in size, their gradients by the same factor."""
    if limit is None:
        return values
    sizes = values.detach().abs()
    return values * (limit / sizes.clamp(min=limit))


def teacher_table(
    logits: torch.Tensor, top_k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is kept of the teacher at each position: (top-k logprobs, their ids, tail logprob).

    logits (..., V) -> (..., K), (..., K), (...), K = min(top_k, V). fp32, and the tail is -inf
    when K = V.
    """
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    values, ids = logprobs.topk(min(top_k, logprobs.shape[-1]), dim=-1)
    if values.shape[-1] == logprobs.shape[-1]:
        return values, ids, torch.full_like(values[..., 0], float("-inf"))
    return values, ids, logprobs.scatter(-1, ids, float("-inf")).logsumexp(dim=-1)


def _kl(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """KL(left || right) over the last dimension of log-probabilities."""
    return (left.exp() * (left - right)).sum(dim=-1)


def _sampled(
    student: torch.Tensor,
    teacher: torch.Tensor,
    topk_ids: torch.Tensor,
    sampled_ids: torch.Tensor,
    token_clip: float | None,
) -> torch.Tensor:
    """(B, T): minus the clipped advantage times the log-probability of the written bucket."""
    hits = topk_ids == sampled_ids[..., None]  # (B, T, K)
    last = topk_ids.shape[-1]  # the tail's place
    bucket = torch.where(hits.any(dim=-1), hits.to(torch.int64).argmax(dim=-1), last)
    chosen = student.gather(-1, bucket[..., None]).squeeze(-1)
    target = teacher.clamp(min=LOG_FLOOR).gather(-1, bucket[..., None]).squeeze(-1)
    advantage = (target - chosen).detach()
    if token_clip is not None:
        advantage = advantage.clamp(-token_clip, token_clip)
    return -advantage * chosen


def _figures(
    tokens: torch.Tensor,
    student: torch.Tensor,
    teacher: torch.Tensor,
    mask: torch.Tensor,
    token_clip: float | None,
) -> dict[str, float]:
    """Means over the tokens that count: what a night's chart shows beside the loss."""
    with torch.no_grad():
        student, teacher = student[mask], teacher[mask]
        sizes = tokens[mask].abs()
        clipped = sizes > token_clip if token_clip is not None else torch.zeros_like(sizes)
        agree = student[:, :-1].argmax(dim=-1) == teacher[:, :-1].argmax(dim=-1)
        return {
            "kl": float(divergence(student, teacher, kind="reverse_kl").mean()),
            "clipped": float(clipped.float().mean()),
            "agreement": float(agree.float().mean()),
            "student_tail": float(student[:, -1].exp().mean()),
            "teacher_tail": float(teacher[:, -1].exp().mean()),
            "tokens": float(mask.sum()),
        }
