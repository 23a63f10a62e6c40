"""The benchmark of demonstrations: its fine-tuning is what it says, with a night's work."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from learn import batches, by_heart, fine_tune, lessons_from

from align_agent.distill.gradient import gradient_of
from align_agent.distill.loss import Formula
from align_agent.learn.demonstrations import Demonstration
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

SHOWN = lessons_from(
    [
        Demonstration((Message("user", "What is 2 plus 3?"),), "It is 5."),
        Demonstration((Message("user", "Show the steps, one by one."),), "First take 7."),
    ]
)


def likelihood(model: LocalModel, adapter: Path | None = None) -> list[float]:
    found = model.logprobs([(one.prompt, one.response) for one in SHOWN], adapter=adapter)
    return [sum(tokens) / len(tokens) for tokens in found]


def test_a_teacher_that_is_certain_makes_the_step_cross_entropy(tiny_model: LocalModel) -> None:
    network = tiny_model.fresh_lora(4, 8, 0.0, 0).get_base_model()
    lessons = [by_heart(tiny_model, one) for one in SHOWN]
    loss, _, _ = gradient_of(network, lessons, Formula("forward_kl"), 4096)
    assert loss == pytest.approx(-sum(likelihood(tiny_model)) / len(SHOWN), rel=1e-4)


def test_batches_hold_the_tokens_that_were_asked_for_and_every_lesson_as_often() -> None:
    lengths = [5, 9, 20, 7]
    found = batches(lengths, 30, 600, 1)
    spent = sum(lengths[i] for batch in found for i in batch)
    assert len(found) == 30
    assert 600 <= spent < 600 + max(lengths)
    counts = Counter(i for batch in found for i in batch)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_fine_tuning_makes_what_was_shown_likelier(tiny_model: LocalModel, tmp_path: Path) -> None:
    told = fine_tune(tiny_model, SHOWN, 12, 12 * 16, 0, tmp_path / "adapter")
    after = likelihood(tiny_model, tmp_path / "adapter")
    assert told["steps"] == 12
    assert all(now > before for now, before in zip(after, likelihood(tiny_model), strict=True))
