"""The teacher-student gap: how much a hindsight moves the model on an answer. Trains nothing.

A correction moves it, thanks and unrelated questions do not: a detector that needs no labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from align_agent.distill.hindsight import build_hindsight
from align_agent.distill.pairs import Pair, pair
from align_agent.errors import ModelError
from align_agent.models.forward import by_length, logits_at, rows_at_once
from align_agent.models.shortage import halving
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

Item = tuple[Sequence[Message], Sequence[Message], str, Sequence[dict[str, Any]]]


def gaps(model: LocalModel, items: Sequence[Item]) -> list[float]:
    """For each (prompt, response, follow_up, tools) the gap in nats a token.

    mean_t KL( pi(.|x, y<t) || pi(.|x, f, y<t) ) over the answer's tokens, pi the frozen base, f
    the follow-up as hindsight; exact, over the whole vocabulary. 0 without a follow-up or without
    an answer's token; NaN, which is above no threshold, for a turn that does not fit into the
    context, that the chat template cannot render, or on which the model's output is not a number.
    """
    result = [0.0] * len(items)
    pairs: dict[int, Pair] = {}
    for i, (prompt, response, follow_up, tools) in enumerate(items):
        hindsight = build_hindsight((), follow_up)
        try:
            found = pair(model, prompt, response, hindsight, tools=tools) if hindsight else None
        except ModelError:
            result[i] = float("nan")
        else:
            if found is not None:
                pairs[i] = found
    for i, value in zip(pairs, divergences(model, list(pairs.values())), strict=True):
        result[i] = value
    return result


def scoring_batches(model: LocalModel, pairs: Sequence[Pair]) -> Iterator[list[int]]:
    """Indices of pairs of like lengths whose logits fit into memory together."""
    longest = max(len(p.targets) for p in pairs)
    size = rows_at_once(model.vocab_size, longest, most=16)
    return by_length([len(p.teacher_ids) for p in pairs], size)


def divergences(
    model: LocalModel, pairs: Sequence[Pair], adapter: Path | None = None
) -> list[float]:
    """mean_t KL(student || teacher) of each pair, in nats a token, over the whole vocabulary.

    The student is the network with `adapter`, the teacher always the base. NaN where an output of
    either is not a number. Smaller batches where memory gives out.
    """
    if not pairs:
        return []
    student, teacher = model.network(adapter), model.network(None)
    result = [0.0] * len(pairs)

    def compute(batch: list[int]) -> list[float]:
        chosen = [pairs[i] for i in batch]
        with torch.inference_mode():
            one = logits_at(
                student, [p.student_ids for p in chosen], [p.student_positions for p in chosen]
            )
            two = logits_at(
                teacher, [p.teacher_ids for p in chosen], [p.teacher_positions for p in chosen]
            )
            left = torch.log_softmax(one.float(), dim=-1)  # (B, A, V)
            right = torch.log_softmax(two.float(), dim=-1)
            kl = (left.exp() * (left - right)).sum(dim=-1)  # (B, A)
            return [float(kl[row, : len(p.targets)].mean()) for row, p in enumerate(chosen)]

    for batch, values in halving(scoring_batches(model, pairs), compute):
        for i, value in zip(batch, values, strict=True):
            # Rounding may end below 0. `max(0.0, nan)` would be 0.0: a broken model agrees.
            result[i] = value if math.isnan(value) else max(0.0, value)
    return result
