from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from align_agent.models.forward import (
    answer_positions,
    by_length,
    logits_at,
    logprobs_by_piece,
    rows_at_once,
)

SEQUENCES = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15]]
POSITIONS = [[1, 2, 5], [0], [1, 2]]


def alone(network: Any, sequence: list[int], positions: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.tensor([sequence])).logits[0, positions]


def check(network: Any) -> None:
    with torch.no_grad():
        batch = logits_at(network, SEQUENCES, POSITIONS)
    assert batch.shape[:2] == (3, 3)
    for row, (sequence, positions) in enumerate(zip(SEQUENCES, POSITIONS, strict=True)):
        expected = alone(network, sequence, positions)
        assert torch.allclose(batch[row, : len(positions)], expected, atol=1e-4, rtol=1e-4)


def check_pieces(network: Any) -> None:
    """Piece by piece as at once; the lock is free between them."""
    ids, positions = [5, 6, 7, 8, 9, 10, 11, 12], [0, 1, 4, 6]
    lock = threading.Lock()
    tables = []
    for table in logprobs_by_piece(network, ids, positions, lock, piece=3):
        assert not lock.locked()
        tables.append(table)
    assert [len(table) for table in tables] == [2, 1, 1]
    expected = torch.log_softmax(alone(network, ids, positions), dim=-1)
    assert torch.allclose(torch.cat(tables), expected, atol=1e-4, rtol=1e-4)


def test_padded_rows_get_the_logits_that_they_get_alone(tiny_model: Any) -> None:
    check(tiny_model.network(None))
    check_pieces(tiny_model.network(None))


def test_scoring_by_pieces_ends_where_it_is_told_to(tiny_model: Any) -> None:
    pieces = iter(range(2))
    tables = logprobs_by_piece(
        tiny_model.network(None),
        list(range(5, 15)),
        [0, 9],
        threading.Lock(),
        piece=3,
        before_each=lambda: next(pieces),
    )
    assert len(next(tables)) == 1
    with pytest.raises(RuntimeError):  # what a StopIteration becomes in a generator
        next(tables)


def test_a_network_that_caps_its_logits_after_the_head_is_scored_as_it_speaks() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=60,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.5,
        final_logit_softcapping=1.0,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    network = Gemma2ForCausalLM(config).eval()
    check(network)
    check_pieces(network)


def test_a_token_is_predicted_at_the_position_before_it() -> None:
    assert answer_positions(4, [True, False, True]) == [3, 5]


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9))
def test_every_index_is_in_one_batch_of_like_lengths(lengths: list[int], size: int) -> None:
    batches = list(by_length(lengths, size))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat, reverse=True)


def test_no_gradient_reaches_the_base_through_the_scored_positions(tiny_model: Any) -> None:
    assert not any(p.requires_grad for p in tiny_model.network(None).parameters())
    with pytest.raises(RuntimeError):
        logits_at(tiny_model.network(None), SEQUENCES, POSITIONS).sum().backward()


@given(vocabulary=st.integers(1, 200_000), longest=st.integers(0, 4096), most=st.integers(1, 64))
def test_rows_that_are_scored_together_hold_no_more_logits_than_are_allowed(
    vocabulary: int, longest: int, most: int
) -> None:
    size = rows_at_once(vocabulary, longest, most=most)
    assert 1 <= size <= most
    assert size == 1 or size * vocabulary * longest <= 2**25
    assert size == most or (size + 1) * vocabulary * longest > 2**25
