"""What is to be solved: a prompt, a verifier and a budget. Reads our own YAML; runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
SECONDS = 10.0
_FILE = "solution.py"
_HINT = "a problem needs `prompt` and `verifier`; examples/very-hard.yaml is one"


@dataclass(frozen=True, slots=True)
class Verifier:
    """How an attempt is judged.

    tests: `tests` (Python: asserts on `entry`, or a `check(candidate)`), `helpers`.
    function: `source` defines `verify(answer, call, **params)`, which gives back whether the
    attempt passed, or (passed, feedback); `call(name, *args)` calls the attempt's code.
    command: a shell `command`, beside which the attempt's code lies as `file`, and `files`.
    io: `cases` of (standard input, output) or, with an `entry`, of (arguments, value).
    `before` is what a published set lets every attempt take for granted, such as imports.
    """

    kind: VerifierKind
    tests: str = ""
    entry: str = ""
    helpers: str = ""
    source: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    file: str = _FILE
    files: Mapping[str, str] = field(default_factory=dict)
    cases: tuple[tuple[str, str], ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """`budget` is the number of attempts; `seconds` and `memory_mb` bound the judging of one."""

    name: str
    prompt: str
    verifier: Verifier
    budget: int = 256
    system: str = ""
    max_new_tokens: int = 256
    seconds: float = SECONDS
    memory_mb: int = 1024

    def digest(self) -> str:
        """What tells it from any other problem, in hexadecimal. A field that came later counts
        where it is set alone: what was measured and begun before stays known."""
        data = asdict(self)
        if not self.verifier.before:
            del data["verifier"]["before"]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


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
    data = clean(data)
    unknown = sorted(map(str, set(data) - _FIELDS))
    if unknown:
        raise InputError(f"unknown field `{unknown[0]}`", hint=f"known are {sorted(_FIELDS)}")
    limits = data.get("limits") or {}
    if not isinstance(limits, dict) or set(limits) - {"seconds", "memory_mb"}:
        raise InputError("`limits` may hold `seconds` and `memory_mb`", hint=_HINT)
    return Problem(
        name=text_of(data, "name", name),
        prompt=text_of(data, "prompt"),
        verifier=_verifier(data.get("verifier")),
        budget=int(_number(data, "budget", 256, 0, _MOST_ATTEMPTS, whole=True)),
        system=text_of(data, "system", ""),
        max_new_tokens=int(_number(data, "max_new_tokens", 256, 1, _MOST_TOKENS, whole=True)),
        seconds=_number(limits, "seconds", SECONDS, 0.1, _MOST_SECONDS),
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
    known = needed | _ALLOWED[kind]
    if unknown := sorted(map(str, set(data) - known - {"kind"})):
        raise InputError(
            f"a verifier of kind {kind} has no `{unknown[0]}`", hint=f"known are {sorted(known)}"
        )
    for name in sorted(needed):
        text_of(data, name, place="verifier.")
    text_of(data, "helpers", "", place="verifier.")
    for name in ("params", "files"):
        held = data.get(name, {})
        if not isinstance(held, dict) or not all(isinstance(key, str) for key in held):
            raise InputError(f"`verifier.{name}` must hold names and values", hint=_HINT)
    _json(data.get("params", {}))
    files = data.get("files", {})
    for name in files:
        text_of(files, name, "", place="verifier.files: ")
    for name in (data.get("file", _FILE), *files):
        if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
            raise InputError(f"{name!r} is no plain file name", hint="leave the folders out")
    if (own := data.get("file", _FILE)) in files:
        raise InputError(
            f"`verifier.files` holds {own!r}, where the attempt's own code will stand",
            hint="give it another name, or the attempt's with `file`",
        )
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


def clean(value: Any) -> Any:
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


def text_of(
    data: Mapping[str, Any], name: str, default: str | None = None, *, place: str = ""
) -> str:
    """The text of a field, which stands at `place`. Raises InputError: there is none, and no
    default, or something else."""
    value = data.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        what = "is missing" if value is None else "must be text"
        raise InputError(f"`{place}{name}` {what}", hint=_HINT)
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
