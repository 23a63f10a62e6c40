from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.models.shortage import halving, ran_out


# Every shortage waits for the garbage collector, which goes through all that tests ever loaded.
@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), max_size=5), st.integers(1, 9))
def test_whatever_fits_every_row_is_computed_once_and_in_order(sizes: list[int], room: int) -> None:
    rows = iter(range(100))
    parts = [[next(rows) for _ in range(size)] for size in sizes]
    tried: list[int] = []

    def compute(part: list[int]) -> list[int]:
        tried.append(len(part))
        if len(part) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [-i for i in part]

    found = list(halving(parts, compute))
    assert [i for part, _ in found for i in part] == [i for part in parts for i in part]
    assert all(values == [-i for i in part] for part, values in found)
    # Once lowered it stays so: halving nine to one fails four times, in all parts together.
    assert sum(size > room for size in tried) <= 4


def test_a_row_that_fits_into_no_memory_is_an_error() -> None:
    def compute(part: list[int]) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(halving([[1, 2]], compute))


def test_other_errors_are_not_tried_again() -> None:
    tried = []

    def compute(part: list[int]) -> None:
        tried.append(part)
        raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match="shape"):
        list(halving([[1, 2]], compute))
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("said", "out"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", True),
        ("MPS backend out of memory (MPS allocated: 8 GB)", True),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: device-side assert triggered", False),
    ],
)
def test_that_memory_gave_out_is_heard_in_all_ways_of_saying_it(said: str, out: bool) -> None:
    assert ran_out(RuntimeError(said)) is out
