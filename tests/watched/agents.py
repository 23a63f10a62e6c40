"""Real graphs on scripted chat models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models.fake_chat_models import (
    FakeListChatModel,
    FakeMessagesListChatModel,
)
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


class Scripted(FakeMessagesListChatModel):
    """Says one message after the other, tool calls too."""

    def bind_tools(self, tools: Sequence[Any], **facts: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **facts)


@tool
def calculator(expression: str) -> str:
    """Work out a sum."""
    if expression == "1/0":
        raise ZeroDivisionError("division by zero")
    return "42"


def calling(expression: str = "7*6", call_id: str = "c1") -> AIMessage:
    call = {"name": "calculator", "args": {"expression": expression}, "id": call_id}
    return AIMessage("", tool_calls=[call], response_metadata={"finish_reason": "tool_calls"})


def talker(*answers: str, pause: float | None = None) -> Any:
    """A graph of one node that answers with these texts in turn."""
    return graph_of(FakeListChatModel(responses=list(answers), sleep=pause))


def graph_of(model: Any, checkpointer: Any = None) -> Any:
    """A graph with one node, sync and async."""
    from langchain_core.runnables import RunnableLambda

    def said(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def asaid(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", RunnableLambda(said, asaid))
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    return graph.compile(checkpointer=checkpointer or InMemorySaver())


def worker(*messages: AIMessage, handle: bool = True, **compiled: Any) -> Any:
    """A graph of model and tools; without `handle` a tool that fails ends the run."""
    model = Scripted(responses=list(messages)).bind_tools([calculator])

    def said(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", said)
    graph.add_node("tools", ToolNode([calculator], handle_tool_errors=handle))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=InMemorySaver(), **compiled)


def on(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def human(text: str) -> Any:
    return {"messages": [("human", text)]}
