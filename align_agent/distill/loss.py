"""The distance between student and teacher, token by token. Pure functions over tensors.

Every formula compares two tables of log-probabilities (..., M). M is the whole vocabulary (exact),
or the teacher's K likeliest tokens one by one and all others together (the tail): M = K + 1.
Without the tail the student's mass outside the K tokens would be free to go anywhere. With p the
student's and q the teacher's probabilities at one position, y the written token:

- reverse_kl:  KL(p || q) = sum_b p_b (log p_b - log q_b)            (SDPO, arXiv 2601.20802, eq. 1)
- forward_kl:  KL(q || p) = sum_b q_b (log q_b - log p_b)
- jsd:         beta KL(q || m) + (1 - beta) KL(p || m), m = beta q + (1 - beta) p
                                                                     (GKD, arXiv 2306.13649, eq. 1)
- sampled:     -A log p_y, A = stopgrad(log q_y - log p_y); its mean over y ~ p has the gradient
               of reverse_kl                                         (arXiv 2603.12273)
- grpo:        -min(r A, clip(r, 1 - eps, 1 + eps) A), r = p_y / behaviour_y, A one number for a
               whole answer: a reward, no teacher                    (arXiv 2402.03300, eq. 3)

Where the log-probabilities are known with which y was written, a token's distillation loss is
weighed by min(p_y / behaviour_y, ratio_cap), a constant: truncated importance sampling. NaN stands
for one that is not known, and weighs 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

Kind = Literal["reverse_kl", "forward_kl", "jsd", "sampled", "grpo"]
KINDS: tuple[Kind, ...] = ("reverse_kl", "forward_kl", "jsd", "sampled", "grpo")

# Log-probabilities are floored here (2e-22): a token that one side rules out costs much, not
# infinitely much. Far above float32's own underflow, far below any cap.
LOG_FLOOR = -50.0


@dataclass(frozen=True, slots=True)
class Formula:
    """Which distance, and what bounds it. All in nats.

    `token_clip` caps one token, `sample_cap` an answer's mean, `ratio_cap` an importance ratio,
    `ratio_clip` is GRPO's eps.
    """

    kind: Kind = "reverse_kl"
    beta: float = 0.5
    token_clip: float | None = None
    sample_cap: float | None = None
    ratio_cap: float = 2.0
    ratio_clip: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of loss: {self.kind!r}")
        if not 0 < self.beta < 1:
            raise ValueError("beta must lie between 0 and 1")


def token_losses(
    formula: Formula,
    student: torch.Tensor,
    teacher: torch.Tensor | None,
    written: torch.Tensor | None = None,
    *,
    behaviour: torch.Tensor | None = None,
    advantage: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss (N,) of each token, uncapped but for the kind "sampled".

    `student` and `teacher` are tables (N, M) of log-probabilities, `written` (N,) the written
    tokens' places in them, `behaviour` (N,) the log-probability with which each was written,
    `advantage` (N,) the answer's, for "grpo".
    """
    student = student.clamp(min=LOG_FLOOR)
    chosen = None if written is None else student.gather(-1, written[:, None]).squeeze(-1)
    if formula.kind == "grpo":
        if chosen is None or advantage is None:
            raise ValueError('the kind "grpo" needs the written tokens and their advantage')
        return _grpo(formula, chosen, behaviour, advantage)
    assert teacher is not None
    if formula.kind == "sampled":
        if written is None or chosen is None:
            raise ValueError('the kind "sampled" needs the written tokens')
        target = teacher.clamp(min=LOG_FLOOR).gather(-1, written[:, None]).squeeze(-1)
        gain = (target - chosen).detach()
        if formula.token_clip is not None:
            gain = gain.clamp(-formula.token_clip, formula.token_clip)
        tokens = -gain * chosen
    else:
        tokens = divergence(student, teacher, kind=formula.kind, beta=formula.beta)
    if behaviour is not None:
        if chosen is None:
            raise ValueError("an importance ratio needs the written tokens")
        ratio = (chosen.detach() - behaviour).exp().clamp(max=formula.ratio_cap)
        tokens = tokens * torch.where(behaviour.isnan(), torch.ones_like(ratio), ratio)
    return tokens


def mean(
    formula: Formula, tokens: torch.Tensor, owners: torch.Tensor, samples: int
) -> torch.Tensor:
    """The loss of a batch: tokens (N,) of samples `owners` (N,) into one scalar.

    Each token is capped, then each sample's mean over its tokens (long answers do not outweigh
    short ones), then the mean over the samples that have any token. A cap scales value and
    gradient alike: cutting the gradient off would leave alone exactly the tokens where the teacher
    disagrees most. Raises ValueError when there is no token.
    """
    if not len(tokens):
        raise ValueError("no token to learn on in this batch")
    if formula.kind not in ("sampled", "grpo"):  # these bound their weights themselves
        tokens = cap(tokens, formula.token_clip)
    counts = torch.bincount(owners, minlength=samples)  # (B,)
    sums = tokens.new_zeros(samples).index_add(0, owners, tokens)
    per_sample = cap(sums / counts.clamp(min=1), formula.sample_cap)
    return per_sample.sum() / (counts > 0).sum()


def bucket_of(ids: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The place (N,) of each token (N,) in its row of ids (N, K); K, the tail's, where absent."""
    hits = ids == token[:, None]
    return torch.where(hits.any(dim=-1), hits.to(torch.int64).argmax(dim=-1), ids.shape[-1])


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


def _grpo(
    formula: Formula,
    chosen: torch.Tensor,
    behaviour: torch.Tensor | None,
    advantage: torch.Tensor,
) -> torch.Tensor:
    before = chosen.detach()
    if behaviour is not None:
        before = torch.where(behaviour.isnan(), before, behaviour)
    ratio = (chosen - before).exp()
    clipped = ratio.clamp(1 - formula.ratio_clip, 1 + formula.ratio_clip)
    return -torch.minimum(ratio * advantage, clipped * advantage)


def figures(
    formula: Formula,
    tokens: torch.Tensor,
    student: torch.Tensor,
    teacher: torch.Tensor | None,
) -> dict[str, float]:
    """Means over the tokens: what a night's chart shows beside the loss. All without gradient.

    tokens (N,) before the cap, student and teacher tables (N, K + 1) whose last place is the tail.
    """
    count = float(len(tokens))
    if teacher is None:
        return {"tokens": count}
    clipped = torch.zeros_like(tokens)
    if formula.token_clip is not None:
        clipped = (tokens.abs() > formula.token_clip).float()
    agree = student[:, :-1].argmax(dim=-1) == teacher[:, :-1].argmax(dim=-1)
    return {
        "kl": float(divergence(student, teacher, kind="reverse_kl").mean()),
        "clipped": float(clipped.mean()),
        "agreement": float(agree.float().mean()),
        "student_tail": float(student[:, -1].exp().mean()),
        "teacher_tail": float(teacher[:, -1].exp().mean()),
        "tokens": count,
    }
