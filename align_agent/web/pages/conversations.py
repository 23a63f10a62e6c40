"""Conversations: everything that was said, searched and narrowed; then one of them in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from align_agent.errors import InputError, NotFound
from align_agent.records import IMPORTED, Feedback, Turn, version_label
from align_agent.store.connection import Row
from align_agent.store.looks import FACETS, MOST_HITS
from align_agent.web.desk import Desk
from align_agent.web.words import link

PATH = "/conversations"
ONE = "/conversation"
SHOWN = 40
TURNS = 100
WAITING = 8  # readings that wait for a look, shown at once
VALUES = 8  # of a facet, the most frequent
TITLES = {
    "mood": "What you thought",
    "version": "Answered by",
    "channel": "Through",
    "excluded": "Learned from",
}
MOODS = {"negative": "found fault", "positive": "liked", "": "said nothing"}


def data(desk: Desk) -> dict[str, Any]:
    """A page of turns under their conversations, and the ways to narrow them down."""
    search, rule = desk.text("q"), desk.text("rule")
    filters = _filters(desk)
    counted = desk.store.looks.counts(search, rule)
    rows = desk.store.looks.turns(
        search, rule, filters, limit=SHOWN + 1, before=_before(desk.text("before"))
    )
    state = {"q": search, "rule": rule, **{n: desk.text(n) for n in FACETS}}
    total = sum(row["number"] for row in counted if _fits(row, filters))
    more = len(rows) > SHOWN
    rows = rows[:SHOWN]
    return {
        "waiting": [
            {
                "turn": row["turn_id"],
                "conversation": row["conversation_id"],
                "text": row["text"],
                "why": row["review"],
            }
            for row in desk.store.looks.waiting(WAITING)
        ],
        "search": search,
        "rule": None if not rule else {"id": rule, "text": desk.store.rules.get(rule).text},
        "total": total,
        "at_least": bool(search.strip()) and total >= MOST_HITS,
        "facets": facets(counted, filters, state),
        "conversations": _grouped(rows),
        "next": link(PATH, state, before=_mark(rows[-1])) if more else "",
        "first": link(PATH, state) if desk.text("before") else "",
        "state": {key: value for key, value in state.items() if value and key != "q"},
    }


def _filters(desk: Desk) -> dict[str, Any]:
    """The facets that the URL narrows; a mood of "none" is the empty one."""
    found: dict[str, Any] = {}
    for name in ("mood", "channel"):
        if text := desk.text(name):
            found[name] = "" if (name, text) == ("mood", "none") else text
    if desk.text("version") == version_label(IMPORTED):
        found["version"] = IMPORTED
    for name in ("version", "excluded"):
        if name in found:
            continue
        number = desk.number(name)
        if number is not None:
            found[name] = number
    return found


def _before(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    moment, _, number = text.rpartition("_")
    if not moment or not number.isascii() or not number.isdigit():
        raise InputError(f"there is no page before {text[:40]!r}", hint="begin with the first")
    return moment, int(number)


def _mark(row: Row) -> str:
    return f"{row['created_at']}_{row['number']}"


def _fits(row: Row, filters: Mapping[str, Any], without: str = "") -> bool:
    return all(row[name] == value for name, value in filters.items() if name != without)


def facets(
    counted: Sequence[Row], filters: Mapping[str, Any], state: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Each facet's values with the number of turns that the other facets leave, as links."""
    found = []
    for name in FACETS:
        numbers: Counter[Any] = Counter()
        for row in counted:
            if _fits(row, filters, without=name):
                numbers[row[name]] += row["number"]
        chosen = filters.get(name)
        values = [value for value, _ in numbers.most_common(VALUES)]
        if name in filters and chosen not in values:
            values.append(chosen)
        if len(numbers) > 1 or name in filters:
            found.append(
                {
                    "name": name,
                    "title": TITLES[name],
                    "values": [
                        {
                            "text": _said(name, value),
                            "number": numbers[value],
                            "chosen": name in filters and value == chosen,
                            "href": link(
                                PATH,
                                state,
                                **{
                                    name: ""
                                    if name in filters and value == chosen
                                    else _written(name, value)
                                },
                            ),
                        }
                        for value in values
                    ],
                }
            )
    return found


def _said(name: str, value: Any) -> str:
    if name == "mood":
        return MOODS.get(value, str(value))
    if name == "version":
        return version_label(value)
    if name == "excluded":
        return "left out" if value else "may be learned from"
    return str(value)


def _written(name: str, value: Any) -> str:
    if (name, value) == ("version", IMPORTED):
        return version_label(IMPORTED)
    return "none" if (name, value) == ("mood", "") else str(value)


def _grouped(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Turns that follow each other in the list and belong together stand together."""
    groups: list[dict[str, Any]] = []
    for row in rows:
        if not groups or groups[-1]["id"] != row["conversation_id"]:
            groups.append({"id": row["conversation_id"], "channel": row["channel"], "turns": []})
        groups[-1]["turns"].append(
            {
                "id": row["id"],
                "at": row["created_at"],
                "user": row["user_text"],
                "answer": row["answer"],
                "version": version_label(row["version"]),
                "mood": row["mood"],
                "excluded": bool(row["excluded"]),
            }
        )
    return groups


def one(desk: Desk) -> dict[str, Any]:
    """One conversation, turn by turn, with what was understood of the user's opinion."""
    conversation = desk.text("id")
    start = desk.number("from") or 0
    rows = desk.store.looks.conversation(conversation, start, TURNS + 1)
    if not rows:
        raise NotFound(
            f"there is no conversation `{conversation[:80]}`", hint="it may have been forgotten"
        )
    turns = [desk.store.turns.get(row["id"]) for row in rows[:TURNS]]
    following = rows[TURNS]["position"] if len(rows) > TURNS else None
    return {
        "id": conversation,
        "channel": turns[0].channel,
        "started_at": turns[0].created_at,
        "turns": [_turn(desk, turn) for turn in turns],
        "next": "" if following is None else link(ONE, {"id": conversation, "from": following}),
        "first": link(ONE, {"id": conversation}) if start else "",
    }


def _turn(desk: Desk, turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "at": turn.created_at,
        "user": turn.user_text,
        "answer": turn.answer,
        "version": turn.answered_by,
        "base": turn.base,
        "main": turn.main,
        "excluded": turn.excluded,
        "finish_reason": turn.finish_reason,
        "tools": [
            {"name": call.name, "arguments": call.arguments}
            for message in turn.response
            for call in message.tool_calls
        ],
        "feedback": [opinion(f) for f in desk.store.feedback.for_turn(turn.id)],
    }


KINDS = {
    "follow_up": "your next message",
    "retry": "you asked again",
    "rating": "your rating",
    "gap": "measured by the model",
    "reaction": "your reaction",
    "edit": "you wrote it anew",
}


def opinion(feedback: Feedback) -> dict[str, Any]:
    """A piece of feedback as a person reads it."""
    return {
        "id": feedback.id,
        "kind": feedback.kind,
        "from": KINDS.get(feedback.kind, feedback.kind.replace("_", " ")),
        "polarity": feedback.polarity,
        "category": feedback.category,
        "confidence": feedback.confidence,
        "text": feedback.text,
        "evidence": feedback.evidence,
        "detector": feedback.detector,
        "dismissed": feedback.dismissed,
        "review": feedback.review,
    }
