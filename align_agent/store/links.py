"""By which names others know our turns, what they told about them, and what they told already.

A client names an answer by our response id, by the run that asked for it or by the message that
it became on a channel. Links and notes may come before their turn is stored.
"""

from __future__ import annotations

import builtins

from align_agent.records import now
from align_agent.store.base import Nouns


class Links(Nouns):
    """`store.links`."""

    def put(self, kind: str, key: str, turn_id: str) -> None:
        """Know a turn by a name of some kind (response, run, message); the newest turn wins."""
        self.connection.insert(
            "turn_links", {"kind": kind, "key": key, "turn_id": turn_id}, conflict="replace"
        )

    def find(self, kind: str, key: str) -> str:
        """The id of the turn with that name; empty when there is none."""
        found = self.connection.value(
            "select turn_id from turn_links where kind = ? and key = ?", [kind, key]
        )
        return "" if found is None else str(found)

    def of_turn(self, turn_id: str) -> builtins.list[tuple[str, str]]:
        """(kind, name) of everything that a turn is known by."""
        rows = self.connection.rows(
            "select kind, key from turn_links where turn_id = ? order by kind, key", [turn_id]
        )
        return [(row["kind"], row["key"]) for row in rows]

    def note(self, turn_id: str, name: str, value: str) -> None:
        """Keep a fact about a turn, in place of an earlier one of that name."""
        self.connection.insert(
            "turn_notes", {"turn_id": turn_id, "name": name, "value": value}, conflict="replace"
        )

    def notes(self, turn_id: str) -> dict[str, str]:
        """name -> value of what is known about a turn."""
        rows = self.connection.rows(
            "select name, value from turn_notes where turn_id = ? order by name", [turn_id]
        )
        return {row["name"]: row["value"] for row in rows}

    def noted(self, name: str) -> set[str]:
        """The ids of the turns that have a note of that name."""
        rows = self.connection.rows("select turn_id from turn_notes where name = ?", [name])
        return {row["turn_id"] for row in rows}

    def noted_in(self, conversation: str, name: str) -> set[str]:
        """The values that a note has within a conversation."""
        rows = self.connection.rows(
            "select distinct n.value from turns t join turn_notes n on n.turn_id = t.id "
            "where t.conversation_id = ? and n.name = ?",
            [conversation, name],
        )
        return {row["value"] for row in rows}

    def first(self, event_id: str) -> bool:
        """Remember an event by its id; False when it had come before."""
        return bool(
            self.connection.execute(
                "insert into received (id, at) values (?, ?) on conflict (id) do nothing",
                [event_id, now()],
            )
        )

    def forget_events(self, before: str) -> int:
        """Drop the ids of events that came before a moment. Returns how many."""
        return int(self.connection.execute("delete from received where at < ?", [before]))
