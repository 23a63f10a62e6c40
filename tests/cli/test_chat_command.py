from __future__ import annotations

import io
from pathlib import Path

import pytest
from cli_helpers import Cli, turn

from align_agent.display import printable
from align_agent.paths import Home
from align_agent.store import Store


@pytest.fixture
def talking(made: Home, model_dir: Path) -> Home:
    """A home whose agent answers briefly, so that a chat takes no time."""
    made.config.write_text(f"model:\n  base: {model_dir}\n  max_new_tokens: 8\n  threads: 1\n")
    return made


class Typed(io.StringIO):
    """Standard input that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_message_is_answered_on_standard_output_alone(cli: Cli, talking: Home) -> None:
    result = cli("chat", "-m", "What is 2 plus 3?")
    assert result.err.strip() == "you: What is 2 plus 3?"
    with Store.open(talking.database) as store:
        turn = store.turns.latest()
    assert turn is not None and result.out.strip() == printable(turn.answer).strip()


def test_messages_of_one_call_are_one_conversation(cli: Cli, talking: Home) -> None:
    rows = cli("chat", "-m", "What is 2 plus 3?", "-m", "Thanks!", "--json").json
    assert len({row["conversation"] for row in rows}) == 1
    assert [row["user"] for row in rows] == ["What is 2 plus 3?", "Thanks!"]
    assert len(cli("turns", "--json").json) == 2


def test_a_conversation_can_be_gone_on_with(cli: Cli, talking: Home) -> None:
    first = cli("chat", "-m", "What is 2 plus 3?", "--json").json[0]
    again = cli("chat", "--conversation", first["conversation"], "-m", "Thanks!", "--json").json[0]
    assert again["conversation"] == first["conversation"]
    turns = cli("turns", "--conversation", first["conversation"], "--json").json
    assert len(turns) == 2


def test_the_next_message_is_read_as_feedback(cli: Cli, talking: Home) -> None:
    cli("chat", "-m", "What is 2 plus 3?", "-m", "Please use emoji.")
    opinions = cli("feedback", "--json").json
    assert [opinion["polarity"] for opinion in opinions] == ["negative"]
    assert cli("rules", "--json").json[0]["direction"] == "emoji:some"


def test_piped_lines_are_messages(cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 2 plus 3?\n\n/quit\nnever said\n"))
    cli("chat")
    assert [row["user"] for row in cli("turns", "--json").json] == ["What is 2 plus 3?"]


def test_a_message_is_echoed_in_one_line_that_cannot_drive_the_terminal(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\x1b]0;owned\x07 hi" + " there" * 500 + "\n"))
    told = cli("chat").err
    assert told.startswith("you: ") and len(told.splitlines()) == 1 and len(told) <= 161
    assert "\x1b" not in told and "\x07" not in told


def test_a_bad_line_does_not_end_a_piped_conversation(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("/nope\nHello.\n"))
    result = cli("chat", code=2)
    assert "there is no command /nope" in result.err
    assert [row["user"] for row in cli("turns", "--json").json] == ["Hello."]


def test_the_json_of_a_chat_holds_what_was_answered_around_an_error(
    cli: Cli, talking: Home
) -> None:
    log = cli("chat", "-m", "Hello.", "-m", "/nope", "-m", "Thanks!", "--json", code=2).json
    assert [row.get("user") for row in log] == ["Hello.", "/nope", "Thanks!"]
    assert log[0]["turn"] and "/nope" in log[1]["error"] and log[2]["turn"]


def test_a_conversation_that_is_not_there_is_said_to_be_new(cli: Cli, talking: Home) -> None:
    assert "no conversation `nope` yet" in cli("chat", "--conversation", "nope", "-m", "/help").err
    cli("chat", "--conversation", "nope", "-m", "Hello.")
    assert "yet" not in cli("chat", "--conversation", "nope", "-m", "/help").err


def test_an_option_without_its_value_points_at_the_help_of_its_command(cli: Cli) -> None:
    assert "`align-agent chat --help`" in cli("chat", "-m", code=2).err


def test_the_first_interrupt_at_the_prompt_drops_the_line_and_the_second_leaves(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(""))
    typed: list[str | type[BaseException]] = [KeyboardInterrupt, "/help", KeyboardInterrupt]

    def read(_: str) -> str:
        said = typed.pop(0) if typed else KeyboardInterrupt
        if isinstance(said, str):
            return said
        raise said

    monkeypatch.setattr("builtins.input", read)
    result = cli("chat", code=130)
    assert result.err.count("(Ctrl-D leaves)") == 2 and "/rate" in result.out


def test_an_answer_can_be_rated_in_the_chat(cli: Cli, talking: Home) -> None:
    log = cli("chat", "-m", "What is 2 plus 3?", "-m", "/rate down too long", "--json").json
    assert log[1] == {
        "command": "rate",
        "turn": log[0]["turn"],
        "verdict": "down",
        "why": "too long",
    }
    assert cli("feedback", "--json").json[0]["kind"] == "rating"
    assert "noted: up" in cli("chat", "-m", "Hello.", "-m", "/rate up").out


def test_there_is_no_answer_to_rate_before_the_first(cli: Cli, talking: Home) -> None:
    assert "no answer to rate" in cli("chat", "-m", "/rate down", code=2).err


@pytest.mark.parametrize(("command", "told"), [("/rate great", "up or down"), ("/sing", "/sing")])
def test_a_wrong_command_is_a_usage_error(command: str, told: str, cli: Cli, talking: Home) -> None:
    assert told in cli("chat", "-m", command, code=2).err


def test_why_names_the_version_and_the_rules(cli: Cli, talking: Home) -> None:
    cli("rules", "add", "No emoji.")
    result = cli("chat", "-m", "What is 2 plus 3?", "-m", "/why")
    assert "the base model serves" in result.out and "No emoji." in result.out


def test_rules_can_be_looked_at_in_the_chat(cli: Cli, talking: Home) -> None:
    assert "none yet" in cli("chat", "-m", "/rules").out
    cli("rules", "add", "No emoji.")
    assert "No emoji. (active, 1x)" in cli("chat", "-m", "/rules").out


def test_new_begins_another_conversation(cli: Cli, talking: Home) -> None:
    log = cli("chat", "-m", "Hello.", "-m", "/new", "-m", "Hello.", "--json").json
    assert log[0]["conversation"] != log[2]["conversation"] == log[1]["conversation"]


def test_help_lists_the_commands(cli: Cli, talking: Home) -> None:
    out = cli("chat", "-m", "/help").out
    assert all(f"/{name}" in out for name in ("rate", "undo", "why", "learn", "rollback", "quit"))


def test_a_lone_slash_lists_the_commands(cli: Cli, talking: Home) -> None:
    assert cli("chat", "-m", "/").out == cli("chat", "-m", "/help").out


def test_at_a_terminal_the_name_of_a_command_without_its_slash_is_a_message_with_a_hint(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("Help\n"))
    assert "the command is /help" in cli("chat").err
    assert [row["user"] for row in cli("turns", "--json").json] == ["Help"]


def test_the_pocket_model_says_what_it_knows_before_it_is_asked(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(""))
    assert "sums in words" in cli("chat").err


def test_learning_in_the_chat_drops_what_was_kept_long_enough(cli: Cli, talking: Home) -> None:
    with Store.open(talking.database) as store:
        store.turns.add(turn(1))  # of January
    talking.config.write_text(f"{talking.config.read_text()}privacy:\n  keep_days: 30\n")
    cli("chat", "-m", "/learn")
    assert cli("turns", "--json").json == []


def test_learning_in_the_chat_ends_in_order_and_the_talk_goes_on(cli: Cli, talking: Home) -> None:
    log = cli("chat", "-m", "Hello.", "-m", "/learn", "-m", "Hello again.", "--json").json
    assert log[1]["status"] == "skipped"
    assert log[2]["conversation"] == log[0]["conversation"]


def test_rolling_back_with_nothing_to_go_back_to_is_told(cli: Cli, talking: Home) -> None:
    assert "nothing to roll back to" in cli("chat", "-m", "/rollback", code=1).err


def test_rolling_back_in_the_chat_takes_effect(cli: Cli, lived: Home, model_dir: Path) -> None:
    lived.config.write_text(f"model:\n  base: {model_dir}\n")
    assert "from v2 to v1" in cli("chat", "-m", "/rollback").out
    assert cli("status", "--json").json["champion"]["label"] == "v1"


def test_at_a_terminal_a_mistake_does_not_end_the_chat(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("/sing\n\nWhat is 2 plus 3?\n/quit\n"))
    result = cli("chat")
    assert "error: there is no command /sing" in result.err
    assert len(cli("turns", "--json").json) == 1


def test_at_a_terminal_the_end_of_input_ends_the_chat(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(""))
    assert "/help lists the commands" in cli("chat").err


def test_an_answer_can_be_stopped_without_ending_the_chat(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from align_agent.cli.talk import Talk

    real, calls = Talk.hear, []

    def stopped_once(self: Talk, message: str) -> None:
        calls.append(message)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(self, message)

    monkeypatch.setattr(Talk, "hear", stopped_once)
    monkeypatch.setattr("sys.stdin", Typed("What is 2 plus 3?\n/quit\n"))
    assert "(stopped)" in cli("chat").err
    assert calls == ["What is 2 plus 3?", "/quit"]


def test_a_chat_makes_the_home_that_is_missing(cli: Cli, home: Home, model_dir: Path) -> None:
    home.ensure().config.write_text(f"model:\n  base: {model_dir}\n  max_new_tokens: 8\n")
    cli("chat", "-m", "Hello.")
    assert home.database.exists()


@pytest.mark.parametrize(
    ("message", "code"), [("\x00\x1b[2J", 0), ("\udcff", 0), ("x" * 1_000_000, 1)]
)
def test_a_hostile_message_ends_in_order(message: str, code: int, cli: Cli, talking: Home) -> None:
    assert "unexpected" not in cli("chat", "-m", message, code=code).err
    assert "\x1b[2J" not in cli("turns").out


def test_turns_that_could_not_be_stored_are_told(
    cli: Cli, talking: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from align_agent.capture.recorder import Recorder

    monkeypatch.setattr(Recorder, "stats", property(lambda _: {"dropped": 1, "failed": 1}))
    assert "2 turns could not be stored" in cli("chat", "-m", "Hello.").err


def test_a_model_that_is_not_there_is_told_with_a_hint(cli: Cli, made: Home) -> None:
    made.config.write_text("model:\n  base: /nowhere/model\n")
    err = cli("chat", "-m", "Hello.", code=1).err
    assert "/nowhere/model" in err and "hint:" in err


def test_a_call_is_shown_and_decided_on_by_hand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from align_agent.agent.approval import Decision
    from align_agent.cli.chat import _asked
    from align_agent.records import ToolCall

    call = ToolCall("c", "edit_file", {"path": "a.txt", "text": "one\n\x1b[2Jtwo"})
    monkeypatch.setattr("sys.stdin", io.StringIO("what?\nn\nuse edit_lines\n"))
    assert _asked(call) == Decision("deny", "use edit_lines")
    shown = capsys.readouterr().err
    assert "edit_file" in shown and "path: a.txt" in shown and "yes, no, or edit?" in shown
    assert "\x1b[2J" not in shown
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert _asked(call) == Decision("deny")


def test_a_workspace_that_is_none_is_told(cli: Cli, talking: Home, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    assert "is no folder" in cli("chat", "--workspace", missing, "-m", "Hello.", code=2).err


def test_a_correction_is_learned_at_once_and_status_says_so(cli: Cli, talking: Home) -> None:
    talking.config.write_text(f"{talking.config.read_text()}learn:\n  live: true\n")
    assert cli("status", "--json").json["live"] == {"on": True, "steps": 0, "at": None}
    complaint = "That was too long, keep it shorter please."
    said = cli("chat", "-m", "What is 2 plus 3?", "-m", complaint, "-m", "/why")
    assert "learned at once: step 1" in said.err
    assert "1 step beyond the champion" in cli("status").out
    assert cli("chat", "-m", "/undo", "--json").json == [{"command": "undo", "steps": 0}]
    assert "no step to undo" in cli("chat", "-m", "/undo", code=1).err
