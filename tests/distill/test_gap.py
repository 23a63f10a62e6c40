from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from align_agent.distill.gap import divergences, gaps
from align_agent.distill.hindsight import build_hindsight
from align_agent.distill.pairs import pair
from align_agent.models.local import LocalModel
from align_agent.prompts import with_hindsight
from align_agent.records import Message

PROMPT = (Message("user", "What is 7 plus 5?"),)
ANSWER = (Message("assistant", "The answer is 12."),)


def slow_gap(model: Any, prompt: Any, response: Any, follow_up: str) -> float:
    """The definition, one turn and one token at a time, in float64."""
    told = with_hindsight(prompt, build_hindsight((), follow_up))
    tables = []
    for messages in (prompt, told):
        ids, mask = model.encode_turn(messages, response)
        with torch.no_grad():
            logits = model.network(None)(torch.tensor([ids])).logits[0].double()
        tables.append([logits[i - 1].log_softmax(-1) for i in range(len(ids)) if mask[i]])
    kls = [float((p.exp() * (p - q)).sum()) for p, q in zip(*tables, strict=True)]
    return sum(kls) / len(kls)


def test_the_gap_is_the_mean_divergence_a_token(tiny_model: Any) -> None:
    items = [
        (PROMPT, ANSWER, "No bullet points, please.", ()),
        (PROMPT, (Message("assistant", "1. First take 7.\n2. Then add 5."),), "Shorter!", ()),
        ((Message("user", "Hi"),), ANSWER, "Thanks.", ()),
    ]
    expected = [slow_gap(tiny_model, p, r, f) for p, r, f, _ in items]
    assert gaps(tiny_model, items) == pytest.approx(expected, rel=1e-3)


def test_without_a_follow_up_there_is_no_gap(tiny_model: Any) -> None:
    assert gaps(tiny_model, [(PROMPT, ANSWER, "", ()), (PROMPT, ANSWER, " ", ())]) == [0.0, 0.0]


def test_no_turn_no_gap(tiny_model: Any) -> None:
    assert gaps(tiny_model, []) == []


def test_a_turn_that_cannot_be_measured_is_above_no_threshold(tiny_model: Any) -> None:
    long = (Message("user", "x" * 9000),)
    found = gaps(
        tiny_model,
        [
            (long, ANSWER, "Shorter!", ()),
            (PROMPT, (Message("tool", "4"),), "Shorter!", ()),
            (PROMPT, ANSWER, "Shorter!", ()),
        ],
    )
    assert [math.isnan(value) for value in found] == [True, True, False]


def test_a_model_does_not_differ_from_itself(tiny_model: Any) -> None:
    same = pair(tiny_model, PROMPT, ANSWER, "")
    assert same is not None
    assert divergences(tiny_model, [same]) == pytest.approx([0.0], abs=1e-6)


def test_a_broken_model_agrees_with_nothing(model_dir: Path) -> None:
    model = LocalModel.load(str(model_dir), device="cpu")
    with torch.no_grad():
        next(model.network(None).parameters()).fill_(float("nan"))
    found = pair(model, PROMPT, ANSWER, "Shorter!")
    assert found is not None
    assert math.isnan(divergences(model, [found])[0])
