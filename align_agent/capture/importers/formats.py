"""The known formats of one chat, as parsed JSON, to messages. Reads no file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from align_agent.records import Message, Role, ToolCall

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
_MAX_NODES = 200_000


class UnreadableError(ValueError):
    """What is wrong with a record, in words."""


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat as its record tells it. `id` is "" and `created` None where it does not."""

    id: str
    messages: tuple[Message, ...]
    created: Any
    channel: str


def parse(record: Any) -> Chat:
    """The chat of a record, whatever its format. Raises UnreadableError, or as a bad shape does."""
    if not isinstance(record, dict):
        raise UnreadableError(f"must be a JSON object, not {_named(record)}")
    if "mapping" in record:
        return _chatgpt(record)
    if isinstance(record.get("messages"), list):
        return _openai(record)
    for key in ("conversations", "conversation"):
        if isinstance(record.get(key), list):
            return _sharegpt(record, record[key])
    if isinstance(record.get("context"), list) and isinstance(record.get("user"), str):
        return _follow_up(record)
    known = "`messages`, `conversations`, `mapping`, or `context` with `user`"
    raise UnreadableError(f"has none of {known}")


def _openai(record: dict[str, Any]) -> Chat:
    messages = tuple(_message(item, number) for number, item in enumerate(record["messages"], 1))
    return Chat(_id(record), messages, _created(record), "import:openai")


def _follow_up(record: dict[str, Any]) -> Chat:
    """A conversation, and the user's message after it, to which there is no answer."""
    messages = [_message(item, number) for number, item in enumerate(record["context"], 1)]
    messages.append(Message("user", record["user"]))
    return Chat(_id(record), tuple(messages), _created(record), "import:follow_up")


def _sharegpt(record: dict[str, Any], items: list[Any]) -> Chat:
    messages = []
    if isinstance(record.get("system"), str) and record["system"]:
        messages.append(Message("system", record["system"]))
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise UnreadableError(f"message {number} must be an object, not {_named(item)}")
        if "from" in item:
            role = _role(item["from"], number)
            messages.append(Message(role, _text(item.get("value"), number)))
        else:
            messages.append(_message(item, number))
    return Chat(_id(record), tuple(messages), _created(record), "import:sharegpt")


def _message(item: Any, number: int) -> Message:
    """A message in OpenAI's shape, tool calls and content parts included."""
    if not isinstance(item, dict):
        raise UnreadableError(f"message {number} must be an object, not {_named(item)}")
    if "role" not in item:
        raise UnreadableError(f"message {number} has no `role`")
    calls = item.get("tool_calls") or ()
    return Message(
        role=_role(item["role"], number),
        content=_text(item.get("content"), number),
        tool_calls=tuple(_call(call, f"call-{number}-{n}") for n, call in enumerate(calls)),
        tool_call_id=str(item.get("tool_call_id") or ""),
    )


def _call(call: dict[str, Any], fallback: str) -> ToolCall:
    function = call.get("function", call)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = {"text": arguments}
    if not isinstance(arguments, dict):
        arguments = {"value": arguments}
    return ToolCall(str(call.get("id") or fallback), str(function.get("name") or "?"), arguments)


def _text(content: Any, number: int) -> str:
    """The text of a content: a text, parts of which some are texts, or nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, int | float):
        return str(content)
    if not isinstance(content, list):
        raise UnreadableError(f"message {number} has a content that is {_named(content)}")
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif isinstance(part, dict):
            kind = str(part.get("type") or part.get("content_type") or "attachment")
            parts.append(f"[{kind.split('_')[0]}]")
    return "\n".join(part for part in parts if part)


def _role(value: Any, number: int) -> Role:
    role = _ROLES.get(str(value).strip().lower())
    if role is None:
        raise UnreadableError(f"message {number} has an unknown role `{str(value)[:40]}`")
    return role


def _chatgpt(record: dict[str, Any]) -> Chat:
    """A conversation of a ChatGPT export: a tree, of which the last path shown is taken."""
    mapping = record["mapping"]
    if not isinstance(mapping, dict):
        raise UnreadableError("`mapping` must be an object")
    path = []
    node_id = record.get("current_node")
    if node_id not in mapping:
        node_id = _last_leaf(mapping)
    seen: set[Any] = set()
    while node_id in mapping and node_id not in seen and len(seen) < _MAX_NODES:
        seen.add(node_id)
        path.append(mapping[node_id])
        node_id = mapping[node_id].get("parent")
    messages = [_chatgpt_message(node.get("message")) for node in reversed(path)]
    return Chat(
        str(record.get("conversation_id") or record.get("id") or ""),
        tuple(message for message in messages if message is not None),
        record.get("create_time"),
        "import:chatgpt",
    )


def _last_leaf(mapping: dict[str, Any]) -> str | None:
    leaves = [key for key, node in mapping.items() if not node.get("children")]
    return leaves[-1] if leaves else None


def _chatgpt_message(data: Any) -> Message | None:
    """A message of the export; None for what was not part of the talk."""
    if not isinstance(data, dict):
        return None
    if (data.get("metadata") or {}).get("is_visually_hidden_from_conversation"):
        return None
    content = data.get("content") or {}
    kind = content.get("content_type", "text")
    if kind in ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context"):
        return None
    role = _role((data.get("author") or {}).get("role"), 0)
    parts = content.get("parts")
    text = _text(parts, 0) if parts is not None else _text(content.get("text"), 0)
    if role == "assistant" and data.get("recipient", "all") != "all":
        call = ToolCall(str(data.get("id") or ""), str(data["recipient"]), {"input": text})
        return Message("assistant", "", (call,))
    if role == "system" and not text:
        return None
    return Message(role, text)


def _id(record: dict[str, Any]) -> str:
    for key in ("conversation_id", "id", "session_id", "chat_id"):
        value = record.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return str(value)[:200]
    return ""


def _created(record: dict[str, Any]) -> Any:
    for key in ("created_at", "create_time", "created", "timestamp"):
        if record.get(key):
            return record[key]
    return None


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "nothing" if value is None else "a number")
