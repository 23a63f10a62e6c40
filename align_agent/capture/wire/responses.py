"""Requests to /v1/responses as messages and tools. Keeps no responses between requests.

Items that only the provider of another model could fill (references to stored items, results of
hosted tools) are refused; hosted tools that are merely offered are left out, because no model here
can call them.
"""

from __future__ import annotations

from typing import Any

from align_agent.capture.wire.shape import (
    arguments_of,
    content_text,
    function_tool,
    named,
    need_list,
    need_object,
    need_text,
    refuse,
)
from align_agent.records import Message, Role, ToolCall

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = {"function_call_output", "custom_tool_call_output"}


def read_responses(body: Any) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """The messages and the tools of a request. Raises InputError, which names the field."""
    data = need_object(body, "body")
    for key in ("previous_response_id", "conversation"):
        if data.get(key) is not None:
            refuse(key, "is not supported", "send the whole conversation in `input`")
    messages: list[Message] = []
    if data.get("instructions") is not None:
        messages.append(Message("system", need_text(data["instructions"], "instructions")))
    given = data.get("input")
    if isinstance(given, str):
        messages.append(Message("user", need_text(given, "input")))
    else:
        items = need_list(given, "input")
        if not items:
            refuse("input", "must not be empty", "send at least the human's message")
        for number, item in enumerate(items):
            _add(messages, need_object(item, f"input[{number}]"), f"input[{number}]")
    return tuple(messages), _tools(data.get("tools"))


def _add(messages: list[Message], item: dict[str, Any], path: str) -> None:
    """Append an item; calls join the assistant's message before them, as one step of the model."""
    kind = item.get("type", "message")
    if kind == "message":
        messages.append(_message(item, path))
    elif kind == "reasoning":
        return
    elif isinstance(kind, str) and kind in _CALLS:
        call = _call(item, path, _CALLS[kind])
        last = messages[-1] if messages else None
        if last is not None and last.role == "assistant":
            messages[-1] = Message("assistant", last.content, (*last.tool_calls, call))
        else:
            messages.append(Message("assistant", "", (call,)))
    elif isinstance(kind, str) and kind in _RESULTS:
        call_id = need_text(item.get("call_id"), f"{path}.call_id")
        text = content_text(item.get("output"), f"{path}.output", lenient=True)
        messages.append(Message("tool", text, tool_call_id=call_id))
    else:
        shown = f"`{kind[:40]}`" if isinstance(kind, str) else named(kind)
        hint = "use message, function_call, function_call_output or reasoning"
        refuse(f"{path}.type", f"must be a known kind of item, not {shown}", hint)


def _message(item: dict[str, Any], path: str) -> Message:
    word = item.get("role")
    role = _ROLES.get(word) if isinstance(word, str) else None
    if role is None:
        shown = f"`{word[:40]}`" if isinstance(word, str) else named(word)
        hint = f"use one of {', '.join(_ROLES)}"
        refuse(f"{path}.role", f"must be the name of a role, not {shown}", hint)
    return Message(role, content_text(item.get("content"), f"{path}.content"))


def _call(item: dict[str, Any], path: str, key: str) -> ToolCall:
    given = item.get(key)
    if key == "input":
        arguments: dict[str, Any] = {"input": need_text(given, f"{path}.{key}")}
    else:
        arguments = arguments_of(given, f"{path}.{key}")
    return ToolCall(
        need_text(item.get("call_id"), f"{path}.call_id"),
        need_text(item.get("name"), f"{path}.name", empty=False),
        arguments,
    )


def _tools(value: Any) -> tuple[dict[str, Any], ...]:
    if value is None:
        return ()
    tools = []
    for number, item in enumerate(need_list(value, "tools")):
        path = f"tools[{number}]"
        tool = need_object(item, path)
        if tool.get("type", "function") == "function":
            tools.append(function_tool(tool, path, "parameters"))
    return tuple(tools)
