"""The commands of a chat: what they are parsed to, and what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.adapters.registry import Registry
from align_agent.agent.commands import Command, parse, run
from align_agent.errors import AlignAgentError, NotFound, UsageError
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/rate up", Command("rate", "up")),
        ("  /RATE down too long  ", Command("rate", "down too long")),
        ("/why", Command("why")),
        ("Hello", None),
        ("/usr/bin/python fails", None),
        ("/ 5", None),
        ("/", None),
        ("", None),
        ("5 /rate up", None),
    ],
)
def test_commands_are_told_from_messages(text: str, command: Command | None) -> None:
    assert parse(text) == command


def test_an_unknown_command_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse("/rollbak")
    assert "did you mean /rollback?" in caught.value.hint


@given(st.text(max_size=40))
def test_parsing_raises_nothing_but_usage_errors(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert error.hint


def test_rate_reads_the_reason_and_makes_a_rule(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    run(Command("rate", "down way too long"), session)
    with Store.open(session.home.database) as store:
        (feedback,) = store.feedback.for_turn(session.last_turn.id)
        assert (feedback.kind, feedback.polarity, feedback.category) == (
            "rating",
            "negative",
            "too_long",
        )
        assert [rule.direction for rule in store.rules.list()] == ["length:brief"]


def test_rating_again_replaces_the_rating(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    run(Command("rate", "down"), session)
    run(Command("rate", "up"), session)
    with Store.open(session.home.database) as store:
        valid = [f for f in store.feedback.for_turn(session.last_turn.id) if not f.dismissed]
    assert [feedback.polarity for feedback in valid] == ["positive"]


def test_a_secret_in_a_reason_is_not_stored(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    run(Command("rate", "down my password is hunter2secret"), session)
    with Store.open(session.home.database) as store:
        (feedback,) = store.feedback.for_turn(session.last_turn.id)
    assert "hunter2secret" not in feedback.text


@pytest.mark.parametrize("rest", ["", "maybe", "upwards"])
def test_rate_needs_up_or_down(make_session: Any, rest: str) -> None:
    session = make_session()
    list(session.send("Hello!"))
    with pytest.raises(UsageError):
        run(Command("rate", rest), session)


def test_nothing_can_be_rated_before_the_first_answer(make_session: Any) -> None:
    with pytest.raises(UsageError, match="no answer"):
        run(Command("rate", "up"), make_session())


def test_why_shows_the_rules_and_the_words_behind_them(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    list(session.send("No emoji please, never."))
    session.recorder.flush(20)
    lines = run(Command("why"), session).lines
    assert lines[0] == "the base model serves: nothing is learned yet"
    place = lines.index("- No emoji. (1x)")
    assert lines[place + 1 :] == ['    "No emoji please, never."']


def test_why_with_words_shows_what_they_speak_against(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    reply = run(Command("why", "Say goodbye instead."), session)
    assert "".join(token["text"] for token in reply.data["tokens"]) == session.last_turn.answer
    assert reply.data["feedback"] == "Say goodbye instead."
    assert reply.lines


def test_why_with_words_needs_an_answer(make_session: Any) -> None:
    with pytest.raises(UsageError, match="no answer to explain"):
        run(Command("why", "too long"), make_session())


def test_why_tells_how_the_last_night_ended(make_session: Any) -> None:
    session = make_session()
    with Store.open(session.home.database) as store:
        store.runs.create(Run("run-1", "rejected", reason="it lost 4 points of correctness"))
    lines = run(Command("why"), session).lines
    assert "last night: rejected: it lost 4 points of correctness" in lines


def test_rollback_without_a_version_is_told(make_session: Any) -> None:
    with pytest.raises(NotFound):
        run(Command("rollback"), make_session())


def test_rollback_holds_promotion_and_why_says_so(
    make_session: Any, home: Home, scholar: LocalModel, tmp_path: Path
) -> None:
    session = make_session()
    scholar.save_lora(scholar.fresh_lora(4, 8, 0.0, 0), tmp_path / "staged")
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        registry.register(
            tmp_path / "staged",
            base=scholar.base,
            base_hash=scholar.base_hash,
            run_id="",
            verdict="promote",
        )
        registry.promote(1, why="test")
    assert run(Command("why"), session).data == {"version": 1}
    weights = home.adapters / "v0001" / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(b"flipped")
    list(session.send("Hello!"))
    lines = run(Command("why"), session).lines
    assert lines[0] == "the base model serves" and "v0001 is damaged" in lines[1]
    weights.write_bytes(good)
    reply = run(Command("rollback"), session)
    assert reply.data == {"old": 1, "new": 0}
    assert any(line.startswith("promotion is held") for line in run(Command("why"), session).lines)


def test_an_edited_answer_is_kept_redacted_for_the_night(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    run(Command("edit", "Hello,\\nask ada@example.org."), session)
    with Store.open(session.home.database) as store:
        (found,) = store.feedback.for_turn(session.last_turn.id)
    assert (found.kind, found.polarity) == ("edit", "negative")
    assert found.text == "Hello,\nask [redacted:email]."


@pytest.mark.parametrize("rest", ["", "Hello there."])
def test_an_edit_must_say_something_new(make_session: Any, rest: str) -> None:
    session = make_session()
    list(session.send("Hello!"))
    with pytest.raises(AlignAgentError) as caught:
        run(Command("edit", rest), session)
    assert caught.value.hint
