"""A conversation with the agent: streaming, tools, memory, recording, and faults."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disks import fill

from align_agent.adapters.registry import Registry
from align_agent.agent.approval import APPROVED
from align_agent.agent.graph import TurnContext, build_graph
from align_agent.agent.memory import open_memory
from align_agent.agent.session import AgentSession, first_prompt, system_prompt
from align_agent.config import Config, PreferencesConfig
from align_agent.errors import ConfigError, ContextTooLong, InputError, ModelError, StoreCorrupt
from align_agent.models.generation import Generation
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.records import Message, Rule, ToolCall
from align_agent.store import Store


def stored(session: AgentSession) -> list[Any]:
    assert session.recorder.flush(20)
    with Store.open(session.home.database) as store:
        return store.turns.list(limit=-1, newest_first=False)


class Failing:
    """The real model, whose stream breaks after some pieces."""

    def __init__(self, model: LocalModel, after: int) -> None:
        self._model = model
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, piece in enumerate(self._model.stream(*args, **kwargs)):
            if number == self._after:
                raise RuntimeError("CUDA error: out of memory")
            yield piece


def promote_one(home: Home, model: LocalModel, staged: Path) -> Path:
    """Makes a fresh adapter the champion. Returns its weights."""
    model.save_lora(model.fresh_lora(4, 8, 0.0, 0), staged)
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        adapter = registry.register(
            staged, base=model.base, base_hash=model.base_hash, run_id="", verdict="promote"
        )
        registry.promote(adapter.version, why="test")
        return registry.path(adapter.version) / "adapter_model.safetensors"


def test_pieces_joined_are_the_recorded_answer(make_session: Any) -> None:
    session = make_session()
    pieces = list(session.send("Hello!"))
    assert len(pieces) > 1
    (turn,) = stored(session)
    assert "".join(pieces) == turn.answer == "Hello there."


def test_a_tool_call_is_run_and_its_result_reaches_the_model(make_session: Any) -> None:
    session = make_session()
    assert "".join(session.send("7*6?")) == "It is 42."
    (turn,) = stored(session)
    roles = [message.role for message in turn.response]
    assert roles == ["assistant", "tool", "assistant"]
    assert turn.response[1].content == "42"
    assert turn.response[1].tool_call_id == turn.response[0].tool_calls[0].id


def test_a_tools_error_comes_back_as_text(make_session: Any) -> None:
    session = make_session()
    assert "".join(session.send("9/0?")) == "Not possible."
    assert stored(session)[0].response[1].content == "error: division by zero"


def test_the_last_step_is_taken_without_tools(make_session: Any, config: Config) -> None:
    session = make_session(config=replace(config, agent=replace(config.agent, max_steps=2)))
    list(session.send("7*6?"))
    (turn,) = stored(session)
    calls = [message for message in turn.response if message.tool_calls]
    assert len(calls) <= 1
    assert turn.response[-1].role == "assistant"
    assert not turn.response[-1].tool_calls


def test_tools_that_are_not_configured_are_not_offered(config: Config, scholar: LocalModel) -> None:
    bare = replace(config, agent=replace(config.agent, tools=()))
    assert first_prompt(bare, scholar, "7*6?")[1] == ()


def test_an_unknown_tool_in_the_configuration_is_named(make_session: Any, config: Config) -> None:
    wrong = replace(config, agent=replace(config.agent, tools=("calculater",)))
    with pytest.raises(ConfigError, match="calculater"):
        make_session(config=wrong)


def test_the_conversation_is_remembered_by_a_later_session(make_session: Any) -> None:
    first = make_session(conversation_id="c")
    list(first.send("Hello!"))
    first.close()
    second = make_session(conversation_id="c")
    assert [m.content for m in second.messages()] == ["Hello!", "Hello there."]
    list(second.send("7*6?"))
    prompt = stored(second)[-1].prompt
    assert [m.content for m in prompt] == ["Hello!", "Hello there.", "7*6?"]


SECRETS = ("ghp_" + "a1B2" * 9, "carla.weber@example.org")


def test_a_secret_is_remembered_by_its_process_and_stands_in_no_file(make_session: Any) -> None:
    session = make_session(conversation_id="c")
    list(session.send(f"My key is {SECRETS[0]}, my mail {SECRETS[1]}."))
    assert all(secret in session.messages()[0].content for secret in SECRETS)
    list(session.send("Hello!"))
    assert all(secret in session.messages()[0].content for secret in SECRETS)
    session.close()
    later = make_session(conversation_id="c")
    said = later.messages()[0].content
    assert said == "My key is [redacted:github_token], my mail [redacted:email]."
    assert later.messages()[2].content == "Hello!"
    files = [path for path in session.home.root.rglob("*") if path.is_file()]
    assert not [f for f in files for secret in SECRETS if secret.encode() in f.read_bytes()]


def test_a_call_that_waits_for_leave_is_done_with_its_arguments_whole(home: Home) -> None:
    from langgraph.types import Command

    done: list[Any] = []

    def model(messages: Any, step: int, may_call: bool) -> Iterator[Any]:
        call = ToolCall("1", "note", {"text": SECRETS[0]})
        yield (
            Generation("", (), (), "tool_calls", (call,))
            if not step
            else Generation("Done.", (), (), "stop")
        )

    context = TurnContext(model, lambda _, args: str(done.append(args)), approved={"note"})
    begun = {"turn": [Message("user", "Note my key.").to_dict()], "steps": 0}
    thread = {"configurable": {"thread_id": "c"}}
    with open_memory(home.checkpoints, "c") as saver:
        graph = build_graph(saver)
        for given in (begun, Command(resume=[APPROVED.to_dict()])):
            list(graph.stream(given, thread, context=context, durability="exit"))
            files = list(home.root.glob("checkpoints.db*"))
            assert all(SECRETS[0].encode() not in file.read_bytes() for file in files)
    assert done == [{"text": SECRETS[0]}]


def test_another_conversation_remembers_nothing(make_session: Any) -> None:
    list(make_session(conversation_id="a").send("Hello!"))
    assert make_session(conversation_id="b").messages() == []


def test_one_checkpoint_a_conversation_is_kept(make_session: Any) -> None:
    session = make_session(conversation_id="c")
    for _ in range(3):
        list(session.send("Hello!"))
    session.close()
    with sqlite3.connect(session.home.checkpoints) as database:
        assert database.execute("select count(*) from checkpoints").fetchone() == (1,)


def test_the_checkpoints_are_readable_by_their_owner_alone(make_session: Any) -> None:
    session = make_session()
    assert session.home.checkpoints.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("after", [0, 2])
def test_a_model_failure_leaves_the_memory_as_it_was(
    make_session: Any, scholar: LocalModel, after: int
) -> None:
    session = make_session(conversation_id="c")
    list(session.send("Hello!"))
    session.model = Failing(scholar, after)
    with pytest.raises(ModelError, match="out of memory"):
        list(session.send("7*6?"))
    assert [m.content for m in session.messages()] == ["Hello!", "Hello there."]
    session.model = scholar
    assert "".join(session.send("Hello!"))
    assert [m.content for m in session.messages()][:3] == ["Hello!", "Hello there.", "Hello!"]


def test_a_failed_turn_is_never_trained_on(make_session: Any, scholar: LocalModel) -> None:
    session = make_session(model=Failing(scholar, 2))
    with pytest.raises(ModelError):
        list(session.send("Hello!"))
    assert [(t.finish_reason, t.excluded) for t in stored(session)] == [("error", True)]
    assert session.last_turn is None


def test_a_reader_who_leaves_stops_the_model_and_the_memory_stays(make_session: Any) -> None:
    session = make_session(conversation_id="c")
    answer = session.send("Hello!")
    next(answer)
    answer.close()
    assert session.messages() == []
    assert [(t.finish_reason, t.excluded) for t in stored(session)] == [("interrupted", True)]
    assert not [t for t in threading.enumerate() if t.name == "agent-turn"]


def test_history_that_does_not_fit_is_left_out_from_the_front(
    make_session: Any, config: Config
) -> None:
    system = replace(config, preferences=PreferencesConfig(persona="You are a tutor."))
    session = make_session(config=system, conversation_id="c")
    for _ in range(8):
        list(session.send("Hello! " + "word " * 60))
    turns = stored(session)
    assert len(turns[-1].prompt) < 2 * len(turns)
    assert turns[-1].prompt[0].role == "system"
    assert turns[-1].prompt[1].role == "user"
    assert len(session.messages()) == 2 * len(turns)


def test_a_message_larger_than_the_context_is_refused_with_a_hint(make_session: Any) -> None:
    session = make_session()
    with pytest.raises(ContextTooLong) as caught:
        list(session.send("a" * 1_000_000))
    assert caught.value.hint
    assert session.messages() == []


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_message_is_refused(make_session: Any, text: str) -> None:
    with pytest.raises(InputError):
        make_session().send(text)


@pytest.mark.parametrize("text", ["\ud800 hi", "a\x00b", "\u202e\U0001f600", "<|im_end|> x"])
def test_odd_characters_are_answered(make_session: Any, text: str) -> None:
    session = make_session()
    list(session.send(text))
    assert len(stored(session)) == 1


def test_a_turn_names_its_version_base_and_channel(make_session: Any, scholar: LocalModel) -> None:
    session = make_session(channel="demo")
    list(session.send("Hello!"))
    (turn,) = stored(session)
    assert (turn.version, turn.base, turn.channel) == (0, scholar.base, "demo")
    assert turn.latency_ms > 0
    assert session.last_turn is not None
    assert session.last_turn.id == turn.id


def test_a_complaint_becomes_feedback_on_the_turn_before(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    list(session.send("Way too long, keep it short please."))
    first, _ = stored(session)
    with Store.open(session.home.database) as store:
        (feedback,) = store.feedback.for_turn(first.id)
        assert (feedback.polarity, feedback.kind) == ("negative", "follow_up")
        assert [rule.direction for rule in store.rules.list(("active",))] == ["length:brief"]


def test_a_promotion_takes_effect_on_the_next_turn(
    make_session: Any, home: Home, scholar: LocalModel, tmp_path: Any
) -> None:
    session = make_session()
    list(session.send("Hello!"))
    promote_one(home, scholar, tmp_path / "staged")
    list(session.send("Hello!"))
    with Store.open(home.database) as store:
        Registry(store, home).rollback(why="test")
    list(session.send("Hello!"))
    assert [turn.version for turn in stored(session)] == [0, 1, 0]


def test_a_champion_damaged_on_disk_leaves_the_chat_to_the_version_before(
    make_session: Any, home: Home, scholar: LocalModel, tmp_path: Path
) -> None:
    for number in (1, 2):
        weights = promote_one(home, scholar, tmp_path / f"staged{number}")
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    session = make_session()
    assert "".join(session.send("Hello!"))
    assert [turn.version for turn in stored(session)] == [1]


def test_capture_can_be_turned_off(make_session: Any, config: Config) -> None:
    silent = replace(config, capture=replace(config.capture, enabled=False))
    session = make_session(config=silent)
    assert "".join(session.send("Hello!"))
    assert stored(session) == []


def test_a_database_that_breaks_during_the_chat_does_not_stop_it(make_session: Any) -> None:
    session = make_session()
    list(session.send("Hello!"))
    assert session.recorder.flush(20)
    session.recorder._retry_seconds = 0.1
    with sqlite3.connect(session.home.database) as database:
        database.execute("alter table turns rename to gone")
    assert "".join(session.send("Hello!"))
    assert session.recorder.flush(20)
    assert session.recorder.stats["failed"] == 1


def test_a_damaged_memory_file_is_told_with_a_way_out(make_session: Any, home: Home) -> None:
    home.checkpoints.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreCorrupt) as caught:
        make_session()
    assert "move" in caught.value.hint


def break_disk(home: Home) -> None:
    """Under what SQLite has open of the memory lies a folder: reading and writing fail on it."""
    folder = os.open(home.root, os.O_RDONLY)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if str(Path(f"/proc/self/fd/{number}").readlink()).startswith(str(home.checkpoints)):
                os.dup2(folder, number)
    os.close(folder)


def test_a_memory_that_can_grow_no_more_keeps_no_answer_back(make_session: Any) -> None:
    session = make_session()
    list(session.send("7*6?"))
    session._saver.conn.execute("pragma max_page_count = 1")  # SQLite takes the present size
    questions = ["7*6?", *["Hello!" + " x" * 150] * 8]
    for question in questions[1:]:
        assert "".join(session.send(question))
    assert "disk is full" in session.memory_fault
    assert [m.content for m in session.messages() if m.role == "user"] == questions


def test_a_memory_whose_disk_can_be_neither_written_nor_read_takes_what_comes(home: Home) -> None:
    where = {"configurable": {"thread_id": "c", "checkpoint_ns": ""}}
    with open_memory(home.checkpoints, "c") as saver:
        saver.put(where, {"v": 1, "id": "1", "ts": "", "channel_values": {}}, {}, {})
        saver.conn.execute("pragma shrink_memory")  # what SQLite remembers needs no disk
        break_disk(home)
        last = {"v": 1, "id": "2", "ts": "", "channel_values": {"said": "Hello!"}}
        written = saver.put(where, last, {}, {})
        assert saver.fault is not None
        assert saver.get_tuple(written).checkpoint["channel_values"] == {"said": "Hello!"}


def test_a_conversation_goes_on_while_the_disk_is_full(
    small_disk: Path, config: Config, scholar: LocalModel
) -> None:
    home = Home(small_disk / "home").ensure()
    with AgentSession.open(home, config, model=scholar) as session:
        list(session.send("7*6?"))
    fill(small_disk)
    same = session.conversation_id
    with AgentSession.open(home, config, model=scholar, conversation_id=same) as later:
        assert "".join(later.send("Hello!"))
        assert [m.content for m in later.messages() if m.role == "user"] == ["7*6?", "Hello!"]
        assert "disk is full" in later.memory_fault


def test_closing_twice_does_nothing(make_session: Any) -> None:
    session = make_session()
    session.close()
    session.close()


def test_no_system_message_when_there_is_nothing_to_say(
    config: Config, scholar: LocalModel
) -> None:
    prompt, _ = first_prompt(config, scholar, "Hi")
    assert prompt == (Message("user", "Hi"),)


def test_persona_and_declared_rules_stand_in_the_system_prompt(config: Config) -> None:
    preferences = PreferencesConfig(
        persona="You are a tutor.", rules=("No emoji.", {"text": "Be kind."})
    )
    text = system_prompt(replace(config, preferences=preferences))
    assert text == "You are a tutor.\n\nThe user's rules:\n- No emoji.\n- Be kind."


def test_a_learned_rule_stands_in_no_prompt(make_session: Any) -> None:
    session = make_session()
    with Store.open(session.home.database) as store:
        store.rules.add(Rule("No emoji.", "active", "emoji:none", {"name": "no_emoji"}))
    assert "".join(session.send("Hello!")) == "Hello there."
    (turn,) = stored(session)
    assert "emoji" not in str(turn.prompt)


def test_declared_rules_can_be_kept_out_of_the_prompt(config: Config) -> None:
    preferences = PreferencesConfig(rules=("No emoji.",), in_prompt=False)
    assert system_prompt(replace(config, preferences=preferences)) == ""


def test_skills_are_listed_and_readable_when_asked_for(
    make_session: Any, config: Config, home: Home
) -> None:
    folder = home.root / "skills" / "tea-making"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(
        "---\nname: tea-making\ndescription: How to make tea.\n---\nBoil water.\n"
    )
    session = make_session(
        config=replace(config, agent=replace(config.agent, skills_in_prompt="always"))
    )
    assert "- tea-making: How to make tea." in session.system
    assert session._call_tool("read_skill", {"name": "tea-making"}) == "Boil water."
    assert session._call_tool("read_skill", {"name": "x"}).startswith("error:")


def test_skills_stay_out_of_a_small_context(make_session: Any) -> None:
    assert make_session().system == ""


def test_a_tool_that_is_not_offered_cannot_be_called(make_session: Any, config: Config) -> None:
    session = make_session(config=replace(config, agent=replace(config.agent, tools=("clock",))))
    assert session._call_tool("calculator", {"expression": "1+1"}).startswith("error:")
