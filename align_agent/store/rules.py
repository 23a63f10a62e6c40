"""The rules of the user's profile, and the turns behind each. Decides nothing about them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from align_agent.errors import NotFound, StoreError
from align_agent.records import Rule
from align_agent.store.base import Nouns, dumps, loads
from align_agent.store.connection import ConstraintError, Row


class Rules(Nouns):
    """`store.rules`."""

    def add(self, rule: Rule) -> None:
        """Store a new rule. Raises StoreError when its id is known."""
        try:
            self.connection.insert("rules", _row(rule))
        except ConstraintError as error:
            raise StoreError(
                f"there is a rule `{rule.id}` already", hint="use `update` to change it"
            ) from error

    def get(self, wanted: str) -> Rule:
        """The rule with that id, or the only one whose id begins so. Raises NotFound."""
        return _rule(self._find("rules", "rule", "rule-", wanted))

    def list(self, statuses: Sequence[str] = ()) -> list[Rule]:
        """The rules with one of these statuses (all without), the oldest first."""
        marks = ", ".join("?" * len(statuses))
        where = f"where status in ({marks})" if statuses else ""
        rows = self.connection.rows(
            f"select * from rules {where} order by first_seen, id",  # noqa: S608
            list(statuses),
        )
        return [_rule(row) for row in rows]

    def update(self, wanted: str, **changes: Any) -> Rule:
        """Change fields of a rule, and return it as it is then. Raises NotFound."""
        with self.connection.transaction():
            rule = replace(self.get(wanted), **changes)
            self.connection.update("rules", "id", rule.id, _row(rule))
        return rule

    def link(self, rule_id: str, turn_id: str) -> None:
        """Note that the turn is one reason for the rule. Raises NotFound."""
        try:
            self.connection.insert(
                "rule_turns", {"rule_id": rule_id, "turn_id": turn_id}, conflict="ignore"
            )
        except ConstraintError as error:
            raise NotFound(
                f"rule `{rule_id}` or turn `{turn_id}` does not exist",
                hint="`align-agent rules list` and `align-agent turns list` show those there",
            ) from error

    def turns_of(self, rule_id: str) -> builtins.list[str]:
        """The ids of the turns behind a rule, in the order in which they were linked."""
        rows = self.connection.rows(
            "select turn_id from rule_turns where rule_id = ? order by rowid", [rule_id]
        )
        return [row["turn_id"] for row in rows]


def _row(rule: Rule) -> Row:
    return {**asdict(rule), "check": None if rule.check is None else dumps(rule.check)}


def _rule(row: Row) -> Rule:
    return Rule(**{**row, "check": loads(row["check"])})
