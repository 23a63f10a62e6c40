"""What the tables of the store share: finding by an id or the beginning of one, JSON columns."""

from __future__ import annotations

import json
from typing import Any

from align_agent.errors import NotFound
from align_agent.store.connection import Connection, Row

_PAST_EVERY_TEXT = "\U0010ffff"


class Nouns:
    """One noun of the store. `connection` is shared by all of them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _find(self, table: str, noun: str, prefix: str, wanted: str) -> Row:
        """The row whose id is `wanted`, or the only one that begins with it.

        The part before the dash, such as `turn-`, may be left out. Raises NotFound.
        """
        columns = f'select * from "{table}"'  # noqa: S608
        row = self.connection.row(f"{columns} where id = ?", [wanted])
        if row is not None:
            return row
        beginnings = [wanted] if wanted else []
        if wanted and not wanted.startswith(prefix):
            beginnings.append(prefix + wanted)
        found = []
        for beginning in beginnings:
            found += self.connection.rows(
                f"{columns} where id >= ? and id < ? limit 3",
                [beginning, beginning + _PAST_EVERY_TEXT],
            )
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(row["id"] for row in found[:3])
            raise NotFound(
                f"`{wanted}` is the beginning of more than one {noun}: {names}",
                hint="give more of the id",
            )
        raise NotFound(
            f"there is no {noun} `{wanted}`", hint=f"`align-agent {table} list` shows those there"
        )


def dumps(value: Any) -> str:
    """JSON for a column. Escapes every character beyond ASCII, so it is always storable.

    Keeps the order of keys: a tool call is shown to the model as it was written.
    """
    return json.dumps(value, separators=(",", ":"))


def loads(text: str | None) -> Any:
    """The value of a JSON column; None when it is empty."""
    return json.loads(text) if text else None
