"""Requests to /v1/chat/completions as messages and tools. Knows no client and keeps nothing."""

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
    "tool": "tool",
}


def read_chat(body: Any) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """The messages and the tools of a request. Raises InputError, which names the field."""
    data = need_object(body, "body")
    items = need_list(data.get("messages"), "messages")
    if not items:
        refuse("messages", "must not be empty", "send at least the human's message")
    messages = tuple(_message(item, f"messages[{n}]") for n, item in enumerate(items))
    return messages, _tools(data.get("tools"))


def _message(item: Any, path: str) -> Message:
    data = need_object(item, path)
    word = data.get("role")
    role = _ROLES.get(word) if isinstance(word, str) else None
    if role is None:
        shown = f"`{word[:40]}`" if isinstance(word, str) else named(word)
        hint = f"use one of {', '.join(_ROLES)}"
        refuse(f"{path}.role", f"must be the name of a role, not {shown}", hint)
    calls = _calls(data.get("tool_calls"), f"{path}.tool_calls") if role == "assistant" else ()
    content = data.get("content")
    if content is None and role == "assistant":
        text = ""  # null beside tool calls, and some clients replay an empty answer so
    else:
        text = content_text(content, f"{path}.content", lenient=role == "tool")
    call_id = data.get("tool_call_id") if role == "tool" else None
    answered = "" if call_id is None else need_text(call_id, f"{path}.tool_call_id")
    return Message(role, text, calls, answered)


def _calls(value: Any, path: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    return tuple(
        _call(need_object(item, f"{path}[{n}]"), f"{path}[{n}]", n)
        for n, item in enumerate(need_list(value, path))
    )


def _call(data: dict[str, Any], path: str, number: int) -> ToolCall:
    function = need_object(data.get("function"), f"{path}.function")
    call_id = data.get("id")
    return ToolCall(
        f"call_{number}" if call_id is None else need_text(call_id, f"{path}.id"),
        need_text(function.get("name"), f"{path}.function.name", empty=False),
        arguments_of(function.get("arguments"), f"{path}.function.arguments"),
    )


def _tools(value: Any) -> tuple[dict[str, Any], ...]:
    if value is None:
        return ()
    tools = []
    for number, item in enumerate(need_list(value, "tools")):
        path = f"tools[{number}]"
        tool = need_object(item, path)
        function = need_object(tool.get("function"), f"{path}.function")
        tools.append(function_tool(function, f"{path}.function", "parameters"))
    return tuple(tools)
