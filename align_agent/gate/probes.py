"""Ability probes: small questions with one right answer that a program can grade.

The pocket model is asked about its own small world, any other model about `general_probes.jsonl`.
Nothing here generates text or compares models (`scores.py`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from align_agent.errors import InputError
from align_agent.records import Message

POCKET = "pocket"
GENERAL_FILE = "general_probes.jsonl"
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt and the function that tells whether an answer to it is right."""

    prompt: tuple[Message, ...]
    check: Callable[[str], bool]
    kind: str


def probes_for(model_base: str, n: int, seed: int) -> list[Probe]:
    """At most `n` probes that suit the base; the same for the same seed.

    Three models are compared on these, so the choice never depends on the model's answers.
    """
    if n <= 0:
        return []
    if is_pocket(model_base):
        own = _pocket_probes(n, seed)
        if own:
            return own
    probes = general_probes()
    random.Random(seed).shuffle(probes)
    return probes[:n]


def is_pocket(model_base: str) -> bool:
    """Whether the name or folder means the embedded pocket model."""
    if model_base == POCKET:
        return True
    weights = Path(str(resources.files("align_agent"))) / "models" / POCKET / "weights"
    return Path(model_base).expanduser().resolve() == weights.resolve()


def general_probes() -> list[Probe]:
    """All probes of `general_probes.jsonl`, in the order of the file."""
    text = resources.files(__package__).joinpath(GENERAL_FILE).read_text(encoding="utf-8")
    return [parse_probe(line) for line in text.splitlines() if line.strip()]


def parse_probe(line: str) -> Probe:
    """One line of the file: `{"kind", "prompt", "graders": [{"name", ...parameters}]}`.

    Raises InputError for a line that is no probe or names an unknown grader.
    """
    try:
        row = json.loads(line)
        kind, prompt, graders = str(row["kind"]), str(row["prompt"]), list(row["graders"])
        checks = [_grader(spec) for spec in graders]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"this line is no probe: {line[:120]} ({error})",
            hint='a probe has "kind", "prompt" and "graders": [{"name": ..., parameters}]',
        ) from error
    if not checks:
        raise InputError(f"the probe {prompt[:80]!r} has no grader", hint="name at least one")

    def check(answer: str) -> bool:
        return bool(re.search(r"\w", answer)) and all(passes(answer) for passes in checks)

    return Probe((Message("user", prompt),), check, kind)


def _pocket_probes(n: int, seed: int) -> list[Probe]:
    try:
        from align_agent.models.pocket.world import probe_problems
    except ImportError:
        return []
    return [
        Probe((Message("user", text),), grader, POCKET) for text, grader in probe_problems(n, seed)
    ]


# The graders. Each takes the answer and the parameters that its line names.


def _number(answer: str, value: float) -> bool:
    """The last number of the answer is `value`: working may stand before it."""
    wanted, found = float(value), _NUMBER.findall(answer)
    return bool(found) and float(found[-1].replace(",", "")) == wanted


def _any_word(answer: str, words: list[str]) -> bool:
    return any(_has_word(answer, word) for word in words)


def _all_words(answer: str, words: list[str]) -> bool:
    return all(_has_word(answer, word) for word in words)


def _no_word(answer: str, words: list[str]) -> bool:
    return not _any_word(answer, words)


def _in_order(answer: str, words: list[str]) -> bool:
    places = [_place(answer, word) for word in words]
    return all(place >= 0 for place in places) and places == sorted(places)


def _one_of(answer: str, texts: list[str]) -> bool:
    """The whole answer is one of the texts, but for case, spaces and outer punctuation."""
    bare = re.sub(r"^\W+|\W+$", "", answer).casefold()
    return bare in {text.casefold() for text in texts}


def _max_words(answer: str, n: int) -> bool:
    return len(re.findall(r"\w+(?:['’-]\w+)*", answer)) <= n


def _lines(answer: str, n: int) -> bool:
    return len([line for line in answer.splitlines() if line.strip()]) == n


def _starts_with(answer: str, text: str) -> bool:
    return answer.lstrip(" *_#\"'").casefold().startswith(text.casefold())


def _ends_with(answer: str, text: str) -> bool:
    return answer.rstrip(" *_\"'").casefold().endswith(text.casefold())


def _upper(answer: str) -> bool:
    return answer == answer.upper() and answer != answer.lower()


def _lower(answer: str) -> bool:
    return answer == answer.lower() and answer != answer.upper()


def _json_with(answer: str, values: Mapping[str, Any]) -> bool:
    """A JSON object, perhaps in a code block, that holds these values."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        found = json.loads(answer[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return False
    return isinstance(found, dict) and all(found.get(k) == v for k, v in values.items())


def _matches(answer: str, pattern: str) -> bool:
    return re.search(pattern, answer) is not None


_GRADERS: dict[str, Callable[..., bool]] = {
    "number": _number,
    "any_word": _any_word,
    "all_words": _all_words,
    "no_word": _no_word,
    "in_order": _in_order,
    "one_of": _one_of,
    "max_words": _max_words,
    "lines": _lines,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "upper": _upper,
    "lower": _lower,
    "json_with": _json_with,
    "matches": _matches,
}


def _grader(spec: Mapping[str, Any]) -> Callable[[str], bool]:
    parameters = {key: value for key, value in spec.items() if key != "name"}
    function = _GRADERS[str(spec["name"])]
    function("", **parameters)  # wrong parameters show here, not in the middle of a night
    return lambda answer: function(answer, **parameters)


def _place(answer: str, word: str) -> int:
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", answer, re.IGNORECASE)
    return found.start() if found else -1


def _has_word(answer: str, word: str) -> bool:
    return _place(answer, word) >= 0
