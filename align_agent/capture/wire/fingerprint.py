"""What stays the same when a client sends a conversation again. Pure; knows no conversation.

Clients replay what they were told, but not exactly: ids of tool calls lose signs, arguments are
written anew, thoughts are taken out, whitespace changes. So a message counts by its role, its
words and the names of the tools that it calls. System prompts do not count: they hold the date.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence

from align_agent.capture.wire.shape import without_blocks
from align_agent.records import Message

_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))


def normalised(message: Message, clean: Callable[[str], str] | None = None) -> str:
    """The words of a message as they are compared. `clean` is what the store does to a text."""
    text = message.content if clean is None else clean(message.content)
    if message.role == "assistant":
        text = without_thoughts(text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def without_thoughts(text: str) -> str:
    """The text without `<think>` blocks; a block whose beginning or end is missing goes too."""
    for opening, closing in _THOUGHTS:
        before, mark, after = text.partition(closing)
        if mark and opening not in before:  # the template had opened it
            text = after
        text = without_blocks(text, opening, closing)
    return text


def fingerprint(message: Message, clean: Callable[[str], str] | None = None) -> str:
    """The digest of one message. Equal for all replays of it."""
    names = [call.name for call in message.tool_calls]
    return digest(message.role, normalised(message, clean), *names)


def prefixes(
    messages: Sequence[Message], seed: str, clean: Callable[[str], str] | None = None
) -> list[str]:
    """For each message the digest of everything up to it. `seed` keeps strangers apart.

    A system message has the digest of what stands before it. An assistant's message in which
    nothing is left once its thoughts are gone does not count either: clients drop it.
    """
    found = []
    state = seed
    for message in messages:
        if message.role != "system" and not _is_nothing(message, clean):
            state = digest(state, fingerprint(message, clean))
        found.append(state)
    return found


def _is_nothing(message: Message, clean: Callable[[str], str] | None) -> bool:
    if message.role != "assistant" or message.tool_calls:
        return False
    return not normalised(message, clean)


def digest(*parts: str) -> str:
    """A short digest of texts; where one ends and the next begins counts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
