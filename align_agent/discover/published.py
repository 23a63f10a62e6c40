"""Problem sets as HumanEval and LiveCodeBench publish them: JSON lines, packed or not.

Lines are read one by one, and a problem's cases only where it is asked for: LiveCodeBench's files
are larger than memory. Runs nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
import pickletools
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from align_agent.discover.problem import SECONDS, Problem, Verifier, clean, text_of
from align_agent.errors import InputError, NotFound

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_HINT = "each line is a JSON object as HumanEval or LiveCodeBench publish it"
_LARGEST = 256 << 20  # bytes of a problem's private cases, unpacked
# All that a pickled text is made of. Anything else may name code to be run.
_TEXT = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
_AROUND = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}
# LiveCodeBench's own runner imports these before an answer, and answers rely on it.
_STARRED = (
    "typing", "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math",
    "random", "statistics", "itertools", "functools", "operator", "builtins",
)  # fmt: skip
_NAMED = ("io", "json", "sys")
_BEFORE = "\n".join(
    [
        *(f"from {name} import *" for name in _STARRED),
        f"import {', '.join([*_STARRED, *_NAMED])}",
        "sys.setrecursionlimit(50_000)",
    ]
)
_SECONDS = 20.0  # for all calls of a function together; its own runner gives each 6


def load_set(path: Path) -> list[Problem]:
    """All problems of a file. Raises InputError."""
    return [_problem(path, number, row) for number, row in _rows(path)]


def load_task(path: Path, name: str | None) -> Problem:
    """The problem of that name, or the first. Raises InputError, and NotFound."""
    first = ""
    for number, row in _rows(path):
        found = _name(row)
        if name is None or found == name:
            return _problem(path, number, row)
        first = first or found
    raise NotFound(f"{path} has no problem `{name}`", hint=f"its first is `{first}`")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines that hold anything, with their numbers."""
    found = False
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if text := line.decode("utf-8-sig").strip():
                    found = True
                    yield number, _row(path, number, text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is no whole gzip file: {error}", hint=_HINT) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text", hint=_HINT) from error
    if not found:
        raise InputError(f"{path} holds no problem", hint="one JSON object a line")


def _row(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}, is no JSON: {error}", hint=_HINT) from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}, is no JSON object", hint=_HINT)
    return row


def _name(row: Mapping[str, Any]) -> str:
    return str(row.get("task_id") or row.get("question_id") or row.get("question_title") or "")


def _problem(path: Path, number: int, row: dict[str, Any]) -> Problem:
    try:
        return humaneval(row) if "entry_point" in row else livecodebench(row)
    except InputError as error:
        told = f"{path}, line {number}, is no problem: {error.message}"
        raise InputError(told, hint=_HINT) from error


def humaneval(row: Mapping[str, Any]) -> Problem:
    """task_id, prompt (the function's head), entry_point and test (a `check(candidate)`).

    Tests may use what the prompt defines before the function's own head, and so may answers.
    """
    row = clean(row)
    prompt = text_of(row, "prompt")
    head = prompt + "\n    pass\n"
    verifier = Verifier(
        "tests",
        tests=text_of(row, "test"),
        entry=text_of(row, "entry_point"),
        helpers=head,
        before=head,
    )
    asked = (
        f"Complete this Python function. Answer with the whole function.\n```python\n{prompt}```"
    )
    return Problem(text_of(row, "task_id"), asked, verifier, max_new_tokens=1024)


def livecodebench(row: Mapping[str, Any]) -> Problem:
    """question_content, starter_code, public_test_cases, private_test_cases, metadata."""
    row = clean(row)
    question = text_of(row, "question_content")
    starter = text_of(row, "starter_code", "") if row.get("starter_code") else ""
    cases = tuple(
        (text_of(case, "input", ""), text_of(case, "output", ""))
        for name in ("public_test_cases", "private_test_cases")
        for case in _cases(name, row.get(name))
    )
    if not cases:
        raise InputError("it has no test cases", hint=_HINT)
    how = (
        f"Use this starter code:\n```python\n{starter}\n```"
        if starter
        else "Read from standard input and write to standard output."
    )
    asked = f"{question}\n\nAnswer with Python code. {how}"
    entry = f"Solution.{_function(row.get('metadata'))}" if starter else ""
    verifier = Verifier("io", entry=entry, cases=cases, before=_BEFORE)
    seconds = _SECONDS if starter else SECONDS
    return Problem(_name(row), asked, verifier, max_new_tokens=2048, seconds=seconds)


def _function(metadata: Any) -> str:
    """The name of the method that the starter code begins."""
    try:
        held = json.loads(metadata) if isinstance(metadata, str) else metadata
    except (ValueError, RecursionError):
        held = None
    name = held.get("func_name") if isinstance(held, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError("it has starter code, but its `metadata` name no `func_name`", hint=_HINT)
    return name


def _cases(name: str, data: Any) -> list[Mapping[str, Any]]:
    """Test cases: a list, JSON, or JSON that was pickled as text, packed and written in base64."""
    if data is None or data == "":
        return []
    try:
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except ValueError:
                data = json.loads(pickled_text(_unpacked(data)))
        cases = clean(data)
    except (ValueError, RecursionError, zlib.error) as error:
        raise InputError(f"its `{name}` cannot be read: {error}", hint=_HINT) from error
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise InputError(f"its `{name}` are no list of cases", hint=_HINT)
    return cases


def _unpacked(data: str) -> bytes:
    packer = zlib.decompressobj()
    raw = packer.decompress(base64.b64decode(data, validate=True), _LARGEST)
    if packer.unconsumed_tail:
        raise ValueError(f"they are larger than {_LARGEST >> 20} MiB")
    return raw


def pickled_text(raw: bytes) -> str:
    """The text in a pickle, which is never executed: a pickle can run any code. Raises ValueError
    for one that is more than a text."""
    found: str | None = None
    for opcode, value, _ in pickletools.genops(raw):
        if opcode.name in _TEXT and found is None:
            found = str(value)
        elif opcode.name not in _AROUND:
            raise ValueError(
                f"the pickle holds more than a text ({opcode.name}), which could run code"
            )
    if found is None:
        raise ValueError("the pickle holds no text")
    return found
