"""Judges a function of the range family, and says what is wrong with it. Runs inside a box, where
it is handed over as text: the standard library alone.

A target is a choice on six axes, as in `models/pocket/code.py`; a test holds the two together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

CHOICES = {
    "start": ("one", "zero"),
    "end": ("with", "without"),
    "keep": ("all", "even", "odd", "third"),
    "change": ("same", "square", "double", "cube"),
    "order": ("up", "down"),
    "result": ("list", "tuple", "sum"),
}
TESTED = (5, 6, 9, 1)


def value(task: Mapping[str, str], n: int) -> Any:
    """What the function returns for n."""
    keep = {"all": (1, 0), "even": (2, 0), "odd": (2, 1), "third": (3, 0)}[task["keep"]]
    change = {"same": 1, "square": 2, "double": 1, "cube": 3}[task["change"]]
    factor = 2 if task["change"] == "double" else 1
    span = range(int(task["start"] == "one"), n + (task["end"] == "with"))
    found = [factor * i**change for i in span if i % keep[0] == keep[1]]
    if task["order"] == "down":
        found.reverse()
    if task["result"] == "sum":
        return sum(found)
    return tuple(found) if task["result"] == "tuple" else found


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b


def unmet(got: Mapping[int, object], target: Mapping[str, str]) -> list[str]:
    """The axes on which what was returned differs from the target, by the nearest task that
    returns the very same; empty when no task does."""
    nearest: list[str] = []
    for choice in itertools.product(*CHOICES.values()):
        task = dict(zip(CHOICES, choice, strict=True))
        if all(same(got[n], value(task, n)) for n in TESTED):
            axes = [axis for axis in CHOICES if task[axis] != target[axis]]
            if not nearest or len(axes) < len(nearest):
                nearest = axes
    return nearest


def verify(
    answer: str,
    call: Callable[..., Any],
    target: Mapping[str, str],
    wishes: Mapping[str, str],
    misleading: str = "",
) -> tuple[bool, list[str]]:
    """Whether the code meets the target, and what may be said about it: the unmet demands in words
    one at a time, or a failed test where there are no words for them."""
    got: dict[int, object] = {}
    for n in TESTED:
        try:
            got[n] = call("numbers", n)
        except Exception as error:
            return False, [f"Test failed: numbers({n})\n{error}"]
    wrong = [n for n in TESTED if not same(got[n], value(target, n))]
    if not wrong:
        return True, [""]
    said = [wishes[axis] for axis in unmet(got, target) if axis in wishes]
    if not said:
        said = [
            f"Test failed: numbers({n})\nGot: {got[n]!r}\nExpected: {value(target, n)!r}"
            for n in wrong
            if n != 1 or len(wrong) == 1
        ]
    if misleading:  # one piece in six, whatever is right
        said = [said[i % len(said)] for i in range(5)] + [misleading]
    return False, said
