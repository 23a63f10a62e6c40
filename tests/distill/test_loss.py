"""The losses against a slow reference in float64 that loops over explicit distributions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from whole import distill_loss

from align_agent.distill.loss import (
    LOG_FLOOR,
    bucket_logprobs,
    cap,
    divergence,
    teacher_table,
)

KINDS = ["reverse_kl", "forward_kl", "jsd", "sampled"]
INF = float("inf")


def reference(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    mask: torch.Tensor,
    kind: str,
    *,
    k: int,
    token_clip: float = INF,
    sample_cap: float = INF,
    sampled: torch.Tensor | None = None,
    beta: float = 0.5,
) -> torch.Tensor:
    """The loss by its definition: one scalar operation at a time, over whole distributions."""
    samples = []
    for b in range(logits.shape[0]):
        tokens = []
        for t in range(logits.shape[1]):
            if not mask[b, t]:
                continue
            student = explicit(logits[b, t])
            teacher = explicit(teacher_logits[b, t])
            order = sorted(range(len(teacher)), key=lambda i: (-float(teacher[i]), i))[:k]
            p, q = buckets(student, order), buckets(teacher, order)
            if kind == "sampled":
                assert sampled is not None
                y = int(sampled[b, t])
                place = order.index(y) if y in order else k
                advantage = (log(q[place]) - log(p[place])).detach()
                advantage = advantage.clamp(-token_clip, token_clip)
                tokens.append(-advantage * log(p[place]))
                continue
            value = slow_divergence(p, q, kind, beta)
            tokens.append(value * min(1.0, token_clip / max(float(value.detach()), 1e-300)))
        if tokens:
            mean = sum(tokens) / len(tokens)
            samples.append(mean * min(1.0, sample_cap / max(abs(float(mean.detach())), 1e-300)))
    return sum(samples) / len(samples)


def explicit(logits: torch.Tensor) -> list[torch.Tensor]:
    weights = [x.exp() for x in logits - logits.detach().max()]
    total = sum(weights)
    return [w / total for w in weights]


def buckets(probs: list[torch.Tensor], order: list[int]) -> list[torch.Tensor]:
    rest = [p for i, p in enumerate(probs) if i not in order]
    return [*(probs[i] for i in order), sum(rest) if rest else torch.zeros((), dtype=torch.float64)]


def log(p: torch.Tensor) -> torch.Tensor:
    return p.log() if float(p.detach()) > math.exp(LOG_FLOOR) else torch.full_like(p, LOG_FLOOR)


def slow_divergence(p: list, q: list, kind: str, beta: float) -> torch.Tensor:
    if kind == "reverse_kl":
        return sum(a * (log(a) - log(b)) for a, b in zip(p, q, strict=True))
    if kind == "forward_kl":
        return sum(b * (log(b) - log(a)) for a, b in zip(p, q, strict=True))
    m = [beta * b + (1 - beta) * a for a, b in zip(p, q, strict=True)]
    left = sum(b * (log(b) - log(c)) for b, c in zip(q, m, strict=True))
    right = sum(a * (log(a) - log(c)) for a, c in zip(p, m, strict=True))
    return beta * left + (1 - beta) * right


def case(seed: int, shape: tuple[int, int, int], spread: float = 2.0) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
    teacher = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
    mask = torch.rand(shape[:2], generator=generator) < 0.7
    mask[0, 0] = True
    sampled = torch.randint(0, shape[2], shape[:2], generator=generator)
    return student, teacher, mask, sampled


def ours(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, k: int, **more: Any
) -> torch.Tensor:
    # The table is kept in fp32; here it stays in float64 so that the formula alone is compared.
    logprobs = teacher.log_softmax(-1)
    values, ids = logprobs.sort(dim=-1, descending=True, stable=True)
    tail = values[..., k:].logsumexp(-1)
    return distill_loss(student, values[..., :k], ids[..., :k], tail, mask, **more)[0]


def both(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, k: int, **more: Any):
    """((value, gradient) of ours, of the reference)."""
    results = []
    one = student.clone().requires_grad_()
    value = ours(one, teacher, mask, k, **more)
    value.backward()
    results.append((value.detach(), one.grad))
    two = student.clone().requires_grad_()
    sampled = more.pop("sampled_ids", None)
    more = {key: INF if value is None else value for key, value in more.items()}
    value = reference(two, teacher, mask, more.pop("kind"), k=k, sampled=sampled, **more)
    value.backward()
    results.append((value.detach(), two.grad))
    return results


def agree(results: Any) -> None:
    (value, gradient), (slow_value, slow_gradient) = results
    assert torch.allclose(value, slow_value, rtol=1e-9, atol=1e-12)
    assert torch.allclose(gradient, torch.nan_to_num(slow_gradient), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 7)),
    k=st.integers(1, 7),
)
@settings(max_examples=40)
def test_value_and_gradient_are_those_of_the_definition(
    kind: str, seed: int, shape: tuple[int, int, int], k: int
) -> None:
    student, teacher, mask, sampled = case(seed, shape)
    agree(both(student, teacher, mask, min(k, shape[2]), kind=kind, sampled_ids=sampled))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), clip=st.floats(0.01, 3), limit=st.floats(0.01, 3))
@settings(max_examples=30)
def test_caps_scale_value_and_gradient_as_defined(
    kind: str, seed: int, clip: float, limit: float
) -> None:
    student, teacher, mask, sampled = case(seed, (3, 3, 5), spread=4)
    agree(
        both(
            student,
            teacher,
            mask,
            2,
            kind=kind,
            sampled_ids=sampled,
            token_clip=clip,
            sample_cap=limit,
        )
    )


@given(seed=st.integers(0, 10_000), beta=st.floats(0.05, 0.95))
@settings(max_examples=30)
def test_the_generalised_jsd_is_right_at_every_beta(seed: int, beta: float) -> None:
    student, teacher, mask, _ = case(seed, (2, 2, 5))
    agree(both(student, teacher, mask, 3, kind="jsd", beta=beta))


@pytest.mark.parametrize("kind", ["reverse_kl", "forward_kl", "jsd"])
def test_the_gradient_is_the_derivative(kind: str) -> None:
    student, teacher, mask, _ = case(3, (2, 3, 6))
    assert torch.autograd.gradcheck(
        lambda logits: ours(logits, teacher, mask, 3, kind=kind), student.requires_grad_()
    )


def test_the_sampled_loss_with_its_advantage_held_fixed_has_its_derivative() -> None:
    student, teacher, mask, sampled = case(3, (1, 1, 6))
    mask[:] = True
    with torch.no_grad():
        chosen = bucket_logprobs(student, torch.arange(6).expand(1, 1, 6))
    y = int(sampled)
    advantage = float(teacher.log_softmax(-1)[0, 0, y] - chosen[0, 0, y])
    logits = student.clone().requires_grad_()
    ours(logits, teacher, mask, 6, kind="sampled", sampled_ids=sampled).backward()
    probe = student.clone().requires_grad_()
    (-advantage * probe.log_softmax(-1)[0, 0, y]).backward()
    assert torch.allclose(logits.grad, probe.grad, rtol=1e-9)


def test_the_sampled_loss_has_on_average_the_gradient_of_the_reverse_kl() -> None:
    student, teacher, _, _ = case(5, (1, 1, 6))
    mask = torch.ones(1, 1, dtype=torch.bool)
    probs = student.softmax(-1)[0, 0]
    mean = torch.zeros_like(student)
    for y in range(6):
        logits = student.clone().requires_grad_()
        ours(logits, teacher, mask, 6, kind="sampled", sampled_ids=torch.tensor([[y]])).backward()
        mean += probs[y] * logits.grad
    logits = student.clone().requires_grad_()
    ours(logits, teacher, mask, 6, kind="reverse_kl").backward()
    assert torch.allclose(mean, logits.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_distributions_cost_nothing_and_pull_nowhere(kind: str) -> None:
    student, _, mask, sampled = case(1, (2, 3, 6))
    logits = student.clone().requires_grad_()
    loss = ours(logits, student, mask, 3, kind=kind, sampled_ids=sampled)
    loss.backward()
    assert float(loss.detach().abs()) < 1e-12
    assert float(logits.grad.abs().max()) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_ties_are_no_trouble(kind: str) -> None:
    student = torch.zeros(1, 2, 6, dtype=torch.float64)
    teacher = torch.zeros(1, 2, 6, dtype=torch.float64)
    teacher[0, 1, 3:] = 1.0
    mask = torch.ones(1, 2, dtype=torch.bool)
    sampled = torch.tensor([[0, 3]])
    agree(both(student, teacher, mask, 2, kind=kind, sampled_ids=sampled))


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_one_side_rules_out_cost_a_finite_price(kind: str) -> None:
    student = torch.tensor([[[0.0, -INF, 1.0, 0.5], [2.0, 1.0, 0.0, -1.0]]], dtype=torch.float64)
    teacher = torch.tensor([[[1.0, 0.0, -INF, 0.5], [-INF, -INF, 0.0, 1.0]]], dtype=torch.float64)
    mask = torch.ones(1, 2, dtype=torch.bool)
    sampled = torch.tensor([[2, 0]])
    logits = student.clone().requires_grad_()
    loss = ours(logits, teacher, mask, 3, kind=kind, sampled_ids=sampled)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())
    slow = reference(student, teacher, mask, kind, k=3, sampled=sampled)
    assert torch.allclose(loss, slow, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tail_without_mass_is_no_trouble(kind: str) -> None:
    student, teacher, mask, sampled = case(2, (2, 2, 4))
    agree(both(student, teacher, mask, 4, kind=kind, sampled_ids=sampled))
    teacher[..., 3] = -INF  # now the teacher's tail is empty although there is a token in it
    sampled[:] = 3
    logits = student.clone().requires_grad_()
    loss = ours(logits, teacher, mask, 3, kind=kind, sampled_ids=sampled)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
def test_a_tail_that_is_everything_is_compared_as_one_bucket(kind: str) -> None:
    student, teacher, _, sampled = case(2, (1, 1, 5))
    student[0, 0, 0] = -60.0  # below the floor: all mass of both lies in the tail
    teacher[0, 0, 0] = -60.0
    mask = torch.ones(1, 1, dtype=torch.bool)
    logits = student.clone().requires_grad_()
    ids = torch.zeros(1, 1, 1, dtype=torch.int64)
    loss, figures = distill_loss(
        logits,
        torch.full((1, 1, 1), -INF, dtype=torch.float64),
        ids,
        torch.zeros(1, 1, dtype=torch.float64),
        mask,
        kind=kind,
        sampled_ids=sampled.clamp(min=1),
    )
    loss.backward()
    assert float(loss.detach().abs()) < 1e-9
    assert float(logits.grad.abs().max()) < 1e-9
    assert figures["student_tail"] == pytest.approx(1)


def test_the_tail_pulls_the_students_stray_mass_back() -> None:
    student = torch.tensor([[[2.0, 1.0, 3.0, 3.0]]], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[[2.0, 1.0, -9.0, -9.0]]], dtype=torch.float64)
    ours(student, teacher, torch.ones(1, 1, dtype=torch.bool), 2, kind="reverse_kl").backward()
    assert (student.grad[0, 0, 2:] > 0).all()  # descent lowers both strays
    assert (student.grad[0, 0, :2] < 0).all()


def test_a_tiny_tail_keeps_its_precision_in_fp32() -> None:
    logits = torch.tensor([[30.0, 0.0, 0.0]])
    tail = bucket_logprobs(logits, torch.tensor([[0]]))[0, 1]
    assert float(tail) == pytest.approx(math.log(2) - 30, rel=1e-5)


def test_a_one_token_answer_counts_as_much_as_a_long_one() -> None:
    student, teacher, _, _ = case(9, (2, 5, 6))
    mask = torch.tensor([[True] + [False] * 4, [True] * 5])
    alone = [ours(student[i : i + 1], teacher[i : i + 1], mask[i : i + 1], 3) for i in (0, 1)]
    assert torch.allclose(ours(student, teacher, mask, 3), (alone[0] + alone[1]) / 2)


def test_samples_without_a_token_do_not_count() -> None:
    student, teacher, _, _ = case(9, (2, 5, 6))
    mask = torch.tensor([[True] * 5, [False] * 5])
    assert torch.allclose(
        ours(student, teacher, mask, 3), ours(student[:1], teacher[:1], mask[:1], 3)
    )


def test_a_batch_without_any_token_is_an_error() -> None:
    student, teacher, mask, _ = case(9, (2, 5, 6))
    with pytest.raises(ValueError, match="no token"):
        ours(student, teacher, torch.zeros_like(mask), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_filler_does_not_matter(kind: str) -> None:
    student, teacher, mask, sampled = case(4, (2, 4, 6))
    mask[1, 2:] = False
    clean = ours(student, teacher, mask, 3, kind=kind, sampled_ids=sampled)
    student, teacher = student.clone(), teacher.clone()
    student[1, 2:] = float("nan")
    teacher[1, 2:] = 77.0
    dirty = ours(student, teacher, mask, 3, kind=kind, sampled_ids=sampled)
    assert torch.equal(clean, dirty)


def test_a_capped_token_still_pulls_in_its_own_direction() -> None:
    student, teacher, mask, _ = case(8, (1, 1, 6), spread=6)
    free, capped = student.clone().requires_grad_(), student.clone().requires_grad_()
    loss = ours(free, teacher, mask, 3)
    loss.backward()
    ours(capped, teacher, mask, 3, token_clip=float(loss.detach()) / 4).backward()
    assert torch.allclose(capped.grad, free.grad / 4, rtol=1e-9)


def test_values_below_a_cap_are_left_as_they_are() -> None:
    values = torch.tensor([0.5, -0.5, 3.0, -3.0])
    assert cap(values, 1.0).tolist() == [0.5, -0.5, 1.0, -1.0]
    assert torch.equal(cap(values, None), values)


def test_half_precision_logits_are_compared_in_full_precision() -> None:
    student, teacher, mask, _ = case(6, (2, 3, 50))
    half = student.bfloat16()
    values, ids, tail = teacher_table(teacher, 10)
    loss, _ = distill_loss(half, values, ids, tail, mask)
    assert loss.dtype == torch.float32
    exact = reference(half.double(), teacher, mask, "reverse_kl", k=10)
    assert float(loss) == pytest.approx(float(exact), rel=1e-4)


@given(seed=st.integers(0, 1000), k=st.integers(1, 12))
@settings(max_examples=30)
def test_the_teachers_table_holds_all_of_its_mass(seed: int, k: int) -> None:
    _, teacher, _, _ = case(seed, (2, 2, 8))
    values, ids, tail = teacher_table(teacher, k)
    assert ids.shape[-1] == min(k, 8)
    total = values.exp().sum(-1) + tail.exp()
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
    exact = teacher.log_softmax(-1).gather(-1, ids)
    assert torch.allclose(values.double(), exact, atol=1e-5)


def test_the_figures_count_what_was_capped() -> None:
    student, teacher, _, _ = case(8, (1, 4, 6), spread=6)
    mask = torch.ones(1, 4, dtype=torch.bool)
    values, ids, tail = teacher_table(teacher, 3)
    tokens = divergence(
        bucket_logprobs(student, ids),
        torch.cat([values, tail[..., None]], -1).double(),
        kind="reverse_kl",
    )
    clip = float(tokens.sort().values[0, 1]) + 1e-6
    _, figures = distill_loss(student, values, ids, tail, mask, token_clip=clip)
    assert figures["clipped"] == 0.5
    assert figures["tokens"] == 4
    assert figures["kl"] == pytest.approx(float(tokens.mean()))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"kind": "sampled"}, "sampled_ids"),
        ({"kind": "jsd", "beta": 0.0}, "beta"),
        ({"kind": "mse"}, "unknown"),
    ],
)
def test_a_loss_that_cannot_be_computed_says_why(more: dict[str, Any], named: str) -> None:
    student, teacher, mask, _ = case(1, (1, 2, 5))
    with pytest.raises(ValueError, match=named):
        ours(student, teacher, mask, 2, **more)
