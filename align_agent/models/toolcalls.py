"""Reads tool calls out of a model's text, in the Hermes format that Qwen models write.

A call is `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. Runs no tool.
"""

from __future__ import annotations

import json
from typing import Any

from align_agent.records import ToolCall, new_id

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"

_DECODER = json.JSONDecoder()


def parse_tool_calls(text: str) -> tuple[str, tuple[ToolCall, ...]]:
    """The text without its calls, and the calls.

    All or nothing: where one call cannot be read, the text comes back whole and without calls,
    because running some of several calls does what nobody asked for. A missing closing tag after
    a complete JSON object is forgiven.
    """
    start = text.find(CALL_OPEN)
    if start < 0:
        return text, ()
    before = text[:start].rstrip()
    calls: list[ToolCall] = []
    rest = text[start:]
    while rest.startswith(CALL_OPEN):
        found = _read_call(rest[len(CALL_OPEN) :])
        if found is None:
            return text, ()
        call, rest = found
        calls.append(call)
    if CALL_OPEN in rest:
        return text, ()
    said = "\n".join(part for part in (before, rest.strip()) if part)
    return said, tuple(calls)


def forced_call(name: str = "") -> str:
    """How an answer begins that must call a tool: the one named, or any."""
    begun = f'{CALL_OPEN}\n{{"name":'
    return f'{begun} {json.dumps(name, ensure_ascii=False)}, "arguments":' if name else begun


def _read_call(text: str) -> tuple[ToolCall, str] | None:
    """The call at the start of `text` and what follows it; None when it cannot be read."""
    text = text.lstrip()
    try:
        data, end = _DECODER.raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    rest = text[end:].lstrip()
    if rest.startswith(CALL_CLOSE):
        rest = rest[len(CALL_CLOSE) :].lstrip()
    elif rest:
        return None
    call = _to_call(data)
    return None if call is None else (call, rest)


def _to_call(data: Any) -> ToolCall | None:
    if not isinstance(data, dict):
        return None
    name = data.get("name")
    arguments = data.get("arguments", data.get("parameters", {}))
    if isinstance(arguments, str):  # some models follow OpenAI and quote the object
        try:
            arguments = json.loads(arguments)
        except (json.JSONDecodeError, RecursionError):
            return None
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    try:  # an escaped lone surrogate is legal JSON, but no text that can be stored
        json.dumps([name, arguments], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None
    return ToolCall(new_id("call"), name, arguments)
