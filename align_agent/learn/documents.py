"""A document to learn by heart, a skill or a style guide: reading it, and asking about it.

The questions come from the model itself; the pocket model, which cannot ask, is given questions of
its own world. Stores nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from align_agent.agent.skills import FILE, MAX_BYTES, read_skill_file
from align_agent.errors import InputError
from align_agent.gate.probes import is_pocket
from align_agent.paths import read_text
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

HINT = "name a folder with a SKILL.md, or a text file such as style.md"
_POCKET_KINDS = ("sum", "difference", "product", "two_step", "grading")
_ASK = (
    "{text}\n\nWrite {n} different messages that a user might send to an assistant who works by "
    "the text above. Do not mention the text. One message a line, nothing else."
)
_AT_ONCE = 16  # questions that are asked for in one go
_ROUNDS = 6
_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")


@dataclass(frozen=True, slots=True)
class Document:
    """A text to go by. `name` tells it from others: a newer text of the same name replaces it."""

    name: str
    text: str


def read_document(path: Path) -> Document:
    """The skill in a folder (or its SKILL.md), or a text file. Raises InputError."""
    file = path / FILE if path.is_dir() else path
    if file.name == FILE:
        skill = read_skill_file(file)
        return Document(skill.name, skill.body)
    text = read_text(file, hint=HINT, most=MAX_BYTES).strip()
    if not text:
        raise InputError(f"{file} is empty", hint="write down what answers should go by")
    return Document(file.stem, text)


def questions_about(model: LocalModel, document: Document, n: int, seed: int) -> list[str]:
    """`n` different messages that the document has something to say about, or as many as can be
    had. The same for the same seed on a CPU.

    Raises InputError when the model asks none.
    """
    if is_pocket(model.base):
        from align_agent.models.pocket.world import draw_problems

        each = -(-n // len(_POCKET_KINDS))
        drawn = [draw_problems(kind, each, seed) for kind in _POCKET_KINDS]
        return [one.question for group in zip(*drawn, strict=False) for one in group][:n]
    from align_agent.models.generation import Sampling

    asked = [Message("user", _ASK.format(text=document.text, n=_AT_ONCE))]
    room = min(1024, model.context // 2)
    found: dict[str, None] = {}
    for round_ in range(_ROUNDS):
        if len(found) >= n:
            break
        sampling = Sampling(room, 1.0, seed=seed * 1009 + round_)
        (said,) = model.generate_batch([model.fit(asked, reserve=room)], sampling=sampling)
        found.update(dict.fromkeys(questions_in(said.text)))
    if not found:
        raise InputError(
            f"the model asks nothing about `{document.name}`",
            hint="use a larger model, or show it how to answer: `align-agent learn demos.jsonl`",
        )
    return list(found)[:n]


def questions_in(text: str) -> list[str]:
    """The messages in a model's list, one a line, without their marks."""
    lines = (_MARK.sub("", line).strip().strip('"') for line in text.splitlines())
    return [line for line in lines if 2 <= len(line.split()) <= 120 and not line.endswith(":")]
