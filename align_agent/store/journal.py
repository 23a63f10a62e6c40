"""Events, counters, and small facts to remember. Knows nothing of what they mean."""

from __future__ import annotations

from typing import Any

from align_agent.records import now
from align_agent.store.base import Nouns, dumps, loads


class Events(Nouns):
    """`store.events`: what happened, in words, with data beside."""

    def add(self, kind: str, message: str, **data: Any) -> None:
        """Note an event now. `data` must be fit for JSON."""
        self.connection.insert(
            "events", {"at": now(), "kind": kind, "message": message, "data": dumps(data)}
        )

    def list(self, limit: int = 50, kind: str = "") -> list[dict[str, Any]]:
        """at, kind, message and data of each, the newest first. `limit` below 0 means all."""
        rows = self.connection.rows(
            "select at, kind, message, data from events where kind = ? or ? = '' "
            "order by number desc limit ?",
            [kind, kind, limit],
        )
        return [{**row, "data": loads(row["data"]) or {}} for row in rows]


class Counters(Nouns):
    """`store.counters`: numbers that only grow."""

    def bump(self, name: str, by: int = 1) -> None:
        """Add to a counter, which begins at 0."""
        self.connection.execute(
            "insert into counters (name, value) values (?, ?) "
            "on conflict (name) do update set value = value + excluded.value",
            [name, by],
        )

    def all(self) -> dict[str, int]:
        """name -> value."""
        rows = self.connection.rows("select name, value from counters order by name")
        return {row["name"]: row["value"] for row in rows}


class State(Nouns):
    """`store.state`: one text for a key."""

    def get(self, key: str, default: str = "") -> str:
        """The text that was set for the key."""
        value = self.connection.value("select value from state where key = ?", [key])
        return default if value is None else str(value)

    def set(self, key: str, value: str) -> None:
        """Remember a text for the key, in place of what was there."""
        self.connection.insert("state", {"key": key, "value": value}, conflict="replace")
