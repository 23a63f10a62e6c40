"""Which turns the user does not want recorded, by their patterns. Stores nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate

from align_agent.records import Turn


class Ignore:
    """Patterns with `*` and `?`, matched against a turn's channel and its human text."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [re.compile(translate(p.casefold())) for p in patterns]

    def matches(self, turn: Turn) -> bool:
        """Whether any pattern fits the whole channel or the whole text, upper case or lower."""
        if not self._patterns:
            return False
        texts = (turn.channel.casefold(), turn.user_text.casefold())
        return any(p.match(text) for p in self._patterns for text in texts)
