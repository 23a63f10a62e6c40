"""A chat to turns with stable ids: importing the same chat twice gives the same turns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from align_agent.capture.importers.chats import ImportedChat
from align_agent.errors import InputError
from align_agent.records import Message, Turn


def to_turns(chat: ImportedChat) -> list[Turn]:
    """The turns of a chat, oldest first.

    Messages of the user that follow each other make one turn. A last one without an answer makes a
    turn with an empty answer: it is the follow-up of the turn before it. Raises InputError when
    there is no user turn.
    """
    starts = _starts(chat.messages)
    if not starts:
        raise InputError(
            f"{chat.place or chat.conversation_id}: a conversation without any message of a user",
            hint="nothing can be learned from it; remove it, or correct the roles "
            "(user, assistant, system, tool)",
        )
    ids = _turn_ids(chat, [start for start, _ in starts[1:]])
    return [
        _turn(chat, number, span, turn_id)
        for number, (span, turn_id) in enumerate(zip(_spans(chat, starts), ids, strict=True))
    ]


def _starts(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """For each turn: where the user's messages begin, and the place after the last of them."""
    starts: list[tuple[int, int]] = []
    for place, message in enumerate(messages):
        if message.role != "user":
            continue
        if starts and starts[-1][1] == place:
            starts[-1] = (starts[-1][0], place + 1)
        else:
            starts.append((place, place + 1))
    return starts


def _spans(chat: ImportedChat, starts: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """For each turn: begin and end of the user's messages, and where the next turn begins."""
    nexts = [start for start, _ in starts[1:]] + [len(chat.messages)]
    return [(start, end, following) for (start, end), following in zip(starts, nexts, strict=True)]


def _turn(chat: ImportedChat, number: int, span: tuple[int, int, int], turn_id: str) -> Turn:
    start, end, following = span
    # A system message between two turns belongs to the next prompt alone.
    response = tuple(m for m in chat.messages[end:following] if m.role in ("assistant", "tool"))
    answers = [message.content for message in response if message.role == "assistant"]
    return Turn(
        id=turn_id,
        conversation_id=chat.conversation_id,
        prompt=chat.messages[:end],
        response=response,
        user_text="\n\n".join(message.content for message in chat.messages[start:end]),
        answer=answers[-1] if answers else "",
        created_at=_later(chat.created_at, number),
        channel=chat.channel,
    )


def _turn_ids(chat: ImportedChat, cuts: Sequence[int]) -> list[str]:
    """An id for each turn: the digest of the conversation's id and all messages to its end."""
    digest = hashlib.sha256(json.dumps(chat.conversation_id).encode())
    ids = []
    for begin, end in zip((0, *cuts), (*cuts, len(chat.messages)), strict=True):
        for message in chat.messages[begin:end]:
            digest.update(json.dumps(message.to_dict(), sort_keys=True).encode())
        ids.append(f"turn-{digest.hexdigest()[:20]}")
    return ids


def _later(moment: str, seconds: int) -> str:
    """Exports rarely say when each message was: a second apart keeps their order."""
    try:
        then = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return moment
    return then.isoformat(timespec="microseconds")
