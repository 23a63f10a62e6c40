"""What a watched graph says is recorded as the human meant it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents import Scripted, calculator, calling, graph_of, human, on, talker, worker
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from align_agent.store import Store


def test_two_lines_record_a_graph(capture: Any, turns: Any) -> None:
    graph = capture.watch(talker("Hello there."))
    graph.invoke(human("Hi!"), on("t1"))
    (turn,) = turns()
    assert (turn.user_text, turn.answer, turn.finish_reason) == ("Hi!", "Hello there.", "stop")
    assert [message.role for message in turn.prompt] == ["user"]
    assert turn.channel == "langgraph" and turn.main and turn.latency_ms > 0


def test_one_run_can_be_watched_alone(capture: Any, turns: Any) -> None:
    graph = talker("one", "two")
    graph.invoke(human("first"), on("t1"))
    graph.invoke(human("second"), on("t1") | {"callbacks": [capture]})
    assert [turn.user_text for turn in turns()] == ["second"]


def test_the_next_message_of_a_thread_is_its_feedback(
    capture: Any, turns: Any, tmp_path: Path
) -> None:
    graph = capture.watch(talker("**Bold**, and long.", "Short."))
    graph.invoke(human("What is a tree?"), on("t1"))
    graph.invoke(human("Too long, keep it short."), on("t1"))
    first, second = turns()
    assert first.conversation_id == second.conversation_id
    with Store.open(tmp_path / "home" / "align.db") as store:
        (heard,) = store.feedback.for_turn(first.id)
    assert (heard.polarity, heard.source_turn_id) == ("negative", second.id)


def test_a_conversation_without_a_thread_is_found_by_its_history(capture: Any, turns: Any) -> None:
    graph = capture.watch(graph_of(FakeListChatModel(responses=["A plant.", "Oak."])))
    first = graph.invoke(human("What is a tree?"), on("a"))["messages"]
    plain = capture.watch(FakeListChatModel(responses=["Oak."]))
    plain.invoke([*first, ("human", "Name one.")])
    model = capture.watch(FakeListChatModel(responses=["It is green.", "Yes."]))
    answer = model.invoke([("human", "What colour is a leaf in summer, please?")])
    asked = [("human", "What colour is a leaf in summer, please?"), answer, ("human", "Really?")]
    model.invoke(asked)
    *_, third, fourth = turns()
    assert third.conversation_id == fourth.conversation_id
    assert [message.role for message in fourth.prompt] == ["user", "assistant", "user"]


def test_a_tool_loop_is_one_turn_with_its_tools(capture: Any, turns: Any) -> None:
    graph = capture.watch(worker(calling(), AIMessage("It is 42.")))
    graph.invoke(human("7*6?"), on("t1"))
    (turn,) = turns()
    assert turn.answer == "It is 42."
    assert [message.role for message in turn.response] == ["assistant", "tool", "assistant"]
    assert turn.response[0].tool_calls[0].arguments == {"expression": "7*6"}
    assert turn.response[1].content == "42"
    assert [tool["function"]["name"] for tool in turn.tools] == ["calculator"]


def test_a_tool_that_fails_is_told_as_the_model_saw_it(capture: Any, turns: Any) -> None:
    graph = capture.watch(worker(calling("1/0"), AIMessage("Not possible.")))
    graph.invoke(human("1/0?"), on("t1"))
    (turn,) = turns()
    assert "division by zero" in turn.response[1].content
    assert turn.answer == "Not possible."


def test_tools_may_have_the_last_word(capture: Any, turns: Any) -> None:
    graph = capture.watch(worker(calling(), interrupt_before=["model"]))
    graph.invoke(human("7*6?"), on("t1"))
    graph.invoke(None, on("t1"))  # the model calls, the tool answers, the run pauses again
    (turn,) = turns(closed=True)
    assert [message.role for message in turn.response] == ["assistant", "tool"]


def test_a_streamed_answer_is_recorded_whole(capture: Any, turns: Any) -> None:
    graph = capture.watch(talker("Hello there."))
    chunks = list(graph.stream(human("Hi!"), on("t1"), stream_mode="messages"))
    assert len(chunks) > 1
    assert turns()[0].answer == "Hello there."


def test_an_answer_that_was_cut_short_says_so(capture: Any, turns: Any) -> None:
    cut = AIMessage("It is", response_metadata={"finish_reason": "length", "model_name": "m1"})
    capture.watch(worker(cut)).invoke(human("7*6?"), on("t1"))
    (turn,) = turns()
    assert (turn.finish_reason, turn.base) == ("length", "m1")


def test_async_runs_at_the_same_time_stay_apart(capture: Any, turns: Any) -> None:
    graph = capture.watch(talker(*(f"answer {i}" for i in range(8)), pause=0.001))

    async def all_at_once() -> list[Any]:
        asked = (graph.ainvoke(human(f"question {i}"), on(f"t{i}")) for i in range(8))
        return list(await asyncio.gather(*asked))

    runs = [[message.content for message in run["messages"]] for run in asyncio.run(all_at_once())]
    found = turns()
    assert {turn.user_text: turn.answer for turn in found} == dict(runs)
    assert len({turn.conversation_id for turn in found}) == 8


def test_runs_in_threads_stay_apart(capture: Any, turns: Any) -> None:
    def ask(number: int) -> str:
        graph = capture.watch(talker(f"answer {number}"))
        graph.invoke(human(f"question {number}"), on(f"t{number}"))
        return f"answer {number}"

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(ask, range(24)))
    assert sorted(turn.answer for turn in turns()) == sorted(told)


def test_other_callbacks_go_on_being_called(capture: Any) -> None:
    from langchain_core.callbacks import BaseCallbackHandler

    class Other(BaseCallbackHandler):
        heard = 0

        def on_llm_end(self, *_: Any, **__: Any) -> None:
            self.heard += 1

    other = Other()
    capture.watch(talker("Hello.")).invoke(human("Hi!"), on("t1") | {"callbacks": [other]})
    assert other.heard == 1


def test_a_chain_around_a_model_is_recorded_in_the_humans_words(capture: Any, turns: Any) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Be kind."), ("placeholder", "{messages}")]
    )
    model = FakeListChatModel(responses=["Hello."])
    chain = capture.watch(prompt | model | StrOutputParser())
    assert chain.invoke(human("Hi!")) == "Hello."
    (turn,) = turns()
    assert [message.role for message in turn.prompt] == ["system", "user"]
    assert (turn.user_text, turn.answer) == ("Hi!", "Hello.")


def test_the_prebuilt_agent_is_recorded(capture: Any, turns: Any) -> None:
    from langgraph.prebuilt import create_react_agent  # LangChain 1 calls it create_agent

    model = Scripted(responses=[calling(), AIMessage("It is 42.")])
    agent = capture.watch(create_react_agent(model, [calculator], prompt="Use tools."))
    agent.invoke(human("7*6?"), on("t1"))
    (turn,) = turns()
    assert turn.answer == "It is 42."
    assert turn.prompt[0].content == "Use tools."
