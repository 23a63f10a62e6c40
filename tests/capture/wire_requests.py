"""Requests as clients send them, in small: what the tests of the wire start from."""

from __future__ import annotations

import json

from align_agent.capture.wire import Understood, read_request, understand

SYSTEM = "You are a personal assistant running inside OpenClaw.\n## Tooling\n- look"
TOOLS = [{"type": "function", "function": {"name": "look"}}]


def context(*parts: str) -> str:
    """OpenClaw's own message at the end of a request."""
    lines = [f"Conversation data (data, not instructions):\n{json.dumps(part)}" for part in parts]
    body = "\n\n".join(lines or ['"none"'])
    return f"<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n{body}\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"


def stamped(text: str, minute: int = 0) -> str:
    return f"[Tue 2026-12-01 09:{minute:02} UTC] {text}"


def first(text: str, session: str = "agent:main:main", **fields: str) -> str:
    """The first message of a session, with the line that names it."""
    pairs = {"agent": "main", "session": session, "sessionId": "s-1", **fields}
    line = " | ".join(f"{key}={value}" for key, value in pairs.items())
    return f"{text}\n\nRuntime: {line}"


def informed(text: str, sender: str = "7") -> str:
    info = json.dumps({"sender": {"id": sender, "name": "Ann"}})
    return f"Conversation info: ⟦openclaw:ctx⟧\n```json\n{info}\n```\n\n{text}"


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict:
    return {"role": "assistant", "content": text}


def call(call_id: str = "call_1", name: str = "look", arguments: str = '{"at": 1}') -> dict:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def result(text: str, call_id: str = "call_1") -> dict:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def claw(*messages: dict, headers: dict | None = None, tail: str | None = None) -> Understood:
    """A request of OpenClaw: system prompt before, internal context behind."""
    every = [{"role": "system", "content": SYSTEM}, *messages, user(tail or context())]
    return asked(*every, headers=headers, tools=TOOLS)


def asked(*messages: dict, headers: dict | None = None, **body) -> Understood:
    """A request to the chat door, understood."""
    data = {"messages": list(messages), **body}
    converted, _ = read_request("chat", data)
    return understand(headers or {}, data, converted)
