"""OpenClaw's sessions as they lie on disk: JSON lines and its database."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.capture.importers.openclaw import read_sessions
from align_agent.cli import main
from align_agent.errors import InputError
from align_agent.store import Store


def event(number: int, message: Any = None, **more: Any) -> dict[str, Any]:
    data = {"id": f"e{number}", "parentId": f"e{number - 1}" if number > 1 else None, **more}
    return data | ({"type": "message", "message": message} if message is not None else {})


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def agent(*parts: dict[str, Any], response: str = "") -> dict[str, Any]:
    return {"role": "assistant", "content": list(parts), "responseId": response}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


CALL = {"type": "toolCall", "id": "c1", "name": "exec", "arguments": {"command": "ls"}}
HEAD = {"type": "session", "version": 4, "id": "s1", "timestamp": "2026-11-24T04:38:41.157Z"}
EVENTS = [
    HEAD,
    event(1, type="model_change"),
    event(2, user("[Mon 2026-11-23 12:57 UTC] What is here?")),
    event(3, agent(CALL)),
    event(4, {"role": "toolResult", "toolCallId": "c1", "content": [text("a.txt")]}),
    event(5, agent({"type": "thinking", "thinking": "Hm."}, text("**A file.**"), response="r1")),
    event(6, user("/rate down")),
    event(7, agent(text("Noted."))),
    event(8, user("[OpenClaw heartbeat poll]", provenance={"kind": "internal_system"})),
    event(9, agent(text("NO_REPLY"))),
    event(10, user("No bold, please.")),
    event(11, agent(text("A file."))),
]


def write(path: Path, events: list[Any] = EVENTS) -> Path:
    path.write_text("".join(f"{json.dumps(e)}\n" for e in events))
    return path


def never(_: str) -> bool:
    return False


def test_a_session_becomes_the_talk_of_the_human(tmp_path: Path) -> None:
    ((chat,), left_out) = read_sessions(write(tmp_path / "s1.jsonl"), never, problems=[])
    assert left_out == 0
    assert [(m.role, m.content) for m in chat.messages] == [
        ("user", "What is here?"),
        ("assistant", ""),
        ("tool", "a.txt"),
        ("assistant", "**A file.**"),
        ("user", "No bold, please."),
        ("assistant", "A file."),
    ]
    assert chat.messages[1].tool_calls[0].arguments == {"command": "ls"}
    assert (chat.conversation_id, chat.channel) == ("import:openclaw:s1", "import:openclaw")


def test_only_the_last_branch_is_taken(tmp_path: Path) -> None:
    other = [event(12, user("Another way?")) | {"parentId": "e5"}]
    ((chat,), _) = read_sessions(write(tmp_path / "s.jsonl", EVENTS + other), never, problems=[])
    assert [m.content for m in chat.messages if m.role == "user"] == [
        "What is here?",
        "Another way?",
    ]


def test_a_session_that_was_recorded_as_it_happened_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "s1.jsonl")
    assert read_sessions(path, lambda response: response == "r1", problems=[]) == ([], 1)


def test_the_database_is_read_and_packed_sessions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "agent" / "openclaw-agent.sqlite"
    path.parent.mkdir()
    with sqlite3.connect(path) as made:
        made.execute("create table session_windows (session_id text)")
        made.execute("create table transcript_events (session_id text, seq int, event_json text)")
        made.executemany("insert into session_windows values (?)", [("s1",), ("s2",)])
        rows = [("s1", n, json.dumps(e)) for n, e in enumerate(EVENTS)]
        made.executemany("insert into transcript_events values (?, ?, ?)", [*rows, ("s2", 0, None)])
    problems: list[InputError] = []
    (chats, _) = read_sessions(tmp_path, never, problems=problems)
    assert [len(chat.messages) for chat in chats] == [6]
    assert ["s2 is packed" in str(problem) for problem in problems] == [True]


def test_the_command_line_imports_a_folder_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "s1.jsonl")
    arguments = ["--home", str(tmp_path / "home"), "turns", "import", "--json"]
    for added in (2, 0):
        assert main([*arguments, "--format", "openclaw", str(tmp_path)]) == 0
        assert json.loads(capsys.readouterr().out)["added"] == added
    with Store.open(tmp_path / "home" / "align.db") as store:
        first, _ = store.turns.list(newest_first=False)
        assert [found.polarity for found in store.feedback.for_turn(first.id)] == ["negative"]
    assert main([*arguments, str(tmp_path)]) == 2
    assert "--format openclaw" in capsys.readouterr().err


def test_a_folder_without_sessions_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no session"):
        read_sessions(tmp_path, never, problems=[])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "parentId", "type", "message", "role", "content", "text"]), inner
        )
    ),
)


@given(st.lists(JSON, max_size=6))
def test_any_lines_are_read_or_named(tmp_path_factory: pytest.TempPathFactory, lines: Any) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.jsonl", [HEAD, *lines])
    problems: list[InputError] = []
    chats, _ = read_sessions(path, never, problems=problems)
    assert len(problems) <= len(lines) + 1
    assert all(message.role for chat in chats for message in chat.messages)
