"""The loss of a batch from whole logits, as the formulas say it: what the fused head must equal."""

from __future__ import annotations

import torch

from align_agent.distill.loss import (
    Formula,
    Kind,
    bucket_logprobs,
    bucket_of,
    figures,
    mean,
    token_losses,
)


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
    """The batch's loss (a scalar with gradient) and figures about it (floats), from whole logits.

    student_logits (B, T, V); teacher_topk_logprobs (B, T, K) and teacher_topk_ids (B, T, K), the
    ids of one position distinct; teacher_tail_logprob (B, T), -inf where the K tokens are all;
    mask (B, T) bool, True on tokens that count. `sampled_ids` (B, T) are the written tokens, for
    the kind "sampled". All in nats, in fp32 (float64 logits stay so).

    A token counts at most `token_clip`, a sample's mean at most `sample_cap`, in size: see `mean`.
    `head.fused_losses` gives the same without ever holding (B, T, V).
    """
    formula = Formula(kind, beta, token_clip, sample_cap)
    if kind in ("sampled", "grpo") and sampled_ids is None:
        raise ValueError(f'the kind "{kind}" needs sampled_ids')
    # Filler positions may hold anything, NaN too: leave them out before anything is computed.
    owners = mask.nonzero()[:, 0]  # (N,)
    ids = teacher_topk_ids[mask]  # (N, K)
    student = bucket_logprobs(student_logits[mask], ids)  # (N, K + 1)
    tail = teacher_tail_logprob[mask][:, None]
    teacher = torch.cat([teacher_topk_logprobs[mask], tail], dim=-1).to(student.dtype)
    written = None if sampled_ids is None else bucket_of(ids, sampled_ids[mask])
    tokens = token_losses(formula, student, teacher, written)  # (N,)
    loss = mean(formula, tokens, owners, mask.shape[0])
    return loss, figures(formula, tokens.detach(), student.detach(), teacher)
