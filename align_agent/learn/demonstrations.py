"""A file of demonstrations: one JSON object a line, a prompt and the answer as it should be.

Reads and judges lines; stores nothing and loads no model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.errors import InputError
from align_agent.feedback.shown import MAX_TEXT
from align_agent.paths import read_text
from align_agent.records import Message

HINT = 'one JSON object a line: {"prompt": "What is 2 plus 3?", "answer": "5."}'
_FIELDS = {"prompt", "answer", "system"}
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A prompt, which ends with the user's message, and the ideal answer to it."""

    prompt: tuple[Message, ...]
    answer: str


def read_demonstrations(path: Path) -> list[Demonstration]:
    """All demonstrations of the file, the last of those with the same prompt.

    Raises InputError that names the line and says what it should be; nothing is taken from a file
    with a bad line.
    """
    found: dict[tuple[Message, ...], Demonstration] = {}
    for number, line in enumerate(read_text(path, hint=HINT).splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = _demonstration(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: {_why(error)}", hint=HINT) from error
        found[one.prompt] = one
    if not found:
        raise InputError(f"{path} holds no demonstration", hint=HINT)
    return list(found.values())


def _demonstration(row: Any) -> Demonstration:
    if not isinstance(row, dict):
        raise ValueError("this is no JSON object")
    if unknown := sorted(set(row) - _FIELDS):
        raise ValueError(f"unknown field `{unknown[0]}`; there are {', '.join(sorted(_FIELDS))}")
    answer = _filled(row, "answer")
    asked = row.get("prompt")
    if isinstance(asked, list):
        messages = [_message(one) for one in asked]
    else:
        messages = [Message("user", _filled(row, "prompt"))]
    if not messages or messages[-1].role != "user":
        raise ValueError("`prompt` must end with the user's message")
    if "system" in row:
        messages.insert(0, Message("system", _filled(row, "system")))
    if any(message.role == "system" for message in messages[1:]):
        raise ValueError("a system message must stand first, and there may be one")
    return Demonstration(tuple(messages), answer)


def _message(data: Any) -> Message:
    if not isinstance(data, dict) or data.get("role") not in _ROLES:
        raise ValueError(f"a message of `prompt` needs a `role`: {', '.join(_ROLES)}")
    return Message(data["role"], _filled(data, "content"))


def _filled(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"`{name}` {'is missing' if value is None else 'must be text, not empty'}")
    if len(value) > MAX_TEXT:
        raise ValueError(f"`{name}` has {len(value):,} characters, {MAX_TEXT:,} at most")
    return value.strip()


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"this is no JSON ({error.msg}, column {error.colno})"
    return str(error) if not isinstance(error, RecursionError) else "this is nested too deeply"
