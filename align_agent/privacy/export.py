"""Everything that is stored, in one archive of JSON lines with a README. Changes nothing.

`chats.jsonl` can be brought in again anywhere that OpenAI's messages are known, here included.
"""

from __future__ import annotations

import base64
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_agent import __version__
from align_agent.errors import UsageError
from align_agent.paths import Home
from align_agent.records import Message, now
from align_agent.store import Store

# In which order a reader meets them; every other table of the database follows.
_FIRST = ("conversations", "turns", "messages", "turn_messages", "tool_calls", "feedback", "rules")

_LEFT_OUT = (
    "the agent's conversation memory (`checkpoints.db`), the folders of nights and searches "
    "(`runs/`), the answers to the gate's own questions (`probed/`), the steps of live mode "
    "(`working/`), copies of the database (`backups/`), and logs (`logs/`)"
)
_README = """\
# Everything that align-agent {version} stored, {moment}

Each `.jsonl` file holds one JSON object a line, in UTF-8.

- `chats.jsonl`: each conversation as messages in OpenAI's format. `align-agent turns import
  chats.jsonl` brings it in again; so do most other programs.
- `tables/NAME.jsonl`: every table of the database as it is, one line a row; bytes are base64.
  `turns` has what you said and what was answered, `messages` and `turn_messages` what the model
  was shown, `feedback` and `rules` what was understood of it, `runs`, `run_turns`, `run_metrics`
  and `samples` the nights, `adapters`, `aliases` and `alias_history` the versions.
- `config.yaml`: your settings. A server's token in it is your own secret.
{adapters}
What is not in here: {left_out}. The search index is made from the tables.
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the archive is, and how much it holds."""

    path: Path
    bytes: int
    turns: int
    conversations: int
    rows: int


def export_everything(home: Home, target: Path, *, adapters: bool = False) -> Exported:
    """Write the archive (zip), readable by its owner alone; whole or not at all.

    Raises UsageError when the target exists, StoreError, OSError.
    """
    if target.exists():
        raise UsageError(f"{target} exists", hint="name another file, or move that one away")
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # Made before it is filled: nobody else may read it for a moment either.
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with Store.open(home.database, read_only=True) as store:
            # One moment for all tables, while others go on writing.
            store.connection.execute("begin")
            counts = _write(home, store, aside, adapters)
            store.connection.execute("rollback")
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
    return Exported(target, target.stat().st_size, *counts)


def _write(home: Home, store: Store, path: Path, adapters: bool) -> tuple[int, int, int]:
    rows = chats = 0
    # A file dated before 1980, which zip cannot say, is no reason to leave without anything.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for table in _tables(store):
            with archive.open(f"tables/{table}.jsonl", "w") as out:
                for row in store.connection.rows(f'select * from "{table}"'):  # noqa: S608
                    out.write(_line({name: _plain(value) for name, value in row.items()}))
                    rows += 1
        with archive.open("chats.jsonl", "w") as out:
            for chat in _chats(store):
                out.write(_line(chat))
                chats += 1
        if home.config.exists():
            archive.write(home.config, "config.yaml")
        told, left_out = (
            "",
            f"{_LEFT_OUT}, and the versions' files (`adapters/`; ask with --adapters)",
        )
        if adapters:
            left_out = _LEFT_OUT
            told = "- `adapters/`: the files of the versions, as PEFT reads them.\n"
            for file in sorted(home.adapters.glob("v*/**/*")):
                if file.is_file():
                    archive.write(file, f"adapters/{file.relative_to(home.adapters)}")
        text = _README.format(version=__version__, moment=now(), adapters=told, left_out=left_out)
        archive.writestr("README.md", text)
        turns = store.turns.count()
    return turns, chats, rows


def _tables(store: Store) -> list[str]:
    rows = store.connection.rows("select name from sqlite_master where type = 'table'")
    names = {row["name"] for row in rows}
    kept = {name for name in names if not name.startswith(("turns_fts", "sqlite_"))}
    return [name for name in _FIRST if name in kept] + sorted(kept - set(_FIRST))


def _chats(store: Store) -> Iterator[dict[str, Any]]:
    """Each conversation's main turns, one after the other, as messages."""
    for conversation in store.turns.conversations():
        turns = store.turns.list(
            limit=-1, conversation=conversation["id"], main_only=True, newest_first=False
        )
        messages: list[Message] = []
        for turn in turns:
            if not messages and turn.prompt and turn.prompt[0].role == "system":
                messages.append(turn.prompt[0])
            messages += [Message("user", turn.user_text), *turn.response]
        if messages:
            yield {"id": conversation["id"], "messages": [_openai(m) for m in messages]}


def _openai(message: Message) -> dict[str, Any]:
    data: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        data["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        data["tool_call_id"] = message.tool_call_id
    return data


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _line(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
