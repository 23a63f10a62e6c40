"""Credit: which tokens of an answer the feedback speaks against, and what it would rather see."""

from __future__ import annotations

from typing import Any

from align_agent.credit import of_turn
from align_agent.errors import InputError
from align_agent.web.desk import Desk
from align_agent.web.words import link

SHOWN = 800
STEPS = (0.05, 0.3, 1.0, 3.0)  # nats: from faint to full colour


def data(desk: Desk) -> dict[str, Any]:
    """The answer token by token, each with its credit; the alternatives at a chosen one.

    Raises InputError where nothing was learned about the answer, or another server answers.
    """
    turn = desk.store.turns.get(desk.text("turn"))
    found = of_turn(desk.store, desk.config, _model(desk), turn).to_dict()
    tokens = found.pop("tokens")[:SHOWN]
    chosen = desk.number("token")
    if chosen is None:  # the one that the feedback speaks against most
        chosen = min(range(len(tokens)), key=lambda place: float(tokens[place]["credit"]))
    return {
        **found,
        "conversation": turn.conversation_id,
        "tokens": [
            {
                **token,
                "level": level(token["credit"]),
                "chosen": place == chosen,
                "href": link("/credit", {"turn": turn.id, "token": place}),
            }
            for place, token in enumerate(tokens)
        ],
        "chosen": tokens[chosen] if chosen < len(tokens) else None,
        "even_level": level(found["even"]),
    }


def _model(desk: Desk) -> Any:
    if desk.model is None:
        raise InputError(
            "another server answers here, and it cannot be asked for this",
            hint="serve without `upstream` in config.yaml",
        )
    return desk.model


def level(credit: float) -> int:
    """From -4, clearly against the token, to 4, clearly for it."""
    steps = sum(abs(credit) >= step for step in STEPS)
    return -steps if credit < 0 else steps
