"""What code in a box is run as, once `inner.py` has locked it: a program, functions to be called,
or the tests that call them.

Comes into the box as text with its order, so it needs the standard library alone and nothing of
align-agent. Locks nothing.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from types import SimpleNamespace
from typing import Any

_PIECES, _LONGEST = 100, 1200  # of feedback, and characters of each


def plain(value: Any, depth: int = 0) -> Any:
    """A value as tagged JSON. Plain data only: objects with an `__eq__` of their own never leave.
    Raises TypeError."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return ["int", str(value)] if kind is int and abs(value) >= 2**63 else value
    if kind is float:
        return ["float", value.hex()]
    if kind is complex:
        return ["complex", value.real.hex(), value.imag.hex()]
    if kind in (bytes, bytearray):
        return ["bytes", value.hex()]
    if depth > 40:
        raise TypeError("the value is nested too deeply, or holds itself")
    if kind in (list, tuple):
        return [kind.__name__, [plain(item, depth + 1) for item in value]]
    if kind in (set, frozenset):
        return [kind.__name__, [plain(item, depth + 1) for item in value]]
    if kind is dict:
        return ["dict", [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]]
    if kind is range:
        return ["range", [value.start, value.stop, value.step]]
    raise TypeError(f"a {kind.__name__} is no plain data")


def real(data: Any) -> Any:
    """The reverse of `plain`. Raises ValueError."""
    if not isinstance(data, list):
        return data
    kind, *rest = data
    if kind == "int":
        return int(rest[0])
    if kind == "float":
        return float.fromhex(rest[0])
    if kind == "complex":
        return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
    if kind == "bytes":
        return bytes.fromhex(rest[0])
    if kind == "range":
        return range(*rest[0])
    if kind == "dict":
        return {real(k): real(v) for k, v in rest[0]}
    makers: dict[str, Callable[[Any], Any]] = {
        "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
    }  # fmt: skip
    return makers[kind](real(item) for item in rest[0])


def wrong(error: BaseException) -> str:
    """An exception in one line, with the line of the source where it happened."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "answer"]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}"[:400] + where


def loaded(order: dict[str, Any], name: str) -> dict[str, Any]:
    """The names that the source defines. What stands `before` it, such as imports, is its own
    problem where it fails. Raises whatever the source raises."""
    space: dict[str, Any] = {"__name__": name}
    with suppress(Exception):
        exec(compile(order.get("before", ""), "before", "exec"), space)  # noqa: S102
    exec(compile(order["source"], "answer", "exec"), space)  # noqa: S102
    return space


def run_program(order: dict[str, Any]) -> None:
    """The source as a program of its own; what it raises is the last line that it prints."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(order["stdin"].encode()), encoding="utf-8")
    try:
        loaded(order, "__main__")
    except Exception as error:
        print(wrong(error), flush=True)
        sys.exit(1)


def serve_solution(order: dict[str, Any], ask: Any, tell: Any) -> None:
    """Load the source once, then call its functions as asked: one line in, one line out."""
    try:
        space = loaded(order, "answer")
        tell({"ready": True})
    except BaseException as error:
        tell({"error": wrong(error)})
        return
    for line in ask:
        wanted = json.loads(line)
        try:
            target: Any = SimpleNamespace(**space)
            for part in wanted["name"].split("."):
                target = getattr(target, part)
                target = target() if isinstance(target, type) else target
            tell({"value": plain(target(*real(wanted["args"]), **real(wanted["kwargs"])))})
        except BaseException as error:
            tell({"error": wrong(error)})


class SolutionError(Exception):
    """What the tested code raised, or that it ended, hung or gave back no plain data."""


def run_tests(order: dict[str, Any], ask: Any, tell: Any) -> None:
    """The problem's own tests. The tested code is in another box; only plain values come back."""

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        tell({"call": {"name": name, "args": plain(args), "kwargs": plain(kwargs)}})
        answer = json.loads(next(iter(ask)))
        if "error" in answer:
            raise SolutionError(answer["error"])
        try:
            return real(answer["value"])
        except Exception as error:  # whatever the tested code sent in place of a value
            raise SolutionError(f"the value cannot be read: {wrong(error)}") from None

    space: dict[str, Any] = {"__name__": "tests", "SolutionError": SolutionError, "call": call}
    try:
        exec(compile(order["source"], "tests", "exec"), space)  # noqa: S102
        if "verify" not in space:
            raise NameError("the source defines no verify(answer, call)")
        passed, told = verdict_of(space["verify"](order["answer"], call, **order["params"]))
    except SolutionError as error:
        passed, told = False, [str(error)]
    except BaseException as error:
        tell({"broken": wrong(error)})
        return
    tell({"verdict": {"passed": passed, "feedback": [piece[:_LONGEST] for piece in told]}})


def verdict_of(found: Any) -> tuple[bool, list[str]]:
    """What `verify` gave back, and the pieces of feedback in it. Raises ValueError."""
    match found if isinstance(found, tuple) else (found, ""):
        case (bool(passed), said):
            many = hasattr(said, "__iter__") and not isinstance(said, str)
            return passed, [str(piece) for piece in islice(said if many else [said], _PIECES)]
    shown = f"verify gave back {found!r:.80}"
    raise ValueError(f"{shown}, not True or False, alone or with feedback beside it")


def play(order: dict[str, Any], out: int) -> None:
    """What was ordered, but for commands, which need nothing of this. `out` is where it speaks."""
    if order["role"] == "program":
        os.close(out)
        run_program(order)
        return
    stream = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)

    def tell(message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(out, data) :]

    {"solution": serve_solution, "tests": run_tests}[order["role"]](order, stream, tell)
