"""The words in which two answers differ. Pure."""

from __future__ import annotations

import difflib
import re
from typing import Literal

Mark = Literal["same", "removed", "added"]
MOST_WORDS = 4_000  # of both together: beyond, the comparison takes too long to wait for


def word_diff(before: str, after: str) -> list[tuple[Mark, str]]:
    """The way from `before` to `after` in whole words and runs of space.

    Joined without the added pieces it is `before`, without the removed ones `after`.
    """
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (before, after))
    if len(old) + len(new) > MOST_WORDS:
        return [("removed", before), ("added", after)]
    pieces: list[tuple[Mark, str]] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(("same", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(("removed", "".join(old[i1:i2])))
        if j2 > j1:
            pieces.append(("added", "".join(new[j1:j2])))
    return pieces
