"""What arrives from outside: text made safe, and requests of agent clients read. Redacts nothing.

`read_request` gives messages and tools, `understand` says whose words they are. On top of them,
imported by their own names: `conversations` finds the conversation, `turn` builds what is recorded.
"""

from __future__ import annotations

from typing import Any, Literal

from align_agent.capture.wire.anthropic import read_anthropic
from align_agent.capture.wire.chat import read_chat
from align_agent.capture.wire.responses import read_responses
from align_agent.capture.wire.understand import Understood, understand
from align_agent.records import Message
from align_agent.store.text import storable

MAX_CHARS = 200_000
_HEAD_SHARE = 0.75
_NOTE_ROOM = 64

Api = Literal["chat", "responses", "messages"]
_READERS = {"chat": read_chat, "responses": read_responses, "messages": read_anthropic}

__all__ = [
    "MAX_CHARS",
    "Api",
    "Understood",
    "cut",
    "read_request",
    "sanitize_text",
    "shorten",
    "understand",
]


def read_request(api: Api, body: Any) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """The messages and the tools (OpenAI's format) of a request to one of the three doors.

    Raises InputError, which names the field: "`messages[2].content` must be ...".
    """
    return _READERS[api](body)


def sanitize_text(text: str) -> str:
    """The text without NUL and lone surrogates, and at most `MAX_CHARS` characters long.

    Of a longer one the beginning and the end are kept, with a note between. Doing it twice
    changes nothing more.
    """
    return shorten(storable(text))


def shorten(text: str, limit: int = MAX_CHARS) -> str:
    """The text, or its beginning and end with a note of what was left out between them."""
    if len(text) <= limit:
        return text
    head, tail, note = cut(len(text), limit)
    return text[:head] + note + text[len(text) - tail :]


def cut(length: int, limit: int = MAX_CHARS) -> tuple[int, int, str]:
    """How many characters to keep at the beginning and the end of a longer text, and the note.

    Head, note and tail together have at most `limit` characters, which must be 64 or more.
    """
    room = limit - _NOTE_ROOM
    head = int(room * _HEAD_SHARE)
    return head, room - head, f"\n[... {length - room:,} characters left out ...]\n"
