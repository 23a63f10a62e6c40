"""Files of chats to `ImportedChat`s: finding each record, and naming the line of a bad one."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from align_agent.capture.importers.formats import Chat, UnreadableError, parse
from align_agent.errors import InputError
from align_agent.records import Message

_MAX_JSON_BYTES = 2_000_000_000
_CURE = (
    "each line must be one chat: OpenAI `messages`, ShareGPT `conversations`, or `context` and "
    "`user`; a ChatGPT export is imported as conversations.json or as its zip"
)


@dataclass(frozen=True, slots=True)
class ImportedChat:
    """One chat of a file. `place` says where it stood, such as `chats.jsonl line 3`."""

    conversation_id: str
    messages: tuple[Message, ...]
    created_at: str
    channel: str
    place: str = ""


def read_chats(path: Path, *, problems: list[InputError] | None = None) -> list[ImportedChat]:
    """All chats of a file.

    What cannot be read raises InputError naming the line; with a list in `problems` the errors
    are collected there, and the other chats are still returned.
    """
    path = Path(path)
    fallback = _file_time(path)
    chats = []
    for place, record in _records(path, problems):
        try:
            if isinstance(record, _BadRecord):
                raise InputError(f"{place}: {record.cause}", hint=_CURE)
            chats.append(_chat(record, place, fallback))
        except InputError as error:
            if problems is None:
                raise
            problems.append(error)
    if not chats and not problems:
        raise InputError(f"{path} holds no chat", hint=_CURE)
    return chats


@dataclass(frozen=True, slots=True)
class _BadRecord:
    cause: str


def _chat(record: Any, place: str, fallback: str) -> ImportedChat:
    try:
        chat: Chat = parse(record)
    except UnreadableError as error:
        raise InputError(f"{place}: {error}", hint=_CURE) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        cause = type(error).__name__
        raise InputError(f"{place}: not a chat in a known format ({cause})", hint=_CURE) from error
    digest = hashlib.sha256(
        json.dumps([message.to_dict() for message in chat.messages], sort_keys=True).encode()
    ).hexdigest()
    return ImportedChat(
        conversation_id=f"{chat.channel}:{chat.id or digest[:20]}",
        messages=chat.messages,
        created_at=moment(chat.created) or fallback,
        channel=chat.channel,
        place=place,
    )


def _records(path: Path, problems: list[InputError] | None) -> Iterator[tuple[str, Any]]:
    """(place, parsed record) of everything in the file."""
    try:
        if zipfile.is_zipfile(path):
            yield from _zipped(path)
            return
        with path.open("rb") as file:
            start = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
            file.seek(0)
            if start.startswith(b"["):
                yield from _whole(path.name, _read_all(file, path))
            elif _first_line_is_whole(path):
                yield from _lines(path.name, file)
            else:
                yield from _whole(path.name, _read_all(file, path))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file that exists"
        ) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} is a damaged or encrypted zip file", hint="export it once more"
        ) from error


def _first_line_is_whole(path: Path) -> bool:
    """Whether the first line with anything on it is a JSON value of its own: JSON lines."""
    with path.open("rb") as file:
        for line in file:
            if line.strip(b"\xef\xbb\xbf \t\r\n"):
                return not isinstance(_parse(line), _BadRecord) or line.rstrip().endswith(b"}")
    return True


def _lines(name: str, lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield f"{name} line {number}", _parse(line)


def _whole(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    """One JSON value: a list of chats, or a single one."""
    value = _parse(data)
    if isinstance(value, list):
        # A list of messages is a chat; a list of anything else is a list of chats.
        if value and all(isinstance(item, dict) and "role" in item for item in value):
            yield name, {"messages": value}
            return
        for number, item in enumerate(value, 1):
            yield f"{name} chat {number}", item
    else:
        yield name, value


def _zipped(path: Path) -> Iterator[tuple[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        wanted = [
            entry
            for entry in archive.infolist()
            if Path(entry.filename).name.startswith("conversations")
            and entry.filename.endswith(".json")
        ]
        if not wanted:
            raise InputError(
                f"{path} holds no conversations.json", hint="give the zip that ChatGPT mailed you"
            )
        for entry in sorted(wanted, key=lambda e: e.filename):
            if entry.file_size > _MAX_JSON_BYTES:
                raise InputError(f"{entry.filename} is larger than 2 GB", hint="split it")
            yield from _whole(f"{path.name}/{entry.filename}", archive.read(entry))


def _read_all(file: Any, path: Path) -> bytes:
    data: bytes = file.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise InputError(f"{path} is larger than 2 GB", hint="split it, or use JSON lines")
    return data


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _BadRecord("not UTF-8 text")
    except RecursionError:
        return _BadRecord("nested far too deeply")
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and b"\n" in data.strip():
            return _BadRecord(f"not valid JSON (line {error.lineno})")
        return _BadRecord("not valid JSON")


def _file_time(path: Path) -> str:
    """When the file was last changed: for chats that do not say when they were."""
    try:
        return _iso(path.stat().st_mtime)
    except (OSError, OverflowError, ValueError):
        return _iso(0)


def moment(value: Any) -> str:
    """A time as exports write it (seconds since 1970, or ISO 8601) as ours; "" when there is none.

    A time without a zone is taken as UTC.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _iso(float(value))
        if isinstance(value, str) and value:
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError, OSError):
        return ""
    return ""


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
