"""Trial: one prompt on two versions, side by side, without saying which is which before a vote."""

from __future__ import annotations

from typing import Any

from align_agent.web import trials
from align_agent.web.desk import Desk
from align_agent.web.pages.versions import choices


def form(desk: Desk) -> dict[str, Any]:
    """What can be asked of whom."""
    found = choices(desk)
    names = [
        desk.text("a") or next((n for n in found if n != "base"), "base"),
        desk.text("b") or "base",
    ]
    return {"choices": found, "a": names[0], "b": names[1], "prompt": desk.text("prompt")}


def one(desk: Desk) -> dict[str, Any]:
    """The two answers."""
    return trials.shown(desk.store, desk.text("id"))
