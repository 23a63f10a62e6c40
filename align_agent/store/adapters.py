"""The versions of the adapter and the names that point at them. Touches no adapter file."""

from __future__ import annotations

import builtins
from dataclasses import asdict, replace
from typing import Any

from align_agent.errors import NotFound, StoreError
from align_agent.records import BASE_VERSION, Adapter, now, version_label
from align_agent.store.base import Nouns, dumps, loads
from align_agent.store.connection import ConstraintError, Row


class Adapters(Nouns):
    """`store.adapters`. Version 0, the base, has no row, but a name may point at it."""

    def add(self, adapter: Adapter) -> None:
        """Store a new version. Raises StoreError when it is taken, NotFound without its run."""
        if adapter.version <= BASE_VERSION:
            raise StoreError(
                f"version {adapter.version} cannot be stored: 0 is the base",
                hint="ask `next_version` for a number",
            )
        if self._row(adapter.version) is not None:
            raise StoreError(
                f"there is an adapter {adapter.label} already",
                hint="versions never change; ask `next_version` for a number",
            )
        try:
            self.connection.insert("adapters", _to_row(adapter))
        except ConstraintError as error:
            raise NotFound(
                f"the run `{adapter.run_id}` of adapter {adapter.label} does not exist",
                hint="`align-agent runs list` shows those there",
            ) from error

    def get(self, version: int) -> Adapter:
        """The adapter of that version, deleted or not. Raises NotFound."""
        row = self._row(version)
        if row is None:
            raise NotFound(
                f"there is no adapter {version_label(version)}",
                hint="`align-agent adapters list` shows those there",
            )
        return _adapter(row)

    def list(self) -> list[Adapter]:
        """All versions, the newest first, deleted ones too."""
        rows = self.connection.rows("select * from adapters order by version desc")
        return [_adapter(row) for row in rows]

    def update(self, version: int, **changes: Any) -> Adapter:
        """Change fields of a version (pinned, deleted, ...), and return it. Raises NotFound."""
        with self.connection.transaction():
            adapter = replace(self.get(version), **changes)
            self.connection.update("adapters", "version", version, _to_row(adapter))
        return adapter

    def next_version(self) -> int:
        """One more than the highest ever used: a number is never given out twice."""
        return int(self.connection.value("select coalesce(max(version), 0) + 1 from adapters"))

    def alias(self, name: str) -> int | None:
        """The version a name points at (0 is the base); None when it points nowhere."""
        version = self.connection.value("select version from aliases where name = ?", [name])
        return None if version is None else int(version)

    def aliases(self) -> dict[str, int]:
        """Every name that points somewhere, and the version."""
        rows = self.connection.rows("select name, version from aliases order by name")
        return {row["name"]: int(row["version"]) for row in rows}

    def set_alias(self, name: str, version: int | None, *, why: str, who: str) -> None:
        """Move a name to a version, or take it away with None, and note who did and why.

        Raises NotFound when the version does not exist.
        """
        with self.connection.transaction():
            if version is not None and version != BASE_VERSION:
                self.get(version)
            moment = now()
            before = self.alias(name)
            if version is None:
                self.connection.execute("delete from aliases where name = ?", [name])
            else:
                self.connection.insert(
                    "aliases",
                    {"name": name, "version": version, "set_at": moment},
                    conflict="replace",
                )
            self.connection.insert(
                "alias_history",
                {
                    "at": moment,
                    "name": name,
                    "before": before,
                    "after": version,
                    "why": why,
                    "who": who,
                },
            )

    def history(self, limit: int = 50) -> builtins.list[dict[str, Any]]:
        """at, name, before, after, why and who of each move, the newest first."""
        return self.connection.rows(
            "select at, name, before, after, why, who from alias_history "
            "order by number desc limit ?",
            [limit],
        )

    def _row(self, version: int) -> Row | None:
        return self.connection.row("select * from adapters where version = ?", [version])


def _to_row(adapter: Adapter) -> Row:
    return {
        **asdict(adapter),
        "run_id": adapter.run_id or None,
        "reasons": dumps(adapter.reasons),
        "pinned": int(adapter.pinned),
        "tainted": int(adapter.tainted),
        "deleted": int(adapter.deleted),
    }


def _adapter(row: Row) -> Adapter:
    return Adapter(
        **{
            **row,
            "run_id": row["run_id"] or "",
            "reasons": tuple(loads(row["reasons"]) or ()),
            "pinned": bool(row["pinned"]),
            "tainted": bool(row["tainted"]),
            "deleted": bool(row["deleted"]),
        }
    )
