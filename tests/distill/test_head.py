"""The fused head against whole logits in float64: values, gradients, edge cases."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.distill.head import Target, _weighed, fused_losses, fused_table
from align_agent.distill.loss import (
    LOG_FLOOR,
    Formula,
    bucket_logprobs,
    bucket_of,
    mean,
    token_losses,
)

KINDS = ["reverse_kl", "forward_kl", "jsd", "sampled"]
INF = float("inf")


def case(seed: int, n: int = 5, h: int = 4, v: int = 11, k: int = 3, spread: float = 1.5):
    """(hidden, weight, bias, top-k target, exact target), in float64."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64) * spread

    hidden, other, weight, bias = normal(n, h), normal(n, h), normal(v, h), normal(v)
    written = torch.randint(0, v, (n,), generator=draw)
    table = (other @ weight.T + bias).log_softmax(-1)
    logprobs, ids = table.topk(k, dim=-1)
    tail = table.scatter(-1, ids, -INF).logsumexp(-1)
    return hidden, weight, bias, Target(written, ids, logprobs, tail), Target(written, hidden=other)


def plain(hidden: Any, weight: Any, bias: Any, target: Target, formula: Formula) -> torch.Tensor:
    """The same losses through autograd, from whole logits."""
    logits = hidden @ weight.T + (0 if bias is None else bias)
    if target.hidden is not None:
        teacher = (target.hidden @ weight.T + (0 if bias is None else bias)).log_softmax(-1)
        table, place = logits.log_softmax(-1), target.written
    else:
        ids = target.written[:, None] if target.ids is None else target.ids
        table, place = bucket_logprobs(logits, ids), bucket_of(ids, target.written)
        teacher = (
            None
            if target.logprobs is None
            else torch.cat([target.logprobs, target.tail[:, None]], dim=-1)
        )
    return token_losses(
        formula, table, teacher, place, behaviour=target.behaviour, advantage=target.advantage
    )


def both(hidden: Any, weight: Any, bias: Any, target: Target, formula: Formula, **more: Any):
    """(losses, gradient) of the fused head, of autograd."""
    results = []
    scales = torch.linspace(0.5, 2, len(hidden), dtype=torch.float64)
    for way in (
        lambda x: fused_losses(x, weight, bias, target, formula, **more).losses,
        lambda x: plain(x, weight, bias, target, formula),
    ):
        leaf = hidden.clone().requires_grad_()
        losses = way(leaf)
        (losses * scales).sum().backward()
        results.append((losses.detach(), leaf.grad))
    return results


def assert_same(found: list, rtol: float = 1e-9) -> None:
    (losses, gradient), (expected, slope) = found
    assert torch.allclose(losses, expected, rtol=rtol, atol=rtol)
    assert torch.allclose(gradient, slope, rtol=rtol, atol=rtol)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    k=st.integers(1, 10),
    rows=st.integers(1, 7),
    tile=st.integers(1, 12),
    bias=st.booleans(),
    exact=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_chunks_give_what_whole_logits_give(
    kind: Any, seed: int, n: int, k: int, rows: int, tile: int, bias: bool, exact: bool
) -> None:
    hidden, weight, b, table, whole = case(seed, n=n, k=k)
    found = both(
        hidden,
        weight,
        b if bias else None,
        whole if exact else table,
        Formula(kind),
        rows=rows,
        tile=tile,
    )
    assert_same(found)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["reverse_kl", "forward_kl", "jsd"])
def test_the_gradient_is_the_slope_that_finite_differences_find(kind: Any, exact: bool) -> None:
    hidden, weight, bias, table, whole = case(3)
    target = whole if exact else table
    assert torch.autograd.gradcheck(
        lambda x: fused_losses(x, weight, bias, target, Formula(kind), rows=2, tile=4).losses,
        (hidden.requires_grad_(),),
    )


def test_grpo_has_the_slope_that_finite_differences_find() -> None:
    hidden, weight, bias, table, _ = case(4)
    logits = hidden @ weight.T + bias
    now = logits.log_softmax(-1).gather(-1, table.written[:, None]).squeeze(-1)
    # Ratios well inside, above and below the clip, so that no kink is straddled.
    behaviour = now - torch.tensor([0.1, 0.6, -0.6, 0.05, -0.1], dtype=torch.float64)
    advantage = torch.tensor([1.0, -1.0, 2.0, 1.0, -0.5], dtype=torch.float64)
    target = Target(table.written, behaviour=behaviour, advantage=advantage)
    formula = Formula("grpo")
    assert torch.autograd.gradcheck(
        lambda x: fused_losses(x, weight, bias, target, formula).losses, (hidden.requires_grad_(),)
    )
    assert_same(both(hidden.detach(), weight, bias, target, formula, rows=2, tile=4))


def test_grpo_is_its_formula_written_out() -> None:
    hidden, weight, bias, table, _ = case(5, n=3)
    now = (hidden @ weight.T + bias).log_softmax(-1)
    chosen = [float(now[i, y]) for i, y in enumerate(table.written)]
    behaviour, advantage = [chosen[0] - 0.5, chosen[1] + 0.5, chosen[2]], [1.0, -1.0, 2.0]
    expected = []
    for log_p, log_b, a in zip(chosen, behaviour, advantage, strict=True):
        r = math.exp(log_p - log_b)
        expected.append(-min(r * a, min(max(r, 0.8), 1.2) * a))
    target = Target(
        table.written,
        behaviour=torch.tensor(behaviour, dtype=torch.float64),
        advantage=torch.tensor(advantage, dtype=torch.float64),
    )
    found = fused_losses(hidden, weight, bias, target, Formula("grpo")).losses
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_an_old_answer_weighs_by_its_truncated_importance_ratio(exact: bool) -> None:
    hidden, weight, bias, table, whole = case(6)
    target = whole if exact else replace(table, ids=(hidden @ weight.T + bias).topk(10)[1])
    logprobs = (hidden @ weight.T + bias).log_softmax(-1)
    if not exact:
        other = (whole.hidden @ weight.T + bias).log_softmax(-1)
        top = other.gather(-1, target.ids)
        rest = other.scatter(-1, target.ids, -INF).logsumexp(-1)
        written = target.ids[:, 2]
        target = replace(target, logprobs=top, tail=rest, written=written)
    now = logprobs.gather(-1, target.written[:, None]).squeeze(-1)
    behaviour = now - torch.tensor([0.0, 0.3, 5.0, -0.7, -3.0], dtype=torch.float64)
    formula = Formula(ratio_cap=2.0)
    plain_losses = fused_losses(hidden, weight, bias, target, formula).losses
    weighed = fused_losses(hidden, weight, bias, replace(target, behaviour=behaviour), formula)
    expected = [1, math.exp(0.3), 2, math.exp(-0.7), math.exp(-3)]
    assert (weighed.losses / plain_losses).tolist() == pytest.approx(expected, rel=1e-6)
    assert_same(both(hidden, weight, bias, replace(target, behaviour=behaviour), formula))


@pytest.mark.parametrize("kind", KINDS)
def test_ties_in_the_teachers_table_change_nothing(kind: Any) -> None:
    hidden, weight, bias, table, _ = case(7, v=8, k=4)
    flat = torch.full((5, 4), math.log(1 / 8), dtype=torch.float64)
    tied = replace(table, logprobs=flat, tail=torch.full((5,), math.log(0.5), dtype=torch.float64))
    assert_same(both(hidden, weight, bias, tied, Formula(kind)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", ["nothing", "all"])
def test_a_tail_that_holds_nothing_or_all_stays_finite(kind: Any, tail: str) -> None:
    hidden, weight, bias, table, _ = case(8)
    if tail == "nothing":
        ids = torch.arange(11).repeat(5, 1)
        logprobs = table.logprobs.new_full((5, 11), math.log(1 / 11))
        target = replace(table, ids=ids, logprobs=logprobs, tail=logprobs.new_full((5,), -INF))
    else:
        target = replace(
            table, logprobs=torch.full_like(table.logprobs, -INF), tail=torch.zeros_like(table.tail)
        )
    assert_same(both(hidden, weight, bias, target, Formula(kind)), rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_that_are_ruled_out_stay_finite(kind: Any) -> None:
    hidden, weight, _, table, _ = case(9)
    bias = torch.zeros(11, dtype=torch.float64)
    bias[int(table.ids[0, 0])] = -INF
    losses, gradient = both(hidden, weight, bias, table, Formula(kind))[0]
    assert bool(losses.isfinite().all())
    assert bool(gradient.isfinite().all())


def test_one_token_of_one_answer_is_enough() -> None:
    hidden, weight, bias, table, _ = case(10, n=1)
    assert_same(both(hidden, weight, bias, table, Formula()))
    scored = fused_losses(hidden, weight, bias, table, Formula(sample_cap=1e-3))
    loss = mean(Formula(sample_cap=1e-3), scored.losses, torch.tensor([0]), 1)
    assert float(loss) == pytest.approx(1e-3)


def test_the_hidden_states_give_what_a_table_of_the_whole_vocabulary_gives() -> None:
    hidden, weight, bias, _, whole = case(11)
    logprobs = (whole.hidden @ weight.T + bias).log_softmax(-1)
    ids = torch.arange(11).repeat(5, 1)
    table = Target(whole.written, ids, logprobs, logprobs.new_full((5,), -INF))
    for kind in KINDS:
        one = fused_losses(hidden, weight, bias, whole, Formula(kind)).losses
        two = fused_losses(hidden, weight, bias, table, Formula(kind)).losses
        assert torch.allclose(one, two, rtol=1e-9)


def test_no_gradient_is_computed_where_none_is_asked_for() -> None:
    hidden, weight, bias, table, whole = case(12)
    for target in (table, whole):
        scored = fused_losses(hidden, weight, bias, target, Formula())
        assert not scored.losses.requires_grad
        expected = (hidden @ weight.T + bias).log_softmax(-1)
        expected = expected.gather(-1, target.written[:, None]).squeeze(-1)
        assert torch.allclose(scored.written, expected)


def test_float32_is_close_to_float64_on_a_sharp_head() -> None:
    hidden, weight, bias, table, _ = case(13, n=40, h=16, v=500, k=20, spread=1.2)
    exact = fused_losses(hidden, weight, bias, table, Formula())
    small = Target(table.written, table.ids, table.logprobs.float(), table.tail.float())
    found = fused_losses(hidden.float(), weight.float(), bias.float(), small, Formula())
    assert torch.allclose(found.losses.double(), exact.losses, rtol=1e-3, atol=1e-4)
    assert float(found.table.min()) >= LOG_FLOOR


@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 12),
    rows=st.integers(1, 6),
    tile=st.integers(1, 12),
    spread=st.sampled_from([0.1, 2.0, 30.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_table_by_tiles_is_the_table_of_the_whole_logits(
    seed: int, k: int, rows: int, tile: int, spread: float
) -> None:
    hidden, weight, bias, _, _ = case(seed, spread=spread)
    expected = (hidden @ weight.T + bias).log_softmax(-1).topk(min(k, 11), dim=-1)
    values, ids, tail = fused_table(hidden, weight, bias, k, rows=rows, tile=tile)
    assert torch.allclose(values, expected[0], atol=1e-9)
    assert torch.equal(ids, expected[1])
    rest = (hidden @ weight.T + bias).log_softmax(-1).scatter(-1, ids, -INF).logsumexp(-1)
    assert torch.allclose(tail, rest, atol=1e-9)


@pytest.mark.parametrize("exact", [False, True])
def test_a_probability_that_is_not_known_weighs_one(exact: bool) -> None:
    hidden, weight, bias, table, whole = case(6)
    target = whole if exact else table
    formula = Formula()
    unknown = torch.full((len(hidden),), float("nan"), dtype=torch.float64)
    plain_losses = fused_losses(hidden, weight, bias, target, formula).losses
    weighed = fused_losses(hidden, weight, bias, replace(target, behaviour=unknown), formula)
    assert torch.equal(weighed.losses, plain_losses)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), k=st.integers(1, 10))
@settings(max_examples=25, deadline=None)
def test_rows_of_the_head_weigh_the_same_gathered_or_in_bags(seed: int, n: int, k: int) -> None:
    _, weight, _, table, _ = case(seed, n=n, k=k)
    assert table.ids is not None and table.logprobs is not None
    bags, gathered = (
        _weighed(table.ids, weight, table.logprobs, gather=gather) for gather in (False, True)
    )
    assert torch.allclose(bags, gathered, rtol=1e-9, atol=1e-9)
