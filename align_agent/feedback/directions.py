"""The wishes that align-agent knows by name, with their one canonical wording. Data only.

A direction is `axis:value`. Two directions of one axis contradict each other. The texts are what
the pocket model is trained on and what every rule of a known direction says, word for word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Direction:
    """One known wish: its canonical rule text and the check that verifies it."""

    key: str
    text: str
    check: dict[str, Any]

    @property
    def axis(self) -> str:
        return axis_of(self.key)

    @property
    def value(self) -> str:
        return self.key.partition(":")[2]


def axis_of(key: str) -> str:
    """`format` for `format:plain`, and the empty string for no direction."""
    return key.partition(":")[0]


DIRECTIONS: dict[str, Direction] = {
    direction.key: direction
    for direction in (
        Direction(
            "format:plain",
            "Write plain text: no bold, no lists, no headings.",
            {"name": "no_markdown"},
        ),
        Direction("format:markdown", "Use markdown: lists and bold.", {"name": "uses_markdown"}),
        Direction(
            "length:brief",
            "Keep answers short.",
            {"name": "brief", "max_words": 60, "max_sentences": 3},
        ),
        Direction("length:steps", "Show the steps, one by one.", {"name": "steps"}),
        Direction("tone:warm", "Be warm and encouraging.", {"name": "warm"}),
        Direction("tone:neutral", "Be neutral and matter-of-fact.", {"name": "neutral_tone"}),
        Direction("emoji:some", "Use emoji.", {"name": "uses_emoji"}),
        Direction("emoji:none", "No emoji.", {"name": "no_emoji"}),
        Direction(
            "detail:specific",
            "Be specific: name what is right or wrong in this very answer.",
            {"name": "specific"},
        ),
        Direction("detail:generic", "Keep comments general.", {"name": "not_specific"}),
    )
}


def direction_of_text(text: str) -> str:
    """The key of the direction whose canonical text this is, or the empty string."""
    wanted = " ".join(text.split()).rstrip(".").casefold()
    for key, direction in DIRECTIONS.items():
        if direction.text.rstrip(".").casefold() == wanted:
            return key
    return ""
