"""The rows that the words layer learns from and is measured on. Reads files, decides nothing.

Real rows lie outside the repository (`ALIGN_AGENT_READER_DATA`, else ../shared/data); written ones
beside this file; generated ones are drawn from the pocket world's wordings.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
WRITTEN = HERE / "reader_data" / "written.txt"
SOURCES = ("oasst", "eurtad", "ifllm")
GENERATED = 240


@dataclass(frozen=True)
class Row:
    """One follow-up. `group` names the conversation: rows of one never stand on both sides."""

    source: str
    label: str
    category: str
    follow_up: str
    answer: str
    asked: str
    group: str


def data_folder() -> Path:
    named = os.environ.get("ALIGN_AGENT_READER_DATA")
    if named:
        return Path(named)
    found = [folder / "shared" / "data" for folder in HERE.parents]
    return next((folder for folder in found if folder.is_dir()), found[-1])


def real_rows(folder: Path) -> list[Row]:
    """All rows of `followups_SOURCE_*.jsonl`; empty where the folder has none."""
    rows = []
    for source in SOURCES:
        for path in sorted(folder.glob(f"followups_{source}_*.jsonl")):
            rows += [_real(json.loads(line), source) for line in path.open(encoding="utf-8")]
    return rows


def shortened(rows: list[Row]) -> list[Row]:
    """The real rows once more, with the end of the answer alone and no question before it.

    Written rows have short answers; without these the length of an answer would pass for a sign
    of what follows it.
    """
    return [replace(row, source="shortened", answer=row.answer[-80:], asked="") for row in rows]


def written_rows() -> list[Row]:
    rows, category = [], ""
    for number, line in enumerate(WRITTEN.read_text(encoding="utf-8").splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            category = line.strip("[]")
            continue
        answer, follow_up = line.split(" || ")
        label = {"neutral": "neutral", "praise": "positive", "foreign_praise": "positive"}
        shown = "none" if category.startswith("foreign_") else category
        rows.append(
            Row(
                "written",
                label.get(category, "negative"),
                shown,
                follow_up,
                answer.strip(),
                "",
                f"written-{number}",
            )
        )
    return rows


def generated_rows(seed: int = 0) -> list[Row]:
    """Wishes about style in the pocket world's wordings, its thanks, and its next questions."""
    from align_agent.models.pocket import wordings
    from align_agent.models.pocket.world import DRAWERS

    rng = random.Random(seed)
    answer = "1. 12 + 7 = 19\n2. 19 - 3 = 16\n\n**Final Answer:** 16"
    categories = {"format": "format", "emoji": "format", "tone": "tone", "detail": "tone"}
    rows = []
    directions = sorted(wordings.UNSEEN)
    kinds = sorted(DRAWERS)
    for number in range(GENERATED):
        asked = DRAWERS[rng.choice(kinds)](rng).question
        if number % 2:
            text, label, category = DRAWERS[rng.choice(kinds)](rng).question, "neutral", "neutral"
        elif number % 10 == 0:
            text, label, category = rng.choice(wordings.THANKS), "positive", "praise"
        else:
            direction = rng.choice(directions)
            text, label = wordings.say(direction, rng), "negative"
            brief = "too_long" if direction == "length:brief" else "too_short"
            category = categories.get(direction.partition(":")[0], brief)
        rows.append(Row("generated", label, category, text, answer, asked, f"generated-{number}"))
    return rows


def digest_of_features() -> str:
    """sha256 of what the feature code makes of the written rows, as they are and with quotations.

    By what it does, not by its letters: a comment in it spoils no weights. Values to 6 digits.
    """
    from align_agent.feedback.features import features

    digest, before = hashlib.sha256(), ""
    for row in written_rows()[::3]:
        quoting = f'> {row.answer}\n`{row.answer[:9]}`, {row.follow_up.upper()}! "{before}" 7'
        for text in (row.follow_up, quoting):
            found = sorted(features(text, row.answer, before).items())
            digest.update(" ".join(f"{place}:{value:.6f}" for place, value in found).encode())
        before = row.follow_up
    return digest.hexdigest()


def _real(data: dict, source: str) -> Row:
    context = data["context"]
    answer = context[-1]["content"] if context and context[-1]["role"] == "assistant" else ""
    asked = [m["content"] for m in context if m["role"] == "user"]
    if source == "oasst":
        group = context[0]["content"][:200]  # one tree
    elif source == "eurtad":
        group = data["id"].rsplit("-", 1)[0]  # one dialogue
    else:
        group = context[0]["content"][:80]
    return Row(
        source,
        data["label"],
        str(data.get("category") or "none"),
        data["user"],
        answer,
        asked[-1] if asked else "",
        f"{source}-{group}",
    )
