"""What a person says to a tool call before it is done: yes, no and why, or yes but so. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from align_agent.errors import UsageError
from align_agent.records import ToolCall

NOBODY = "nobody is here to approve it"
HINT = "y: yes; n WHY: no, and what would be better; e {...}: yes, with these arguments (JSON)"


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` belongs to a denial, `arguments` to an edit. `anew`: something was learned from
    the denial, so that the call is taken out and the model is asked again."""

    verdict: Literal["approve", "deny", "edit"]
    reason: str = ""
    arguments: dict[str, Any] | None = None
    anew: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As it goes into the graph."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Decision:
        return Decision(**data)


APPROVED = Decision("approve")
Approve = Callable[[ToolCall], Decision]


def nobody(call: ToolCall) -> Decision:
    """What stands in where no person can be asked."""
    return Decision("deny", NOBODY)


def denial(reason: str) -> str:
    """What the model reads in place of the call's result."""
    return f"error: the user denied this call{f': {reason}' if reason else ''}"


def decision_of(line: str) -> Decision:
    """What a person typed. Raises UsageError for what is none of the three."""
    word, _, rest = line.strip().partition(" ")
    word, rest = word.lower(), rest.strip()
    if word in ("y", "yes") and not rest:
        return APPROVED
    if word in ("n", "no", "n:", "no:", "no,"):
        return Decision("deny", rest)
    if word in ("e", "edit"):
        try:
            arguments = json.loads(rest)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise UsageError("after e comes a JSON object with all arguments", hint=HINT)
        return Decision("edit", arguments=arguments)
    raise UsageError("yes, no, or edit?", hint=HINT)
