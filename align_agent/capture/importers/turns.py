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
    turns = []
    for number, (start, end) in enumerate(starts):
        following = starts[number + 1][0] if number + 1 < len(starts) else len(chat.messages)
        turns.append(_turn(chat, number, start, end, following))
    return turns


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


def _turn(chat: ImportedChat, number: int, start: int, end: int, following: int) -> Turn:
    prompt = chat.messages[:end]
    # A system message between two turns belongs to the next prompt alone.
    response = tuple(m for m in chat.messages[end:following] if m.role in ("assistant", "tool"))
    answers = [message.content for message in response if message.role == "assistant"]
    return Turn(
        id=_turn_id(chat.conversation_id, prompt, response),
        conversation_id=chat.conversation_id,
        prompt=prompt,
        response=response,
        user_text="\n\n".join(message.content for message in chat.messages[start:end]),
        answer=answers[-1] if answers else "",
        created_at=_later(chat.created_at, number),
        channel=chat.channel,
    )


def _turn_id(conversation: str, prompt: Sequence[Message], response: Sequence[Message]) -> str:
    content = [conversation, [m.to_dict() for m in prompt], [m.to_dict() for m in response]]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"turn-{digest[:20]}"


def _later(moment: str, seconds: int) -> str:
    """Exports rarely say when each message was: a second apart keeps their order."""
    try:
        then = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return moment
    return then.isoformat(timespec="microseconds")
