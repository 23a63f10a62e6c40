"""What a person looks at: counted, grouped and paged by SQL, quick on a log of years.

Reads only. Turns are the human's (`main`); their mood is kept beside them by triggers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_agent.records import IMPORT, IMPORTED
from align_agent.store.base import Nouns
from align_agent.store.connection import Row
from align_agent.store.search import matching

MOST_HITS = 2_000  # of a search, the newest: counting all would take longer than anyone looks
FACETS = ("mood", "version", "channel", "excluded")
_SHOWN = "number, id, conversation_id, created_at, channel, user_text, answer, version, excluded"


class Looks(Nouns):
    """`store.looks`."""

    def counts(self, search: str = "", rule: str = "") -> list[Row]:
        """mood, version, channel, excluded and number of the turns that have these in common."""
        within, parameters = _within(search, rule)
        rows = self.connection.rows(
            f"select {', '.join(FACETS)}, count(*) as number from turns "  # noqa: S608
            f"where main = 1{within} group by {', '.join(FACETS)}",
            parameters,
        )
        return [_answered(row) for row in rows]

    def turns(
        self,
        search: str = "",
        rule: str = "",
        filters: Mapping[str, Any] | None = None,
        *,
        limit: int = 50,
        before: tuple[str, int] | None = None,
    ) -> list[Row]:
        """Turns, the newest first; `before` is (created_at, number) of the last one seen."""
        within, parameters = _within(search, rule)
        for name, value in (filters or {}).items():
            if name == "version":  # those from elsewhere were answered by none of ours
                within += f" and channel {'' if value == IMPORTED else 'not '}like ?"
                parameters.append(f"{IMPORT}%")
            if name in FACETS and (name, value) != ("version", IMPORTED):
                within += f" and {name} = ?"
                parameters.append(value)
        if before is not None:
            within += " and (created_at, number) < (?, ?)"
            parameters += before
        rows = self.connection.rows(
            f"select {_SHOWN}, mood from turns where main = 1{within} "  # noqa: S608
            "order by created_at desc, number desc limit ?",
            [*parameters, limit],
        )
        return [_answered(row) for row in rows]

    def conversation(self, conversation_id: str, start: int, limit: int) -> list[Row]:
        """id, position and main of a conversation's turns from a position on, in order."""
        return self.connection.rows(
            "select id, position, main from turns where conversation_id = ? and position >= ? "
            "order by position limit ?",
            [conversation_id, start, limit],
        )

    def named(self, turn_ids: list[str]) -> list[Row]:
        """The turns with these ids that are there, the newest first."""
        marks = ", ".join("?" * len(turn_ids))
        rows = self.connection.rows(
            f"select {_SHOWN}, mood from turns where id in ({marks}) "  # noqa: S608
            "order by created_at desc, number desc",
            turn_ids,
        )
        return [_answered(row) for row in rows]

    def uses(self, run_id: str) -> list[Row]:
        """use, reason and number of the turns that a night looked at."""
        return self.connection.rows(
            "select use, reason, count(*) as number from run_turns where run_id = ? "
            "group by use, reason order by number desc",
            [run_id],
        )

    def run_uses(self, run_id: str) -> list[Row]:
        """use and number of the turns that a night looked at."""
        return self.connection.rows(
            "select use, count(*) as number from run_turns where run_id = ? group by use",
            [run_id],
        )

    def used(self, run_id: str, use: str, limit: int, reason: str | None = None) -> list[Row]:
        """Some of the turns that a night put to a use, for a reason where one is given."""
        return self.connection.rows(
            f"select {', '.join('t.' + name for name in _SHOWN.split(', '))}, t.mood, r.reason "  # noqa: S608
            "from run_turns r join turns t on t.id = r.turn_id "
            "where r.run_id = ? and r.use = ? and (? is null or coalesce(r.reason, '') = ?) "
            "limit ?",
            [run_id, use, reason, reason, limit],
        )

    def runs(self, limit: int, before: str = "") -> list[str]:
        """The ids of the newest nights, or of those that began before one of them."""
        rows = self.connection.rows(
            "select id from runs where ? = '' or (started_at, id) < "
            "  (select started_at, id from runs where id = ?) "
            "order by started_at desc, id desc limit ?",
            [before, before, limit],
        )
        return [row["id"] for row in rows]

    def last_metrics(self, run_id: str) -> Row:
        """The figures of a night's latest step, and the step."""
        rows = self.connection.rows(
            "select step, name, value from run_metrics where run_id = ? and step = "
            "(select max(step) from run_metrics where run_id = ?)",
            [run_id, run_id],
        )
        return {"step": rows[0]["step"], **{r["name"]: r["value"] for r in rows}} if rows else {}

    def trained(self, run_ids: list[str]) -> dict[str, int]:
        """run id -> the number of turns that it trained on."""
        marks = ", ".join("?" * len(run_ids))
        rows = self.connection.rows(
            f"select run_id, count(*) as number from run_turns where run_id in ({marks}) "  # noqa: S608
            "and use = 'train' group by run_id",
            run_ids,
        )
        return {row["run_id"]: row["number"] for row in rows}

    def answers(self, version: int, run_id: str) -> dict[str, str]:
        """prompt -> what a version answered at the gates that asked it.

        It was the candidate of its own night, and the one before in those that began from it; the
        base was asked in every night, of which the newest count.
        """
        found: dict[str, str] = {}
        for row in self.connection.rows(
            "select s.prompt, case when s.run_id = ? then s.after when ? = 0 then s.base "
            "  else s.before end as answer "
            "from samples s join runs r on r.id = s.run_id "
            "where s.run_id = ? or ? = 0 or r.parent = ? "
            "order by r.started_at desc, s.number limit 400",
            [run_id, version, run_id, version, version],
        ):
            found.setdefault(row["prompt"], row["answer"] or "")
        return found

    def rules_behind(self, run_id: str) -> list[str]:
        """The ids of the rules that came from turns which a night trained on."""
        rows = self.connection.rows(
            "select distinct u.rule_id from run_turns r join rule_turns u on u.turn_id = r.turn_id "
            "where r.run_id = ? and r.use = 'train'",
            [run_id],
        )
        return [row["rule_id"] for row in rows]

    def evidence(self, rule_id: str, limit: int) -> list[Row]:
        """What was said that made or confirmed a rule: turn, words, moment; the newest first.

        Behind a rule stand the answer and the message that blamed it, the latter perhaps an
        answer's question itself: what came after that is no evidence.
        """
        return self.connection.rows(
            "select f.text, f.turn_id as about, f.created_at as at, t.conversation_id from ("
            "  select turn_id from rule_turns where rule_id = ? order by rowid desc limit ?"
            ") u join feedback f on f.turn_id = u.turn_id join turns t on t.id = f.turn_id "
            "where f.dismissed = 0 and f.polarity != 'positive' and f.text != '' "
            "and (f.source_turn_id is null or exists (select 1 from rule_turns o "
            "  where o.rule_id = ? and o.turn_id = f.source_turn_id)) "
            "order by f.created_at desc, f.id limit ?",
            [rule_id, 8 * limit, rule_id, limit],
        )

    def waiting(self, limit: int) -> list[Row]:
        """Readings that wait for the user's look: turn, conversation, words; the newest first."""
        return self.connection.rows(
            "select f.turn_id, t.conversation_id, f.text, l.review from feedback_layers l "
            "join feedback f on f.id = l.feedback_id join turns t on t.id = f.turn_id "
            "where l.review > '' and f.dismissed = 0 order by f.created_at desc limit ?",
            [limit],
        )

    def days(self) -> tuple[dict[str, int], dict[str, int]]:
        """(conversations begun, turns found fault with) for each UTC day that has any."""
        begun = self.connection.rows(
            "select substr(first, 1, 10) as day, count(*) as number from ("
            "  select min(created_at) as first from turns where main = 1 group by conversation_id"
            ") group by day order by day"
        )
        faulted = self.connection.rows(
            "select substr(created_at, 1, 10) as day, count(*) as number from turns "
            "where main = 1 and mood = 'negative' group by day order by day"
        )
        return (
            {row["day"]: row["number"] for row in begun},
            {row["day"]: row["number"] for row in faulted},
        )

    def rule_days(self, since: str) -> list[Row]:
        """rule_id, day and number of turns found fault with that stand behind the rule."""
        return self.connection.rows(
            "select u.rule_id, t.day, count(*) as number from ("
            "  select id, substr(created_at, 1, 10) as day from turns "
            "  where main = 1 and mood = 'negative' and created_at >= ?"
            ") t join rule_turns u on u.turn_id = t.id group by u.rule_id, t.day",
            [since],
        )


def _answered(row: Row) -> Row:
    """The row with no version of ours where another program's model answered."""
    return {**row, "version": IMPORTED} if row["channel"].startswith(IMPORT) else row


def _within(search: str, rule: str) -> tuple[str, list[Any]]:
    """A condition that goes on after another, and its parameters."""
    condition, parameters = "", []
    if search.strip():
        found, extra = matching(search)
        condition += (
            f" and number in (select number from turns where {found} "  # noqa: S608
            f"order by number desc limit {MOST_HITS})"
        )
        parameters += extra
    if rule:
        condition += (
            " and number in (select t.number from rule_turns u join turns t on t.id = u.turn_id "
            "where u.rule_id = ?)"
        )
        parameters.append(rule)
    return condition, parameters
