"""LangChain's messages, tools and reasons in our terms. Pure: watches nothing, stores nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from align_agent.capture.wire.shape import content_text
from align_agent.records import Message, ToolCall
from align_agent.store.text import storable

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage

_LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length"}


def messages_of(found: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """Messages as they are recorded. What is no message of a chat (a removal) is left out."""
    from langchain_core.messages import (
        AIMessage,
        HumanMessage,
        SystemMessage,
        ToolMessage,
    )

    made = []
    for message in found:
        if isinstance(message, AIMessage):
            made.append(said_by(message))
        elif isinstance(message, ToolMessage):
            made.append(Message("tool", _text(message), tool_call_id=message.tool_call_id))
        elif isinstance(message, HumanMessage):
            made.append(Message("user", _text(message)))
        elif isinstance(message, SystemMessage):
            made.append(Message("system", _text(message)))
    return tuple(made)


def said_by(message: AIMessage) -> Message:
    """The model's message: its words without its thoughts, and its calls."""
    calls = tuple(
        ToolCall(call["id"] or f"call_{number}", call["name"], _plain(call["args"]))
        for number, call in enumerate(message.tool_calls)
    )
    return Message("assistant", storable(str(message.text)), calls)


def _text(message: BaseMessage) -> str:
    """The words of a message; a note stands for each image, sound or file."""
    if isinstance(message.content, str):
        return storable(message.content)
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else part
        for part in message.content
    ]
    return content_text(parts, "content", lenient=True)


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(arguments, default=str))
    return made


def tools_of(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The tools offered in a model's call, in OpenAI's format. One that cannot be read is no tool.

    `parameters` are LangChain's `invocation_params`: the tools as the model's maker wants them.
    """
    from langchain_core.utils.function_calling import convert_to_openai_tool

    found = []
    for tool in parameters.get("tools") or parameters.get("functions") or ():
        try:
            made = convert_to_openai_tool(tool)
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(made.get("function"), dict):
            found.append(made)
    return tuple(found)


def reason_of(message: AIMessage) -> str:
    """Why the model stopped: stop, length or tool_calls."""
    if message.tool_calls:
        return "tool_calls"
    facts = message.response_metadata
    named = (facts.get(key) for key in ("finish_reason", "stop_reason", "done_reason"))
    word = str(next(filter(None, named), "stop")).lower()
    return "length" if word in _LENGTH else "stop"


def model_of(message: AIMessage) -> str:
    """The model's name, as its maker tells it with the answer; empty when it does not."""
    facts = message.response_metadata
    return str(facts.get("model_name") or facts.get("model") or "")


def human_of(given: Any) -> str:
    """The human's last words in what a graph or a model is called with, if it is a chat."""
    from langchain_core.messages import HumanMessage, convert_to_messages

    listed = given.get("messages") if isinstance(given, Mapping) else given
    if isinstance(listed, str) and isinstance(given, Mapping):
        return listed
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ""
    try:
        messages = convert_to_messages(listed)
    except (ValueError, TypeError, NotImplementedError):
        return ""
    human = [message for message in messages if isinstance(message, HumanMessage)]
    return _text(human[-1]) if human else ""


def spoken_in(outputs: Any) -> Iterator[tuple[str, str]]:
    """(message id, text) of what may be the answer in an output: the last message, or any text."""
    from langchain_core.messages import AIMessage

    values = list(outputs.values()) if isinstance(outputs, Mapping) else [outputs]
    for value in values:
        if isinstance(value, str):
            yield "", value
            continue
        listed = value if isinstance(value, list | tuple) else [value]
        said = [message for message in listed if isinstance(message, AIMessage)]
        if said:
            yield said[-1].id or "", str(said[-1].text)
