"""Batches: every example once an epoch, families together, parts within the memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from align_agent.distill.batches import families_of, parts_of, plan_batches
from align_agent.models.tree import grow

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=20)


@given(SEQUENCES, st.integers(1, 40))
def test_parts_hold_every_sequence_once_and_stay_within_the_limit(
    sequences: list[list[int]], tokens: int
) -> None:
    parts = parts_of(sequences, tokens)
    assert sorted(i for part in parts for i in part) == list(range(len(sequences)))
    for part in parts:
        size = len(grow([sequences[i] for i in part]).ids)
        assert size <= tokens or len(part) == 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 99))
def test_a_family_is_split_only_at_the_edge_of_a_batch(
    families: list[int], batch_size: int, seed: int
) -> None:
    lengths = [1] * len(families)
    (*batches,) = plan_batches(lengths, batch_size, 1, seed, families)
    assert sorted(i for batch in batches for i in batch) == list(range(len(families)))
    for family in set(families):
        size = families.count(family)
        touched = sum(any(families[i] == family for i in batch) for batch in batches)
        assert touched <= (size + batch_size - 1) // batch_size + 1


def test_turns_deep_in_one_conversation_are_one_family_and_strangers_are_not() -> None:
    talk = list(range(100, 500))
    turns = [talk[:length] for length in (160, 240, 320, 400)]
    found = families_of([turns[2], [1, 2, 3], turns[0], turns[3], [4, 5], turns[1]])
    assert len({found[i] for i in (0, 2, 3, 5)}) == 1
    assert len(set(found)) == 3


def test_one_system_message_makes_no_family() -> None:
    system = list(range(200))
    found = families_of([[*system, *range(1000 * i, 1000 * i + 100)] for i in range(1, 5)])
    assert len(set(found)) == 4
