from __future__ import annotations

from typing import Any

import pytest
import torch

from align_agent.errors import ModelError
from align_agent.models.cache import growing_cache
from align_agent.models.decoding import Decoder, draw, noise
from align_agent.models.forward import keys_and_values
from align_agent.models.generation import Sampling

LOGITS = torch.tensor([2.0, 0.5, float("-inf"), 1.0, -1.0])


def shares(sampling: Sampling, draws: int = 20_000) -> torch.Tensor:
    """How often each token is drawn when the uniform numbers are spread evenly."""
    uniform = (torch.arange(draws) + 0.5) / draws
    ids, _ = draw(LOGITS.expand(draws, -1), uniform, sampling)
    return torch.bincount(ids, minlength=5) / draws


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_tokens_are_drawn_as_often_as_they_are_probable(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, dim=-1)
    assert torch.allclose(shares(Sampling(temperature=temperature)), expected, atol=2e-4)


def test_top_p_keeps_the_fewest_tokens_that_reach_the_mass() -> None:
    probs = torch.softmax(LOGITS, dim=-1)
    kept = probs * torch.tensor([1, 0, 0, 1, 0])  # the two likeliest reach 0.8 together
    assert torch.allclose(shares(Sampling(temperature=1, top_p=0.8)), kept / kept.sum(), atol=2e-4)


def test_a_tiny_top_p_leaves_the_likeliest_token() -> None:
    assert shares(Sampling(temperature=5, top_p=1e-6))[0] == 1


def test_greedy_takes_the_first_of_equals() -> None:
    ids, _ = draw(torch.tensor([[1.0, 3.0, 3.0]]), torch.tensor([0.9]), Sampling(temperature=0))
    assert ids.tolist() == [1]


def test_an_impossible_token_is_never_drawn() -> None:
    uniform = torch.tensor([0.0, 1.0 - 1e-6])
    ids, _ = draw(torch.tensor([[-torch.inf, 0.0, -torch.inf]] * 2), uniform, Sampling())
    assert ids.tolist() == [1, 1]


def test_logprobs_are_those_of_the_network_before_temperature() -> None:
    ids, logprobs = draw(LOGITS[None], torch.tensor([0.99]), Sampling(temperature=2, top_p=0.9))
    assert torch.equal(logprobs, torch.log_softmax(LOGITS, dim=-1)[ids])


def test_each_row_has_noise_of_its_own_that_no_batch_changes() -> None:
    alone, together = noise(5, [3], 10), noise(5, [1, 2, 3], 10)
    assert torch.equal(alone[0], together[2])
    assert not torch.equal(together[0], together[1])


def test_drawing_leaves_the_worlds_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    noise(5, [0], 10)
    assert torch.equal(torch.rand(3), expected)


def test_rows_that_are_over_are_computed_no_more(tiny_model: Any) -> None:
    prompts = [[5, 6, 7], [8, 9], [10]]
    decoder = Decoder(tiny_model.network(None), prompts, noise(0, [0, 1, 2], 9), Sampling(), 0)
    assert [row for row, _, _ in decoder.step()] == [0, 1, 2]
    decoder.keep([0, 2])
    assert [row for row, _, _ in decoder.step()] == [0, 2]
    decoder.keep([2])
    assert [row for row, _, _ in decoder.step()] == [2]


def test_a_network_that_answers_nan_is_an_error_with_a_way_out(tiny_model: Any) -> None:
    from align_agent.models.lora import twin

    network = twin(tiny_model.network(None))
    network.model.norm = torch.nn.RMSNorm(32).requires_grad_(False)
    network.model.norm.weight.fill_(float("nan"))
    decoder = Decoder(network, [[5]], noise(0, [0], 1), Sampling(temperature=0), 0)
    with pytest.raises(ModelError, match="not a number") as caught:
        decoder.step()
    assert "roll back" in caught.value.hint


def test_the_growing_cache_gives_the_numbers_of_transformers_own(tiny_model: Any) -> None:
    from transformers import DynamicCache

    network = tiny_model.network(None)
    caches = [growing_cache(network.config), DynamicCache(config=network.config)]
    torch.manual_seed(0)
    ids = torch.randint(3, 400, (3, 70))
    with torch.inference_mode():
        for start, end in [(0, 5), *((i, i + 1) for i in range(5, 70))]:
            asked = {"input_ids": ids[:, start:end], "use_cache": True}
            both = [network(**asked, **keys_and_values(network, c)) for c in caches]
            assert torch.equal(both[0].logits, both[1].logits)
            if end in (20, 40):
                for cache in caches:
                    cache.batch_select_indices(torch.arange(ids.shape[0] - 1))
                ids = ids[:-1]
