"""What a person means by `forget WHAT`: a turn, a conversation, or words wherever they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from align_agent.errors import InputError, NotFound
from align_agent.store import Store

Kind = Literal["turn", "conversation", "query"]
KINDS: tuple[Kind, ...] = ("turn", "conversation", "query")

_MIN_QUERY = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten. `what` is an id, or the words of a query."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"everything that holds {self.what!r}" if self.kind == "query" else self.what


def meant(store: Store, what: str, kind: Kind | None = None) -> Wanted:
    """The turn or conversation of that id, else a query. Raises NotFound, InputError.

    A turn may be named by the beginning of its id, as everywhere.
    """
    what = what.strip()
    if kind == "query":
        return Wanted("query", _query(what))
    if kind != "turn" and store.turns.list(limit=1, conversation=what):
        return Wanted("conversation", what)
    if kind == "conversation":
        raise NotFound(
            f"there is no conversation `{what}`",
            hint="`align-agent turns show ID` names the conversation of a turn",
        )
    if kind == "turn" or what.startswith("turn-") or store.turns.has(what):
        return Wanted("turn", store.turns.get(what).id)
    return Wanted("query", _query(what))


def _query(what: str) -> str:
    if len(what) < _MIN_QUERY:
        raise InputError(
            f"{what!r} is too short a query: it would take nearly everything",
            hint=f"give at least {_MIN_QUERY} characters, or the id of a turn or conversation",
        )
    return what
