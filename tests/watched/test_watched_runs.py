"""Runs that end otherwise than planned, and graphs in which many models speak."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import calling, graph_of, human, on, talker, worker
from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    FakeListChatModelError,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from align_agent.config import CaptureConfig, Config
from align_agent.langgraph import Capture
from align_agent.langgraph.runs import Run
from align_agent.store import Store


def test_a_router_and_a_grader_are_not_the_answer(capture: Any, turns: Any) -> None:
    router = FakeListChatModel(responses=["math"])
    expert = FakeListChatModel(responses=["It is 42."])
    grader = FakeListChatModel(responses=["good"])

    def route(state: Any) -> dict[str, Any]:
        router.invoke([SystemMessage("Which expert?"), *state["messages"]])
        return {}

    def answer(state: Any) -> dict[str, Any]:
        return {"messages": [expert.invoke([SystemMessage("Be exact."), *state["messages"]])]}

    def grade(state: Any) -> dict[str, Any]:
        grader.invoke([HumanMessage(f"Grade this: {state['messages'][-1].content}")])
        return {}

    graph = StateGraph(MessagesState)
    for name, node in (("route", route), ("answer", answer), ("grade", grade)):
        graph.add_node(name, node)
    graph.add_edge(START, "route")
    graph.add_edge("route", "answer")
    graph.add_edge("answer", "grade")
    graph.add_edge("grade", END)
    capture.watch(graph.compile()).invoke(human("7*6?"), on("t1"))
    (turn,) = turns()
    assert (turn.user_text, turn.answer) == ("7*6?", "It is 42.")
    assert turn.prompt[0].content == "Be exact."


def test_a_prompt_built_around_the_question_keeps_the_humans_words(
    capture: Any, turns: Any
) -> None:
    model = FakeListChatModel(responses=["Paris."])

    def answer(state: Any) -> dict[str, Any]:
        question = state["messages"][-1].content
        return {"messages": [model.invoke(f"Context: France ...\nQuestion: {question}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    capture.watch(graph.compile()).invoke(human("The capital?"), on("t1"))
    (turn,) = turns()
    assert turn.user_text == "The capital?"
    assert turn.prompt[-1].content.startswith("Context: France")


def asking(model: Any) -> Any:
    """A graph that asks the human for a yes before it goes on."""

    def said(state: Any) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def confirm(state: Any) -> dict[str, Any]:
        interrupt("may I?")
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("said", said)
    graph.add_node("confirm", confirm)
    graph.add_edge(START, "said")
    graph.add_edge("said", "confirm")
    graph.add_edge("confirm", END)
    return graph.compile(checkpointer=InMemorySaver())


def test_a_run_that_waits_for_the_human_is_recorded_once_it_went_on(
    capture: Any, turns: Any
) -> None:
    graph = capture.watch(asking(FakeListChatModel(responses=["Done."])))
    graph.invoke(human("Send it."), on("t1"))
    assert turns() == []
    graph.invoke(Command(resume="yes"), on("t1"))
    (turn,) = turns()
    assert (turn.answer, turn.finish_reason) == ("Done.", "stop")


def test_a_tool_call_that_needs_a_yes_is_one_turn(capture: Any, turns: Any) -> None:
    graph = worker(calling(), AIMessage("It is 42."), interrupt_before=["tools"])
    watched = capture.watch(graph)
    watched.invoke(human("7*6?"), on("t1"))
    assert turns() == []
    watched.invoke(None, on("t1"))
    (turn,) = turns()
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]


def test_what_never_went_on_is_recorded_at_the_end(capture: Any, turns: Any) -> None:
    capture.watch(asking(FakeListChatModel(responses=["Done."]))).invoke(human("Send."), on("t1"))
    (turn,) = turns(closed=True)
    assert (turn.answer, turn.finish_reason) == ("Done.", "aborted")


def test_a_model_that_breaks_leaves_what_it_had_said(capture: Any, turns: Any) -> None:
    graph = capture.watch(
        graph_of(FakeListChatModel(responses=["Hello there."], error_on_chunk_number=5))
    )
    with pytest.raises(FakeListChatModelError):
        list(graph.stream(human("Hi!"), on("t1"), stream_mode="messages"))
    assert turns() == []  # a second try may come
    (turn,) = turns(closed=True)
    assert (turn.finish_reason, turn.user_text) == ("error", "Hi!")
    assert "Hello there.".startswith(turn.answer) and turn.answer


def test_a_tool_that_ends_the_run_is_an_error(capture: Any, turns: Any) -> None:
    graph = capture.watch(worker(calling("1/0"), handle=False))
    with pytest.raises(ZeroDivisionError):
        graph.invoke(human("1/0?"), on("t1"))
    (turn,) = turns(closed=True)
    assert turn.finish_reason == "error"
    assert turn.response[-1].content == "error: ZeroDivisionError: division by zero"


def test_a_reader_who_goes_away_leaves_an_aborted_turn(capture: Any, turns: Any) -> None:
    graph = capture.watch(talker("Hello there, how are you?", pause=0.01))

    async def leave() -> None:
        async for _ in graph.astream(human("Hi!"), on("t1"), stream_mode="messages"):
            break

    asyncio.run(leave())
    (turn,) = turns(closed=True)
    assert turn.finish_reason == "aborted"
    assert "Hello there, how are you?".startswith(turn.answer)


def test_the_same_words_again_in_a_thread_are_a_turn_of_their_own(
    capture: Any, turns: Any, tmp_path: Path
) -> None:
    for answer in ("A plant.", "A tall plant."):  # nothing is remembered between the two
        capture.watch(talker(answer)).invoke(human("What is a tree?"), on("t1"))
    first, second = turns()
    assert (first.answer, second.answer) == ("A plant.", "A tall plant.")
    with Store.open(tmp_path / "home" / "align.db") as store:
        assert [found.kind for found in store.feedback.for_turn(first.id)] == ["retry"]


def test_what_the_door_recorded_is_not_recorded_again(capture: Any, turns: Any) -> None:
    said = AIMessage("Hello.", response_metadata={"model_name": "align@v3"})
    capture.watch(worker(said)).invoke(human("Hi!"), on("t1"))
    assert turns() == []
    assert capture.stats["served"] == 1


def test_a_failure_of_the_record_is_counted_and_the_agent_answers(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Run, "answer", broken)
    monkeypatch.setattr(Capture, "_enter", broken)
    found = capture.watch(talker("Hello.")).invoke(human("Hi!"), on("t1"))
    assert found["messages"][-1].content == "Hello."
    assert capture.stats["failed"] > 0


def test_a_run_without_a_model_is_no_turn(capture: Any, turns: Any) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("fixed", lambda _: {"messages": [AIMessage("Closed.")]})
    graph.add_edge(START, "fixed")
    capture.watch(graph.compile()).invoke(human("Hi!"))
    assert turns() == []
    assert capture.stats["silent"] == 1


def test_capture_can_be_turned_off(tmp_path: Path) -> None:
    config = replace(Config(), capture=CaptureConfig(enabled=False))
    with Capture(tmp_path / "home", config) as capture:
        capture.watch(talker("Hello.")).invoke(human("Hi!"), on("t1"))
        capture.flush()
        assert capture.stats["recorded"] == 0


SCRIPT = """
from agents import human, on, talker
from align_agent.langgraph import Capture
graph = Capture().watch(talker("Hello."))
graph.invoke(human("Hi!"), on("t1"))
"""


def test_a_script_that_just_ends_has_its_turn_stored(tmp_path: Path) -> None:
    import os

    environment = os.environ | {"ALIGN_AGENT_HOME": str(tmp_path / "home")}
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path / "home" / "align.db") as store:
        assert [turn.answer for turn in store.turns.all_main()] == ["Hello."]
