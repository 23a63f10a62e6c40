from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_helpers import Cli

from align_agent.paths import Home

CHAT = {
    "messages": [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "**Paris**"},
        {"role": "user", "content": "Please don't use bold, plain text only."},
        {"role": "assistant", "content": "Paris"},
    ]
}
SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "My key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD."},
        {"from": "gpt", "value": "Keep it secret."},
    ]
}


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(json.dumps(chat) for chat in (CHAT, SHAREGPT)))
    return path


def test_imported_chats_become_turns(cli: Cli, home: Home, chats: Path) -> None:
    result = cli("turns", "import", str(chats), "--json").json
    assert (result["chats"], result["added"]) == (2, 3)
    assert len(cli("turns", "--json").json) == 3


def test_importing_twice_adds_nothing(cli: Cli, home: Home, chats: Path) -> None:
    cli("turns", "import", str(chats))
    result = cli("turns", "import", str(chats), "--json").json
    assert (result["added"], result["known"]) == (0, 3)


def test_follow_ups_in_imported_chats_are_read(cli: Cli, home: Home, chats: Path) -> None:
    result = cli("turns", "import", str(chats), "--json").json
    assert result["feedback"] == {"negative": 1}
    assert cli("feedback", "--json").json[0]["polarity"] == "negative"


def test_secrets_in_imported_chats_are_never_stored(cli: Cli, home: Home, chats: Path) -> None:
    out = cli("turns", "import", str(chats)).out
    assert "redacted: 1" in out
    assert b"abcdefghijklmnopqrstuvwxyz" not in home.database.read_bytes()


def test_a_dry_run_counts_and_stores_nothing(cli: Cli, home: Home, chats: Path) -> None:
    result = cli("turns", "import", str(chats), "--dry-run", "--json").json
    assert result["added"] == 3 and result["feedback"] == {"negative": 1}
    assert cli("turns", "--json").json == []
    assert cli("feedback", "--json").json == []


def test_a_format_that_was_named_is_held_to(cli: Cli, home: Home, chats: Path) -> None:
    err = cli("turns", "import", str(chats), "--format", "openai", code=2).err
    assert "line 2" in err and "sharegpt" in err


def test_a_chat_without_a_user_is_told_and_the_others_come_in(
    cli: Cli, home: Home, chats: Path
) -> None:
    lonely = {"messages": [{"role": "assistant", "content": "Hello?"}]}
    chats.write_text(json.dumps(lonely) + "\n" + chats.read_text())
    result = cli("turns", "import", str(chats))
    assert "2 chats: added 3 turns" in result.out
    assert "line 1" in result.err


def test_a_hint_that_many_bad_chats_share_is_told_once(cli: Cli, home: Home, chats: Path) -> None:
    lonely = json.dumps({"messages": [{"role": "assistant", "content": "Hello?"}]})
    chats.write_text(f"{lonely}\n{lonely}\n{json.dumps(CHAT)}\n")
    result = cli("turns", "import", str(chats))
    assert "1 chat: added 2 turns" in result.out
    assert "line 1" in result.err and "line 2" in result.err and result.err.count("hint:") == 1


def test_imported_turns_are_not_said_to_be_the_bases(cli: Cli, home: Home, chats: Path) -> None:
    cli("turns", "import", str(chats))
    rows = cli("turns", "--json").json
    assert {row["answered_by"] for row in rows} == {"imported"}
    assert "imported" in cli("turns").out
    assert "a model elsewhere (import:openai)" in cli("turns", "show", rows[-1]["id"]).out


def test_a_file_without_any_usable_chat_is_an_error(cli: Cli, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text('{"messages": []}\nnot json\n')
    err = cli("turns", "import", str(path), code=2).err
    assert "chats.jsonl line" in err and "hint:" in err


def test_a_file_that_is_not_there_is_a_usage_error(cli: Cli, home: Home) -> None:
    assert "does not exist" in cli("turns", "import", "nowhere.jsonl", code=2).err
