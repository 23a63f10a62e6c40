"""Leave for tool calls, and learning at once from a denial or a correction, in a real session."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from align_agent.adapters import working
from align_agent.agent import commands, live
from align_agent.agent.approval import APPROVED, Decision, decision_of
from align_agent.agent.commands import Command
from align_agent.agent.session import AgentSession
from align_agent.config import Config
from align_agent.distill.select import select
from align_agent.errors import ConfigError, NotFound, StoreError, TrainingDiverged, UsageError
from align_agent.privacy.forget import forget
from align_agent.privacy.wanted import Wanted
from align_agent.records import ToolCall, denied_in
from align_agent.store import Store

WHY = "Do not use the calculator, work it out yourself."
COMPLAINT = "That was too long, keep it shorter please."
Make = Callable[..., AgentSession]


@pytest.fixture
def asking(config: Config) -> Config:
    """Each call of the calculator waits for leave."""
    return replace(config, agent=replace(config.agent, approve=("calculator",)))


@pytest.fixture
def living(asking: Config) -> Config:
    return replace(asking, learn=replace(asking.learn, live=True))


def heard(session: AgentSession, *decisions: Decision) -> list[ToolCall]:
    """The calls that a person is asked about, who decides so, and approves what comes after."""
    asked: list[ToolCall] = []
    left = list(decisions)

    def approve(call: ToolCall) -> Decision:
        asked.append(call)
        return left.pop(0) if left else APPROVED

    session.approve = approve
    return asked


def answering(session: AgentSession) -> dict[str, bytes]:
    """The bytes of the adapter that answers now; none for the base."""
    path = session._registry.answering(session.model.base, session.model.base_hash)[1]
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())} if path is not None else {}


def test_an_approved_call_is_done(make_session: Make, asking: Config) -> None:
    session = make_session(config=asking)
    asked = heard(session)
    assert "".join(session.send("7*6?")) == "It is 42."
    assert [call.arguments for call in asked] == [{"expression": "7*6"}]


def test_an_edited_call_is_done_and_remembered_as_edited(
    make_session: Make, asking: Config
) -> None:
    session = make_session(config=asking)
    heard(session, Decision("edit", arguments={"expression": "6*6"}))
    list(session.send("7*6?"))
    call, result = session.messages()[1:3]
    assert call.tool_calls[0].arguments == {"expression": "6*6"} and result.content == "36"


def test_where_nobody_can_be_asked_the_call_is_denied_and_nothing_is_learned(
    make_session: Make, living: Config
) -> None:
    session = make_session(config=living)
    list(session.send("7*6?"))
    assert session.messages()[2].content.startswith("error: the user denied this call: nobody")
    assert answering(session) == {}
    session.recorder.flush()
    with Store.open(session.home.database) as store:
        assert store.turns.count() == 1


def test_a_turn_that_is_left_while_a_call_waits_leaves_the_memory_as_it_was(
    make_session: Make, asking: Config
) -> None:
    session = make_session(config=asking)

    def leaves(call: ToolCall) -> Decision:
        raise KeyboardInterrupt

    session.approve = leaves
    with pytest.raises(KeyboardInterrupt):
        list(session.send("7*6?"))
    assert session.messages() == []
    heard(session)
    assert "".join(session.send("7*6?")) == "It is 42."
    assert len(session.messages()) == 4


def test_a_denied_call_is_a_lesson_with_its_reason_and_goes_with_its_turn(
    make_session: Make, asking: Config
) -> None:
    session = make_session(config=asking)
    heard(session, Decision("deny", WHY))
    list(session.send("7*6?"))
    assert session.messages()[2].content == f"error: the user denied this call: {WHY}"
    assert session.last_turn is not None
    session.recorder.flush()
    with Store.open(session.home.database) as store:
        (denied,) = store.turns.list(conversation=denied_in(session.conversation_id))
        assert denied.response[-1].tool_calls[0].arguments == {"expression": "7*6"}
        assert [m.content for m in denied.prompt] == ["7*6?"]
        chosen = select(store, asking.distill, lambda _: (), lambda _: False, seed=0)
        lessons = {c.turn.id: c.shown.follow_up for c in [*chosen.train, *chosen.heldout]}
    assert lessons[denied.id] == WHY
    forget(session.home, Wanted("turn", session.last_turn.id))
    with Store.open(session.home.database) as store:
        assert store.turns.count() == 0


def test_a_denial_is_learned_at_once_and_the_agent_tries_again(
    make_session: Make, living: Config
) -> None:
    session = make_session(config=living)
    asked = heard(session, Decision("deny", WHY))
    list(session.send("7*6?"))
    assert session.last_step is not None and session.last_step.number == 1
    assert "adapter_model.safetensors" in answering(session)
    # What was denied is not shown to the model: it answers as if it had never called.
    assert not any(WHY in message.content for message in session.messages())
    assert len([m for m in session.messages() if m.tool_calls]) == len(asked) - 1


def test_a_habit_that_outlasts_the_steps_is_told_in_the_context(
    make_session: Make, living: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RATE", 0.0)  # steps that move nothing
    session = make_session(config=living)
    asked = heard(session, *[Decision("deny", WHY)] * (live.RETRIES + 1))
    list(session.send("7*6?"))
    assert len(asked) == live.RETRIES + 1
    assert [m.content for m in session.messages() if m.role == "tool"] == [
        f"error: the user denied this call: {WHY}"
    ]


def test_a_correction_is_learned_at_once_and_undo_is_exact(
    make_session: Make, living: Config
) -> None:
    session = make_session(config=living)
    list(session.send("Hello!"))
    assert session.last_step is None
    list(session.send(COMPLAINT))
    assert session.last_step is not None
    first = answering(session)
    commands.run(Command("rate", "down too long"), session)
    assert answering(session) != first
    assert commands.run(Command("undo"), session).data == {"steps": 1}
    assert answering(session) == first
    assert commands.run(Command("undo"), session).data == {"steps": 0}
    assert answering(session) == {}
    with pytest.raises(NotFound):
        commands.run(Command("undo"), session)


def test_why_tells_which_steps_are_behind_the_last_answer(
    make_session: Make, living: Config
) -> None:
    session = make_session(config=living)

    def told() -> tuple[str, Any]:
        reply = commands.run(Command("why"), session)
        return "\n".join(reply.lines), (reply.data["behind"], reply.data["steps"])

    list(session.send("Hello!"))
    assert "at once" not in told()[0] and told()[1] == (0, 0)
    list(session.send(COMPLAINT))
    assert "learned at once: 1 behind the last answer\n/undo" in told()[0]
    commands.run(Command("rate", "down too long"), session)
    assert "1 behind the last answer, 1 more from the next one on" in told()[0]
    assert told()[1] == (1, 2)
    list(session.send("Hello!"))
    assert told()[1] == (2, 2)
    commands.run(Command("undo"), session)
    assert "came from a step that was taken back" in told()[0] and told()[1] == (0, 1)


def test_an_answer_written_anew_is_learned_at_once(make_session: Make, living: Config) -> None:
    session = make_session(config=living)
    list(session.send("Hello!"))
    assert commands.run(Command("edit", "Good day."), session).data["step"] == 1


def test_without_learn_live_nothing_is_learned_at_once(make_session: Make, config: Config) -> None:
    session = make_session(config=config)
    list(session.send("Hello!"))
    list(session.send(COMPLAINT))
    commands.run(Command("rate", "down too long"), session)
    assert session.last_step is None and not session.home.working.exists()


def test_what_a_step_needs_is_imported_before_the_first_word(
    make_session: Make, config: Config, living: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(live, "ready", lambda: asked.append("ready"))
    make_session(config=config)
    assert asked == []
    make_session(config=living)
    assert asked == ["ready"]


def test_a_step_that_fails_costs_no_answer_and_is_counted(
    make_session: Make, living: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_session(config=living)
    list(session.send("Hello!"))

    def diverges(*_: Any) -> None:
        raise TrainingDiverged("training diverged at step 1", hint="exclude the turn")

    monkeypatch.setattr("align_agent.distill.gradient.check_sound", diverges)
    assert "".join(session.send(COMPLAINT))
    assert session.step_fault.startswith("training diverged")
    assert answering(session) == {}
    with Store.open(session.home.database) as store:
        assert store.counters.all()[live.FAILED] == 1


@pytest.mark.parametrize(
    "error, told",
    [
        (RuntimeError("CUDA out of memory"), "out of memory"),
        (RuntimeError("no kernel"), "RuntimeError: no kernel"),
        (StoreError("the database is locked", hint="wait"), "the database is locked"),
    ],
)
def test_whatever_a_step_fails_of_the_answer_comes(
    make_session: Make,
    living: Config,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    session = make_session(config=living)
    list(session.send("Hello!"))

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(live, "learn", fails)
    if isinstance(error, StoreError):  # then nothing can be counted either
        monkeypatch.setattr(type(session._store.counters), "bump", fails)
    assert "".join(session.send(COMPLAINT))
    assert session.step_fault == told
    assert session.last_turn is not None and session.last_turn.user_text == COMPLAINT


def test_a_database_that_cannot_take_a_denial_costs_no_answer(
    make_session: Make, asking: Config
) -> None:
    session = make_session(config=asking)
    heard(session, Decision("deny", WHY))
    with sqlite3.connect(session.home.database) as database:
        database.execute("alter table feedback rename to gone")
    assert "".join(session.send("7*6?"))
    assert session.last_turn is not None


def test_forgetting_anything_drops_what_was_learned_at_once(
    make_session: Make, living: Config
) -> None:
    session = make_session(config=living)
    list(session.send("Hello!"))
    list(session.send(COMPLAINT))
    assert session.last_turn is not None
    session.recorder.flush()
    forget(session.home, Wanted("turn", session.last_turn.id))
    assert answering(session) == {}
    assert [*session.home.working.iterdir()] == []
    with Store.open(session.home.database) as store:
        assert working.standing(store) is None


def test_an_unknown_tool_cannot_wait_for_leave(make_session: Make, config: Config) -> None:
    wrong = replace(config, agent=replace(config.agent, approve=("edit_fiel",)))
    with pytest.raises(ConfigError, match="edit_fiel"):
        make_session(config=wrong)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("y", APPROVED),
        (" Yes ", APPROVED),
        ("n", Decision("deny")),
        ("no, use edit_lines", Decision("deny", "use edit_lines")),
        ('e {"path": "a"}', Decision("edit", arguments={"path": "a"})),
    ],
)
def test_what_is_typed_is_a_decision(line: str, meant: Decision) -> None:
    assert decision_of(line) == meant


@pytest.mark.parametrize("line", ["", "maybe", "y but", "e", "e [1]", "e {"])
def test_anything_else_is_asked_again(line: str) -> None:
    with pytest.raises(UsageError):
        decision_of(line)
