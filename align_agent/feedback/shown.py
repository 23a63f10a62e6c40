"""What somebody showed instead of saying it: an answer as it should have been, a document to go by;
and what was said to a call of a tool.

Kept as Feedback beside the turn, like words. What the teacher sees of it is `distill/hindsight.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from align_agent.errors import InputError
from align_agent.records import Feedback, now

if TYPE_CHECKING:
    from align_agent.store import Store

EDIT = "edit"  # the user wrote an answer anew
DEMONSTRATION = "demonstration"  # a file showed how to answer
DOCUMENT = "document"  # a skill or a style guide says how to answer
SHOWN = (EDIT, DEMONSTRATION, DOCUMENT)
DENIAL = "denial"  # the user denied a call of a tool, and said why
DETECTOR = "shown-1"
MAX_TEXT = 64_000


def edit(store: Store, turn_id: str, text: str) -> Feedback:
    """Note the answer that the user would have wanted; it replaces an earlier one of the same turn.

    Raises InputError for an answer that is empty, enormous or unchanged, NotFound, StoreError.
    """
    text = text.strip()
    turn = store.turns.get(turn_id)
    if not text:
        raise InputError("the new answer is empty", hint="write the answer as it should be")
    if len(text) > MAX_TEXT:
        raise InputError(
            f"the new answer has {len(text):,} characters", hint=f"use at most {MAX_TEXT:,}"
        )
    if text == turn.answer.strip():
        raise InputError("the new answer is the old one", hint="change what should be otherwise")
    found = Feedback(
        turn.id, EDIT, "negative", "rewritten", 1.0, text, DETECTOR, "you wrote it anew",
        created_at=now(),
    )  # fmt: skip
    with store.transaction():
        for earlier in store.feedback.for_turn(turn.id):
            if earlier.kind == EDIT and not earlier.dismissed:
                store.feedback.dismiss(earlier.id)
        store.feedback.add(found)
    return found


def deny(store: Store, turn_id: str, reason: str, tool: str) -> Feedback:
    """Note why the user denied the call that a turn ends in. Raises NotFound, StoreError."""
    found = Feedback(
        turn_id, DENIAL, "negative", "tool", 1.0, reason.strip()[:MAX_TEXT], DETECTOR,
        f"you denied its call of {tool}", created_at=now(),
    )  # fmt: skip
    store.feedback.add(found)
    return found


def latest(feedback: Iterable[Feedback]) -> tuple[str, str]:
    """(the demonstration, the document) that stands for a turn now; empty where there is none."""
    valid = [f for f in feedback if not f.dismissed and not f.review and f.text.strip()]
    answers = [f.text.strip() for f in valid if f.kind in (EDIT, DEMONSTRATION)]
    documents = [f.text.strip() for f in valid if f.kind == DOCUMENT]
    return (answers or [""])[-1], (documents or [""])[-1]


def document_checks(text: str) -> list[dict[str, object]]:
    """The checks of those lines of a document that say a wish which a program can check."""
    from align_agent.directions import DIRECTIONS, direction_of_text
    from align_agent.feedback.wishes import check_for

    found: list[dict[str, object]] = []
    for line in text.splitlines():
        wish = line.strip().lstrip("-*0123456789.) ").strip()
        key = direction_of_text(wish)
        check = DIRECTIONS[key].check if key else check_for(wish)
        if check and dict(check) not in found:
            found.append(dict(check))
    return found
