"""Requests to /v1/messages as messages and tools. Knows no client and keeps nothing.

The results of tools, which this API puts into the user's message, become messages of their own.
Thoughts are dropped. Tools that the provider itself would run are not offered to the model.
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
    part_text,
    refuse,
)
from align_agent.records import Message, ToolCall


def read_anthropic(body: Any) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """The messages and the tools of a request. Raises InputError, which names the field."""
    data = need_object(body, "body")
    items = need_list(data.get("messages"), "messages")
    if not items:
        refuse("messages", "must not be empty", "send at least the human's message")
    messages: list[Message] = []
    if data.get("system") is not None:
        messages.append(Message("system", content_text(data["system"], "system")))
    for number, item in enumerate(items):
        messages += _messages(need_object(item, f"messages[{number}]"), f"messages[{number}]")
    return tuple(messages), _tools(data.get("tools"))


def _messages(item: dict[str, Any], path: str) -> list[Message]:
    role = item.get("role")
    content = item.get("content")
    if role == "assistant":
        return [_assistant(content, f"{path}.content")]
    if role == "user":
        return _user(content, f"{path}.content")
    shown = f"`{role[:40]}`" if isinstance(role, str) else named(role)
    hint = "use user or assistant; instructions go to the field `system`"
    return refuse(f"{path}.role", f"must be the name of a role, not {shown}", hint)


def _assistant(content: Any, path: str) -> Message:
    if not isinstance(content, list):
        return Message("assistant", content_text(content, path))
    texts, calls = [], []
    for number, item in enumerate(content):
        here = f"{path}[{number}]"
        block = need_object(item, here)
        if block.get("type") == "tool_use":
            calls.append(
                ToolCall(
                    need_text(block.get("id"), f"{here}.id"),
                    need_text(block.get("name"), f"{here}.name", empty=False),
                    arguments_of(block.get("input"), f"{here}.input"),
                )
            )
        else:
            texts.append((item, here))
    return Message("assistant", _joined(texts), tuple(calls))


def _user(content: Any, path: str) -> list[Message]:
    if not isinstance(content, list):
        return [Message("user", content_text(content, path))]
    found: list[Message] = []
    texts: list[tuple[Any, str]] = []
    for number, item in enumerate(content):
        here = f"{path}[{number}]"
        block = need_object(item, here)
        if block.get("type") != "tool_result":
            texts.append((item, here))
            continue
        if texts:
            found.append(Message("user", _joined(texts)))
            texts = []
        call_id = need_text(block.get("tool_use_id"), f"{here}.tool_use_id")
        given = block.get("content")
        text = "" if given is None else content_text(given, f"{here}.content", lenient=True)
        found.append(Message("tool", text, tool_call_id=call_id))
    if texts or not found:
        found.append(Message("user", _joined(texts)))
    return found


def _joined(blocks: list[tuple[Any, str]]) -> str:
    """The texts of blocks, of which each has a path of its own. Thoughts go."""
    texts = [part_text(block, path) for block, path in blocks]
    return "\n".join(text for text in texts if text is not None)


def _tools(value: Any) -> tuple[dict[str, Any], ...]:
    if value is None:
        return ()
    tools = []
    for number, item in enumerate(need_list(value, "tools")):
        path = f"tools[{number}]"
        tool = need_object(item, path)
        if tool.get("type") in (None, "custom"):
            tools.append(function_tool(tool, path, "input_schema"))
    return tuple(tools)
