"""What OpenClaw wraps around the words of a human, and how to take it off again.

It knows the texts that OpenClaw 2026.9 puts into a request; `understand` decides what they mean.
Nothing here is applied to the requests of other clients, whose humans may type such texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from align_agent.capture.wire.shape import without_blocks
from align_agent.records import Message

CONTEXT_OPEN = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"
CONTEXT_CLOSE = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"
SYSTEM_MARKS = ("running inside OpenClaw", "<!-- openclaw:attempt")

_MAX_REPORT = 20_000

_STAMP = re.compile(
    r"\A\s*(\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? [\w+:/-]{1,40}\]) ?"
)
_RUNTIME_LINE = re.compile(r"^Runtime: (agent=[^\n]*)$", re.MULTILINE)
_INFO = re.compile(
    r"\A\s*Conversation info: ⟦openclaw:ctx⟧[ \t]*\n```json\n(?P<json>.*?)\n```[ \t]*(?:\n+|\Z)",
    re.DOTALL,
)
_QUEUED = re.compile(r"\[Queued user message [^\]\n]*\][ \t]*\n?")
_RESUME = re.compile(
    r"(?:\A|\n+)Continue the current task from the existing transcript,[^\n]*\s*\Z"
)
_SHARED = re.compile(r":(?:group|channel|room):")
_COMMAND = re.compile(r"\A/(rate|align)\b")
_REACTION = re.compile(
    r"System: \[(?P<at>[^\]\n]+)\] (?P<surface>[^\n:]{1,40}?) reaction (?P<action>added|removed): "
    r"(?P<emoji>\S+) by (?P<by>[^\n]+?) on msg (?P<message>\S+)"
)


@dataclass(frozen=True, slots=True)
class Reaction:
    """One emoji put on, or taken off, a message of the channel. `message` is the channel's id.

    The same reaction may stand in several requests: all fields together tell it apart.
    """

    emoji: str
    action: str  # added, removed
    by: str
    message: str
    surface: str  # telegram, slack, ...
    at: str


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """One message of a user, freed. `stamp` is the moment that OpenClaw wrote before it."""

    text: str
    stamp: str = ""
    sender: str = ""
    internal: bool = False  # nothing in it was a human's


def is_openclaw(messages: Sequence[Message]) -> bool:
    """Whether OpenClaw's own marks stand in the system prompt or in a user's message."""
    for message in messages:
        if message.role == "system" and any(mark in message.content for mark in SYSTEM_MARKS):
            return True
        if message.role == "user" and message.content.lstrip().startswith(CONTEXT_OPEN):
            return True
    return False


def unwrap(content: str) -> Unwrapped:
    """The human's own words in a user's message of OpenClaw."""
    text = without_blocks(content, CONTEXT_OPEN, CONTEXT_CLOSE)
    internal = not text.strip() and bool(content.strip())
    text, _ = _runtime_suffix(text)
    stamp, sender = "", ""
    if found := _STAMP.match(text):
        stamp, text = found[1], text[found.end() :]
    if found := _INFO.match(text):
        sender, text = _sender(found["json"]), text[found.end() :]
    if _QUEUED.match(text):
        text = _RESUME.sub("", _QUEUED.sub("", text).rstrip())
    return Unwrapped(text if text == content else text.strip(), stamp, sender, internal)


def clean(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as a human and a model would have said them, OpenClaw's own left out."""
    kept = []
    for message in messages:
        if message.role != "user":
            kept.append(message)
            continue
        unwrapped = unwrap(message.content)
        if not unwrapped.internal:
            kept.append(Message("user", unwrapped.text))
    # What was typed for our plugin stays in OpenClaw's history, without the plugin's reply.
    human = max((n for n, m in enumerate(kept) if m.role == "user"), default=0)
    return tuple(
        message
        for place, message in enumerate(kept)
        if place == human or message.role != "user" or not _COMMAND.match(message.content)
    )


def runtime(messages: Sequence[Message]) -> dict[str, str]:
    """The fields of the `Runtime:` line: session, sessionId, channel, ... Empty when there is none.

    It ends the first message of the user, or stands in the system prompt.
    """
    for message in messages:
        if message.role not in ("user", "system"):
            continue
        text = without_blocks(message.content, CONTEXT_OPEN, CONTEXT_CLOSE)
        if message.role == "user":
            line = _runtime_suffix(text)[1]
        else:
            found = _RUNTIME_LINE.search(text)
            line = found[1] if found else ""
        if line:
            pairs = (part.partition("=") for part in line.split(" | "))
            return {key.strip(): value.strip() for key, _, value in pairs}
    return {}


def is_shared(session: str) -> bool:
    """Whether a session's key names a group or a channel, where several people may write."""
    return bool(_SHARED.search(session))


def reactions(messages: Sequence[Message]) -> tuple[Reaction, ...]:
    """The emoji reactions that the last internal context reports, in its order.

    Only reports of the system count: other parts of the context quote what people wrote.
    """
    for message in reversed(messages):
        if message.role == "user" and CONTEXT_OPEN in message.content:
            return tuple(
                Reaction(
                    found["emoji"],
                    found["action"],
                    found["by"],
                    found["message"],
                    found["surface"].lower(),
                    found["at"],
                )
                for fragment in _fragments(message.content)
                if fragment.startswith("System: [")
                for found in _REACTION.finditer(fragment[:_MAX_REPORT])
            )
    return ()


def _fragments(content: str) -> list[str]:
    """The parts of an internal context, each of which is a JSON text on a line of its own."""
    fragments = []
    for line in content.partition(CONTEXT_OPEN)[2].partition(CONTEXT_CLOSE)[0].splitlines():
        if not line.startswith('"'):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, str):
            fragments.append(value)
    return fragments


def _runtime_suffix(text: str) -> tuple[str, str]:
    """The text without the `Runtime:` line at its end, and that line's fields."""
    stripped = text.rstrip()
    before, _, last = stripped.rpartition("\n")
    if not last.startswith("Runtime: agent="):
        return text, ""
    return before, last.removeprefix("Runtime: ")


def _sender(block: str) -> str:
    try:
        data = json.loads(block)
    except (ValueError, RecursionError):
        return ""
    sender = data.get("sender") if isinstance(data, dict) else None
    name = sender.get("id") if isinstance(sender, dict) else None
    return str(name) if isinstance(name, str | int) else ""
