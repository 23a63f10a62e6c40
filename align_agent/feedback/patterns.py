"""Patterns and word sets written as readable lists. Knows no words itself."""

from __future__ import annotations

import re


def alternatives(words: str) -> str:
    """A regular expression of alternatives parted by ` | `, written over several lines.

    A line break stands for a space between two words, and for nothing beside other signs: no line
    may end in a space that counts.
    """
    joined = "\n".join(line.strip() for line in words.strip().splitlines())
    joined = re.sub(r" \|\n|\n\| ", " | ", joined)
    joined = re.sub(r"(?<=[a-z,)])\n(?=[a-z])", " ", joined).replace("\n", "")
    return joined.replace(" | ", "|")


def compiled(words: str) -> re.Pattern[str]:
    """The alternatives as a pattern for whole words of a normalised text."""
    return re.compile(rf"(?<!\S)(?:{alternatives(words)})(?!\S)")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())
