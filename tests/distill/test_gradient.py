from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from align_agent.distill import gap as gap_module
from align_agent.distill import gradient as gradient_module
from align_agent.distill import teacher as teacher_module
from align_agent.distill.gradient import Lesson
from align_agent.distill.hindsight import build_hindsight
from align_agent.distill.loss import Formula
from align_agent.distill.pairs import Pair, pair
from align_agent.distill.teacher import teacher_rows
from align_agent.models.local import LocalModel
from align_agent.records import Message


@pytest.fixture(scope="module")
def pairs(tiny_model: LocalModel) -> list[Pair]:
    hindsight = build_hindsight(["Keep answers short."], "Shorter, please.")
    found = [
        pair(
            tiny_model,
            [Message("user", f"What is {i} plus 7?")],
            [Message("assistant", f"1. First take {i}.")],
            hindsight,
        )
        for i in range(4)
    ]
    return [one for one in found if one is not None]


def test_a_step_done_again_draws_the_dropout_of_one_that_began_so(
    tiny_model: LocalModel, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = teacher_rows(tiny_model, pairs, 20)
    batch = [Lesson(*one) for one in zip(pairs, rows, strict=True)][:4]
    whole = sum(len(lesson.pair.student_ids) for lesson in batch)
    once = gradient_module._backward

    def small_card(network: Any, lessons: Any, formula: Any, tokens: int, *more: Any) -> Any:
        found = once(network, lessons, formula, tokens, *more)
        if tokens >= whole:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    monkeypatch.setattr(gradient_module, "_backward", small_card)
    gradients = []
    for tokens in (whole, whole // 2):
        student = tiny_model.fresh_lora(4, 8, 0.5, 0)
        for name, weight in student.named_parameters():
            if "lora_B" in name:  # at zero what is dropped changes nothing
                weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
        gradient_module.train_mode(student, False)
        with gradient_module.seeded(5, torch.device("cpu")):
            gradient_module.gradient_of(student.get_base_model(), batch, Formula(), tokens)
        parts = [p.grad.flatten() for p in student.parameters() if p.requires_grad]
        gradients.append(torch.cat(parts))
    assert torch.equal(*gradients)


@pytest.mark.parametrize("kind", ["reverse_kl", "grpo"])
def test_the_importance_ratio_counts_whatever_way_the_logits_are_made(
    kind: Any, tiny_model: LocalModel, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A table of all words: within the tail a token's own probability is not known.
    rows = teacher_rows(tiny_model, pairs, 1000)
    unlike = [replace(p, behaviour=(-3.0,) * len(p.targets)) for p in pairs]
    student = tiny_model.fresh_lora(4, 8, 0.0, 0).get_base_model()

    def loss(some: Any) -> float:
        batch = [Lesson(*one, 1.0) for one in zip(some, rows, strict=True)]
        return float(gradient_module._backward(student, batch, Formula(kind), 10_000)[0])

    plain = loss(unlike)
    monkeypatch.setattr(gradient_module, "has_plain_head", lambda network: False)
    assert loss(unlike) == pytest.approx(plain, rel=1e-4)
    assert loss(pairs) != pytest.approx(plain, rel=1e-2)


def test_it_is_said_when_an_exact_comparison_cannot_be_had(
    tiny_model: LocalModel,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(teacher_module, "has_plain_head", lambda network: False)
    assert teacher_rows(tiny_model, pairs, 20, exact=True)[0].hidden is None
    assert "distill.exact" in caplog.text


def test_the_teachers_side_and_the_gap_are_the_same_on_a_small_card(
    tiny_model: LocalModel, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(real: Any) -> Any:
        def only_one(network: Any, ids: Any, positions: Any, **more: Any) -> torch.Tensor:
            if len(ids) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(network, ids, positions, **more)

        return only_one

    whole, gaps = teacher_rows(tiny_model, pairs, 20), gap_module.divergences(tiny_model, pairs)
    monkeypatch.setattr(teacher_module, "hidden_at", small(teacher_module.hidden_at))
    monkeypatch.setattr(gap_module, "logits_at", small(gap_module.logits_at))
    for one, two in zip(whole, teacher_rows(tiny_model, pairs, 20), strict=True):
        assert one.logprobs is not None
        assert two.logprobs is not None
        assert torch.allclose(one.logprobs, two.logprobs, atol=1e-4)
    assert gap_module.divergences(tiny_model, pairs) == pytest.approx(gaps, abs=1e-4)
