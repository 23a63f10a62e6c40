"""Whether what arrives can be learned from at all and, where nothing can, why. Judges no answer.

Nothing is a sadder surprise than a month of chats that no night could use: so it is said loudly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from align_agent.store import Store

SIDE_NOTE = "side"  # the turn's note that says why it is side traffic
LATEST = 50
FEW = 3  # from so many on it is no accident


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The latest turns: how many came, how many of them could teach, and why the others cannot."""

    came: int = 0
    usable: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def alarming(self) -> bool:
        return self.came >= FEW and not self.usable

    def told(self) -> str:
        """The alarm in words."""
        named = sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        why = ", ".join(f"{count} {reason}" for reason, count in named)
        which = "the turn that came" if self.came == 1 else f"the last {self.came} turns that came"
        return f"none of {which} can be learned from: {why}"


def arrivals(store: Store, latest: int = LATEST) -> Arrivals:
    """The latest turns of the store, and what was kept out of it where nothing else came."""
    rows = store.turns.arrived(latest)
    if not rows:
        ignored = store.counters.all().get("capture.ignored", 0)
        reasons = {"left out by privacy.ignore": ignored} if ignored else {}
        return Arrivals(ignored, 0, reasons)
    return judged(rows)


def judged(rows: Iterable[Mapping[str, Any]]) -> Arrivals:
    """The same of rows as `store.turns.arrived` gives them."""
    reasons = Counter(why_not(row) for row in rows)
    usable = reasons.pop("", 0)
    return Arrivals(reasons.total() + usable, usable, dict(reasons))


def why_not(row: Mapping[str, Any]) -> str:
    """Why no night can learn from a turn; empty when one could, if the human says something."""
    if not row["main"]:
        return f"not the human's own ({row['side'] or 'side traffic'})"
    if row["excluded"]:
        return "excluded"
    if not row["said"]:
        return "without words of a human"
    if not row["answered"]:
        return {"error": "whose answer failed", "aborted": "broken off before any answer"}.get(
            row["finish_reason"], "without an answer"
        )
    return ""
