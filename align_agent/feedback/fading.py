"""How much a learned rule still counts: its repeats, halved as time goes by. Pure functions.

Only proposals fade away. A rule that is followed is never asked for again, so its age says nothing.
"""

from __future__ import annotations

import math
from datetime import datetime

from align_agent.records import Rule

GONE = 0.25
FADED = "not asked for again"


def weight(rule: Rule, moment: str, half_life_days: float) -> float:
    """count * 2^-(days since it was last asked for / half-life)."""
    since = datetime.fromisoformat(moment) - datetime.fromisoformat(rule.last_seen)
    days = max(0.0, since.total_seconds() / 86_400)
    return rule.count * math.pow(0.5, days / half_life_days)


def has_faded(rule: Rule, moment: str, half_life_days: float) -> bool:
    """Whether a proposal has waited so long that it is given up."""
    return rule.status == "proposed" and weight(rule, moment, half_life_days) < GONE
