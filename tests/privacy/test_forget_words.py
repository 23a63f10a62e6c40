"""Words are forgotten however they were written down: the raw bytes of every file say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from homes import files_holding, fill, turn

from align_agent.agent.memory import open_memory
from align_agent.paths import Home
from align_agent.privacy.forget import forget, preview
from align_agent.privacy.wanted import Wanted
from align_agent.privacy.words import Words
from align_agent.records import Message, ToolCall
from align_agent.store import Store

# What is asked for, how it may have been said, and what must then stand in no file.
SAID = [
    ("zebrafish", "line one\nzebrafish swims", ["zebrafish"]),
    ("zebrafish", "C:\\temp\\zebrafish.txt", ["zebrafish"]),
    ("zebrafish", "it is _Zebrafish_ and\tzebrafish", ["zebrafish"]),
    ("zebrafish", json.dumps({"inner": json.dumps({"text": "a\nzebrafish"})}), ["zebrafish"]),
    ("zebrafish", "https://x.example/?q=%20zebrafish", ["zebrafish"]),
    ("Grüße", "Das Geheimnis: Grüße an alle", ["Grüße"]),
    ("Grüße", json.dumps({"text": "eins\nGrüße"}), ["Grüße"]),
    ("Gruße", "Das Geheimnis: Gru\u0308ße", ["Gru\u0308ße"]),
    ('"red house"', "Behind the red\nhouse", ["red\nhouse"]),
    ('"red house"', "> Behind the red\r\n> house", ["red\r\n> house"]),
    ("猫カフェ", "私の\n猫カフェ", ["猫カフェ"]),
    ("🦓🐟", "my 🦓🐟 swims", ["🦓🐟"]),
]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return fill(tmp_path / "home")


def asked(query: str) -> Wanted:
    return Wanted("query", query)


def called(text: str, **changes: Any) -> Any:
    """A turn that holds the text in the argument of a tool alone."""
    call = ToolCall("call-1", "write_file", {"path": "a.txt", "text": text})
    return turn(
        1,
        "nothing",
        "tool",
        response=(
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "ok", tool_call_id="call-1"),
            Message("assistant", "Done."),
        ),
        **changes,
    )


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize(("query", "text", "gone"), SAID)
def test_words_are_found_however_they_are_written(
    query: str, text: str, gone: list[str], ascii_only: bool
) -> None:
    words = Words(query)
    line = json.dumps({"answer": text}, ensure_ascii=ascii_only)
    assert words(text) and words(line) and words.in_bytes(line.encode())
    assert not Words("elephant")(line)


def test_words_in_arguments_of_tools_and_in_attempts_of_a_search_are_forgotten(home: Home) -> None:
    with Store.open(home.database) as store:
        for number, (_, text, _) in enumerate(SAID):
            store.turns.add(called(text, id=f"turn-tool-{number}"))
            folder = home.runs / f"solve-{number}"
            folder.mkdir()
            line = json.dumps({"number": 1, "answer": text}, ensure_ascii=True)
            (folder / "attempts.jsonl").write_text(line + "\n", encoding="utf-8")
        store.backup()
    gone = {word for _, _, words in SAID for word in words}
    assert {word for word in gone if "align.db" in files_holding(home, word)} == gone
    for query in sorted({query for query, _, _ in SAID}):
        forget(home, asked(query))
    assert [word for word in sorted(gone) if files_holding(home, word)] == []
    assert not list(home.runs.glob("solve-*"))
    with Store.open(home.database) as store:
        assert not store.turns.list(conversation="tool")


@pytest.mark.parametrize("word", ["zebrafish", "Grüße"])
def test_words_in_the_agents_memory_are_forgotten_whatever_byte_stands_before(
    home: Home, word: str
) -> None:
    from langchain_core.messages import HumanMessage
    from langgraph.checkpoint.base import empty_checkpoint

    home.checkpoints.unlink()
    lengths = range(len(word) + 1, 300, 3)
    with open_memory(home.checkpoints, "c") as saver:
        for length in lengths:
            text = (f"{word} lives " + "here " * 80)[:length]
            one = empty_checkpoint()
            one["channel_values"] = {"messages": [HumanMessage(text)]}
            where = {"configurable": {"thread_id": f"c{length}", "checkpoint_ns": ""}}
            saver.put(where, one, {}, {})
    assert files_holding(home, word) == ["checkpoints.db"]
    assert preview(home, asked(word)).elsewhere == ("checkpoints.db",)
    forget(home, asked(word))
    assert files_holding(home, word) == []


def test_words_that_a_backup_alone_holds_are_forgotten(home: Home) -> None:
    with Store.open(home.database) as store:
        store.turns.add(called("a\nzebrafish"))
        store.backup()
    for backup in home.backups.glob("*.db"):
        backup.rename(backup.with_name(f"kept-{backup.name}"))
    kept = {path: path.read_bytes() for path in home.backups.glob("*.db")}
    forget(home, asked("zebrafish"))
    for path, data in kept.items():
        path.write_bytes(data)
    found = preview(home, asked("zebrafish"))
    assert {path: path.read_bytes() for path in kept} == kept
    assert (found.turns, len(found.elsewhere), found.empty) == ((), 1, False)
    forget(home, asked("zebrafish"))
    assert files_holding(home, "zebrafish") == []


def test_bytes_that_are_no_text_are_searched_within_words_too() -> None:
    assert Words("fish").in_bytes(b"\xff\x00zebrafish")
    assert not Words("fish").in_bytes(b"zebrafish")


def test_the_records_own_words_are_nobodys(home: Home) -> None:
    with Store.open(home.database) as store:
        store.turns.add(called("a text"))
    assert preview(home, asked("arguments")).turns == ()
