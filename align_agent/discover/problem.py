"""What is to be solved: a prompt, a verifier and a budget. Reads files; runs nothing.

Read are our own YAML, and JSON lines as HumanEval and LiveCodeBench publish them.
"""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from align_agent.errors import InputError
from align_agent.paths import read_text
from align_agent.store.text import storable

VerifierKind = Literal["tests", "command", "function", "io"]
_FIELDS = {"name", "prompt", "system", "verifier", "budget", "limits", "max_new_tokens"}
_NEEDED: dict[str, set[str]] = {
    "tests": {"tests", "entry"},
    "command": {"command"},
    "function": {"source"},
}
_ALLOWED = {"tests": {"helpers"}, "command": {"file", "files"}, "function": {"params"}}
# The most of each number: more means a slip of the pen, and would overflow where limits are set.
_MOST_ATTEMPTS, _MOST_TOKENS = 1_000_000, 1 << 20
_MOST_SECONDS, _MOST_MB = 86_400, 1 << 20
_HINT = "a problem needs `prompt` and `verifier`; examples/very-hard.yaml is one"
_LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Verifier:
    """How an attempt is judged.

    tests: `tests` (Python: asserts on `entry`, or a `check(candidate)`), `helpers`.
    function: `source` defines `verify(answer, call, **params)`, which gives back whether the
    attempt passed, or (passed, feedback); `call(name, *args)` calls the attempt's code.
    command: a shell `command`, beside which the attempt's code lies as `file`, and `files`.
    io: `cases` of (standard input, output) or, with an `entry`, of (arguments, value).
    """

    kind: VerifierKind
    tests: str = ""
    entry: str = ""
    helpers: str = ""
    source: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    file: str = "solution.py"
    files: Mapping[str, str] = field(default_factory=dict)
    cases: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """`budget` is the number of attempts; `seconds` and `memory_mb` bound the judging of one."""

    name: str
    prompt: str
    verifier: Verifier
    budget: int = 256
    system: str = ""
    max_new_tokens: int = 256
    seconds: float = 10.0
    memory_mb: int = 1024


def load_problem(path: Path) -> Problem:
    """The problem in a YAML file. Raises InputError, which says what is missing or wrong."""
    text = read_text(path, hint=_HINT)
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path} is no YAML: {str(error).splitlines()[0]}", hint=_HINT) from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds no problem", hint=_HINT)
    return problem_of(data, name=path.stem)


def problem_of(data: Mapping[str, Any], *, name: str = "problem") -> Problem:
    """The problem that a mapping describes. Raises InputError."""
    data = _clean(data)
    unknown = sorted(map(str, set(data) - _FIELDS))
    if unknown:
        raise InputError(f"unknown field `{unknown[0]}`", hint=f"known are {sorted(_FIELDS)}")
    limits = data.get("limits") or {}
    if not isinstance(limits, dict) or set(limits) - {"seconds", "memory_mb"}:
        raise InputError("`limits` may hold `seconds` and `memory_mb`", hint=_HINT)
    return Problem(
        name=_text(data, "name", name),
        prompt=_text(data, "prompt"),
        verifier=_verifier(data.get("verifier")),
        budget=int(_number(data, "budget", 256, 0, _MOST_ATTEMPTS, whole=True)),
        system=_text(data, "system", ""),
        max_new_tokens=int(_number(data, "max_new_tokens", 256, 1, _MOST_TOKENS, whole=True)),
        seconds=_number(limits, "seconds", 10.0, 0.1, _MOST_SECONDS),
        memory_mb=int(_number(limits, "memory_mb", 1024, 64, _MOST_MB, whole=True)),
    )


def _verifier(data: Any) -> Verifier:
    if not isinstance(data, dict):
        raise InputError("the problem has no `verifier`", hint=_HINT)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise InputError(
            f"the verifier's kind is {kind!r}", hint=f"it must be one of {', '.join(_NEEDED)}"
        )
    needed = _NEEDED[kind]
    for name in sorted(needed):
        _text(data, name)
    unknown = sorted(map(str, set(data) - needed - _ALLOWED[kind] - {"kind"}))
    if unknown:
        raise InputError(f"a verifier of kind {kind} has no `{unknown[0]}`", hint=_HINT)
    _text(data, "helpers", "")
    for name in ("params", "files"):
        held = data.get(name, {})
        if not isinstance(held, dict) or not all(isinstance(key, str) for key in held):
            raise InputError(f"`verifier.{name}` must hold names and values", hint=_HINT)
    _json(data.get("params", {}))
    files = data.get("files", {})
    for name in files:
        _text(files, name, "")
    for name in (data.get("file", "solution.py"), *files):
        if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
            raise InputError(f"{name!r} is no plain file name", hint="leave the folders out")
    return Verifier(**data)


def _json(params: Mapping[str, Any]) -> None:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`verifier.params` must be what JSON can hold: {error}",
            hint="text, finite numbers, true, false, null, lists, names and values; "
            "put dates into quotes",
        ) from error


def _clean(value: Any) -> Any:
    """The data without lone surrogates, which no file can hold. Raises InputError for NUL, which
    no program can be given, and for data that holds itself."""
    try:
        return _cleaned(value)
    except RecursionError as error:
        raise InputError("the problem holds itself", hint="take the YAML anchor out") from error


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        if "\x00" in value:
            raise InputError("the problem holds a NUL character", hint="take it out")
        return storable(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    return value


def _text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        what = "is missing" if value is None else "must be text"
        raise InputError(f"`{name}` {what}", hint=_HINT)
    return value


def _number(
    data: Mapping[str, Any],
    name: str,
    default: float,
    least: float,
    most: float,
    *,
    whole: bool = False,
) -> float:
    value = data.get(name, default)
    kinds = (int,) if whole else (int, float)
    # Not a number is in no range, and so refused with the infinite ones.
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        what = "a whole number" if whole else "a number"
        raise InputError(f"`{name}` must be {what} from {least:g} to {most:,}", hint=_HINT)
    return value


def load_set(path: Path) -> list[Problem]:
    """All problems of a HumanEval- or LiveCodeBench-style file of JSON lines. Raises InputError."""
    problems = []
    for number, line in enumerate(read_text(path, hint=_HINT).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = _clean(json.loads(line))
            problems.append(humaneval(row) if "entry_point" in row else livecodebench(row))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}, is no problem: {error}",
                hint="each line is a JSON object as HumanEval or LiveCodeBench publish it",
            ) from error
    if not problems:
        raise InputError(f"{path} holds no problem", hint="one JSON object a line")
    return problems


def humaneval(row: Mapping[str, Any]) -> Problem:
    """task_id, prompt (the function's head), entry_point and test (a `check(candidate)`)."""
    prompt = str(row["prompt"])
    verifier = Verifier(
        "tests",
        tests=str(row["test"]),
        entry=str(row["entry_point"]),
        # Some tests use helpers that the prompt defines before the function's own head.
        helpers=prompt + "\n    pass\n",
    )
    asked = (
        f"Complete this Python function. Answer with the whole function.\n```python\n{prompt}```"
    )
    return Problem(str(row["task_id"]), asked, verifier, max_new_tokens=1024)


def livecodebench(row: Mapping[str, Any]) -> Problem:
    """question_content, starter_code, public_test_cases, private_test_cases, metadata."""
    tests = [*_cases(row["public_test_cases"]), *_cases(row.get("private_test_cases", "[]"))]
    metadata = row.get("metadata") or "{}"
    entry = (json.loads(metadata) if isinstance(metadata, str) else metadata).get("func_name", "")
    starter = str(row.get("starter_code") or "")
    how = (
        f"Use this starter code:\n```python\n{starter}\n```"
        if starter
        else "Read from standard input and write to standard output."
    )
    cases = tuple((str(test["input"]), str(test["output"])) for test in tests)
    name = str(row.get("question_id") or row.get("question_title"))
    asked = f"{row['question_content']}\n\nAnswer with Python code. {how}"
    verifier = Verifier("io", entry=f"Solution.{entry}" if starter else "", cases=cases)
    return Problem(name, asked, verifier, max_new_tokens=2048)


def _cases(data: Any) -> Iterator[Mapping[str, Any]]:
    """The test cases: JSON, or JSON that was pickled as text, packed and written in base64."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            packed = base64.b64decode(data, validate=True)
            raw = zlib.decompressobj().decompress(packed, _LARGEST)
            data = json.loads(_TextOnly.read(raw))
    yield from _clean(data)


class _TextOnly(pickle.Unpickler):
    """Unpickles a text and refuses everything that names a class: data must not run code."""

    @classmethod
    def read(cls, raw: bytes) -> str:
        import io

        try:
            found = cls(io.BytesIO(raw)).load()
        except (pickle.UnpicklingError, EOFError, IndexError) as error:
            raise ValueError(f"the private test cases cannot be read: {error}") from error
        if not isinstance(found, str):
            raise ValueError("the private test cases are no text")
        return found

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no text")
