"""A LangGraph agent whose model is the door: two observers, one record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    convert_to_openai_messages,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

from align_agent.config import Config
from align_agent.langgraph import Capture
from align_agent.store import Store


class Door(BaseChatModel):
    """The door as LangChain's integrations see it: OpenAI's client behind their class."""

    url: str
    told: str = ""  # the name that is told for the model; the door's own when empty

    @property
    def _llm_type(self) -> str:
        return "door"

    def _ask(self, messages: list[BaseMessage], stream: bool) -> Any:
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)
        asked: Any = convert_to_openai_messages(messages)
        return client.chat.completions.create(model="align", messages=asked, stream=stream)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        made = self._ask(messages, False)
        facts = {"model_name": self.told or made.model, "finish_reason": "stop"}
        said = AIMessage(made.choices[0].message.content, response_metadata=facts)
        return ChatResult(generations=[ChatGeneration(message=said)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._ask(messages, True):
            delta = chunk.choices[0].delta.content or ""
            last = chunk.choices[0].finish_reason
            facts = {"model_name": self.told or chunk.model, "finish_reason": last} if last else {}
            made = ChatGenerationChunk(message=AIMessageChunk(delta, response_metadata=facts))
            if run_manager is not None:
                run_manager.on_llm_new_token(delta, chunk=made)
            yield made


def agent_on(model: Door) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    return graph.compile()


def test_an_agent_on_the_door_is_recorded_once_by_the_door(server: Any) -> None:
    home = server.service.home
    with Capture(home.root, Config()) as capture:
        agent = capture.watch(agent_on(Door(url=server.url)))
        found = agent.invoke({"messages": [("human", "Hello!")]})
        assert found["messages"][-1].content == "Great work, well done!"
        streamed = agent.stream({"messages": [("human", "Hello!!")]}, stream_mode="messages")
        assert len(list(streamed)) > 2
        capture.flush()
        assert capture.stats["served"] == 2
    server.service.scribe.flush()
    with Store.open(home.database) as store:
        assert [turn.channel for turn in store.turns.all_main()] == ["openai", "openai"]


def test_a_real_models_stream_is_recorded_by_the_watcher(server: Any, tmp_path: Any) -> None:
    with Capture(tmp_path / "watcher", Config()) as capture:
        agent = capture.watch(agent_on(Door(url=server.url, told="parrot")))
        list(agent.stream({"messages": [("human", "Hello!")]}, stream_mode="messages"))
        capture.flush()
    with Store.open(tmp_path / "watcher" / "align.db") as store:
        (turn,) = store.turns.all_main()
    assert (turn.answer, turn.base) == ("Great work, well done!", "parrot")
