"""Sequences as a tree: nothing is lost, nothing is computed twice, and nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.models import lora
from align_agent.models.forward import logits_at
from align_agent.models.local import LocalModel
from align_agent.models.tree import _for_each_head, can_pack, grow, hidden_at, shared

SEQUENCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=8)


@given(SEQUENCES)
def test_every_sequence_is_found_again_at_its_places(sequences: list[list[int]]) -> None:
    tree = grow(sequences)
    for sequence, places in zip(sequences, tree.places, strict=True):
        assert [tree.ids[place] for place in places] == sequence
        assert [tree.positions[place] for place in places] == list(range(len(sequence)))


@given(SEQUENCES)
def test_no_beginning_is_laid_out_twice(sequences: list[list[int]]) -> None:
    beginnings = {tuple(s[: i + 1]) for s in sequences for i in range(len(s))}
    assert len(grow(sequences).ids) == len(beginnings)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_what_two_sequences_share_is_their_common_beginning(one: list[int], two: list[int]) -> None:
    n = shared(one, two)
    assert one[:n] == two[:n]
    assert n == min(len(one), len(two)) or one[n] != two[n]


def plain(network: Any, sequences: list[list[int]]) -> torch.Tensor:
    states = [network.model(input_ids=torch.tensor([s])).last_hidden_state[0] for s in sequences]
    return torch.cat(states)


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_a_tree_gives_what_each_sequence_gives_alone(
    tiny_model: LocalModel, sequences: list[list[int]]
) -> None:
    base = tiny_model.network(None)
    network = lora.twin(base)
    positions = [list(range(len(s))) for s in sequences]
    with torch.no_grad():
        found = hidden_at(network, sequences, positions)
        assert can_pack(network)
        assert torch.allclose(found, plain(base, sequences), rtol=1e-4, atol=1e-4)


def moved_lora(model: LocalModel) -> Any:
    """A network of its own with a LoRA that does something, the same each time."""
    network = lora.fresh_lora(
        model.network(None), rank=4, alpha=8, dropout=0.0, seed=0
    ).get_base_model()
    for name, weight in network.named_parameters():
        if "lora_B" in name:
            torch.manual_seed(len(name))
            torch.nn.init.normal_(weight, std=0.1)
    return network


def test_the_gradient_through_a_tree_is_the_sum_of_the_rows(tiny_model: LocalModel) -> None:
    sequences = [[5, 6, 7, 8, 9], [5, 6, 7, 1, 2, 3], [5, 6, 7, 8], [9, 9], [5, 6, 7, 8, 9, 4, 4]]
    positions = [list(range(1, len(s))) for s in sequences]
    gradients = []
    for packed in (True, False):
        network = moved_lora(tiny_model)
        if packed:
            hidden = hidden_at(network, sequences, positions)
        else:
            hidden = torch.cat([plain(network, [s])[1:] for s in sequences])
        hidden.square().sum().backward()
        weights = [p for p in network.parameters() if p.requires_grad]
        gradients.append(torch.cat([w.grad.flatten() for w in weights]))
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


def test_without_the_prompts_gradient_it_is_that_of_answers_behind_a_cache(
    tiny_model: LocalModel,
) -> None:
    from transformers import DynamicCache

    sequences = [[5, 6, 7, 8, 9], [5, 6, 7, 1, 2, 3], [5, 6, 7, 8], [9, 9], [5, 6, 7, 8, 9, 4, 4]]
    starts = [3, 2, 3, 1, 5]
    positions = [list(range(n, len(s))) for n, s in zip(starts, sequences, strict=True)]
    gradients, states = [], []
    for packed in (True, False):
        network = moved_lora(tiny_model)
        if packed:
            hidden = hidden_at(network, sequences, positions, prompt_gradient=False)
        else:
            rows = []
            for start, ids in zip(starts, sequences, strict=True):
                cache = DynamicCache(config=network.config)
                with torch.no_grad():
                    network.model(input_ids=torch.tensor([ids[:start]]), past_key_values=cache)
                rows.append(
                    network.model(
                        input_ids=torch.tensor([ids[start:]]), past_key_values=cache
                    ).last_hidden_state[0]
                )
            hidden = torch.cat(rows)
        hidden.square().sum().backward()
        weights = [p for p in network.parameters() if p.requires_grad]
        gradients.append(torch.cat([w.grad.flatten() for w in weights]))
        states.append(hidden.detach())
    assert torch.allclose(states[0], states[1], rtol=1e-4, atol=1e-4)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


def test_the_base_keeps_its_own_way_of_attending(tiny_model: LocalModel) -> None:
    base = tiny_model.network(None)
    before = base.config._attn_implementation
    network = lora.twin(base)
    with torch.no_grad():
        hidden_at(network, [[1, 2, 3]], [[2]])
    assert base.config._attn_implementation == before
    assert logits_at(base, [[1, 2, 3]], [[2]]).shape == (1, 1, tiny_model.vocab_size)


def networks() -> dict[str, Any]:
    """Small random networks of other kinds."""
    import transformers as t

    small: dict[str, Any] = {
        "vocab_size": 40,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.3,
    }
    return {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**small)),
        "mistral with a window of 4": lambda: t.MistralForCausalLM(
            t.MistralConfig(**small, sliding_window=4)
        ),
        "gemma 2, which caps its attention": lambda: t.Gemma2ForCausalLM(
            t.Gemma2Config(**small, query_pre_attn_scalar=16, attn_logit_softcapping=1.0)
        ),
        "mamba, which does not attend": lambda: t.MambaForCausalLM(
            t.MambaConfig(
                vocab_size=40, hidden_size=32, state_size=4, num_hidden_layers=2, pad_token_id=0
            )
        ),
    }


@pytest.mark.parametrize("prompt_gradient", [True, False])
@pytest.mark.parametrize("name", list(networks()))
def test_networks_of_other_kinds_give_the_same_packed_or_padded(
    name: str, prompt_gradient: bool
) -> None:
    torch.manual_seed(0)
    network = networks()[name]().eval()
    sequences = [[5, 6, 7, 8, 9, 3, 4, 5, 6], [5, 6, 7, 1, 2, 3, 3, 3], [9, 9, 8]]
    rows = [[2, len(s) - 1] for s in sequences]
    backbone = getattr(network, network.base_model_prefix)
    with torch.no_grad():
        expected = torch.cat(
            [
                backbone(input_ids=torch.tensor([s]), use_cache=False).last_hidden_state[0][row]
                for s, row in zip(sequences, rows, strict=True)
            ]
        )
        found = hidden_at(network, sequences, rows, prompt_gradient=prompt_gradient)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert can_pack(network) is ("mamba" not in name and "gemma" not in name)


@pytest.mark.parametrize("name", ["llama", "mamba, which does not attend"])
def test_in_half_precision_rounding_is_told_from_the_wrong_tokens(name: str) -> None:
    torch.manual_seed(0)
    network = networks()[name]().eval().bfloat16()
    chance = torch.Generator().manual_seed(0)

    def rounded(_: Any, __: Any, out: Any) -> Any:  # as a card's kernels do, each in its own way
        states = out[0] if isinstance(out, tuple) else out
        noise = 1 + torch.randn(states.shape, generator=chance) * 2**-9
        states = (states.float() * noise).bfloat16()
        return (states, *out[1:]) if isinstance(out, tuple) else states

    for layer in getattr(network, network.base_model_prefix).layers:
        layer.register_forward_hook(rounded)
    assert can_pack(network) is (name == "llama")


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_keys_of_each_head_attend_as_grouped_ones(heads: int) -> None:
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, 3, 8, generator=draw)
    keys, values = torch.randn(2, 1, heads, 5, 8, generator=draw)
    mask = torch.ones(3, 5, dtype=torch.bool).tril(2)
    attend = torch.nn.functional.scaled_dot_product_attention
    grouped = attend(query, keys, values, attn_mask=mask, enable_gqa=True)
    single = attend(query, _for_each_head(keys, 4), _for_each_head(values, 4), attn_mask=mask)
    assert torch.allclose(grouped, single, atol=1e-6)


def test_a_model_folder_loads_as_before_once_trees_are_known(tiny_model_dir: Path) -> None:
    model = LocalModel.load(str(tiny_model_dir), device="cpu")
    assert model.network(None).config._attn_implementation == "sdpa"
