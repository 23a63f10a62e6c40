"""When a rule that was learned must wait: a flood of rules, many reversals, one word against many.

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
# A slip, or a message read wrongly, must not undo what was asked for this often; the second does.
FIRM = 3
ONCE = "counts when you say it again, since you asked more often for: "


def said_once(known: Rule | None, opponents: Sequence[Rule]) -> str:
    """Why one word to the contrary does not end a rule that was asked for often, or nothing.

    `known` is what is stored of the new rule, `opponents` the active rules that it would retire.
    A word for one of these retires the proposal again, so one that stands was the word before.
    """
    firm = [rule for rule in opponents if rule.count >= FIRM]
    if not firm or (known is not None and known.status == "proposed"):
        return ""
    return f"{ONCE}{firm[0].text}"


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
