"""What the tests of the command line share: the result of a call, and turns to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from align_agent.records import Message, Turn


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


def turn(number: int, conversation: str = "c-1", **changes: Any) -> Turn:
    user, answer = f"What is {number} plus 1?", f"**Final Answer: {number + 1}**"
    fields: dict[str, Any] = {
        "id": f"turn-{number:020d}"[:5] + f"{number:x}" * 8,
        "conversation_id": conversation,
        "prompt": (Message("user", user),),
        "response": (Message("assistant", answer),),
        "user_text": user,
        "answer": answer,
        "base": "pocket",
        "created_at": f"2026-01-0{number}T10:00:00.000000+00:00",
    }
    return Turn(**{**fields, **changes})
