"""Rules: what the agent takes for your wishes, and what you said that made each."""

from __future__ import annotations

from typing import Any

from align_agent.feedback.profile import Profile
from align_agent.records import Rule
from align_agent.store.connection import Row
from align_agent.web.desk import Desk

EVIDENCE = 3
GROUPS = (
    ("proposed", "Waiting for your word", "Not followed until you accept them."),
    ("active", "Learned", "Followed, and taught to the model at night."),
    ("declared", "Declared", "From config.yaml; they change there."),
    ("retired", "Retired", "No longer followed."),
)


def data(desk: Desk) -> dict[str, Any]:
    """The rules by state, each with the newest words behind it."""
    profile = Profile(desk.store, desk.config)
    profile.sync_declared(desk.config.preferences)
    in_force = {rule.id for rule in profile.rules()}
    rules = desk.store.rules.list()
    rules.sort(key=lambda rule: rule.last_seen, reverse=True)
    return {
        "groups": [
            {
                "status": status,
                "title": title,
                "about": about,
                "rules": [
                    rule_row(
                        rule,
                        desk.store.looks.evidence(rule.id, EVIDENCE),
                        rule.id in in_force,
                    )
                    for rule in rules
                    if rule.status == status
                ],
            }
            for status, title, about in GROUPS
        ]
    }


def rule_row(rule: Rule, evidence: list[Row], in_force: bool) -> dict[str, Any]:
    return {
        "id": rule.id,
        "text": rule.text,
        "status": rule.status,
        "polarity": rule.polarity,
        "reason": rule.reason,
        "count": rule.count,
        "scope": rule.scope,
        "first_seen": rule.first_seen,
        "last_seen": rule.last_seen,
        "checked": bool(rule.check),
        "in_force": in_force,
        "evidence": [
            {
                "turn": row["about"],
                "conversation": row["conversation_id"],
                "text": row["text"],
                "at": row["at"],
            }
            for row in evidence
        ],
    }
