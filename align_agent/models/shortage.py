"""When memory gives out: how that shows, and the same work in smaller parts. Loads no torch: where
it is not loaded, no memory of it has given out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_OUT = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "status_alloc_failed",  # CUBLAS_ and CUDNN_, which make room of their own
)
T = TypeVar("T")


def ran_out(error: BaseException) -> bool:
    """Whether this is the machine or the card saying that memory is used up."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return any(sign in str(error).lower() for sign in _OUT)


def give_back() -> None:
    """Free what a failed pass left behind."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch and torch.backends.mps.is_available():
        torch.mps.empty_cache()


def halving(
    parts: Iterable[Sequence[int]], compute: Callable[[list[int]], T]
) -> Iterator[tuple[list[int], T]]:
    """Each part with what `compute` makes of it; where memory gives out, halves of it, in order.

    Later parts are no longer than what went through then. Raises what `compute` raises, of a part
    of one where even that is too much.
    """
    most = 0
    for whole in parts:
        waiting = [list(whole)]
        while waiting:
            part = waiting.pop(0)
            if 0 < most < len(part):
                waiting[:0] = [part[at : at + most] for at in range(0, len(part), most)]
                continue
            try:
                found = compute(part)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error) or len(part) == 1:
                    raise
                most = (len(part) + 1) // 2
                waiting.insert(0, part)
            else:
                yield part, found
                continue
            give_back()  # once the error, which holds the failed pass, is gone
