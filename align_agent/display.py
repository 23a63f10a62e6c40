"""How a text from people and a count look, on a terminal and on a page. Knows neither."""

from __future__ import annotations

import unicodedata

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
