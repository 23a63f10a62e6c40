"""Which requests are not the human's: titles, heartbeats, compaction. Reads texts, keeps nothing.

A request for a tool's result to be read on is no side traffic: it belongs to the human's turn.
In doubt a request is the human's, because a lost message teaches nothing and looks like a fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from align_agent.capture.wire.openclaw import SYSTEM_MARKS
from align_agent.records import Message

_COMPACTION = re.compile(
    r"\bcontext summarization assistant\b"
    r"|\b(summariz|compact)\w* (this|the) conversation (so far|history)\b",
    re.IGNORECASE,
)
_TITLE_SYSTEM = re.compile(
    r"\b(title generator|(generate|create|write|produce)s? (a |an |the )?"
    r"([\w-]+,? ){0,4}titles?\b)",
    re.IGNORECASE,
)
_SKILL = re.compile(r"\bskill[ -](review|curat|workshop)\w*", re.IGNORECASE)
# Ready-made instructions that chat clients send with the conversation quoted below them.
_TASK = re.compile(
    r"\b(titles?|tags|follow-?up questions?|summary|summarize|search quer(y|ies)|emoji)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r"<(chat_history|conversation|transcript)>|^[#*\[ ]{0,8}(user|human)[\]* ]{0,4}:",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_SYSTEM = 4_000  # instructions for one small task are short
_MAX_LEAD = 2_000

_OPENCLAW_TEXTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("heartbeat", re.compile(r"\A(Follow the heartbeat|Read HEARTBEAT\.md|\[heartbeat)", re.I)),
    ("session start", re.compile(r"\AA new session was started via /(new|reset)")),
    ("compaction", re.compile(r"\APre-compaction memory flush")),
    (
        "second try",  # OpenClaw's own words after an answer that it could not show
        re.compile(
            r"\A(The previous (attempt|assistant turn) (did not|completed|recorded|compacted) "
            r"|Your previous response was only an acknowledgement "
            r"|Continue from the recovered transcript and finish )"
        ),
    ),
)
_OPENCLAW_KEYS = ("cron", "subagent", "hook")


def side_reason(
    messages: Sequence[Message],
    *,
    tools: bool,
    openclaw: bool = False,
    session: str = "",
    counted: bool = True,
) -> str:
    """Why a request is not the human's; empty when it is.

    `messages` are cleaned. `counted` is false when OpenClaw's session header lacks its `:N`, as in
    calls that it makes beside the conversation.
    """
    system = "\n".join(m.content for m in messages if m.role == "system")
    text = next((m.content for m in reversed(messages) if m.role == "user"), "")
    if openclaw:
        for reason, pattern in _OPENCLAW_TEXTS:
            if pattern.match(text):
                return reason
        if kind := _kind_of_session(session):
            return kind
    if any(mark in system for mark in SYSTEM_MARKS):
        return ""
    if tools:
        return ""
    if len(system) <= _MAX_SYSTEM:
        if _COMPACTION.search(system):
            return "compaction"
        if _TITLE_SYSTEM.search(system) and _single(messages):
            return "title"
        if openclaw and _SKILL.search(system):
            return "skill review"
    if _is_task(messages, text):
        return "client task"
    return "utility call" if openclaw and not counted else ""


def _kind_of_session(key: str) -> str:
    """What runs in a session such as `agent:main:cron:daily`; empty where a human writes."""
    parts = key.split(":")
    if parts[0] in _OPENCLAW_KEYS:
        return parts[0]
    if len(parts) > 3 and parts[2] in _OPENCLAW_KEYS:
        return parts[2]
    return "heartbeat" if len(parts) > 3 and parts[2:] == ["main", "heartbeat"] else ""


def _single(messages: Sequence[Message]) -> bool:
    """Whether nothing was answered yet: a person who talks with a writer of titles goes on."""
    return not any(message.role == "assistant" for message in messages)


def _is_task(messages: Sequence[Message], text: str) -> bool:
    if not _single(messages):
        return False
    quoted = _QUOTED.search(text)
    if quoted is None:
        return False
    lead = text[:_MAX_LEAD]
    return text.startswith("### Task:") or bool(_TASK.search(lead[: max(quoted.start(), 1)]))
