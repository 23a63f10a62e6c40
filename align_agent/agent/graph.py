"""The agent's graph: model, tools, model, ..., and then what was said goes into memory.

Calls that need a person's leave interrupt it (LangGraph's `interrupt`) until the decisions come.
The memory (`messages`) changes in the last node alone, so a turn that fails in between leaves it
as it was. Knows nothing of adapters, recording or prompts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from align_agent.agent.approval import APPROVED, Decision, denial
from align_agent.errors import MissingDependency, ModelError
from align_agent.models.generation import Generation
from align_agent.records import Message

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

MAX_RESULT = 4_000


class ChatState(TypedDict, total=False):
    """What the checkpointer keeps of a conversation. Messages are plain dicts.

    `messages` is the memory of finished turns, `turn` the present turn from the human's message
    on, `steps` the number of model calls in it.
    """

    messages: Annotated[list[dict[str, Any]], operator.add]
    turn: list[dict[str, Any]]
    steps: int


# (memory and present turn, number of the call in this turn, may it call tools) -> pieces, then
# the whole generation.
ModelCall = Callable[[Sequence[Message], int, bool], Iterator[str | Generation]]
ToolRun = Callable[[str, Mapping[str, Any]], str]


@dataclass(slots=True)
class TurnContext:
    """What one turn brings along; never checkpointed. `finish_reason` is filled in by the graph,
    `approved` names the tools that need a person's leave."""

    model_call: ModelCall
    call_tool: ToolRun
    max_steps: int = 6
    finish_reason: str = "stop"
    approved: frozenset[str] = frozenset()


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> Any:
    """The compiled graph; run it with `stream(..., context=TurnContext(...))`.

    Its `custom` stream yields the text pieces of the answer. The last of `max_steps` model calls
    is made without tools, so that a turn always ends in words. Raises MissingDependency.
    """
    try:
        from langgraph.graph import END, START, StateGraph
    except ModuleNotFoundError as error:
        raise missing_agent(error) from error

    graph = StateGraph(ChatState, context_schema=TurnContext)
    graph.add_node("model", _model)
    graph.add_node("tools", _tools)
    graph.add_node("remember", _remember)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", _after_model, ["tools", "remember"])
    graph.add_edge("tools", "model")
    graph.add_edge("remember", END)
    return graph.compile(checkpointer=checkpointer)


def missing_agent(error: ModuleNotFoundError) -> MissingDependency:
    """The error for an installation without langgraph, naming what could not be imported."""
    return MissingDependency(
        f"the agent needs {error.name or 'langgraph'}, which is not installed",
        hint="pip install 'align-agent[agent]'",
    )


def _model(state: ChatState, runtime: Any) -> dict[str, Any]:
    # langgraph passes the run's Runtime by the parameter's name.
    from langgraph.config import get_stream_writer

    context: TurnContext = runtime.context
    steps = state["steps"]
    messages = [Message.from_dict(m) for m in [*state.get("messages", []), *state["turn"]]]
    may_call = steps + 1 < context.max_steps
    generation: Generation | None = None
    write = get_stream_writer()
    for piece in context.model_call(messages, steps, may_call):
        if isinstance(piece, Generation):
            generation = piece
        elif piece:
            write(piece)
    if generation is None:
        raise ModelError("the model ended without an answer", hint="try again")
    context.finish_reason = generation.finish_reason
    return {"turn": [*state["turn"], generation.message().to_dict()], "steps": steps + 1}


def _tools(state: ChatState, runtime: Any) -> dict[str, Any]:
    context: TurnContext = runtime.context
    message = Message.from_dict(state["turn"][-1])
    decisions = _decisions(message, context.approved)
    if any(decision.anew for decision in decisions):
        return {"turn": state["turn"][:-1]}
    calls = [
        call if decision.arguments is None else replace(call, arguments=decision.arguments)
        for call, decision in zip(message.tool_calls, decisions, strict=True)
    ]
    results = []
    for call, decision in zip(calls, decisions, strict=True):
        if decision.verdict == "deny":
            result = denial(decision.reason)
        else:
            result = context.call_tool(call.name, call.arguments)[:MAX_RESULT]
        results.append(Message("tool", result, tool_call_id=call.id).to_dict())
    done = replace(message, tool_calls=tuple(calls)).to_dict()  # as they were done, if edited
    return {"turn": [*state["turn"][:-1], done, *results]}


def _decisions(message: Message, approved: frozenset[str]) -> list[Decision]:
    """One for each call. Nothing may be done before: after an interrupt the node begins anew."""
    from langgraph.types import interrupt

    asked = [call for call in message.tool_calls if call.name in approved]
    said: list[dict[str, Any]] = interrupt([call.to_dict() for call in asked]) if asked else []
    given = iter(said)
    return [
        Decision.from_dict(next(given)) if call.name in approved else APPROVED
        for call in message.tool_calls
    ]


def _after_model(state: ChatState) -> str:
    return "tools" if state["turn"][-1].get("tool_calls") else "remember"


def _remember(state: ChatState) -> dict[str, Any]:
    return {"messages": state["turn"]}
