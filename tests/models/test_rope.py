"""Rows of networks whose positions depend on a pass's length are scored as if they stood alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t

from align_agent.models import rope
from align_agent.models.forward import logits_at
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.tree import hidden_at
from align_agent.records import Message

LIMIT = 16
SHORT, MIDDLE, LONG = list(range(3, 13)), list(range(2, 2 + LIMIT + 4)), list(range(13, 53))


def network(kind: str) -> Any:
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.3,
    }
    if kind == "dynamic":
        rope = {"rope_type": "dynamic", "factor": 4.0}
        config = t.LlamaConfig(**small, max_position_embeddings=LIMIT, rope_scaling=rope)
        return t.LlamaForCausalLM(config).eval()
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4}
    config = t.Phi3Config(
        **small,
        max_position_embeddings=256,
        original_max_position_embeddings=LIMIT,
        rope_scaling=rope,
    )
    return t.Phi3ForCausalLM(config).eval()


@pytest.mark.parametrize("prompt_gradient", [True, False])
@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_a_long_row_changes_no_other(kind: str, prompt_gradient: bool) -> None:
    net = network(kind)
    sequences = [LONG, SHORT, MIDDLE, SHORT[:4]]
    rows = [[5, len(s) - 1] for s in sequences[:3]] + [[2, 3]]
    with torch.no_grad():
        # Each on a network that has seen nothing longer before.
        alone = [
            copy.deepcopy(net).model(input_ids=torch.tensor([s])).last_hidden_state[0][row]
            for s, row in zip(sequences, rows, strict=True)
        ]
        packed = hidden_at(copy.deepcopy(net), sequences, rows, prompt_gradient=prompt_gradient)
        scored = logits_at(net, sequences, rows)
        expected = net.lm_head(torch.stack(alone))
    assert torch.allclose(packed, torch.cat(alone), rtol=1e-3, atol=1e-4)
    assert torch.allclose(scored, expected, rtol=1e-3, atol=1e-4)


def test_long_answers_are_written_alone_and_short_ones_together(tiny_model_dir: Path) -> None:
    model = LocalModel.load(str(tiny_model_dir), device="cpu")
    model._network = net = network("longrope")
    asked = [[Message("user", word)] for word in ("a", "b")]
    sizes: list[int] = []
    net.register_forward_pre_hook(
        lambda _, args, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    for limit, together in ((LIMIT, 1), (10_000, 2)):
        rope._LIMITS[net] = limit
        model.chat.encode = lambda *_, **__: [3, 4, 5]  # type: ignore[method-assign]
        sizes.clear()
        model.generate_batch(asked, sampling=Sampling(LIMIT, 0.0))
        assert max(sizes) == together
