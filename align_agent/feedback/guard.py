"""When a rule that was learned must wait for the user's eye: a flood of rules, or many reversals.

Pure. Somebody who gets at the account, or a page that is pasted in whole, must not turn the profile
over in one day. What the user adds or accepts by hand is never held up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from align_agent.config import FeedbackConfig
from align_agent.records import Rule

CONTRADICTED = "contradicted by: "
UNACCEPTED = "contradicted before you accepted it, by: "  # a proposal, which is not in force


def held_back(
    moment: str, opponents: Sequence[Rule], rules: Sequence[Rule], config: FeedbackConfig
) -> str:
    """Why a rule learned at a moment must wait, or the empty string.

    `opponents` are the active rules that it would retire, `rules` all there are.
    """
    since = _a_day_before(moment)
    fresh = [r for r in rules if r.status == "active" and since <= r.first_seen <= moment]
    if len(fresh) >= config.max_rules_a_day:
        return f"{len(fresh)} rules were learned within a day: it waits for your yes"
    if not opponents:
        return ""
    ended = [
        rule
        for rule in rules
        if rule.status == "retired" and any(displaced_by(rule, other) for other in fresh)
    ]
    if len(ended) + len(opponents) > config.max_reversals_a_day:
        return f"{len(ended)} rules were reversed within a day: it waits for your yes"
    return ""


def displaced_by(rule: Rule, other: Rule) -> bool:
    """Whether it is the other for which a rule was retired."""
    return rule.reason in (f"{CONTRADICTED}{other.text}", f"{UNACCEPTED}{other.text}")


def _a_day_before(moment: str) -> str:
    try:
        then = datetime.fromisoformat(moment) - timedelta(days=1)
    except (ValueError, OverflowError):
        return moment
    return then.isoformat(timespec="microseconds")
