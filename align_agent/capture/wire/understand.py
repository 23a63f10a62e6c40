"""What a request is: whose words, which session, main or side, new message or running turn.

Headers, body and messages go in; nothing is stored and no request is refused here. Which
conversation a request belongs to, when no session says so, is the work of `conversations`.

Session, in this order: our own `x-align-agent-session`; `x-openclaw-session-key`; the `Runtime:`
line (the lasting key of OpenClaw); headers and metadata that other clients are known to name a
conversation in; the session id of OpenClaw without its counter. `prompt_cache_key` counts only in
OpenClaw or when a UUID stands in it, since elsewhere many conversations share one. The field
`user` names a person, not a conversation: it becomes `person`, within which histories are matched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from align_agent.capture.wire import openclaw
from align_agent.capture.wire.openclaw import Reaction
from align_agent.capture.wire.side import side_reason
from align_agent.records import Message
from align_agent.store.text import storable

_HEADERS = (
    "x-openwebui-chat-id",
    "x-claude-code-session-id",
    "x-conversation-id",
    "x-session-id",
    "conversation_id",
    "session_id",
    "x-session-affinity",
)
_METADATA = ("session_id", "conversation_id", "thread_id", "chat_id")
_COUNTER = re.compile(r":\d+\Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_TRACE = re.compile(r"\A[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?\Z")
_REMINDER_OPEN, _REMINDER_CLOSE = "<system-reminder>", "</system-reminder>"
_MAX_KEY = 500


@dataclass(frozen=True, slots=True)
class Understood:
    """One request, understood.

    `prompt` is every message up to and including the human's, `since` what followed it (the tool
    calls and results of a running turn), both freed of the client's wrappers.
    """

    channel: str  # openclaw, openai, anthropic, or what the client calls itself
    user_text: str
    prompt: tuple[Message, ...]
    since: tuple[Message, ...] = ()
    session: str = ""  # lasts as long as the conversation; empty when the client names none
    session_id: str = ""  # what the client calls this stretch of it; changes after a reset
    person: str = ""
    surface: str = ""  # telegram, webchat, ...: where the human wrote, when it is known
    sender: str = ""  # the id of the human in the surface's own terms
    main: bool = True
    side_reason: str = ""
    continuation: bool = False  # a tool's result came in: the human said nothing new
    reactions: tuple[Reaction, ...] = ()
    stamp: str = ""  # the moment that OpenClaw wrote before the human's message
    trace_id: str = ""
    span_id: str = ""


def understand(
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    messages: Sequence[Message],
    *,
    tools: bool | None = None,
) -> Understood:
    """Read a request whose messages are converted already. Never raises on any JSON.

    `tools` says whether any are offered; without it the body is asked.
    """
    given = {str(key).lower(): storable(str(value)) for key, value in headers.items()}
    from_openclaw = _is_openclaw(given, messages)
    cleaned = openclaw.clean(messages) if from_openclaw else _unreminded(messages)
    human = max((n for n, m in enumerate(cleaned) if m.role == "user"), default=len(cleaned) - 1)
    prompt, since = cleaned[: human + 1], cleaned[human + 1 :]
    line = openclaw.runtime(messages) if from_openclaw else {}
    session, session_id = _session(given, body, line, from_openclaw)
    last = prompt[-1] if prompt else None
    user_text = last.content if last is not None and last.role == "user" else ""
    reason = side_reason(
        cleaned,
        tools=bool(body.get("tools")) if tools is None else tools,
        openclaw=from_openclaw,
        session=session,
        counted=bool(_COUNTER.search(given.get("session_id", ":0"))),
    ) or ("" if user_text.strip() else "no human text")
    own = _human(messages) if from_openclaw else openclaw.Unwrapped("")
    trace = _TRACE.match(given.get("traceparent", "").strip().lower())
    return Understood(
        channel=_channel(given, from_openclaw),
        user_text=user_text,
        prompt=prompt,
        since=since,
        session=session,
        session_id=session_id,
        person=_person(body),
        surface=line.get("channel", ""),
        sender=own.sender,
        main=not reason,
        side_reason=reason,
        continuation=bool(since),
        reactions=openclaw.reactions(messages) if from_openclaw else (),
        stamp=own.stamp,
        trace_id=trace[1] if trace else "",
        span_id=trace[2] if trace else "",
    )


def _is_openclaw(headers: Mapping[str, str], messages: Sequence[Message]) -> bool:
    """By OpenClaw's marks, or by the three equal headers of its calls beside the conversation."""
    if any(name.startswith("x-openclaw-") for name in headers):
        return True
    names = ("session_id", "x-client-request-id", "x-session-affinity")
    if headers.get("session_id") and len({headers.get(name) for name in names}) == 1:
        return True
    return openclaw.is_openclaw(messages)


def _unreminded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Without the reminders that coding agents put before, after or in place of a user's words."""
    kept = []
    for message in messages:
        if message.role == "user" and _REMINDER_OPEN in message.content:
            text = _own_words(message.content)
            if not text:
                continue
            message = Message("user", text)
        kept.append(message)
    return tuple(kept)


def _own_words(content: str) -> str:
    """The text without whole reminders at its beginning and its end."""
    text, start = content.strip(), 0
    while text.startswith(_REMINDER_OPEN, start):
        end = text.find(_REMINDER_CLOSE, start)
        if end < 0:
            break
        start = end + len(_REMINDER_CLOSE)
        while start < len(text) and text[start].isspace():
            start += 1
    stop = len(text)
    while stop > start and text.endswith(_REMINDER_CLOSE, start, stop):
        begin = text.rfind(_REMINDER_OPEN, start, stop)
        if begin < 0:
            break
        stop = begin
        while stop > start and text[stop - 1].isspace():
            stop -= 1
    return text[start:stop]


def _human(messages: Sequence[Message]) -> openclaw.Unwrapped:
    for message in reversed(messages):
        if message.role == "user":
            unwrapped = openclaw.unwrap(message.content)
            if not unwrapped.internal:
                return unwrapped
    return openclaw.Unwrapped("")


def _channel(headers: Mapping[str, str], from_openclaw: bool) -> str:
    if own := headers.get("x-align-agent-channel", "").strip():
        return own[:40]
    if from_openclaw:
        return "openclaw"
    return "anthropic" if "anthropic-version" in headers else "openai"


def _session(
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    line: Mapping[str, str],
    from_openclaw: bool,
) -> tuple[str, str]:
    """The lasting key, and the client's name for the present stretch. Both may be empty."""
    named = [headers.get(name, "").strip() for name in _HEADERS]
    cache_key = _word(body.get("prompt_cache_key"))
    if not from_openclaw and not _UUID.search(cache_key):
        cache_key = ""
    # The id with its counter says most; the bare one comes where there is no other.
    ids = [*named, cache_key, line.get("sessionId", "")]
    session_id = next((i for i in ids if _COUNTER.search(i)), "") or next(filter(None, ids), "")
    lasting = [
        headers.get("x-align-agent-session", "").strip(),
        headers.get("x-openclaw-session-key", "").strip(),
        line.get("session", ""),
        *named,
        cache_key,
        _of_metadata(body.get("metadata")),
    ]
    session = next(filter(None, lasting), "")
    if from_openclaw and session == session_id:
        session = _COUNTER.sub("", session)
    return session[:_MAX_KEY], session_id[:_MAX_KEY]


def _of_metadata(value: Any) -> str:
    """The conversation that metadata name, also within the `user_id` of Claude Code."""
    if not isinstance(value, Mapping):
        return ""
    for key in _METADATA:
        if found := _word(value.get(key)):
            return found
    user = _word(value.get("user_id"))
    if "_session_" in user:
        return user.rpartition("_session_")[2]
    if user.startswith("{"):
        try:
            data = json.loads(user)
        except (ValueError, RecursionError):
            return ""
        return _word(data.get("session_id")) if isinstance(data, dict) else ""
    return ""


def _person(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    other = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    words = (_word(body.get(key)) for key in ("user", "safety_identifier"))
    return (next(filter(None, words), "") or _word(other))[:_MAX_KEY]


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return storable(str(value)).strip()
