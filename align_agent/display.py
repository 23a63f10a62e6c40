"""How a text from people and a count look, on a terminal and on a page. Knows neither."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_KEEP = {"\n", "\t"}
_HIDDEN = "\ufffd"
_TURNING = {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}


def printable(text: str) -> str:
    """The text with control, direction and surrogate characters replaced by U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _KEEP:
        return character
    category = unicodedata.category(character)
    # Cf holds the joiners that emoji need, but also what turns text around. Overrides, embeddings
    # and isolates alike: each can show words in another order than they stand in.
    turns = category == "Cf" and unicodedata.bidirectional(character) in _TURNING
    return _HIDDEN if category in {"Cc", "Cs"} or turns else character


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as "1 turn", "2,000 turns"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def tally(counts: Mapping[str, int]) -> str:
    """Named counters in words, such as "1 night failed, 2 serving fallbacks"; "" for none."""
    return ", ".join(f"{number:,} {_named(name, number)}" for name, number in counts.items())


def _named(name: str, number: int) -> str:
    words = name.split("_")
    return " ".join(word.removesuffix("s") for word in words) if number == 1 else " ".join(words)
