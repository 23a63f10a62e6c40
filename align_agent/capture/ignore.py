"""Which turns the user does not want recorded, by their patterns. Stores nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import translate

from align_agent.records import Turn

_KINDS = ("channel", "sender", "topic")


class Ignore:
    """Patterns with `*` and `?`.

    `channel:NAME`, `sender:ID` (also `sender:telegram:777`) and `topic:WORDS` (words parted by
    commas, any of which the message must hold) look at that alone; a pattern without a kind fits
    the whole channel or the whole human text. Upper and lower case, and the
    ways to write an accent or a space, are the same.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._of: dict[str, list[re.Pattern[str]]] = {kind: [] for kind in ("", *_KINDS)}
        for pattern in patterns:
            kind, colon, rest = pattern.partition(":")
            kind = kind.strip().casefold()
            if not colon or kind not in _KINDS:
                self._of[""].append(_whole(pattern))
            elif kind == "topic":
                self._of[kind] += [_word(word) for word in rest.split(",") if word.strip()]
            else:
                self._of[kind].append(_whole(rest.strip()))

    def matches(self, turn: Turn) -> bool:
        """Whether the turn's channel, text or topic is to be kept out."""
        channel, text = _plain(turn.channel), _plain(turn.user_text)
        return (
            any(p.match(value) for p in self._of[""] for value in (channel, text))
            or any(p.match(channel) for p in self._of["channel"])
            or any(p.search(text) for p in self._of["topic"])
        )

    def matches_sender(self, sender: str, surface: str) -> bool:
        """Whether what this sender says is to be kept out."""
        bare = _plain(sender).removeprefix(f"{_plain(surface)}:")
        names = (bare, f"{_plain(surface)}:{bare}")
        return bool(sender) and any(p.match(n) for p in self._of["sender"] for n in names)


# What the translation puts behind every pattern; not the same in every Python.
_END = translate("").removeprefix("(?s:")


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(_plain(pattern)))


def _word(word: str) -> re.Pattern[str]:
    inner = translate(_plain(word).strip()).removeprefix("(?s:").removesuffix(_END)
    return re.compile(rf"(?<!\w){inner}(?!\w)", re.DOTALL)


def _plain(text: str) -> str:
    """One way of writing it: letters with their accents, and every space, have several."""
    same = unicodedata.normalize("NFKC", text.casefold()).casefold()
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", same))
