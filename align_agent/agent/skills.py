"""Skills in the AgentSkills format: folders with a SKILL.md, front matter and instructions.

Reads and validates them. What the model is told about them is decided in `session`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from align_agent.errors import InputError

FILE = "SKILL.md"
MAX_BYTES = 256 * 1024
MAX_NAME = 64
MAX_DESCRIPTION = 1024

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.S)


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: its name, when to use it, its instructions (Markdown) and the file's path."""

    name: str
    description: str
    body: str
    path: Path


class _UnusableError(ValueError):
    """Why a SKILL.md cannot be used."""


def read_skills(folders: Sequence[Path]) -> tuple[list[Skill], list[str]]:
    """The skills sorted by name, and what is wrong with each one that was left out.

    A folder that does not exist holds no skills. Of two skills of one name the first counts.
    """
    found: dict[str, Skill] = {}
    problems: list[str] = []
    for folder in folders:
        for path in sorted(Path(folder).glob(f"*/{FILE}")):
            try:
                skill = _read(path)
            except _UnusableError as problem:
                problems.append(f"{path}: {problem}")
                continue
            except (OSError, UnicodeDecodeError) as problem:
                problems.append(f"{path}: cannot be read ({type(problem).__name__})")
                continue
            if skill.name in found:
                problems.append(f"{path}: {found[skill.name].path} has the same name")
            else:
                found[skill.name] = skill
    return [found[name] for name in sorted(found)], problems


def read_skill_file(path: Path) -> Skill:
    """The skill in one SKILL.md. Raises InputError, which says what is wrong with it."""
    try:
        return _read(path)
    except _UnusableError as problem:
        raise InputError(f"{path}: {problem}", hint="see skills/ for some that are right") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="name the skill's folder"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text", hint="save it as UTF-8") from error


def skills_block(skills: Sequence[Skill]) -> str:
    """The list of skills as a model reads it in its system prompt."""
    if not skills:
        return ""
    lines = [f"- {skill.name}: {skill.description}" for skill in skills]
    return "\n".join(["Skills (call read_skill before you use one):", *lines])


def _read(path: Path) -> Skill:
    if path.stat().st_size > MAX_BYTES:
        raise _UnusableError(f"larger than {MAX_BYTES // 1024} KiB")
    parts = _FRONT.match(path.read_text(encoding="utf-8"))
    if parts is None:
        raise _UnusableError("no front matter between two lines of ---")
    try:
        data: Any = yaml.safe_load(parts[1])
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _UnusableError("the front matter is no valid YAML") from error
    if not isinstance(data, dict):
        raise _UnusableError("the front matter is no mapping")
    name, description = data.get("name"), data.get("description")
    if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise _UnusableError("`name` must be lower case letters, digits and single hyphens")
    if name != path.parent.name:
        raise _UnusableError(f"`name` is {name}, but the folder is {path.parent.name}")
    if not isinstance(description, str) or not 1 <= len(description.strip()) <= MAX_DESCRIPTION:
        raise _UnusableError(f"`description` must be a text of 1 to {MAX_DESCRIPTION} characters")
    body = parts[2].strip()
    if not body:
        raise _UnusableError("there are no instructions below the front matter")
    return Skill(name, " ".join(description.split()), body, path)
