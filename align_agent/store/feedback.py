"""What signals said about turns. Kept beside the turns; never read as text here."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from align_agent.errors import NotFound
from align_agent.records import Feedback
from align_agent.store.base import Nouns, dumps, loads
from align_agent.store.connection import ConstraintError, Row


class FeedbackTable(Nouns):
    """`store.feedback`."""

    def add(self, feedback: Feedback) -> bool:
        """Store it; False when its id is known. Raises NotFound when its turn does not exist."""
        try:
            added = self.connection.execute(
                """insert into feedback (id, turn_id, source_turn_id, kind, polarity, category,
                confidence, strength, text, evidence, detector, dismissed, created_at)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing""",
                [
                    feedback.id,
                    feedback.turn_id,
                    feedback.source_turn_id or None,
                    feedback.kind,
                    feedback.polarity,
                    feedback.category,
                    feedback.confidence,
                    feedback.strength,
                    feedback.text,
                    feedback.evidence,
                    feedback.detector,
                    int(feedback.dismissed),
                    feedback.created_at,
                ],
            )
        except ConstraintError as error:
            raise NotFound(
                f"feedback on a turn that does not exist: `{feedback.turn_id}`",
                hint="`align-agent turns list` shows those there",
            ) from error
        if added and (feedback.layers or feedback.review):
            self.connection.insert(
                "feedback_layers",
                {
                    "feedback_id": feedback.id,
                    "layers": dumps(feedback.layers),
                    "review": feedback.review,
                },
            )
        return added == 1

    def get(self, wanted: str) -> Feedback:
        """The feedback with that id, or the only one whose id begins so. Raises NotFound."""
        found = self._find("feedback", "feedback", "fb-", wanted)
        return self._read("where f.id = ?", [found["id"]])[0]

    def for_turn(self, turn_id: str) -> list[Feedback]:
        """All that was said about one turn, the oldest first, dismissed ones too."""
        return self._read("where turn_id = ? order by created_at, id", [turn_id])

    def by_turn(self) -> dict[str, builtins.list[Feedback]]:
        """All that was said about each turn, the oldest first, dismissed ones too."""
        found: dict[str, builtins.list[Feedback]] = {}
        for feedback in self._read("order by created_at, id", []):
            found.setdefault(feedback.turn_id, []).append(feedback)
        return found

    def behind(self, rule_ids: Sequence[str]) -> set[str]:
        """The ids of the feedback that taught these rules.

        A rule is linked to the turn that was complained of and to the one whose message said so;
        feedback that came from no turn is known by the former alone.
        """
        marks = ", ".join("?" * len(rule_ids))
        rows = self.connection.rows(
            "select distinct f.id from rule_turns r join feedback f on f.turn_id = r.turn_id "  # noqa: S608
            f"where r.rule_id in ({marks}) and case when f.source_turn_id is null "
            "then not exists (select 1 from feedback g join rule_turns h "
            "on h.rule_id = r.rule_id and h.turn_id = g.turn_id "
            "where g.source_turn_id = f.turn_id) "
            "else exists (select 1 from rule_turns s where s.rule_id = r.rule_id "
            "and s.turn_id = f.source_turn_id) end",
            rule_ids,
        )
        return {row["id"] for row in rows}

    def from_turn(self, turn_id: str) -> builtins.list[Feedback]:
        """All that one turn's message said about the turn before it, dismissed ones too."""
        return self._read("where source_turn_id = ? order by created_at, id", [turn_id])

    def list(self, limit: int = 50, polarity: str = "") -> list[Feedback]:
        """The newest first. `limit` below 0 means all."""
        return self._read(
            "where polarity = ? or ? = '' order by created_at desc, id limit ?",
            [polarity, polarity, limit],
        )

    def to_review(self, limit: int = -1) -> builtins.list[Feedback]:
        """What waits for a person's look, the newest first. `limit` below 0 means all."""
        return self._read(
            "where dismissed = 0 and l.review != '' order by created_at desc, id limit ?", [limit]
        )

    def settle(self, wanted: str) -> Feedback:
        """Mark it as looked at and read rightly. Raises NotFound."""
        feedback = self.get(wanted)
        self.connection.execute(
            "update feedback_layers set review = '' where feedback_id = ?", [feedback.id]
        )
        return replace(feedback, review="")

    def dismiss(self, wanted: str, dismissed: bool = True) -> Feedback:
        """Mark it as read wrongly, so that nothing is learned from it. Raises NotFound."""
        feedback = self.get(wanted)
        self.connection.update("feedback", "id", feedback.id, {"dismissed": int(dismissed)})
        return replace(feedback, dismissed=dismissed)

    def _read(self, rest: str, parameters: Sequence[Any]) -> builtins.list[Feedback]:
        rows = self.connection.rows(
            "select f.*, l.layers, l.review from feedback f "  # noqa: S608
            f"left join feedback_layers l on l.feedback_id = f.id {rest}",
            list(parameters),
        )
        return [_feedback(row) for row in rows]

    def count(self) -> dict[str, int]:
        """polarity -> number, without the dismissed ones."""
        rows = self.connection.rows(
            "select polarity, count(*) as number from feedback where dismissed = 0 "
            "group by polarity order by polarity"
        )
        return {row["polarity"]: row["number"] for row in rows}


def _feedback(row: Row) -> Feedback:
    return Feedback(
        **{
            **row,
            "source_turn_id": row["source_turn_id"] or "",
            "dismissed": bool(row["dismissed"]),
            "layers": loads(row["layers"]) or {},
            "review": row["review"] or "",
        }
    )
