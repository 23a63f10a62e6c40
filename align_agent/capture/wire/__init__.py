"""Text as it arrives from outside, made safe to store and to show a model. Redacts nothing."""

from __future__ import annotations

from align_agent.store.text import storable

MAX_CHARS = 200_000
_HEAD_SHARE = 0.75
_NOTE_ROOM = 64

__all__ = ["MAX_CHARS", "cut", "sanitize_text", "shorten"]


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
