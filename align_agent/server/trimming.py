"""Requests that are longer than the model's context: what is left out, and in which order.

OpenClaw's own instructions fill 3,000 tokens before a word was said, which no small model has room
for, and no compaction of the conversation helps. Then goes, each step only when the one before
did not do:

1. the oldest exchanges;
2. the client's frame: its system prompt and what it wraps around the human's words, all of it,
   because half a set of instructions misleads. The user's own rules stand in its place. Of the
   tools stay those already called in this turn, then the shortest, in a quarter of the room;
3. the middle of the longest messages that are left.

What was left out is left out of the record too: a night trains on what the model saw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from align_agent.capture.wire import shorten, understand
from align_agent.config import Config
from align_agent.config.preferences import shown_rules
from align_agent.errors import ContextTooLong
from align_agent.prompts import rules_block
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.chat import ChatFormat

Tools = tuple[dict[str, Any], ...]

_TOOLS_SHARE = 4
_LEAST_CHARS = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """What the model is shown in place of the request."""

    messages: tuple[Message, ...]
    tools: Tools


def trimmed(
    chat: ChatFormat,
    room: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    messages: tuple[Message, ...],
    tools: Tools,
    config: Config,
) -> Shown | None:
    """The request with as much left out as it takes to need at most `room` tokens.

    None when `server.trim` leaves it to the client. Raises ContextTooLong when nothing helps.
    """
    mode = config.server.trim
    if mode == "never":
        return None
    heard = understand(headers, body, messages, tools=bool(tools))
    if mode == "auto" and heard.channel != "openclaw":
        return None
    try:
        shown = Shown(chat.fit(messages, room, tools), tools)
    except ContextTooLong:
        return _unframed(chat, room, (*heard.prompt, *heard.since), tools, config)
    # Its compaction does that better than we could, once it knows that it is time.
    return None if mode == "auto" else shown


def _unframed(
    chat: ChatFormat, room: int, messages: Sequence[Message], tools: Tools, config: Config
) -> Shown:
    said = tuple(message for message in messages if message.role != "system")
    said = said or (Message("user", messages[-1].content if messages else ""),)
    frame = _rules(config)

    def needed(kept: Tools) -> int:
        return len(chat.encode((*frame, said[-1]), kept)) - len(chat.encode((*frame, said[-1])))

    kept = _kept_tools(said, tools, lambda some: needed(some) <= room // _TOOLS_SHARE)
    limit = max(len(message.content) for message in said)
    while True:
        try:
            return Shown(chat.fit((*frame, *_cut(said, limit)), room, kept), kept)
        except ContextTooLong:
            if limit <= _LEAST_CHARS:
                raise
            limit = max(_LEAST_CHARS, limit * 3 // 4)


def _rules(config: Config) -> tuple[Message, ...]:
    rules = shown_rules(config.preferences, "openclaw")
    if not rules:
        return ()
    return (Message("system", rules_block(rules)),)


def _kept_tools(said: Sequence[Message], tools: Tools, fits: Callable[[Tools], bool]) -> Tools:
    """The tools that may stay, in the order in which they were offered."""
    called = {call.name for message in said for call in message.tool_calls}

    def rank(tool: dict[str, Any]) -> tuple[bool, int]:
        return tool["function"]["name"] not in called, len(json.dumps(tool))

    kept: list[dict[str, Any]] = []
    for tool in sorted(tools, key=rank):
        if fits((*kept, tool)):
            kept.append(tool)
    return tuple(tool for tool in tools if tool in kept)


def _cut(said: Sequence[Message], limit: int) -> tuple[Message, ...]:
    return tuple(
        replace(message, content=shorten(message.content, limit))
        if len(message.content) > limit
        else message
        for message in said
    )
