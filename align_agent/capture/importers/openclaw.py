"""OpenClaw's own sessions to `ImportedChat`s: its JSON lines, and the database that it keeps now.

A session is a tree of events; its last branch is taken. Heartbeats and slash commands are no
conversation: they and what was answered to them are left out. The database is only read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent.capture.importers.chats import ImportedChat, moment
from align_agent.capture.wire import openclaw
from align_agent.capture.wire.side import side_reason
from align_agent.errors import InputError
from align_agent.records import Message, ToolCall

CHANNEL = "import:openclaw"
Known = Callable[[str], bool]
_CURE = (
    "name a session's .jsonl file, an openclaw-agent.sqlite, or a folder that holds some, such as "
    "~/.openclaw/agents"
)


@dataclass(frozen=True, slots=True)
class _Session:
    place: str
    events: list[dict[str, Any]]


def read_sessions(
    path: Path, known: Known, *, problems: list[InputError]
) -> tuple[list[ImportedChat], int]:
    """The chats of a file or folder, and how many sessions were left out because they are known.

    `known` says whether an answer's id is one of ours: such a session was recorded as it happened.
    What cannot be read is added to `problems`. Raises InputError when there is no session at all.
    """
    chats, left_out, seen = [], 0, 0
    for session in _sessions(path, problems):
        seen += 1
        messages = _branch(session.events)
        if any(known(str(m.get("responseId") or "")) for m in messages):
            left_out += 1
            continue
        try:
            chat = _chat(session, messages)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            cause = type(error).__name__
            problems.append(InputError(f"{session.place}: no session ({cause})", hint=_CURE))
            continue
        if chat is not None:
            chats.append(chat)
    if not seen and not problems:
        raise InputError(f"{path} holds no session of OpenClaw", hint=_CURE)
    return chats, left_out


def _sessions(path: Path, problems: list[InputError]) -> Iterator[_Session]:
    for file in _files(path):
        try:
            if file.suffix == ".sqlite":
                yield from _of_database(file, problems)
            else:
                yield from _of_lines(file, problems)
        except (OSError, sqlite3.Error) as error:
            problems.append(InputError(f"{file} cannot be read: {error}", hint=_CURE))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [*path.rglob("*.jsonl"), *path.rglob("openclaw-agent.sqlite")]
    return sorted(file for file in found if not file.name.startswith("."))


def _of_lines(file: Path, problems: list[InputError]) -> Iterator[_Session]:
    events = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip(b"\xef\xbb\xbf \t\r\n"):
                continue
            event = _parsed(line)
            if event is None:
                place = f"{file.name} line {number}"
                problems.append(InputError(f"{place}: not a JSON object", hint=_CURE))
            else:
                events.append(event)
    if events and events[0].get("type") == "session":
        yield _Session(file.name, events)
    elif events:
        problems.append(InputError(f"{file.name} is no session of OpenClaw", hint=_CURE))


def _of_database(file: Path, problems: list[InputError]) -> Iterator[_Session]:
    uri = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        ids = [row[0] for row in connection.execute("select session_id from session_windows")]
        for session_id in sorted(ids):
            rows = connection.execute(
                "select event_json from transcript_events where session_id = ? order by seq",
                [session_id],
            ).fetchall()
            place = f"{file.name} session {session_id}"
            # Long sessions are packed with zstd, which Python 3.11 cannot unpack.
            if any(row[0] is None for row in rows):
                cure = "export it with `openclaw sessions export-trajectory`"
                problems.append(InputError(f"{place} is packed", hint=cure))
                continue
            events = [_parsed(row[0].encode()) for row in rows]
            yield _Session(place, [event for event in events if event is not None])


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _branch(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages from the root to the last event, in their order."""
    by_id = {str(e["id"]): e for e in events if "id" in e and "parentId" in e}
    path: list[dict[str, Any]] = []
    here = next(reversed(by_id), None)
    while here in by_id:
        event = by_id.pop(here)
        path.append(event)
        here = str(event.get("parentId"))
    kept = [event.get("message") for event in reversed(path) if event.get("type") == "message"]
    return [message for message in kept if isinstance(message, dict)]


def _chat(session: _Session, found: list[dict[str, Any]]) -> ImportedChat | None:
    messages: list[Message] = []
    aside = False
    for item in found:
        message = _message(item)
        if message is None:
            continue
        if message.role == "user":
            aside = _is_aside(item, message)
        if not aside:
            messages.append(message)
    if not any(message.role == "user" for message in messages):
        return None
    head = session.events[0]
    return ImportedChat(
        conversation_id=f"{CHANNEL}:{head.get('id', session.place)}",
        messages=tuple(messages),
        created_at=moment(head.get("timestamp")) or moment(0),
        channel=CHANNEL,
        place=session.place,
    )


def _is_aside(item: dict[str, Any], message: Message) -> bool:
    """Whether no human said this, or not to the model."""
    provenance = item.get("provenance")
    if isinstance(provenance, dict) and provenance.get("kind") == "internal_system":
        return True
    if message.content.startswith(("/", "[OpenClaw ")) or not message.content.strip():
        return True
    return bool(side_reason([message], tools=True, openclaw=True))


def _message(item: dict[str, Any]) -> Message | None:
    role, text = item.get("role"), _text(item.get("content"))
    if role == "user":
        unwrapped = openclaw.unwrap(text)
        return None if unwrapped.internal else Message("user", unwrapped.text)
    if role == "assistant":
        return Message("assistant", text, tuple(_calls(item.get("content"))))
    if role == "toolResult":
        return Message("tool", text, tool_call_id=str(item.get("toolCallId") or ""))
    return None  # what extensions put in


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [p["text"] for p in parts if isinstance(p, dict) and p.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _calls(content: Any) -> Iterator[ToolCall]:
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and part.get("type") == "toolCall":
            given = part.get("arguments")
            arguments = given if isinstance(given, dict) else {"value": given}
            yield ToolCall(str(part.get("id") or ""), str(part.get("name") or "?"), arguments)
